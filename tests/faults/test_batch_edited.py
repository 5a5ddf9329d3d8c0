"""Row 42: a batch is edited between a kill and the resume: the stored text runs, and the difference is offered."""

from __future__ import annotations

from tests.faults.test_engine_killed import RUN, let_go, started
from tests.support.program import Program, kill


def test_f42_a_batch_edited_before_the_resume_the_stored_one_runs_and_the_difference_is_offered(
    program: Program,
) -> None:
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        kill(process)
    let_go(program)
    program.batch(RUN.replace("echo three", "echo something else"))
    done = program.call("runs", "resume", "--in-doubt", "skip")
    assert "the batch file has changed since run 1 was made" in done.stderr
    assert "windlass -w" in done.stderr and "runs diff 1" in done.stderr
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]
    told = program.call("runs", "diff", "1").stdout
    assert '-  three: {run: "echo three >> effects"' in told
    assert '+  three: {run: "echo something else >> effects"' in told
    # One that was deleted altogether changes nothing either; a new run takes the file as it is.
    program.batch(RUN)
    assert program.call("runs", "diff", "1").stdout == ""
