"""A batch against an inventory: the servers of each step, and names that no server has."""

from __future__ import annotations

import pytest

from core.batch.selector import parse_selector
from core.batch.targets import check_targets, resolve
from tests.unit.batch.support import INVENTORY, load


def told(on: str) -> list[str]:
    loaded = load(f"steps:\n  a:\n    on: {on}\n    run: x\n")
    return [str(fault).removeprefix("batch.yaml:") for fault in check_targets(loaded, INVENTORY)]


@pytest.mark.parametrize(
    ("on", "faults"),
    [
        ("group:web", []),
        ("all", []),
        ("group:wbe", ["3:9: no server has group 'wbe' (did you mean group:web?)"]),
        ("group:web or group:backp", ["3:22: no server has group 'backp' (did you mean group:backup?)"]),
        ('"group:web or group:backp"', ["3:23: no server has group 'backp' (did you mean group:backup?)"]),
        ("label:rol=db", ["3:9: no server has label 'rol' (did you mean label:role?)"]),
        ("name:web-9", ["3:9: there is no server 'web-9' (did you mean name:web-1?)"]),
        ("name:xyz-*", []),
        ("provider:lcoal", ["3:9: no server has provider 'lcoal' (did you mean provider:local?)"]),
        ("not group:x and not name:y", None),
    ],
)
def test_names_that_no_server_has(on: str, faults: list[str] | None) -> None:
    found = told(on)
    if faults is None:
        assert [fault.split(" (")[0] for fault in found] == [
            "3:13: no server has group 'x'",
            "3:29: there is no server 'y'",
        ]
    else:
        assert [fault.replace("web-2", "web-1") for fault in found] == faults


def test_an_empty_inventory_has_nothing() -> None:
    loaded = load("steps:\n  a: {on: group:web, run: x}\n  b: {run: x}\n")
    assert [fault.message for fault in check_targets(loaded, [])] == ["no server has group 'web'"]


BATCH = """\
steps:
  a: {on: group:web or group:db, run: x}
  b: {run: x}
  c: {on: label:zone=b, run: x}
  d: {on: name:none-*, run: x}
  e: {wait: {http: "http://x/"}}
"""


def test_the_servers_of_each_step_in_the_order_of_the_inventory() -> None:
    assert resolve(load(BATCH), INVENTORY) == {
        "a": ["web-1", "web-2", "db-1"],
        "b": ["web-1", "web-2", "db-1", "lb-1"],
        "c": ["web-2"],
        "d": [],
        "e": ["engine"],
    }


def test_a_limit_narrows_every_step_but_those_of_the_engine() -> None:
    limited = resolve(load(BATCH), INVENTORY, parse_selector("label:zone=a"))
    assert limited == {"a": ["web-1", "db-1"], "b": ["web-1", "db-1"], "c": [], "d": [], "e": ["engine"]}


def test_nothing_is_told_of_steps_on_the_engine() -> None:
    assert check_targets(load("steps:\n  e: {wait: {http: 'http://x/'}}\n"), []) == []
