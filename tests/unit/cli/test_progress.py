"""Lines of progress, from events: one for each transition, clean whatever the events hold."""

from __future__ import annotations

from typing import Any

import pytest

from cli.progress import ExecLines, JsonLines, ProgressLines
from core.model.events import Event
from tests.unit.cli.conftest import golden, perform


def event(
    type_: str, step: str | None = None, server: str | None = None, time: float = 0.0, **data: Any
) -> Event:
    data.setdefault("to", None)
    attempt, actor = data.pop("attempt", None), data.pop("actor", "engine")
    return Event(1, type_, 7, step, server, attempt, actor, time, data)


EVENTS = [
    event("run.created", number=7),
    event("task.state", "install", "web-01", to="running", phase="connect"),
    event("task.phase", "install", "web-01", phase="run"),
    event("task.intent", "install", "web-01", attempt=1),
    event("task.output", "install", "web-01", start=0, end=9),
    event("task.attempt", "install", "web-01", why="exit 7", attempt=1),
    event("task.phase", "install", "web-01", phase="back_off", delay_s=1.5, why="exit 7", attempt=1),
    event("task.state", "install", "web-01", 2.5, to="failed", why="exit 7", attempt=2),
    event("task.state", "verify", "web-01", to="blocked", why="install@web-01 ended failed"),
    event("task.state", "install", "db-1", to="running"),
    event("task.state", "install", "db-1", 70.0, to="done", evidence="exit status"),
    event("task.state", "probe", "engine", to="running"),
    event("task.state", "probe", "engine", 0.3, to="done", evidence="GET http://x/: 200"),
    event("task.state", "late", "db-1", to="in_doubt", why="nobody knows", evidence="the link was lost"),
    event("task.state", "late", "db-1", to="in_place", why="check: nothing to do"),
    event("task.state", "late", "db-2", to="skipped", why="decided by ann@desk: fine", actor="ann@desk"),
    event("task.state", "late", "db-3", to="unreachable", why="refused"),
    event("task.state", "late", "db-4", to="cancelled", actor="ann@desk"),
    event("task.undo", "install", "db-1", to="pending"),
    event("task.undo", "install", "db-1", to="undoing"),
    event("task.undo", "install", "db-1", to="undone"),
    event("task.undo", "install", "db-2", to="undo_failed", why="exit 1"),
    event("server.note", None, "db-1", what="moved", message="db-1 is now at 10.0.0.1:22"),
    event("run.state", to="waiting_for_person", why="1 task in doubt"),
    event("run.state", to="done"),
    event("task.state", "install", "db-1", to="a state of later versions"),
    event("something.new", "install", "db-1", to="done"),
]


def test_every_transition(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ProgressLines(step_width=7)

    async def feed() -> None:
        for each in EVENTS:
            await lines.event(each)

    perform(feed())
    printed = capsys.readouterr()
    assert printed.out == ""
    golden("progress", printed.err)


def test_exec_tells_only_what_did_not_go_well(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ExecLines()

    async def feed() -> None:
        for each in EVENTS:
            await lines.event(each)

    perform(feed())
    told = capsys.readouterr().err
    assert "failed" in told and "unreachable" in told and "in doubt" in told
    assert "running" not in told and "done" not in told.replace("undone", "")


@pytest.mark.parametrize("printer", [ProgressLines(), ExecLines(), JsonLines()])
def test_hostile_events_reach_no_terminal_as_they_are(
    capsys: pytest.CaptureFixture[str], printer: ProgressLines | JsonLines
) -> None:
    bad = "\x1b]52;c;eA==\x07\u202e[bold]\n"

    async def feed() -> None:
        for state in ("running", "failed", "in_doubt"):
            await printer.event(event("task.state", bad, bad, to=state, why=bad, evidence=bad, actor=bad))
        await printer.event(event("task.phase", bad, bad, phase="back_off", delay_s=1, why=bad))
        await printer.event(event("task.undo", bad, bad, to="undo_failed", why=bad))
        await printer.event(event("run.state", to="failed", why=bad))
        await printer.event(event("server.note", None, bad, message=bad))

    perform(feed())
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert text.count("\n") == (7 if not isinstance(printer, ExecLines) else 5)
    assert all(line.isprintable() for line in text.splitlines())
