"""Runs over real SSH: progress, kills, resumes, interrupts, two engines."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.cli.conftest import Place, until

TWO_STEPS = """
    strategy: {parallel: 1}
    steps:
      mark:
        run: echo "$WINDLASS_STEP $WINDLASS_ATTEMPT" >> marks
        undo: rm -f marks
      gate:
        run: |
          echo begun >> gate
          while [ ! -e open ]; do sleep 0.05; done
          echo through
        undo: rm -f gate
      last:
        run: echo last >> marks
        undo: ":"
    """


UNSUPERVISED = "\n    supervise: false" + TWO_STEPS


def open_gate(place: Place) -> None:
    for name in ("web-1", "web-2"):
        (place.home(name) / "open").touch()


def test_a_batch_is_run_once_and_then_in_place(place: Place) -> None:
    (place.path / "files" / "page.html").write_text("hello {{ server.name }}\n")
    place.batch(
        """
        steps:
          folder: {check: test -d site, run: mkdir site, undo: rmdir site}
          page: {upload: {from: files/page.html, to: site/page.html, template: true}, undo: rm -f site/page.html}
          count: {run: "for i in 1 2 3; do echo line $i; done; echo oops >&2", undo: ":"}
        """
    )
    first = place.windlass("run", "work", "--output")
    assert first.status == 0, first.err
    assert first.out.startswith("✓ done  run 1 work: 6 tasks on 2 servers")
    assert (place.home("web-1") / "site" / "page.html").read_text() == "hello web-1\n"
    assert "count@web-2 | line 3" in first.err and "count@web-2 ! oops" in first.err
    second = place.windlass("run", "work", "--json")
    *stream, result = second.objects()
    assert (result["type"], result["exit"], result["counts"]) == ("result", 0, {"done": 4, "in_place": 2})
    assert {"run.created", "task.state", "task.intent", "run.state"} <= {found["event"] for found in stream}
    logs = place.windlass("runs", "logs", "1", "count@web-1")
    assert sorted(logs.out.splitlines()) == ["line 1", "line 2", "line 3", "oops"]


@pytest.mark.long
def test_a_killed_engine_leaves_nothing_done_twice_and_nothing_lost(place: Place) -> None:
    place.batch(TWO_STEPS)
    program = place.start("run", "work")
    until(lambda: (place.home("web-1") / "gate").exists(), "the command in flight")
    program.signal(signal.SIGKILL)
    assert program.end().status == -signal.SIGKILL
    (run,) = place.windlass("runs", "list", "--json").objects()
    assert (run["state"], run["interrupted"]) == ("running", True)
    assert place.windlass("runs", "wait").status == 130
    open_gate(place)

    resumed = place.windlass("runs", "resume")
    assert resumed.status == 0, resumed.err
    assert "in doubt" not in resumed.err
    for name in ("web-1", "web-2"):
        assert (place.home(name) / "marks").read_text() == "mark 1\nlast\n"
        assert (place.home(name) / "gate").read_text() == "begun\n"
    assert place.windlass("runs", "logs", "gate@web-1").out == "through\n"


def test_a_killed_engine_leaves_an_unsupervised_command_to_a_person(place: Place) -> None:
    place.batch(UNSUPERVISED)
    program = place.start("run", "work")
    until(lambda: (place.home("web-1") / "gate").exists(), "the command in flight")
    program.signal(signal.SIGKILL)
    program.end()
    open_gate(place)

    resumed = place.windlass("runs", "resume")
    assert resumed.status == 4, resumed.err
    assert "gate@web-1" in resumed.err and "windlass runs decide 1 gate@web-1" in resumed.err
    (task, told, attempt) = place.windlass("runs", "show", "gate@web-1", "--json").objects()
    assert task["state"] == "in_doubt" and attempt["outcome"] == "in doubt" and told["unknown"]

    decided = place.windlass("runs", "decide", "gate@web-1", "done", "--reason", "it went through the gate")
    assert decided.status == 0, decided.err
    for name in ("web-1", "web-2"):
        assert (place.home(name) / "marks").read_text() == "mark 1\nlast\n"
        assert (place.home(name) / "gate").read_text() == "begun\n"


@pytest.mark.long
@pytest.mark.parametrize(("policy", "begun"), [("retry", 2), ("skip", 1)])
def test_the_policy_decides_after_a_kill(place: Place, policy: str, begun: int) -> None:
    place.batch(UNSUPERVISED)
    program = place.start("run", "work", "--limit", "web-1")
    until(lambda: (place.home("web-1") / "gate").exists(), "the command in flight")
    program.signal(signal.SIGKILL)
    program.end()
    open_gate(place)
    resumed = place.windlass("runs", "resume", "--in-doubt", policy)
    assert resumed.status == 0, resumed.err
    assert (place.home("web-1") / "gate").read_text() == "begun\n" * begun
    assert (place.home("web-1") / "marks").read_text() == "mark 1\nlast\n"


def test_ctrl_c_lets_what_is_in_flight_end_and_resume_goes_on(place: Place) -> None:
    place.batch(TWO_STEPS)
    program = place.start("run", "work")
    until(lambda: (place.home("web-1") / "gate").exists(), "the command in flight")
    program.signal(signal.SIGINT)
    program.heard("no further task starts")
    open_gate(place)
    answer = program.end()
    assert answer.status == 130
    assert "windlass runs resume 1" in answer.err
    assert answer.out == ""
    states = {
        f"{task['step']}@{task['server']}": task["state"]
        for task in place.windlass("runs", "show", "--tasks", "--json").objects()
        if task["type"] == "task"
    }
    assert states["gate@web-1"] == "done"
    assert states["gate@web-2"] == "waiting"
    resumed = place.windlass("runs", "resume")
    assert resumed.status == 0, resumed.err
    assert (place.home("web-1") / "gate").read_text() == "begun\n"


def test_the_second_signal_ends_at_once(place: Place) -> None:
    place.batch(TWO_STEPS)
    program = place.start("run", "work", "--limit", "web-1")
    until(lambda: (place.home("web-1") / "gate").exists(), "the command in flight")
    program.signal(signal.SIGTERM)
    program.heard("no further task starts")
    program.signal(signal.SIGTERM)
    answer = program.end()
    assert answer.status == 130
    assert "commands in flight go on" in answer.err and "windlass runs resume 1" in answer.err
    open_gate(place)
    resumed = place.windlass("runs", "resume")
    assert resumed.status == 0, resumed.err
    assert (place.home("web-1") / "gate").read_text() == "begun\n"


def test_a_second_engine_is_refused_and_others_look_on(place: Place) -> None:
    place.batch(TWO_STEPS)
    program = place.start("run", "work", "--json")
    until(lambda: (place.home("web-1") / "gate").exists(), "the command in flight")
    refused = place.windlass("run", "work")
    assert (refused.status, refused.out) == (3, "")
    assert f"pid {program.process.pid}" in refused.err
    for arguments in (("runs", "resume"), ("servers", "exec", "all", "true")):
        assert place.windlass(*arguments).status == 3
    assert place.windlass("servers", "stop").status == 2  # a run executes on them
    watching = place.start("runs", "watch", "--json")
    waiting = place.start("runs", "wait")
    following = place.start("runs", "logs", "gate@web-1", "--follow")
    (run,) = place.windlass("runs", "list", "--json").objects()
    assert (run["state"], run["interrupted"]) == ("running", False)
    open_gate(place)
    answer, watched = program.end(), watching.end()
    assert (answer.status, watched.status, waiting.end().status) == (0, 0, 0)
    assert watched.objects() == answer.objects()
    assert following.end().out == "through\n"


def test_wait_starts_when_the_other_engine_has_ended(place: Place) -> None:
    place.batch(TWO_STEPS)
    place.batch("steps: {after: {run: cat marks}}", "after")
    program = place.start("run", "work")
    until(lambda: (place.home("web-1") / "gate").exists(), "the command in flight")
    waiting = place.start("run", "after", "--wait")
    waiting.heard("waiting: another engine owns this workspace")
    open_gate(place)
    assert program.end().status == 0
    assert waiting.end().status == 0


def test_a_rollback_that_was_killed_is_resumed(place: Place) -> None:
    place.batch(
        """
        strategy: {parallel: 1}
        steps:
          one: {run: echo one >> log, undo: echo undo-one >> log}
          two:
            run: echo two >> log
            undo: "echo undo-two >> log; touch undoing; while [ ! -e open ]; do sleep 0.05; done"
        """
    )
    assert place.windlass("run", "work", "--limit", "web-1").status == 0
    program = place.start("runs", "rollback", "1")
    until(lambda: (place.home("web-1") / "undoing").exists(), "the undo in flight")
    program.signal(signal.SIGKILL)
    program.end()
    open_gate(place)
    resumed = place.windlass("runs", "resume", "1")
    assert resumed.status == 5, resumed.err
    assert (place.home("web-1") / "log").read_text().split() == ["one", "two", "undo-two", "undo-one"]


@pytest.mark.long
def test_failures_and_lost_servers_are_told_apart(place: Place) -> None:
    place.batch(
        "{strategy: {on_failure: continue}, steps: {one: {run: 'echo no space left >&2; exit 7'}}}", "fails"
    )
    place.batch("{strategy: {on_failure: continue}, steps: {one: {run: 'true'}}}", "works")
    assert place.windlass("servers", "stop", "web-2").out == "web-2\n"
    lost = place.windlass("run", "works")
    assert lost.status == 6, lost.err
    assert "1 done, 1 unreachable" in lost.out
    both = place.windlass("run", "fails")
    assert both.status == 1
    assert "    | no space left" in both.err and "exit 7" in both.err
    assert place.windlass("servers", "start", "web-2").status == 0
    assert place.windlass("runs", "retry", "1").status == 0
