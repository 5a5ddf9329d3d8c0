"""From the engine's views to what is said: overview, reasons, choices, rows, texts. Pure functions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.errors import Fault
from core.model.events import Event
from core.model.states import Asked, Decision, Phase, RunState, TaskState, UndoState
from core.model.views import Explanation, RunInfo
from tests.functional import lab
from tests.functional.scripted_engine import NOW, run_info, step, task
from themes.signs import RUN_SIGNS, TASK_SIGNS, UNDO_SIGNS, ascii_only, run_sign
from tui import actions, rows, run_text, step_rows, tiles
from tui.choices import choices_for
from tui.doubts import doubtful_tasks, doubts
from tui.following import step_to_watch, task_to_watch
from tui.glyphs import ASCII, UNICODE
from tui.look import Look
from tui.news import worth_a_glance
from tui.overview import ProviderLine, Standing, by_provider, overview, what_is_needed
from tui.paint import Paint, fit, hanging, pad, spread, width_of
from tui.plan_text import plan_lines
from tui.widgets.grid import bucketed

LOOK = Look(UNICODE, Paint({}), False, lambda: NOW)


def run(state: RunState = RunState.RUNNING, **more: object) -> RunInfo:
    values: dict[str, object] = {"tasks": 10, "counts": {TaskState.DONE: 10}}
    values.update(more)
    return run_info(1, "b", state, began_s=10, **values)


def text_of(spans) -> str:
    return "".join(text for text, _ in spans)


# ---------------------------------------------------------------- signs


def test_every_state_has_its_sign_word_and_ascii_twin() -> None:
    for signs, states in ((TASK_SIGNS, TaskState), (RUN_SIGNS, RunState), (UNDO_SIGNS, UndoState)):
        assert set(signs) == set(states)
        for sign in signs.values():
            assert len(sign.sign) == len(sign.ascii) == 1 and sign.ascii.isascii()
    for signs in (TASK_SIGNS, RUN_SIGNS):
        words_told = [sign.word for sign in signs.values()]
        assert len(set(words_told)) == len(words_told)
    told = [sign.ascii for sign in TASK_SIGNS.values()]
    assert len(set(told)) == len(told)


def test_interrupted_goes_before_the_state_of_an_open_run() -> None:
    assert run_sign(RunState.RUNNING, interrupted=True).word == "interrupted"
    assert run_sign(RunState.DONE, interrupted=True).word == "done"


@pytest.mark.parametrize(
    ("term", "encoding", "plain"),
    [
        ("xterm-256color", "UTF-8", False),
        ("xterm", "utf8", False),
        ("dumb", "UTF-8", True),
        ("", "UTF-8", True),
        ("linux", "UTF-8", True),
        ("xterm", "ANSI_X3.4-1968", True),
        ("xterm", "ISO-8859-1", True),
    ],
)
def test_which_terminals_get_ascii(term: str, encoding: str, plain: bool) -> None:
    assert ascii_only({"TERM": term}, encoding) is plain


def test_both_glyph_sets_are_one_cell_wide() -> None:
    for name in ASCII.__dataclass_fields__:
        assert len(getattr(ASCII, name)) == len(getattr(UNICODE, name)) == 1
        assert getattr(ASCII, name).isascii()


# ---------------------------------------------------------------- the order of the dashboard


def test_each_run_stands_in_one_place() -> None:
    runs = [
        run_info(9, "a", RunState.RUNNING, began_s=1),
        run_info(8, "a", RunState.FAILED, began_s=5, ended_s=4),  # a newer run of the same batch exists
        run_info(7, "b", RunState.FAILED, began_s=5, ended_s=4),
        run_info(6, "b", RunState.DONE, began_s=5, ended_s=4),
        run_info(5, "c", RunState.PAUSED, began_s=5),
        run_info(4, "d", RunState.RUNNING, began_s=5, interrupted=True),
        run_info(3, "e", RunState.WAITING, began_s=5),
        run_info(2, "f", RunState.RUNNING, began_s=5, counts={TaskState.IN_DOUBT: 1}, tasks=2),
        run_info(1, "g", RunState.ROLLBACK_FAILED, began_s=5, ended_s=4),
    ]
    seen = overview([*runs, runs[3]])
    assert [run.number for run in seen.needs] == [7, 5, 4, 3, 2, 1]
    assert [run.number for run in seen.running] == [9]
    assert [run.number for run in seen.recent] == [8, 6]


def test_what_is_needed_is_said() -> None:
    assert "no engine executes it" in what_is_needed(run(interrupted=True))
    assert what_is_needed(run(RunState.PAUSED, counts={TaskState.DONE: 4})) == "paused at 4/10"
    assert what_is_needed(run(RunState.FAILED, counts={TaskState.FAILED: 3})) == "3 failed of 10"
    assert what_is_needed(run(RunState.WAITING, why="ask ada")) == "ask ada"


def test_servers_are_counted_by_provider() -> None:
    lines = by_provider(lab.servers(stopped=True))
    assert [(line.provider, line.total, line.stopped) for line in lines] == [
        ("local", 12, 12),
        ("static", 1, 0),
    ]
    assert text_of(tiles.provider_row(lines[0], LOOK, 40)[2]).strip() == "■ 12 stopped  – 12 never contacted"
    assert text_of(tiles.provider_row(lines[0], LOOK, 20)[2]).strip() == "■ 12  – 12 new"
    (local, _) = by_provider(lab.servers())
    assert (local.unreachable, local.never) == (1, 0)


def test_the_configuration_of_an_environment_is_one_line() -> None:
    layers = {"defaults": 9, "workspace": 4, "environment": 2}
    assert text_of(tiles.standing_row(Standing("dev", layers), LOOK, 40)[2]) == "4 shared, 2 its own"
    assert text_of(tiles.standing_row(Standing("dev", layers), LOOK, 12)[2]) == "6 set"
    assert text_of(tiles.standing_row(Standing("dev", {"defaults": 9}), LOOK, 40)[2]) == "defaults only"
    assert Standing("", {"defaults": 9}).untouched and not Standing("dev", {"defaults": 9}).untouched
    fault = Fault("config/environments/prod.yaml", 4, 2, "there is no value web.port")
    wrong = Standing("", {}, (fault, fault))
    assert [text_of(cell) for cell in tiles.standing_row(wrong, LOOK, 80)] == [
        "workspace", "✗ 2 faults", "config/environments/prod.yaml:4  there is no value web.port",
    ]  # fmt: skip
    assert text_of(tiles.standing_row(wrong, LOOK, 40)[2]) == "config/environments/prod.yaml:4"
    assert text_of(tiles.standing_row(wrong, LOOK, 14)[2]) == "prod.yaml:4"


def test_what_is_left_of_a_run_fits_its_column() -> None:
    going = run(RunState.RUNNING, counts={TaskState.DONE: 5})
    told = {passed: rows.left_text(going, going.created + passed) for passed in (1, 4, 20, 300, 3 * 86400)}
    assert told == {1: "", 4: "soon", 20: "20s left", 300: "5m left", 3 * 86400: "72h 00m left"}
    assert rows.left_text(going, going.created + 4000) == "1h 10m left"


def test_which_events_are_worth_a_glance() -> None:
    def glance(type_: str, actor: str = "engine", **data: object) -> bool:
        return worth_a_glance(Event(1, type_, 4, "s", "a", None, actor, 0.0, data))

    assert glance("run.created", "ada") and glance("server.note") and glance("run.state", to="failed")
    assert not glance("run.state", to="running") and not glance("task.output") and not glance("moon.rose")
    assert glance("task.state", to="in_doubt") and glance("task.undo", to="undo_failed")
    assert not glance("task.state", to="done") and glance("task.state", to="done", decision="done")


# ---------------------------------------------------------------- what is possible, and why not


@pytest.mark.parametrize(
    ("info", "resumes", "why"),
    [
        (run(), False, ""),
        (run(interrupted=True), True, ""),
        (run(RunState.PAUSED), True, ""),
        (run(asked=Asked.PAUSE), True, ""),
        (run(asked=Asked.CANCEL), False, "cancel was asked"),
        (run(RunState.WAITING, counts={TaskState.IN_DOUBT: 1}), True, ""),
        (run(RunState.WAITING, undo_counts={UndoState.IN_DOUBT: 1}), True, ""),
        (run(RunState.WAITING), True, ""),
        (run(RunState.DONE), False, "the run is done"),
        (run(RunState.ROLLING_BACK), False, ""),
    ],
)
def test_pause_and_resume(info: RunInfo, resumes: bool, why: str) -> None:
    assert actions.can_resume(info) is resumes
    told = actions.why_not_pause(info)
    assert (why in told) if why else (told == "")


def test_the_other_actions_say_why_not() -> None:
    failed = run(RunState.FAILED, counts={TaskState.FAILED: 1, TaskState.DONE: 9})
    assert actions.why_not_retry(failed) == ""
    assert "no task failed" in actions.why_not_retry(run(RunState.DONE))
    assert "start a new run" in actions.why_not_retry(run(RunState.ROLLED_BACK, counts={TaskState.FAILED: 1}))
    assert actions.why_not_cancel(run()) == "" and "done" in actions.why_not_cancel(run(RunState.DONE))
    assert "half-done rollback" in actions.why_not_cancel(run(RunState.ROLLING_BACK))
    assert "asked already" in actions.why_not_cancel(run(asked=Asked.CANCEL))
    assert actions.why_not_roll_back(run(RunState.DONE)) == ""
    assert "no task has started" in actions.why_not_roll_back(run(counts={TaskState.WAITING: 10}))
    assert "rolled back" in actions.why_not_roll_back(run(RunState.ROLLED_BACK))
    waiting = task(0, "a", "b")
    assert "in doubt" in actions.why_not_decide(run(), waiting)
    assert actions.why_not_decide(run(), dataclasses.replace(waiting, state=TaskState.FAILED)) == ""
    assert actions.why_not_decide(run(), dataclasses.replace(waiting, undo=UndoState.IN_DOUBT)) == ""


def test_host_keys_unknown_and_changed() -> None:
    unknown = "the host key of web-9 (127.0.0.1, port 22) is not known: ssh-ed25519 SHA256:x"
    changed = "the host key of web-9 (127.0.0.1, port 22) has changed: it shows SHA256:y, known is SHA256:x"
    assert actions.unknown_host_key(unknown) and not actions.changed_host_key(unknown)
    assert actions.changed_host_key(changed) and not actions.unknown_host_key(changed)
    assert not actions.unknown_host_key("connection refused")


def test_choices_follow_the_state() -> None:
    doubtful = task(0, "a", "b", TaskState.IN_DOUBT)
    assert [choice.decision for choice in choices_for(doubtful, run())] == [
        Decision.DONE,
        Decision.SKIP,
        Decision.FAILED,
        Decision.RETRY,
    ]
    undo = dataclasses.replace(doubtful, state=TaskState.DONE, undo=UndoState.IN_DOUBT)
    assert Decision.SKIP not in [choice.decision for choice in choices_for(undo, run())]
    assert choices_for(task(0, "a", "b", TaskState.DONE), run()) == []
    failed = task(0, "a", "b", TaskState.FAILED, may_have_run=True)
    one = choices_for(failed, run(RunState.FAILED, counts={TaskState.FAILED: 1}))
    assert [choice.name for choice in one] == ["retry-task", "roll-back"]
    assert "may have run already" in one[0].consequence
    for choice in (*choices_for(doubtful, run()), *one):
        assert len(choice.title) <= 18 and len(choice.consequence) <= 56  # they fit 80 columns


async def test_doubts_of_tasks_and_of_undos() -> None:
    engine = lab.lab()
    info = await engine.run(41)
    assert doubts(info) == 2
    assert [found.server for found in await doubtful_tasks(engine, info)] == ["web-05", "web-06"]
    stored = engine.run_list[42]
    stored.tasks[30] = dataclasses.replace(stored.tasks[30], undo=UndoState.IN_DOUBT)
    info = await engine.run(42)
    assert doubts(info) == 1
    assert [found.key for found in await doubtful_tasks(engine, info)] == [stored.tasks[30].key]
    assert await doubtful_tasks(engine, await engine.run(44)) == []


# ---------------------------------------------------------------- what is looked at


def test_the_step_that_runs_is_looked_at_and_kept() -> None:
    def counts(*states: TaskState):
        return [step(at, f"s{at}", counts={state: 1}, tasks=1) for at, state in enumerate(states)]

    done, running, waiting = TaskState.DONE, TaskState.RUNNING, TaskState.WAITING
    assert step_to_watch(counts(done, running, waiting), "") == "s1"
    assert step_to_watch(counts(running, running), "s1") == "s1"
    assert step_to_watch(counts(done, running), "s0") == "s1"
    assert step_to_watch(counts(done, TaskState.FAILED, waiting), "s0") == "s1"
    assert step_to_watch(counts(done, done), "s0") == "s0"
    assert step_to_watch(counts(waiting, waiting), "") == "s0"
    assert step_to_watch(counts(done, waiting), "s1") == "s0"
    assert step_to_watch([], "") == ""
    undoing = step(3, "s3", tasks=1, counts={done: 1}, undo_counts={UndoState.UNDOING: 1})
    assert step_to_watch([*counts(done, running), undoing], "s1") == "s3"


def test_the_task_that_runs_is_looked_at_and_kept() -> None:
    tasks = [
        task(0, "s", "a", TaskState.DONE),
        task(1, "s", "b", TaskState.RUNNING),
        task(2, "s", "c", TaskState.RUNNING),
    ]
    assert (
        task_to_watch(tasks, "") == "b"
        and task_to_watch(tasks, "c") == "c"
        and task_to_watch(tasks, "a") == "b"
    )
    assert (
        task_to_watch(tasks[:1], "a") == "a"
        and task_to_watch(tasks[:1], "z") == "a"
        and task_to_watch([], "") == ""
    )
    assert task_to_watch([*tasks, task(3, "s", "d", TaskState.DONE, undo=UndoState.UNDOING)], "b") == "d"


# ---------------------------------------------------------------- rows and texts


def test_a_task_says_why_it_stands_where_it_stands() -> None:
    failed = task(0, "s", "a", TaskState.FAILED, why="exit 1", last_line="no space left")
    assert rows.task_note(failed) == "exit 1: no space left"
    assert rows.task_note(dataclasses.replace(failed, why="exit 1: no space left")) == "exit 1: no space left"
    assert rows.task_note(task(0, "s", "a", TaskState.RUNNING, phase=Phase.CHECK)) == "check"
    assert (
        rows.task_note(task(0, "s", "a", TaskState.RUNNING, phase=Phase.BACKOFF, why="exit 1"))
        == "back-off: exit 1"
    )
    assert rows.task_note(task(0, "s", "a", TaskState.DONE, last_line="ok")) == "ok"


def test_text_of_servers_is_cleaned_in_every_row() -> None:
    evil = "\x1b[31m\u202eevil\x07"
    told = task(0, evil, evil, TaskState.RUNNING, last_line=evil)
    spans = [span for cell in rows.task_row(told, LOOK, rolling_back=False) for span in cell]
    info = dataclasses.replace(run(RunState.FAILED), batch=evil, why=evil)
    for row in (rows.needs_row, rows.running_row, rows.recent_row):
        spans += [span for cell in row(info, LOOK) for span in cell]
    spans += [
        span
        for cell in rows.server_row(dataclasses.replace(lab.servers()[0], name=evil), LOOK)
        for span in cell
    ]
    standing = Standing(evil, {}, (Fault(evil, 1, 1, evil),))
    told_event = Event(1, "server.note", 1, evil, evil, None, evil, 0.0, {"message": evil})
    for cells in (
        tiles.provider_row(ProviderLine(evil, 1, {evil: 1}), LOOK, 80),
        tiles.standing_row(standing, LOOK, 80),
        tiles.event_row(told_event, LOOK),
    ):
        spans += [span for cell in cells for span in cell]
    spans += [span for line in run_text.why_lines((evil,), LOOK, 40) for span in line]
    spans += [
        span for line in run_text.about_run(info, step(0, evil, summary=evil), "", LOOK, 40) for span in line
    ]
    spans += [
        span
        for line in plan_lines(dataclasses.replace(lab.PLAN, warnings=(evil,)), evil, LOOK, 60)
        for span in line
    ]
    spans += list(run_text.state_line(info, LOOK)[0])
    assert not [text for text, _ in spans if "\x1b" in text or "\u202e" in text or "\x07" in text]


def test_steps_show_what_matters_most() -> None:
    assert step_rows.sign_of(step(0, "s", tasks=2, counts={TaskState.IN_PLACE: 2})).word == "in place"
    assert (
        step_rows.sign_of(step(0, "s", tasks=2, counts={TaskState.IN_PLACE: 1, TaskState.DONE: 1})).word
        == "done"
    )
    assert (
        step_rows.sign_of(step(0, "s", tasks=2, counts={TaskState.FAILED: 1, TaskState.RUNNING: 1})).word
        == "running"
    )
    assert (
        step_rows.sign_of(step(0, "s", tasks=2, counts={TaskState.DONE: 1, TaskState.BLOCKED: 1})).word
        == "blocked"
    )
    assert step_rows.sign_of(step(0, "s", tasks=2, counts={TaskState.WAITING: 2})).word == "waiting"
    big = step(0, "s", tasks=20_000, counts={TaskState.DONE: 10_000})
    assert text_of(step_rows.row(big, step_rows.StepLook(LOOK))[2]) == "50%"


def test_the_state_line_tells_what_comes_next() -> None:
    def line(info: RunInfo) -> str:
        left, right = run_text.state_line(info, LOOK)
        return text_of(left) + text_of(right)

    assert "p resumes it" in line(run(interrupted=True))
    assert "p asks the servers" in line(run(RunState.WAITING, counts={TaskState.IN_DOUBT: 1}))
    assert "d decides" in line(run(RunState.WAITING, counts={TaskState.IN_DOUBT: 1}))
    assert "p resumes it" in line(run(RunState.WAITING))
    assert "r retries" in line(run(RunState.FAILED, counts={TaskState.FAILED: 1}))
    assert "esc back" in line(run(RunState.DONE, servers=3))
    assert "10/10 on 3 servers" in line(run(RunState.DONE, servers=3))
    assert "tasks in flight end first" in line(run(asked=Asked.PAUSE))
    assert "1 undo failed" in line(run(RunState.ROLLBACK_FAILED, undo_counts={UndoState.FAILED: 1}))


def test_a_plan_says_what_cannot_be_undone_and_who_holds_the_servers() -> None:
    plan = dataclasses.replace(lab.PLAN, held={"web-01": 44, "web-02": 44}, warnings=("careful",))
    text = "\n".join(text_of(line) for line in plan_lines(plan, "about", LOOK, 80))
    for told in (
        "about",
        "5 steps, 49 tasks on 12 servers (local 12)",
        "careful",
        "run 44 holds web-01, web-02",
    ):
        assert told in text
    assert "cannot be undone: migrate" in text and "after build, on all servers" in text


# ---------------------------------------------------------------- spans


def test_spans_are_cut_and_padded_by_cells() -> None:
    assert text_of(fit([("日本語", ""), ("abc", "")], 7, "…")) == "日本語…"
    assert text_of(fit([("日本語", "")], 4, "…")) == "日…"
    assert (
        text_of(pad([("ab", "")], 4, "…")) == "ab  "
        and text_of(pad([("ab", "")], 4, "…", right=True)) == "  ab"
    )
    assert text_of(spread([("left", "")], [("right", "")], 12, "…")) == "left   right"
    assert text_of(spread([("a long left end", "")], [("right", "")], 12, "…")) == "a lon… right"
    assert width_of(fit([("x" * 50, "")], 0, "…")) == 0
    wrapped = hanging(("why: ", "bold"), "one two three four five six", 25)
    assert [text_of(line) for line in wrapped] == ["why: one two three four", "     five six"]


def test_buckets_show_the_worst_and_lose_nothing() -> None:
    states = [TaskState.DONE] * 1000
    states[613] = TaskState.FAILED
    found = bucketed(states, 40)
    assert len(found) == 40 and found.count(TaskState.FAILED) == 1
    assert bucketed(states[:3], 40) == states[:3] and bucketed(states, 0) == []


def test_an_explanation_is_wrapped_beside_its_label() -> None:
    told = Explanation(("verify waits for reboot on all servers", "47 have not ended"))
    lines = [text_of(line) for line in run_text.why_lines(told.sentences, LOOK, 30)]
    assert lines[0].startswith("why: verify") and lines[-1] == "     47 have not ended"


def test_the_guide_shows_the_signs_as_they_are() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "interface.md").read_text("utf-8")
    for sign in TASK_SIGNS.values():
        assert f"{sign.word} | `{sign.sign}` | `{sign.ascii}` |" in guide
