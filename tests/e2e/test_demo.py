"""The demo batch over real SSH: every state is seen, and a killed engine loses and doubles nothing."""

from __future__ import annotations

from pathlib import Path

from core.model.states import TaskState
from core.workspace.template import create_workspace
from tests.support.program import Program, kill


def demo(tmp_path: Path) -> Program:
    """The demo workspace with its servers running."""
    path = tmp_path / "demo"
    create_workspace(path, "demo")
    program = Program.__new__(Program)
    program.path = path
    program.servers = ()
    program.call("servers", "start")
    return program


def test_the_demo_batch_shows_every_state_and_resumes_after_a_kill(tmp_path: Path) -> None:
    program = demo(tmp_path)
    try:
        with program.process("run", "rollout") as process:
            for server in ("db-1", "db-2"):
                program.until_event(
                    lambda event, server=server: (
                        event["type"] == "task.output"
                        and (event["step"], event["server"]) == ("migrate", server)
                    )
                )
            seen = program.states()
            kill(process)
        assert {seen["runtime@web-1"], seen["migrate@db-1"], seen["announce@mon-1"]} == {
            "in_place",
            "running",
            "waiting",
        }
        ended = {name for name, state in seen.items() if state in ("done", "in_place")}
        program.call("runs", "resume")
        assert set(program.states().values()) == {"done", "in_place"}
        events = program.events()
        handed_over = [e["server"] for e in events if e["type"] == "task.intent" and e["step"] == "migrate"]
        assert sorted(handed_over) == ["db-1", "db-2"], "what was in flight is followed, not run again"
        for name in ended:
            step, _, server = name.partition("@")
            ends = [
                event
                for event in events
                if (event["step"], event["server"]) == (step, server)
                and event.get("to") in (TaskState.DONE, TaskState.IN_PLACE)
            ]
            assert len(ends) == 1, f"{name} was done again"
        assert any(event.get("phase") == "back_off" and event["step"] == "probe" for event in events)
        printed = [
            e
            for e in events
            if e["type"] == "task.output" and (e["step"], e["server"]) == ("migrate", "db-1")
        ]
        assert len(printed) > 10, "output streams while the command runs"
    finally:
        program.call("servers", "stop", status=None)


def test_an_unreachable_server_stands_beside_healthy_ones(program: Program) -> None:
    (program.path / "servers" / "static.yaml").write_text(
        "provider: static\nservers:\n  gone: {address: 127.0.0.1, port: 1, user: nobody}\n"
    )
    done = program.call(
        "run",
        program.batch("strategy: {on_failure: continue}\nsteps: {one: {run: echo x >> effects}}"),
        status=6,
    )
    assert "unreachable" in done.stdout + done.stderr
    assert program.states() == {"one@a": "done", "one@b": "done", "one@c": "done", "one@gone": "unreachable"}
    assert program.lines("a", "effects") == ["x"]
