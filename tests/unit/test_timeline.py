"""The arithmetic of the timeline: when a task might have started, what it waited for, what determined the end."""

from __future__ import annotations

from typing import Any

from core.model import events as kinds
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import RunState, TaskState
from core.model.timeline import Bar, Kind, Segment, Timeline, Trace, timeline
from core.model.views import StepNeed, TaskInfo
from tests.functional.scripted_engine import NOW, run_info, step, task
from tui.timeline_text import axis, longest_first

T0 = NOW - 100.0


def told(seq: int, at: float, kind: str, key: TaskKey, **data: Any) -> Event:
    return Event(seq, kind, 1, key.step, key.server, 1, "engine", T0 + at, data)


def moves(key: TaskKey, *marks: tuple[float, str, str]) -> list[Event]:
    """Events of one task: (seconds after the start, "state" or "phase" or "undo", its value)."""
    names = {
        "state": (kinds.TASK_STATE, "to"),
        "phase": (kinds.TASK_PHASE, "phase"),
        "undo": (kinds.TASK_UNDO, "to"),
    }
    found = []
    for at, what, value in marks:
        kind, name = names[what]
        phase, _, why = value.partition(": ")
        data = {name: phase, **({"why": why} if why else {})}
        found.append(told(0, at, kind, key, **data))
    return found


def traced(*events: Event) -> Trace:
    trace = Trace()
    for seq, event in enumerate(sorted(events, key=lambda one: one.time), 1):
        trace.note(event._replace(seq=seq))
    return trace


def drawn(
    spans: dict[str, tuple[float, float] | None],
    needs: list[StepNeed],
    *extra: Event,
    state: RunState = RunState.DONE,
    **states: TaskState,
) -> Timeline:
    """A timeline of tasks `step@server`, each with when it started and ended."""
    tasks: list[TaskInfo] = []
    events: list[Event] = list(extra)
    for name, span in spans.items():
        where, _, server = name.partition("@")
        found = states.get(name.replace("@", "_"), TaskState.DONE if span else TaskState.WAITING)
        more = {"started": T0 + span[0], "ended": T0 + span[1]} if span else {}
        tasks.append(task(len(tasks), where, server, found, **more))
        if span:
            key = TaskKey(where, server)
            events += moves(key, (span[0], "state", "running"), (span[1], "state", found.value))
    names = list(dict.fromkeys(one.step for one in tasks))
    run = run_info(1, "b", state, began_s=100, ended_s=0 if state is RunState.DONE else None)
    steps = [step(at, name) for at, name in enumerate(names)]
    return timeline(run, steps, tasks, needs, traced(*events), NOW)


def bar(line: Timeline, name: str) -> Bar:
    return next(one for one in line.bars if one.name == name)


def kinds_of(one: Bar) -> list[tuple[str, float, float]]:
    return [(part.kind.value, round(part.start - T0, 3), round(part.end - T0, 3)) for part in one.segments]


ALL = [StepNeed("two", "one", True, True)]
SAME = [StepNeed("two", "one", False, True)]


def test_it_waits_from_the_end_of_the_last_need_on_all_servers() -> None:
    line = drawn({"one@a": (0, 10), "one@b": (2, 50), "two@a": (53, 60), "two@b": (50, 55)}, ALL)
    assert kinds_of(bar(line, "two@a")) == [("queued", 50, 53), ("running", 53, 60)]
    assert kinds_of(bar(line, "two@b")) == [("running", 50, 55)]
    assert (bar(line, "two@a").waited_s, bar(line, "two@a").took_s) == (3.0, 7.0)
    assert bar(line, "one@b").waited_s == 2.0


def test_it_waits_for_its_own_server_only_where_that_is_asked() -> None:
    line = drawn({"one@a": (0, 10), "one@b": (0, 50), "two@a": (12, 20), "two@b": (50, 58)}, SAME)
    assert bar(line, "two@a").waited_s == 2.0
    assert [str(link.key) for link in line.path] == ["two@b", "one@b"]
    assert line.path[0].waited_s == 50.0  # for the only one that it needed


def test_the_path_names_who_was_waited_for_alone_and_for_how_long() -> None:
    line = drawn(
        {"one@a": (0, 10), "one@b": (0, 30), "one@c": (0, 71), "two@a": (71, 75), "two@b": (73, 90)}, ALL
    )
    first, second = line.path
    assert (str(first.key), str(first.waited_for), first.waited_s, first.queued_s) == (
        "two@b",
        "one@c",
        41.0,
        2.0,
    )
    assert (str(second.key), second.waited_for, second.took_s) == ("one@c", None, 71.0)
    assert {one.name for one in line.bars if one.on_path} == {"two@b", "one@c"}
    assert [one.on_path for one in line.by_step(["one", "two"])] == [True, True]


