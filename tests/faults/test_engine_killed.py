"""The engine is killed with -9 in the middle of a run; the next one carries it on.

Effects are lines that commands append on real local SSH servers, so that a command that ran twice shows.
"""

from __future__ import annotations

import re
import time

from core.model.states import TaskState
from tests.support.program import WAIT_S, Program, kill

RUN = """
    steps:
      one: {run: "echo one >> effects", undo: "echo undo-one >> undone"}
      two:
        run: |
          echo two >> effects
          echo working
          while [ ! -e go-on ]; do sleep 0.1; done
        undo: "echo undo-two >> undone"
      three: {run: "echo three >> effects", undo: "echo undo-three >> undone"}
"""


def started(program: Program) -> None:
    """Waits until step two has begun on every server."""
    for server in program.servers:
        program.until_event(
            lambda event, server=server: (
                event["type"] == "task.output" and (event["step"], event["server"]) == ("two", server)
            )
        )


def let_go(program: Program) -> None:
    """Lets the commands that wait come to their end."""
    for server in program.servers:
        (program.home(server) / "go-on").touch()


def test_f03_killed_in_flight_it_is_found_running_followed_and_run_once(program: Program) -> None:
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        kill(process)
    told = program.call("runs", "show", status=None)
    assert "interrupted" in told.stdout + told.stderr
    with program.process("runs", "resume") as process:
        for server in program.servers:
            program.until_event(
                lambda event, server=server: (
                    event["type"] == "task.state"
                    and (event["step"], event["server"]) == ("two", server)
                    and "found running" in event.get("why", "")
                )
            )
        let_go(program)
        _, told_now = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, told_now
    assert set(program.states().values()) == {"done"}
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]
        logs = program.call("runs", "logs", "1", f"two@{server}")
        assert logs.stdout == "working\n", "what it printed before the kill is there once"


def test_f03_unsupervised_and_killed_in_flight_it_is_in_doubt_and_never_run_again_silently(
    program: Program,
) -> None:
    with program.process("run", program.batch("\n    supervise: false" + RUN)) as process:
        started(program)
        kill(process)
    done = program.call("runs", "resume", status=4)
    assert program.states() == {
        **{f"one@{name}": "done" for name in program.servers},
        **{f"two@{name}": "in_doubt" for name in program.servers},
        **{f"three@{name}": "waiting" for name in program.servers},
    }
    assert "decide" in done.stdout + done.stderr
    let_go(program)
    program.call("runs", "decide", "two@a", "done", "--reason", "it was seen to end", status=None)
    program.call("runs", "resume", "--in-doubt", "retry")
    assert set(program.states().values()) == {"done"}
    assert program.lines("a", "effects") == ["one", "two", "three"]
    for server in ("b", "c"):
        assert program.lines(server, "effects") == ["one", "two", "two", "three"]


def test_f04_killed_after_the_outcome_nothing_is_run_again(program: Program) -> None:
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        kill(process)
    let_go(program)
    program.call("runs", "resume")
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]
    assert set(program.states().values()) == {"done"}


def test_f05_killed_during_a_rollback_the_rollback_resumes(program: Program) -> None:
    program.batch(
        RUN.replace(
            'undo: "echo undo-two >> undone"',
            'undo: "echo undo-two >> undone; while [ ! -e back ]; do sleep 0.1; done"',
        )
    )
    for server in program.servers:
        (program.home(server) / "go-on").touch()
    program.call("run", "work")
    with program.process("runs", "rollback", "1") as process:
        for server in program.servers:
            program.until_event(
                lambda event, server=server: (
                    event["type"] == "task.intent"
                    and event["purpose"] == "undo"
                    and (event["step"], event["server"]) == ("two", server)
                )
            )
            while program.lines(server, "undone") != ["undo-three", "undo-two"]:
                time.sleep(0.05)
        kill(process)
    for server in program.servers:
        (program.home(server) / "back").touch()
    program.call("runs", "resume", status=5)
    for server in program.servers:
        assert program.lines(server, "undone") == ["undo-three", "undo-two", "undo-one"]


def test_f12_a_second_engine_is_refused_with_the_owner_named_and_a_dead_one_frees_itself(
    program: Program,
) -> None:
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        refused = program.call("run", "work", status=3)
        assert re.search(rf"pid {process.pid}\b", refused.stderr)
        kill(process)
    let_go(program)
    program.call("runs", "resume")


def test_a_drained_engine_leaves_the_run_resumable(program: Program) -> None:
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        process.terminate()
        let_go(program)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 130, told
    assert "runs resume 1" in told
    program.until("two@c", TaskState.DONE)
    assert program.states()["three@a"] == "waiting"
    program.call("runs", "resume")
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]
