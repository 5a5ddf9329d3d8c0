"""Runs through the whole engine, on servers in memory: what happens, in which order, and what is stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import Command, Ended, InDoubt, NotStarted, ServerFacts, Work
from core.engine.run import Run
from core.engine.scheduler import Scheduler
from core.errors import InputError, NotPossible, WorkspaceOwned
from core.model.ids import AttemptRef, TaskKey
from core.model.states import Decision, Purpose, RunState, TaskState, UndoState
from core.model.views import RunInfo
from providers.base import Server
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import MemoryExecutor, Reply

TWO_STEPS = """
    steps:
      one: {run: first, undo: undo-first}
      two: {run: second, undo: undo-second}
"""


def text_of(work: Work) -> str:
    return work.text if isinstance(work, Command) else ""


async def test_a_run_does_every_step_on_every_server(lab: Lab) -> None:
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch(TWO_STEPS))
        assert run.state is RunState.DONE
        assert await lab.states(engine) == {
            "one@a": "done",
            "one@b": "done",
            "two@a": "done",
            "two@b": "done",
        }
    assert sorted(lab.memory.effects[:2]) == ["one@a run 1: first", "one@b run 1: first"]
    assert sorted(lab.memory.effects[2:]) == ["two@a run 1: second", "two@b run 1: second"]


async def test_commands_find_what_they_are_part_of_in_their_environment(lab: Lab) -> None:
    seen: list[dict[str, str]] = []

    def rule(ref: AttemptRef, work: Work) -> Reply | None:
        assert isinstance(work, Command)
        seen.append(dict(work.env))
        return None

    lab.memory.rule = rule
    async with lab.engine() as engine:
        run = await lab.run(
            engine,
            lab.batch("steps: {one: {run: x, on: name:a, env: {WHO: '{{ server.name }}/{{ run.number }}'}}}"),
        )
    assert seen == [
        {
            "WHO": "a/1",
            "WINDLASS_RUN": run.run_id,
            "WINDLASS_STEP": "one",
            "WINDLASS_SERVER": "a",
            "WINDLASS_ATTEMPT": "1",
        }
    ]


async def test_check_zero_is_in_place_and_other_statuses_mean_there_is_something_to_do(lab: Lab) -> None:
    def rule(ref: AttemptRef, work: Work) -> Reply | None:
        if ref.purpose is Purpose.CHECK:
            return Reply(Ended(0 if ref.server == "a" else 1))
        return None

    lab.memory.rule = rule
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch("steps: {one: {run: work, check: looks}}"))
        assert await lab.states(engine) == {"one@a": "in_place", "one@b": "done"}
    assert "one@b run 1: work" in lab.memory.effects
    assert "one@a run 1: work" not in lab.memory.effects


@pytest.mark.parametrize("answer", [Ended(126), Ended(127), Ended(137, "KILL")])
async def test_a_check_that_cannot_run_fails_the_task_and_nothing_is_handed_over(
    lab: Lab, answer: Ended
) -> None:
    lab.memory.rule = lambda ref, work: Reply(answer) if ref.purpose is Purpose.CHECK else None
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: work, check: looks, on: name:a}}"))
        assert run.state is RunState.FAILED
        task = await lab.task(engine, "one@a")
        assert "check" in task.why
        assert await engine.attempts(1, task.key) == []


async def test_a_failure_is_tried_again_and_each_attempt_is_kept(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(
        Ended(0 if ref.attempt == 3 else 9), f"try {ref.attempt}\n".encode()
    )
    async with lab.engine() as engine:
        run = await lab.run(
            engine,
            lab.batch(
                "steps: {one: {run: work, on: name:a, retries: {attempts: 3, delay: 10ms, jitter: 0}}}"
            ),
        )
        assert run.state is RunState.DONE
        attempts = await engine.attempts(1, TaskKey("one", "a"))
        assert [(a.number, a.outcome, a.exit_status) for a in attempts] == [
            (1, "failed", 9),
            (2, "failed", 9),
            (3, "ok", 0),
        ]
        page = await engine.output(1, TaskKey("one", "a"))
        assert [chunk.data for chunk in page.chunks] == [b"try 1\n", b"try 2\n", b"try 3\n"]
        delays = [e.data["delay_s"] for e in await engine.events(0) if e.data.get("phase") == "back_off"]
        assert delays == [0.01, 0.02]


async def test_verify_decides_only_after_the_command_ended_well(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(1)) if ref.purpose is Purpose.VERIFY else None
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: work, verify: proof, on: name:a}}"))
        assert run.state is RunState.FAILED
        assert (await lab.task(engine, "one@a")).why == "verify: exit 1"
    assert lab.memory.effects == ["one@a run 1: work", "one@a verify 1: proof"]


async def test_listed_exit_statuses_count_as_success(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(3))
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: work, ok_exit: [0, 3]}}"))
        assert run.state is RunState.DONE


async def test_when_false_skips_without_a_connection(lab: Lab) -> None:
    lab.memory.unreachable = {"b"}
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: work, when: server.name == 'a'}}"))
        assert run.state is RunState.DONE
        assert await lab.states(engine) == {"one@a": "done", "one@b": "skipped"}


async def test_registered_output_reaches_later_steps_and_is_never_a_template(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(0), b"{{ 7 * 7 }}\n") if ref.step == "ask" else None
    async with lab.engine() as engine:
        await lab.run(
            engine,
            lab.batch("""
                steps:
                  ask: {run: ask, register: answer, on: name:a}
                  use: {run: "use {{ registered['answer'].output }} {{ registered['answer'].exit }}", on: name:a}
                  far: {run: "far {{ servers['a'].registered['answer'].output }}", on: name:b}
            """),
        )
    assert lab.memory.effects[1:] == ["use@a run 1: use {{ 7 * 7 }} 0", "far@b run 1: far {{ 7 * 7 }}"]


async def test_truncated_output_cannot_be_used(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(0), b"x" * 70_000) if ref.step == "ask" else None
    async with lab.engine() as engine:
        run = await lab.run(
            engine,
            lab.batch("""
                steps:
                  ask: {run: ask, register: answer, on: name:a}
                  use: {run: "use {{ registered['answer'].output }}", on: name:a}
            """),
        )
        assert run.state is RunState.FAILED
        assert await engine.attempts(1, TaskKey("use", "a")) == []
    assert lab.memory.effects == ["ask@a run 1: ask"]


async def test_an_unreachable_server_is_not_a_failed_one_and_others_go_on(lab: Lab) -> None:
    lab.memory.unreachable = {"b"}
    async with lab.engine() as engine:
        run = await lab.run(
            engine, lab.batch("strategy: {max_failures: 1}\nsteps: {one: {run: x}, two: {run: y}}")
        )
        assert run.state is RunState.DONE
        assert run.why == "1 task unreachable, within max_failures"
        assert await lab.states(engine) == {
            "one@a": "done",
            "one@b": "unreachable",
            "two@a": "done",
            "two@b": "blocked",
        }


async def test_stop_leaves_tasks_waiting_and_retry_opens_what_failed_and_what_it_blocked(lab: Lab) -> None:
    broken = {"b"}
    lab.memory.rule = lambda ref, work: (
        Reply(Ended(1)) if ref.server in broken and ref.step == "one" else None
    )
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch(TWO_STEPS))
        assert run.state is RunState.FAILED
        assert await lab.states(engine) == {
            "one@a": "done",
            "one@b": "failed",
            "two@a": "waiting",
            "two@b": "blocked",
        }
        broken.clear()
        await engine.retry(1, actor=ACTOR)
        run = await engine.wait(1)
        assert run.state is RunState.DONE
    assert lab.memory.effects.count("one@a run 1: first") == 1
    assert "one@b run 2: first" in lab.memory.effects


async def test_rollback_after_a_failure_undoes_what_was_handed_over_in_reverse(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(1)) if text_of(work) == "second" else None
    async with lab.engine() as engine:
        run = await lab.run(
            engine, lab.batch("strategy: {on_failure: rollback}\n" + TWO_STEPS.replace("\n    ", "\n"))
        )
        assert run.state is RunState.ROLLED_BACK
        undos = [effect for effect in lab.memory.effects if " undo " in effect]
        assert sorted(undos[:2]) == ["two@a undo 1: undo-second", "two@b undo 1: undo-second"]
        assert sorted(undos[2:]) == ["one@a undo 1: undo-first", "one@b undo 1: undo-first"]
        assert await lab.states(engine) == {
            "one@a": "done",
            "one@b": "done",
            "two@a": "failed",
            "two@b": "failed",
        }


async def test_a_failing_undo_blocks_what_its_task_depended_on_on_its_own_server(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: (
        Reply(Ended(1)) if text_of(work) == "undo-second" and ref.server == "a" else None
    )
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        await engine.roll_back(1, actor=ACTOR)
        run = await engine.wait(1)
        assert run.state is RunState.ROLLBACK_FAILED
        undos = {str(task.key): task.undo for task in await engine.tasks(1)}
        assert undos == {
            "one@a": UndoState.PENDING,
            "one@b": UndoState.UNDONE,
            "two@a": UndoState.FAILED,
            "two@b": UndoState.UNDONE,
        }
        lab.memory.rule = lambda ref, work: None
        await engine.roll_back(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.ROLLED_BACK


async def test_a_rollback_can_be_narrowed_to_steps_and_servers(lab: Lab) -> None:
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        await engine.roll_back(1, actor=ACTOR, steps=["two"], limit="name:b")
        assert (await engine.wait(1)).state is RunState.ROLLED_BACK
    assert [effect for effect in lab.memory.effects if " undo " in effect] == ["two@b undo 1: undo-second"]


async def test_pause_lets_attempts_end_and_resume_goes_on(lab: Lab) -> None:
    gate = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(until=gate) if ref.step == "one" else None
    async with lab.engine() as engine:
        run = await engine.start(RunRequest(PlanRequest(lab.batch(TWO_STEPS)), ACTOR))
        await until(engine, run.number, "one@a", TaskState.RUNNING)
        await engine.pause(run.number, actor=ACTOR)
        gate.set()
        paused = await engine.wait(run.number)
        assert paused.state is RunState.PAUSED
        assert await lab.states(engine) == {
            "one@a": "done",
            "one@b": "done",
            "two@a": "waiting",
            "two@b": "waiting",
        }
        await engine.resume(run.number, actor=ACTOR)
        assert (await engine.wait(run.number)).state is RunState.DONE


async def test_cancel_stops_what_runs_and_ends_the_run(lab: Lab) -> None:
    never = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(until=never)
    async with lab.engine() as engine:
        run = await engine.start(RunRequest(PlanRequest(lab.batch(TWO_STEPS)), ACTOR))
        for name in ("one@a", "one@b"):
            await until(engine, run.number, name, TaskState.RUNNING)
        while len(lab.memory.effects) < 2:
            await asyncio.sleep(0.01)
        await engine.cancel(run.number, actor=ACTOR)
        ended = await engine.wait(run.number)
        assert ended.state is RunState.CANCELLED
        task = await lab.task(engine, "one@a")
        assert (task.state, task.why) == (TaskState.FAILED, "stopped by us")
        assert (await lab.task(engine, "two@a")).state is TaskState.CANCELLED
    assert len(lab.memory.stops) == 2


async def test_cancel_does_not_wait_for_a_connection(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    connecting, never = asyncio.Event(), asyncio.Event()

    async def open_slowly(executor: MemoryExecutor, server: Server) -> ServerFacts:
        connecting.set()
        await never.wait()
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(MemoryExecutor, "open", open_slowly)
        async with lab.engine() as engine:
            run = await engine.start(RunRequest(PlanRequest(lab.batch(TWO_STEPS)), ACTOR))
            await connecting.wait()
            await engine.cancel(run.number, actor=ACTOR)
            assert (await engine.wait(run.number)).state is RunState.CANCELLED
            assert set((await lab.states(engine)).values()) == {"cancelled"}

    # Nothing failed, and a retry opens what was kept from starting.
    async with lab.engine() as engine:
        await engine.retry(run.number, actor=ACTOR)
        assert (await engine.wait(run.number)).state is RunState.DONE


async def test_a_timeout_stops_the_command_and_counts_as_a_failure(lab: Lab) -> None:
    never = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(until=never)
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: x, timeout: 50ms, on: name:a}}"))
        assert run.state is RunState.FAILED
        task = await lab.task(engine, "one@a")
        assert task.why == "timed out after 0.05 s"
    assert lab.memory.stops == ["one@a run attempt 1"]


async def test_a_lost_command_is_in_doubt_and_waits_for_a_person(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("connection lost")) if ref.server == "a" else None
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch(TWO_STEPS))
        assert run.state is RunState.WAITING
        assert await lab.states(engine) == {
            "one@a": "in_doubt",
            "one@b": "done",
            "two@a": "waiting",
            "two@b": "waiting",
        }
        lab.memory.rule = lambda ref, work: None
        await engine.decide(1, TaskKey("one", "a"), Decision.RETRY, actor=ACTOR, reason="looked")
        assert (await engine.wait(1)).state is RunState.DONE
        task = await lab.task(engine, "one@a")
        assert (task.may_have_run, task.decision, task.decided_by) == (True, "retry", ACTOR)
    assert lab.memory.effects.count("one@a run 2: first") == 1


@pytest.mark.parametrize(
    ("decision", "state", "run_state"),
    [
        (Decision.DONE, "done", RunState.DONE),
        (Decision.SKIP, "skipped", RunState.DONE),
        (Decision.FAILED, "failed", RunState.FAILED),
    ],
)
async def test_decisions_settle_a_doubt(
    lab: Lab, decision: Decision, state: str, run_state: RunState
) -> None:
    lab.memory.rule = lambda ref, work: (
        Reply(InDoubt("lost")) if ref.server == "a" and ref.step == "one" else None
    )
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        await engine.decide(1, TaskKey("one", "a"), decision, actor=ACTOR, reason="seen")
        assert (await engine.wait(1)).state is run_state
        assert (await lab.states(engine))["one@a"] == state


async def test_a_failure_with_a_risk_is_retried_only_when_the_risk_is_accepted(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: (
        Reply(InDoubt("lost")) if str(ref).startswith("one@a run attempt 1") else None
    )
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        await engine.decide(1, TaskKey("one", "a"), Decision.FAILED, actor=ACTOR, reason="seen")
        await engine.wait(1)
        with pytest.raises(NotPossible, match="may have run"):
            await engine.retry(1, actor=ACTOR)
        await engine.retry(1, actor=ACTOR, accept_risk=True)
        assert (await engine.wait(1)).state is RunState.DONE


async def test_rolling_back_decides_doubts_as_failed_and_undoes_them(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: (
        Reply(InDoubt("lost")) if ref.server == "a" and ref.step == "one" else None
    )
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        lab.memory.rule = lambda ref, work: None
        await engine.roll_back(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.ROLLED_BACK
        task = await lab.task(engine, "one@a")
        assert (task.state, task.may_have_run, task.undo) == (TaskState.FAILED, True, UndoState.UNDONE)


async def test_a_command_that_was_never_handed_over_leaves_the_task_unreachable(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(NotStarted("the connection went before it was sent"))
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch("steps: {one: {run: x, on: name:a}}"))
        assert await lab.states(engine) == {"one@a": "unreachable"}
        assert [a.outcome for a in await engine.attempts(1, TaskKey("one", "a"))] == ["not started"]


async def test_a_run_holds_its_servers_while_it_is_open(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("lost"))
    async with lab.engine() as engine:
        run = await engine.start(RunRequest(PlanRequest(lab.batch(TWO_STEPS)), ACTOR))
        await engine.wait(run.number)
        lab.memory.rule = lambda ref, work: None
        with pytest.raises(NotPossible, match="run 1 is open and holds a, b"):
            await engine.start(RunRequest(PlanRequest("work"), ACTOR))
        assert {server.name: server.held_by for server in await engine.servers()} == {"a": 1, "b": 1}
        beside = await engine.start(RunRequest(PlanRequest("work"), ACTOR, alongside=True))
        assert (await engine.wait(beside.number)).state is RunState.DONE
        for server in ("a", "b"):
            await engine.decide(1, TaskKey("one", server), Decision.FAILED, actor=ACTOR, reason="x")
        await engine.wait(1)
        after = await engine.start(RunRequest(PlanRequest("work"), ACTOR))
        assert (await engine.wait(after.number)).state is RunState.DONE


async def test_a_decision_while_the_run_takes_up_its_work_is_not_lost(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("lost"))
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        align = Run._align_blocked
        late: list[asyncio.Task[RunInfo]] = []

        def decide(server: str) -> asyncio.Task[RunInfo]:
            key = TaskKey("one", server)
            return asyncio.create_task(engine.decide(1, key, Decision.FAILED, actor=ACTOR, reason="x"))

        async def align_and_decide(run: Run, scheduler: Scheduler) -> None:
            before = len(run.in_doubt())
            await align(run, scheduler)
            if not late:
                late.append(decide("b"))
                while len(run.in_doubt()) > before - 1:  # it is written down first; then it is on its way
                    await asyncio.sleep(0)

        monkeypatch.setattr(Run, "_align_blocked", align_and_decide)
        await decide("a")
        await asyncio.gather(*late)
        assert (await engine.wait(1)).state is RunState.FAILED


async def test_a_second_engine_is_refused_and_a_reader_is_not(lab: Lab) -> None:
    from core.engine.open import open_engine, open_reader

    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        with pytest.raises(WorkspaceOwned, match="another engine owns this workspace: pid"):
            await open_engine(lab.path, actor=ACTOR)
        reader = await open_reader(lab.path)
        try:
            assert (await reader.run(1)).state is RunState.DONE
            with pytest.raises(WorkspaceOwned):
                await reader.pause(1, actor=ACTOR)
        finally:
            await reader.close()
    async with lab.engine() as engine:
        assert (await engine.workspace()).owned


async def test_a_plan_names_every_fault_of_targets_templates_and_files(lab: Lab) -> None:
    lab.batch("""
        params: {version: {type: string}}
        steps:
          one: {run: "x {{ server.labels.zone }}", on: group:od}
          two: {run: "y {{ server.labels.zone }}"}
          three: {upload: {from: files/missing, to: x}}
    """)
    async with lab.engine() as engine:
        with pytest.raises(InputError, match="'version' must be given"):
            await engine.plan(PlanRequest("work"))
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest("work", {"version": "1"}))
        assert [(fault.line, fault.message) for fault in caught.value.faults] == [
            (4, "no server has group 'od'"),
            (5, "zone is not defined here (on a, b)"),
            (6, f"files/missing is no file in the workspace ({lab.path})"),
        ]
        lab.batch("""
            steps:
              one: {runn: x, on: group:od}
              two: {run: x, on: group:evn, needs: [on]}
        """)
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest("work"))
        assert [(fault.line, fault.message, fault.hint) for fault in caught.value.faults] == [
            (3, "unknown key 'runn'", "did you mean run?"),
            (3, "no server has group 'od'", "did you mean group:odd?"),
            (4, "no server has group 'evn'", "did you mean group:even?"),
            (4, "there is no step 'on'", "did you mean one?"),
        ]
        lab.batch("""
            steps:
              two: {run: "y {{ server.labels.zone }}"}
              three: {upload: {from: files/missing, to: x}}
        """)
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest("work"))
        assert [(fault.line, fault.column) for fault in caught.value.faults] == [(3, 14), (4, 26)]
        assert "zone is not defined here (on a, b)" in caught.value.faults[0].message


async def test_a_changed_batch_does_not_start_under_an_old_plan(lab: Lab) -> None:
    async with lab.engine() as engine:
        plan = await engine.plan(PlanRequest(lab.batch(TWO_STEPS)))
        lab.batch("steps: {one: {run: other}}")
        with pytest.raises(NotPossible, match="not what was planned"):
            await engine.start(RunRequest(PlanRequest("work"), ACTOR, digest=plan.digest))
    assert lab.memory.effects == []


async def test_a_follower_sees_every_event_once_and_in_order(lab: Lab) -> None:
    async with lab.engine() as engine:
        seen: list[int] = []

        async def follow() -> None:
            async for event in engine.follow(0):
                seen.append(event.seq)

        follower = asyncio.create_task(follow())
        await lab.run(engine, lab.batch(TWO_STEPS))
        last = (await engine.workspace()).last_seq
        while not seen or seen[-1] < last:
            await asyncio.sleep(0.01)
        follower.cancel()
        assert seen == list(range(1, last + 1))


async def test_explanations_name_what_a_task_waits_for(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("connection lost")) if ref.server == "a" else None
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(TWO_STEPS))
        waiting = await engine.explain(1, TaskKey("two", "b"))
        assert waiting.sentences == (
            "two waits for one on all servers: 1 of 2 have not ended, 1 of them in doubt",
            "one ends when its task in doubt is decided",
        )
        doubt = await engine.explain(1, TaskKey("one", "a"))
        assert doubt.unknown and "run attempt 1" in doubt.unknown[0]


async def test_one_key_starts_one_run(lab: Lab) -> None:
    request = RunRequest(PlanRequest(lab.batch("steps: {one: {run: x, undo: y}}")), ACTOR, key="deploy-41")
    async with lab.engine() as engine:
        first = await engine.start(request)
        assert (await engine.wait(first.number)).state is RunState.DONE
    async with lab.engine() as engine:  # whoever lost the answer may ask the next engine
        again = await engine.start(request)
        assert again.number == first.number and len(await engine.runs()) == 1
        with pytest.raises(NotPossible, match="was used for another request, which started run 1"):
            await engine.start(replace(request, plan=replace(request.plan, limit="name:a")))
        other = await engine.start(replace(request, key="deploy-42"))
        assert other.number == 2
        await engine.wait(2)
        together = [engine.start(replace(request, key="deploy-43")) for _ in range(5)]
        assert {run.number for run in await asyncio.gather(*together)} == {3}
        await engine.wait(3)
    assert len(lab.memory.effects) == 6