def test_what_was_blocked_or_skipped_kept_nobody_waiting() -> None:
    line = drawn({"one@a": (0, 10), "one@b": None, "two@a": (10, 20)}, ALL, one_b=TaskState.SKIPPED)
    assert [str(link.key) for link in line.path] == ["two@a", "one@a"]


def test_between_two_tries_it_backs_off_and_its_server_may_be_lost() -> None:
    key = TaskKey("one", "a")
    line = drawn(
        {"one@a": (0, 40)},
        [],
        *moves(
            key,
            (5, "phase", "back_off: exit 1"),
            (8, "phase", "run"),
            (10, "phase", "check"),
            (12, "phase", "run: its server is lost, the command goes on there; eof"),
            (20, "phase", "run: its server is back"),
            (21, "phase", "run: attempt 1 in doubt: stop it stopped"),
        ),
    )
    assert kinds_of(bar(line, "one@a")) == [
        ("running", 0, 5),
        ("back-off", 5, 8),
        ("running", 8, 12),
        ("server lost", 12, 20),
        ("running", 20, 40),
    ]


def test_a_doubt_goes_on_until_it_is_decided_and_an_undo_is_told() -> None:
    key = TaskKey("one", "a")
    line = drawn(
        {"one@a": (0, 60)},
        [],
        *moves(key, (10, "state", "in_doubt"), (70, "undo", "undoing"), (75, "undo", "undone")),
    )
    assert kinds_of(bar(line, "one@a")) == [("running", 0, 10), ("in doubt", 10, 60), ("undoing", 70, 75)]


def test_what_runs_or_could_start_goes_on_until_now() -> None:
    line = drawn(
        {"one@a": (0, 10), "two@a": None, "three@a": None},
        [*ALL, StepNeed("three", "two", True, True)],
        *moves(TaskKey("one", "b"), (5, "state", "running")),
        state=RunState.RUNNING,
    )
    assert kinds_of(bar(line, "two@a")) == [("queued", 10, 100)]
    assert kinds_of(bar(line, "three@a")) == [] and bar(line, "three@a").able is None
    assert line.end == NOW


def test_a_run_that_stands_ends_where_its_events_end() -> None:
    line = drawn({"one@a": (0, 10)}, [], state=RunState.WAITING)
    assert line.end - T0 == 10.0


def test_nothing_is_known_before_anything_happened() -> None:
    line = drawn({"one@a": None}, [], state=RunState.RUNNING)
    assert line.path == () and [one.name for one in line.by_server()] == ["a"]


def test_several_bars_are_one_without_overlaps() -> None:
    line = drawn({"one@a": (0, 10), "one@b": (5, 20), "one@c": (30, 40)}, [])
    whole = line.by_step(["one"])[0]
    assert [part for part in whole.segments if part.kind is Kind.RUNNING] == [
        Segment(Kind.RUNNING, T0, T0 + 20),
        Segment(Kind.RUNNING, T0 + 30, T0 + 40),
    ]
    assert (whole.took_s, whole.tasks, whole.waited_s) == (30.0, 3, 30.0)
    assert (
        [one.name for one in line.of_server("b")]
        == ["one@b"]
        == [one.name for one in line.of_step("one")][1:2]
    )


def test_the_longest_come_first_and_equal_ones_keep_their_order() -> None:
    line = drawn({"one@a": (0, 10), "one@b": (0, 20), "one@c": (5, 15)}, [])
    assert [one.name for one in longest_first(line.bars)] == ["one@b", "one@a", "one@c"]


def test_the_axis_begins_at_nothing_and_ends_at_the_end() -> None:
    told_ = axis(T0, T0 + 130, 45)
    assert len(told_) == 45 and told_.startswith("0s") and told_.endswith("2m 10s")
    assert len(axis(T0, T0, 5)) == 5 and axis(T0, T0 + 1, 0) == ""


def test_needs_that_go_round_do_not_go_on_for_ever() -> None:
    round_ = [StepNeed("one", "two", True, True), StepNeed("two", "one", True, True)]
    line = drawn({"one@a": (0, 10), "two@a": (10, 20)}, round_)
    assert len(line.path) == 2
