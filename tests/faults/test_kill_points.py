"""The engine is killed at one exact point of an attempt; the next engine carries the run on.

Effects are lines that commands append on real local SSH servers, so that a command that ran twice shows.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.program import REPOSITORY, WAIT_S, Program

ONE = """
    steps:
      one: {run: "echo one >> effects"}
      two: {run: "echo two >> effects"}
"""
UPLOAD = """
    steps:
      put: {upload: {from: files/page, to: page}}
      after: {run: "echo after >> effects"}
"""


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Program]:
    """The program on a workspace with one running local server."""
    made = Program(tmp_path / "lab", servers=("a",))
    made.call("servers", "start")
    yield made
    made.call("servers", "stop")


def die(program: Program, fault: str, argument: str, *words: str) -> None:
    """Runs a command that is killed by the fault planted in it."""
    done = subprocess.run(
        program.planted(fault, argument, *words),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == -9, f"it was not killed: {done.returncode}\n{done.stdout}\n{done.stderr}"


def resume(program: Program) -> None:
    """Resumes, which brings the run to its end: the records on the server settle what was in flight."""
    program.call("runs", "resume")
    assert set(program.states().values()) == {"done"}


def forget_records(program: Program) -> None:
    """Takes away what the server keeps of commands."""
    (kept,) = program.home("a").glob(".cache/windlass")
    shutil.rmtree(kept)


def test_f01_killed_before_the_intent_is_durable_the_task_never_ran_and_is_run(single: Program) -> None:
    die(single, "commit", "INSERT INTO attempts", "run", single.batch(ONE))
    assert set(single.states().values()) <= {"waiting", "running"}
    assert single.lines("a", "effects") == []
    assert "task.intent" not in {event["type"] for event in single.events()}
    single.call("runs", "resume")
    assert single.lines("a", "effects") == ["one", "two"]
    assert set(single.states().values()) == {"done"}


def test_f02_killed_after_the_intent_before_the_side_effect_it_is_voided_and_run(single: Program) -> None:
    die(single, "start", "one", "run", single.batch(ONE))
    assert [event["step"] for event in single.events() if event["type"] == "task.intent"] == ["one"]
    assert single.lines("a", "effects") == []
    resume(single)
    assert single.lines("a", "effects") == ["one", "two"], "once each"
    given_back = [e["why"] for e in single.events() if e["type"] == "task.state" and e.get("to") == "waiting"]
    assert len(given_back) == 1 and "its claim was written by us" in given_back[0]


def test_f02_an_upload_that_was_never_begun_is_found_not_done_and_made(single: Program) -> None:
    (single.path / "files" / "page").write_text("new\n")
    die(single, "start", "put", "run", single.batch(UPLOAD))
    assert not (single.home("a") / "page").exists()
    single.call("runs", "resume")
    assert set(single.states().values()) == {"done"}
    assert single.lines("a", "page") == ["new"]


@pytest.mark.long
def test_f03_killed_after_the_side_effect_before_the_outcome_it_is_not_done_twice(single: Program) -> None:
    die(single, "started", "one", "run", single.batch(ONE))
    assert single.lines("a", "effects") == ["one"]
    resume(single)
    assert single.lines("a", "effects") == ["one", "two"]


@pytest.mark.long
def test_f03_killed_at_the_commit_of_the_outcome_it_is_not_done_twice(single: Program) -> None:
    die(single, "commit", "UPDATE attempts SET ended", "run", single.batch(ONE))
    assert single.lines("a", "effects") == ["one"]
    resume(single)
    assert single.lines("a", "effects") == ["one", "two"]


@pytest.mark.long
def test_f03_an_upload_that_arrived_is_adopted_by_its_digest(single: Program) -> None:
    (single.path / "files" / "page").write_text("new\n")
    die(single, "started", "put", "run", single.batch(UPLOAD))
    before = (single.home("a") / "page").stat()
    single.call("runs", "resume")
    assert set(single.states().values()) == {"done"}
    after = (single.home("a") / "page").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "it was not sent again"


@pytest.mark.long
def test_f03_what_check_says_is_shown_as_evidence_and_decides_nothing(single: Program) -> None:
    single.batch('steps: {one: {run: "echo one >> effects", check: "grep one effects"}}')
    # Killed once the command is known to have run, with the record of it lost: only the check can tell.
    die(single, "started", "one", "run", "work")
    forget_records(single)
    single.call("runs", "resume", status=4)
    assert single.lines("a", "effects") == ["one"], "never run again by itself"
    shown = single.call("runs", "show", "1", "one@a")
    assert "check says in place" in shown.stdout and "may still run" in shown.stdout


@pytest.mark.long
def test_f04_killed_right_after_the_outcome_it_is_not_run_again(single: Program) -> None:
    die(single, "start", "two", "run", single.batch(ONE))
    assert single.states()["one@a"] == "done"
    resume(single)
    assert single.lines("a", "effects") == ["one", "two"]


@pytest.mark.long
def test_f05_killed_inside_an_undo_the_rollback_resumes_and_nothing_is_undone_silently_twice(
    single: Program,
) -> None:
    single.batch(
        """
        steps:
          one: {run: "echo one >> effects", undo: "echo undo-one >> undone"}
          two: {run: "echo two >> effects", undo: "echo undo-two >> undone"}
        """
    )
    single.call("run", "work")
    die(single, "started", "two", "runs", "rollback", "1", "--yes")
    assert single.lines("a", "undone") == ["undo-two"]
    single.call("runs", "resume", status=5)
    assert single.lines("a", "undone") == ["undo-two", "undo-one"]
    assert single.call("runs", "wait", status=5).returncode == 5
