"""Running and looking at runs, on servers in memory: what is printed, how it ends, and the JSON forms."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.launch import owner
from core.engine.executor import Ended, InDoubt, NotStarted, Work
from core.model.ids import AttemptRef
from core.model.states import Purpose
from tests.support.lab import Lab
from tests.support.memory import Reply
from tests.unit.cli.conftest import Windlass, golden

BATCH = """
description: Two steps
strategy: {parallel: 1}
params:
  version: {type: string, default: "1.4"}
steps:
  install:
    description: Puts it there
    run: install {{ params.version }}
    undo: remove
  verify:
    run: verify
    needs: [{step: install, scope: server}]
    undo: ":"
"""


def answers(lab: Lab, **replies: Reply) -> None:
    """Sets what commands answer, by `step@server` with `_at_` for the sign, or by step."""

    def rule(ref: AttemptRef, work: Work) -> Reply | None:
        if ref.purpose is not Purpose.RUN:
            return None
        return replies.get(f"{ref.step}_at_{ref.server}") or replies.get(ref.step)

    lab.memory.rule = rule


def objects(text: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


# ---------------------------------------------------------------- one that goes well


def test_a_run_that_goes_well(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install=Reply(output=b"fetched\ninstalled \x1b[31m[bold]\n"))
    answer = windlass("run", "work")
    assert answer.status == 0
    golden("run-out", answer.out)
    golden("run-err", answer.err)
    for name, *arguments in (
        ("list", "runs", "list"),
        ("show", "runs", "show"),
        ("show-tasks", "runs", "show", "1", "--tasks"),
        ("show-step", "runs", "show", "--step", "install"),
        ("show-task", "runs", "show", "install@a"),
        ("logs", "runs", "logs"),
        ("logs-task", "runs", "logs", "1", "install@a"),
        ("watch", "runs", "watch"),
        ("wait", "runs", "wait", "1"),
    ):
        answer = windlass(*arguments)
        assert answer.status == 0, answer.err
        golden(f"runs-{name}", answer.out + "--- stderr\n" + answer.err, folder=lab.path)


def test_the_json_forms(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install=Reply(output=b"fetched\ninstalled \x1b[31m\xff\n"))
    for name, *arguments in (
        ("plan", "plan", "work", "--param", "version=2"),
        ("run", "run", "work", "--json", "--output"),
        ("list", "runs", "list"),
        ("show", "runs", "show", "--tasks"),
        ("show-task", "runs", "show", "install@a"),
        ("logs", "runs", "logs", "install@a"),
        ("watch", "runs", "watch", "--after", "14"),
        ("wait", "runs", "wait"),
        ("servers", "servers", "list"),
    ):
        answer = windlass(*arguments, *([] if "--json" in arguments else ["--json"]))
        assert answer.status == 0, answer.err
        assert answer.out.isascii()
        for found in objects(answer.out):
            assert found["type"]
        stream = name in ("run", "watch")
        golden(f"json-{name}", shapes(answer.out) if stream else answer.out, folder=lab.path)


def shapes(text: str) -> str:
    """One object of each kind in a stream of events, without what only the engine decides: order and data."""
    kinds: dict[str, dict[str, Any]] = {}
    for found in objects(text):
        if found["type"] == "event":
            assert isinstance(found["seq"], int)
            found |= {"seq": 0, "data": {}, "attempt": None, "server": None, "step": None}
        kinds.setdefault(f"{found['type']} {found.get('event', '')}", found)
    return "".join(json.dumps(kinds[kind]) + "\n" for kind in sorted(kinds))


def test_an_event_stream_has_every_event_once_and_ends_with_the_result(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    *stream, result = objects(windlass("run", "work", "--json").out)
    assert {found["type"] for found in stream} == {"event"}
    seqs = [found["seq"] for found in stream]
    assert seqs == sorted(set(seqs))
    assert (stream[0]["event"], stream[-1]["event"]) == ("run.created", "run.state")
    assert (result["type"], result["exit"], result["state"]) == ("result", 0, "done")
    assert result["last_seq"] == seqs[-1]
    again = objects(windlass("runs", "watch", "1", "--json", "--after", str(seqs[3])).out)
    assert again == [*stream[4:], result]


def test_raw_output_is_what_was_printed(lab: Lab, capfdbinary: Any) -> None:
    lab.batch(BATCH)
    printed = b"\x1b[31m\xff\x00 no line end"
    answers(lab, install_at_a=Reply(output=printed))
    assert windlass_status(["run", "work"]) == 0
    capfdbinary.readouterr()
    assert windlass_status(["runs", "logs", "install@a", "--raw"]) == 0
    assert capfdbinary.readouterr().out == printed


def windlass_status(arguments: list[str]) -> int:
    from cli.main import main

    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def test_what_nothing_was_printed_by(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    assert windlass("run", "work").status == 0
    answer = windlass("runs", "logs", "verify@a")
    assert (answer.status, answer.out) == (0, "")
    assert "nothing was printed" in answer.err


def test_following_output_with_the_run(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install=Reply(output=b"fetched\ninstalled"))
    answer = windlass("run", "work", "--output")
    assert "install@a | fetched\ninstall@a | installed\n" in answer.err
    assert "fetched" not in answer.out


def test_sentences_for_a_screen_reader(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install_at_a=Reply(answer=Ended(1), output=b"\x1b[31mno space left\n"))
    assert windlass("run", "work").status == 1
    answer = windlass("watch", "1", "--plain", "--output")
    assert answer.status == 1
    lines = [line.partition(" ")[2] for line in answer.out.splitlines()]
    assert "tester@here started it." in lines
    assert any(line.startswith("Step install on a has failed: ") for line in lines), answer.out
    assert "Step install: 1 of 2 have ended, 1 failed." in lines, answer.out
    assert answer.out.splitlines()[-1].startswith("Run 1 of work has failed after "), answer.out
    assert "install@a says: " in answer.out and "\x1b" not in answer.out
    assert not set("✓✗○▶⊘") & set(answer.out), "no signs"
    assert windlass("watch", "1", "--plain", "--json").status == 2


# ---------------------------------------------------------------- parameters, limits, plans


def test_the_plan(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answer = windlass("plan", "work", "--limit", "a", "-p", "version=2.0")
    assert answer.status == 0
    golden("plan", answer.out + "--- stderr\n" + answer.err, folder=lab.path)
    assert lab.memory.effects == []
    assert not (lab.path / ".windlass" / "state.db").exists()


def test_limit_and_params_reach_the_run(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    assert windlass("run", "work", "--limit", "name:b", "-p", "version=2.0").status == 0
    (found,) = objects(windlass("runs", "list", "--json").out)
    assert (found["params"], found["servers"], found["tasks"]) == ({"version": "2.0"}, 1, 2)


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["work", "--param", "versoin=2"], "version"),
        (["work", "--limit", "nobody"], "--limit"),
        (["work", "--limit", "group:("], "group:"),
        (["wrok"], "did you mean 'work'?"),
        (["../etc/passwd"], "there is no file"),
        (["bad"], "batches/bad.yaml:2:17: "),
    ],
)
def test_bad_input_is_2_and_runs_nothing(
    windlass: Windlass, lab: Lab, command: str, arguments: list[str], told: str
) -> None:
    lab.batch(BATCH)
    lab.batch("steps:\n  one: {run: a, rnu: b}\n", "bad")
    answer = windlass(command, *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert told in answer.err
    assert lab.memory.effects == []


def test_without_a_workspace(windlass: Windlass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = windlass("runs", "list")
    assert (answer.status, answer.out) == (2, "")
    assert "windlass init" in answer.err


def test_the_workspace_may_be_named_before_or_after_the_command(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.batch(BATCH)
    monkeypatch.chdir("/")
    answer = windlass("-w", str(lab.path), "run", "work")
    assert answer.status == 0
    assert (
        windlass("runs", "list", "-w", str(lab.path)).out == windlass("-w", str(lab.path), "runs", "list").out
    )
    answers(lab, install=Reply(Ended(1)))
    answer = windlass("run", "work", "-w", str(lab.path))
    assert f"windlass -w {lab.path} runs retry 2" in answer.err  # commands can be pasted here


def test_empty_lists_say_what_to_do(windlass: Windlass, lab: Lab) -> None:
    answer = windlass("runs", "list")
    assert (answer.status, answer.out) == (0, "")
    assert "windlass run BATCH" in answer.err
    assert windlass("runs", "show").status == 2
    assert not (lab.path / ".windlass").exists()  # looking makes nothing


def test_filters_of_the_list(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    lab.batch(BATCH, "other")
    for batch in ("work", "other", "work"):
        windlass("run", batch)

    def listed(*arguments: str) -> list[int]:
        return [found["run"] for found in objects(windlass("runs", "list", "--json", *arguments).out)]

    assert listed() == [3, 2, 1]
    assert listed("--batch", "work") == [3, 1]
    assert listed("--limit", "1") == [3]
    assert listed("--before", "3") == [2, 1]
    assert listed("--state", "failed") == []
    assert listed("--state", "failed", "--state", "done") == [3, 2, 1]


# ---------------------------------------------------------------- ends that are not well


def test_a_failure_is_told_with_its_output_and_what_to_do(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install_at_b=Reply(Ended(7), output=b"\x1b]0;x\x07no space left\n"))
    answer = windlass("run", "work")
    assert answer.status == 1
    golden("failed-out", answer.out)
    golden("failed-err", answer.err)
    golden("failed-show", windlass("runs", "show").out, folder=lab.path)


def test_a_retry_opens_what_failed(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install_at_b=Reply(Ended(7)))
    windlass("run", "work")
    lab.memory.rule = lambda ref, work: None
    answer = windlass("runs", "retry")
    assert answer.status == 0
    assert "run 1 (work, failed)" in answer.err
    assert [effect for effect in lab.memory.effects if effect.startswith("install@a")] == [
        effect for effect in lab.memory.effects if effect.startswith("install@a")
    ][:1]  # what was done is not done again


def test_retry_of_one_task(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH + "  other: {run: other, needs: []}\n")
    answers(lab, install_at_b=Reply(Ended(7)), other_at_b=Reply(Ended(7)))
    lab_strategy = (lab.path / "batches" / "work.yaml").read_text()
    lab.batch(lab_strategy.replace("parallel: 1", "parallel: 1, on_failure: continue"))
    assert windlass("run", "work").status == 1
    lab.memory.rule = lambda ref, work: None
    assert windlass("runs", "retry", "1", "install@b").status == 1  # the other one has still failed
    assert windlass("runs", "retry", "other@b").status == 0


def test_unreachable_and_nothing_else_is_6(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    lab.memory.unreachable.add("b")
    answer = windlass("run", "work")
    assert answer.status == 6
    assert "✗ failed" in answer.out and "1 unreachable" in answer.out
    answers(lab, install_at_a=Reply(Ended(1)))
    assert windlass("run", "work").status == 1  # something else is wrong as well


def test_failures_within_the_limit_are_0_and_named_in_the_last_line(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH.replace("parallel: 1", "parallel: 1, max_failures: 1"))
    answers(lab, install_at_b=Reply(Ended(7)))
    answer = windlass("run", "work")
    assert answer.status == 0
    assert answer.out.splitlines()[-1].endswith("; within max_failures: install@b")


def test_rolled_back_is_5(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    windlass("run", "work")
    answer = windlass("runs", "rollback")
    assert answer.status == 2  # it ended well: only by its number
    answer = windlass("runs", "rollback", "1", "--reason", "no more")
    assert answer.status == 5
    assert "4 undone" in answer.out
    assert windlass("runs", "wait").status == 5
    assert windlass("runs", "rollback", "1").status == 2


def test_a_rollback_of_some(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    windlass("run", "work")
    answer = windlass("runs", "rollback", "1", "--step", "install", "--limit", "b")
    assert answer.status == 5
    assert [effect for effect in lab.memory.effects if "undo" in effect] == [
        effect for effect in lab.memory.effects if effect.startswith("install@b undo")
    ]
    assert windlass("runs", "rollback", "1", "--step", "nope").status == 2


def test_cancelled_is_1_and_paused_is_4(windlass: Windlass, lab: Lab) -> None:
    interrupt_a_run(lab)
    answer = windlass("runs", "pause", "--reason", "lunch")
    assert answer.status == 4
    assert "windlass runs resume 1" in answer.err
    assert windlass("runs", "wait").status == 4
    answer = windlass("runs", "decide", "--all", "done", "--reason", "looked")
    assert answer.status == 4  # somebody paused it: a decision does not carry it on
    answer = windlass("runs", "cancel", "--yes")
    assert answer.status == 1
    assert "cancelled" in answer.out
    assert windlass("runs", "cancel").status == 2
    assert windlass("runs", "resume", "1").status == 2
    assert windlass("runs", "resume").status == 2


def interrupt_a_run(lab: Lab) -> None:
    """Leaves a run of `work` behind as a dead engine does: its first task was in flight."""
    from core.engine.api import PlanRequest, RunRequest
    from core.model.states import TaskState
    from tests.support.lab import until

    lab.batch(BATCH)

    async def die() -> None:
        never = asyncio.Event()
        lab.memory.rule = lambda ref, work: Reply(until=never)
        async with owner(lab.path) as engine:
            run = await engine.start(RunRequest(PlanRequest("work"), "tester@here"))
            await until(engine, run.number, "install@a", TaskState.RUNNING)

    asyncio.run(die())
    lab.memory.rule = lambda ref, work: None


# ---------------------------------------------------------------- in doubt


def test_an_interrupted_run_is_seen_as_such(windlass: Windlass, lab: Lab) -> None:
    interrupt_a_run(lab)
    answer = windlass("runs", "wait")
    assert answer.status == 130
    assert "! interrupted" in answer.out
    answer = windlass("runs", "watch")
    assert answer.status == 130
    assert "windlass runs resume 1" in answer.err
    (found,) = objects(windlass("runs", "list", "--json").out)
    assert (found["state"], found["interrupted"]) == ("running", True)
    assert windlass("runs", "show").status == 0


def test_doubt_waits_for_a_person_who_decides(windlass: Windlass, lab: Lab) -> None:
    interrupt_a_run(lab)
    answer = windlass("runs", "resume")
    assert answer.status == 4
    golden("doubt-out", answer.out)
    golden("doubt-err", answer.err)
    answer = windlass("runs", "show", "install@a")
    golden("doubt-show", answer.out + "--- stderr\n" + answer.err, folder=lab.path)
    before = len(lab.memory.effects)
    answer = windlass("runs", "decide", "install@a", "done", "--reason", "it is there")
    assert answer.status == 0
    assert not [effect for effect in lab.memory.effects[before:] if effect.startswith("install@a")]
    (task, *_) = objects(windlass("runs", "show", "install@a", "--json").out)
    assert (task["state"], task["decision"], task["decided_by"]) == ("done", "done", "tester@here (pid 4711)")
    assert task["may_have_run"] is True


@pytest.mark.parametrize(("decision", "status"), [("retry", 0), ("skip", 0), ("failed", 1)])
def test_each_decision(windlass: Windlass, lab: Lab, decision: str, status: int) -> None:
    interrupt_a_run(lab)
    before = len(lab.memory.effects)
    answer = windlass("runs", "decide", "1", "--all", decision, "--reason", "looked")
    assert answer.status == status, answer.err
    again = [effect for effect in lab.memory.effects[before:] if effect.startswith("install@a run")]
    assert len(again) == (1 if decision == "retry" else 0)


@pytest.mark.parametrize(("policy", "again"), [("retry", 1), ("skip", 0)])
def test_the_policy_decides(windlass: Windlass, lab: Lab, policy: str, again: int) -> None:
    interrupt_a_run(lab)
    before = len(lab.memory.effects)
    answer = windlass("runs", "resume", "--in-doubt", policy)
    assert answer.status == 0, answer.err
    effects = [effect for effect in lab.memory.effects[before:] if effect.startswith("install@a run")]
    assert len(effects) == again
    (task, *_) = objects(windlass("runs", "show", "install@a", "--json").out)
    assert f"--in-doubt {policy}" in task["why"] or task["decision"] == policy


def test_the_policy_decides_a_task_once(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install_at_a=Reply(InDoubt("the connection was lost")))
    answer = windlass("run", "work", "--in-doubt", "retry")
    assert answer.status == 4
    assert len([effect for effect in lab.memory.effects if effect.startswith("install@a run")]) == 2
    assert "1 task in doubt" in answer.err


def test_decide_and_stay(windlass: Windlass, lab: Lab) -> None:
    interrupt_a_run(lab)
    answer = windlass("runs", "decide", "install@a", "done", "--reason", "x", "--no-resume")
    assert answer.status == 4
    assert "windlass runs resume 1" in answer.err
    assert windlass("runs", "resume").status == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["install@a"], "the last word is the decision"),
        (["install@a", "maybe"], "the last word is the decision"),
        (["done"], "--all"),
        (["install@a", "done", "--all"], "--all"),
        (["nothing", "done"], "STEP@SERVER"),
        (["99", "install@a", "done"], "no run 99"),
        (["1", "install@zzz", "done"], "no task install@zzz"),
        (["1", "verify@a", "done"], "only a task in doubt"),
        ([str(2**80), "install@a", "done"], "no run's number"),
    ],
)
def test_decisions_that_make_no_sense(windlass: Windlass, lab: Lab, arguments: list[str], told: str) -> None:
    interrupt_a_run(lab)
    answer = windlass("runs", "decide", *arguments, "--reason", "x")
    assert (answer.status, answer.out) == (2, "")
    assert told in answer.err


def test_a_lost_start_is_unreachable(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    answers(lab, install_at_a=Reply(NotStarted("refused")))
    assert windlass("run", "work").status == 6


# ---------------------------------------------------------------- other engines, other runs


def test_another_engine_is_named_with_3_and_reading_goes_on(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BATCH)
    windlass("run", "work")
    engine = hold(lab)
    try:
        for arguments in (
            ("run", "work"),
            ("runs", "retry", "1"),
            ("runs", "rollback", "1"),
            ("runs", "pause", "1"),
            ("servers", "exec", "all", "--", "true"),
        ):
            answer = windlass(*arguments)
            assert (answer.status, answer.out) == (3, ""), arguments
            assert "tester@here" in answer.err and "pid" in answer.err
        for reading in (
            ("runs", "list"),
            ("runs", "show"),
            ("plan", "work"),
            ("servers", "list"),
            ("validate",),
        ):
            assert windlass(*reading).status == 0, reading
    finally:
        engine.release()


def hold(lab: Lab) -> Any:
    """The lease of a workspace, held by this process."""
    from core.engine.lease import Lease

    return Lease.acquire(lab.path / ".windlass")


def test_servers_held_by_an_open_run(windlass: Windlass, lab: Lab) -> None:
    interrupt_a_run(lab)
    answer = windlass("run", "work")
    assert (answer.status, answer.out) == (2, "")
    assert "run 1" in answer.err and "--alongside" in answer.err
    assert windlass("run", "work", "--alongside").status == 0


# ---------------------------------------------------------------- asking


@pytest.mark.parametrize(("typed", "status", "effects"), [("y\n", 0, 4), ("n\n", 4, 0), ("\n", 4, 0)])
def test_on_a_terminal_it_asks(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch, typed: str, status: int, effects: int
) -> None:
    lab.batch(BATCH)
    monkeypatch.setattr("cli.run.interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    answer = windlass("run", "work")
    assert answer.status == status
    assert "Start this run? [y/N]" in answer.err
    assert len(lab.memory.effects) == effects
    assert ("nothing was started" in answer.err) is (effects == 0)


def test_yes_does_not_ask(windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.batch(BATCH)
    monkeypatch.setattr("cli.run.interactive", lambda: True)
    assert windlass("run", "work", "--yes").status == 0


def test_a_closed_input_ends_like_ctrl_c(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.batch(BATCH)
    monkeypatch.setattr("cli.run.interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert windlass("run", "work").status == 130
    assert lab.memory.effects == []


def test_sentences_count_a_task_once_that_was_tried_again(windlass: Windlass, lab: Lab) -> None:
    lab.batch("steps: {one: {run: x}}")
    answers(lab, one=Reply(answer=Ended(1)))
    assert windlass("run", "work").status == 1
    assert windlass("runs", "retry").status == 1
    told = windlass("watch", "1", "--plain").out
    assert " 3 of 2" not in told and " 4 of 2" not in told, told


def test_a_report_on_stdout_and_in_a_file(windlass: Windlass, lab: Lab, tmp_path: Path) -> None:
    lab.batch(BATCH)
    answers(lab, install_at_a=Reply(answer=Ended(1), output=b"no space left\n"))
    assert windlass("run", "work").status == 1
    answer = windlass("runs", "report")
    assert answer.status == 0 and answer.out.startswith("# Run 1 of work: failed\n")
    file = tmp_path / "report.html"
    assert windlass("runs", "report", "1", "--format", "html", "--out", str(file)).status == 0
    assert file.read_text().startswith("<!doctype html>") and file.stat().st_mode & 0o777 == 0o600
    refused = windlass("runs", "report", "--out", str(file))
    assert refused.status == 2 and "--force" in refused.err
    assert windlass("runs", "report", "--out", str(file), "--force").status == 0
    assert file.read_text().startswith("# Run 1")
    assert windlass("runs", "report", "9").status == 2
