"""`config diff` of moments: what was edited since, by value, and what is not certain about the past."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass

BASE = 'web:\n  host: a\n  port: 80\n  url: "http://{{ config.web.host }}:{{ config.web.port }}"\n'


@pytest.fixture
def shop(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    monkeypatch.setattr("core.config.open.user_file", lambda: tmp_path / "home" / "config.yaml")
    monkeypatch.delenv("WINDLASS_ENVIRONMENT", raising=False)
    (lab.path / "config" / "environments").mkdir(parents=True)
    (lab.path / "config" / "base.yaml").write_text(BASE)
    (lab.path / "config" / "environments" / "dev.yaml").write_text("web: {host: dev}\n")
    return lab


def aged(shop: Lab, number: int, hours: float) -> None:
    """Lets an edit have been made some hours earlier."""
    file = shop.path / ".windlass" / "config-history" / f"{number}.json"
    change = json.loads(file.read_text())
    change["time"] -= hours * 3600
    file.write_text(json.dumps(change))


@pytest.fixture
def edited(windlass: Windlass, shop: Lab) -> Lab:
    """Edit 1, 48 hours ago: port 81. Edit 2, 24 hours ago: dev's host. Edit 3, now: port 82."""
    assert windlass("config", "set", "web.port", "81").status == 0
    assert windlass("config", "set", "web.host", "dev2", "-e", "dev").status == 0
    assert windlass("config", "set", "web.port", "82").status == 0
    aged(shop, 1, 48)
    aged(shop, 2, 24)
    return shop


def changes(windlass: Windlass, *words: str) -> dict[str, list[object]]:
    answer = windlass("config", "diff", *words, "--json")
    assert answer.status == 0, answer.err
    return {found["path"]: found["values"] for found in map(json.loads, answer.out.splitlines())}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("@1",), {"web.port": [81, 82], "web.url": ["http://a:81", "http://a:82"]}),
        (("@0",), {"web.port": [80, 82], "web.url": ["http://a:80", "http://a:82"]}),
        (("@3",), {}),
        (("@36h",), {"web.port": [81, 82], "web.url": ["http://a:81", "http://a:82"]}),
        (("@3d",), {"web.port": [80, 82], "web.url": ["http://a:80", "http://a:82"]}),
        (("dev@30h",), {"web.host": ["dev", "dev2"], "web.port": [81, 82], "web.url": ["http://dev:81", "http://dev2:82"]}),
        (("dev@1", "dev@2"), {"web.host": ["dev", "dev2"], "web.url": ["http://dev:81", "http://dev2:81"]}),
        (("@1", "@0", "web.port"), {"web.port": [81, 80]}),
    ],
)  # fmt: skip
def test_two_moments(
    windlass: Windlass, edited: Lab, words: tuple[str, ...], found: dict[str, list[object]]
) -> None:
    assert changes(windlass, *words) == found


def test_what_is_not_certain_is_told(windlass: Windlass, edited: Lab) -> None:
    file = edited.path / "config" / "base.yaml"
    file.write_text(file.read_text().replace("82", "83"))
    told = "config/base.yaml was changed by hand after edit 3: when is not known, so that is left out"
    assert told in windlass("config", "diff", "@3").err
    assert "the oldest edit that is kept is 1" in windlass("config", "diff", "@9d").err


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("7", "there is no edit 7\nkept are 1 to 3; "),
        ("yesterday", "'yesterday' is no moment\nwrite a time (2026-03-01T14:00), how long ago"),
        ("", "'' is no moment"),
        ("99999d", ""),
    ],
)
def test_what_is_no_moment(windlass: Windlass, edited: Lab, moment: str, told: str) -> None:
    answer = windlass("config", "diff", f"@{moment}")
    assert answer.status == (2 if told else 0)
    assert told in answer.err


def test_without_edits_the_files_are_taken_as_they_are(windlass: Windlass, shop: Lab) -> None:
    answer = windlass("config", "diff", "@2h")
    assert answer.status == 0 and "no edit is kept" in answer.err and answer.out == ""


def test_a_run_is_compared_by_what_it_uses(windlass: Windlass, shop: Lab) -> None:
    shop.batch("steps: {go: {run: 'go {{ config.web.url }}', on: 'name:a', undo: u}}\n")
    assert windlass("run", "work", "--yes", "-e", "dev").status == 0
    assert windlass("config", "set", "web.port", "90").status == 0
    assert windlass("config", "set", "unused", "1").status == 0
    assert changes(windlass, "run:1") == {"web.url": ["http://dev:80", "http://dev:90"]}
    assert changes(windlass, "run:1", "-", "web.url") == {"web.url": ["http://dev:80", "http://a:90"]}
    shown = windlass("runs", "show", "1")
    assert "web.url" in shown.out and "http://dev:80" in shown.out and "config/base.yaml:4:8" in shown.out
    assert windlass("config", "diff", "run:x").status == 2
    assert windlass("config", "diff", "run:9").status == 2
