"""How the inventory is shown: order, groups, columns, and what is kept of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from tests.unit.tui.inventory.fleet import FLEET
from tui.inventory import kept
from tui.inventory.columns import ALL, AT_FIRST, natural
from tui.inventory.reaching import ANSWERS, NEVER, SILENT, Reached
from tui.inventory.view import Heading, View


def names(view: View, reached: dict[str, Reached] | None = None) -> list[str]:
    told = reached or {}
    return [each.name for each in view.ordered(FLEET, lambda name: told.get(name, NEVER))]


def test_names_are_ordered_as_people_count() -> None:
    assert names(View()) == ["db-1", "lb", "web-1", "web-2", "web-13"]
    assert names(View(backwards=True)) == ["web-13", "web-2", "web-1", "lb", "db-1"]
    assert sorted(["a10", "a2", "a", "A1"], key=natural) == ["a", "A1", "a2", "a10"]


def test_equal_ones_stay_by_name_also_the_other_way_round() -> None:
    assert names(View(sort="state")) == ["web-1", "web-13", "web-2", "db-1", "lb"]
    assert names(View(sort="state", backwards=True)) == ["db-1", "lb", "web-2", "web-1", "web-13"]


def test_those_that_do_not_answer_come_first_then_the_slowest() -> None:
    reached = {"lb": Reached(ANSWERS, 0.01), "web-2": Reached(ANSWERS, 0.5), "web-13": Reached(SILENT)}
    assert names(View(sort="reach"), reached)[:3] == ["web-13", "web-2", "lb"]


def test_the_newest_run_comes_first() -> None:
    assert names(View(sort="last"))[0] == "lb" and names(View(sort="held"))[0] == "db-1"


def test_every_column_orders_and_groups_any_server() -> None:
    for column in ALL:
        assert len(names(View(sort=column.id))) == len(FLEET)
        if column.group is not None:
            rows = View(group=column.id).rows(FLEET, ())
            assert sum(row.servers for row in rows if isinstance(row, Heading)) == len(FLEET)


def test_groups_have_headings_and_can_be_folded() -> None:
    view = View().grouped_by("state")
    rows = view.rows(FLEET, {"started"})
    assert [row.value if isinstance(row, Heading) else row.name for row in rows] == [
        *("started", "stopped", "web-2"),
        *("unknown", "db-1", "lb"),
    ]
    (started,) = (row for row in rows if isinstance(row, Heading) and row.folded)
    assert [each.name for each in view.below(started, FLEET)] == ["web-1", "web-13"]
    assert view.grouped_by("state").group == ""


def test_columns_come_and_go_in_one_order() -> None:
    view = View().toggled("user").toggled("state")
    assert view.columns == ("name", "provider", "reach", "address", "user", "groups", "held")
    assert view.toggled("name") is view
    assert view.toggled("user").toggled("state").columns == AT_FIRST


def test_filters_belong_to_their_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    kept.keep_view(View(sort="state").with_filter("mine", "group:web"), "/srv/a", View())
    kept.keep_view(View(group="provider").with_filter("theirs", "db"), "/srv/b", View())
    first, second = kept.read_view("/srv/a"), kept.read_view("/srv/b")
    assert first.filters == {"mine": "group:web"} and second.filters == {"theirs": "db"}
    assert first.group == second.group == "provider" and first.sort == "name"
    assert os.stat(kept.KEPT.path).st_mode & 0o777 == 0o600
    kept.keep_view(first.without_filter("mine"), "/srv/a", first)
    assert json.loads(kept.KEPT.path.read_text())["filters"] == {"/srv/b": {"theirs": "db"}}


def test_two_windows_keep_each_others_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    opened = View()
    kept.keep_view(opened.with_filter("first", "a"), "/srv/a", opened)
    kept.keep_view(opened.with_filter("second", "b"), "/srv/a", opened)
    kept.keep_view(opened.toggled("user"), "/srv/a", opened)
    both = kept.read_view("/srv/a")
    assert both.filters == {"first": "a", "second": "b"} and "user" in both.columns
    kept.keep_view(both.without_filter("first"), "/srv/a", both)
    assert kept.read_view("/srv/a").filters == {"second": "b"}


def test_what_a_terminal_would_act_on_is_no_filter() -> None:
    hostile = {"filters": {"/srv/a": {"x": "\x1b]0;PWN\x07", "y": "a\nb", "z": "web", "long": "w" * 2000}}}
    assert View.of(hostile, "/srv/a").filters == {"z": "web"}


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    kept.keep_view(View(), "/srv/a", View())
    kept.KEPT.path.write_text("{")
    with pytest.raises(InputError, match="how the inventory is to look, cannot be read"):
        kept.read_view("/srv/a")


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from([each.id for each in ALL]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["columns", "sort", "backwards", "group", "filters"]), ANYTHING)
    | ANYTHING
)
def test_whatever_was_kept_is_a_view(data: object) -> None:
    view = View.of(data, "/srv/a")
    assert view.columns[0] == "name" and view.ordered(FLEET, lambda _name: NEVER)
    view.rows(FLEET, ())


def test_what_is_kept_comes_back() -> None:
    view = View(("name", "labels"), "labels", True, "user", {"x": "group:a"})
    assert View.of(json.loads(json.dumps(view.kept({}, "/srv/a", View()))), "/srv/a") == view
