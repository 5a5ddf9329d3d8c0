"""The scheduler's rules, each by a small graph, and all of them together by random ones."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.graph import Graph, GraphNeed, GraphStep, build
from core.engine.scheduler import Limits, Scheduler, Verdict
from core.model.states import FAILING, TaskState

DONE, FAILED, UNREACHABLE = TaskState.DONE, TaskState.FAILED, TaskState.UNREACHABLE
BLOCKED, WAITING, IN_DOUBT = TaskState.BLOCKED, TaskState.WAITING, TaskState.IN_DOUBT

TWO = ["a", "b"]


def names(scheduler: Scheduler, tasks: list[int]) -> list[str]:
    return [str(scheduler.graph.key(task)) for task in tasks]


def task(scheduler: Scheduler, name: str) -> int:
    return [str(key) for key in list(scheduler.graph.keys())].index(name)


def end(scheduler: Scheduler, name: str, state: TaskState) -> list[str]:
    return names(scheduler, scheduler.ended(task(scheduler, name), state))


def linear(**limits: object) -> Scheduler:
    graph = build(TWO, {"one": TWO, "two": TWO}, {"two": [("one", True, True)]})
    return Scheduler(graph, Limits(**limits))  # type: ignore[arg-type]


def test_scope_all_waits_for_every_server() -> None:
    scheduler = linear()
    assert names(scheduler, scheduler.take()) == ["one@a", "one@b"]
    end(scheduler, "one@a", DONE)
    assert scheduler.take() == []
    end(scheduler, "one@b", DONE)
    assert names(scheduler, scheduler.take()) == ["two@a", "two@b"]


def test_scope_server_lets_a_fast_server_run_ahead() -> None:
    graph = build(TWO, {"one": TWO, "two": TWO}, {"two": [("one", False, True)]})
    scheduler = Scheduler(graph, Limits())
    scheduler.take()
    end(scheduler, "one@a", DONE)
    assert names(scheduler, scheduler.take()) == ["two@a"]


def test_scope_server_is_satisfied_where_the_needed_step_is_not() -> None:
    graph = build(TWO, {"one": ["a"], "two": TWO}, {"two": [("one", False, True)]})
    assert names(Scheduler(graph, Limits()), Scheduler(graph, Limits()).take()) == ["one@a", "two@b"]


def test_a_step_without_servers_holds_nothing() -> None:
    graph = build(TWO, {"none": [], "two": TWO}, {"two": [("none", True, True)]})
    scheduler = Scheduler(graph, Limits())
    assert names(scheduler, scheduler.take()) == ["two@a", "two@b"]


def test_a_failure_within_the_allowance_blocks_its_own_server_only() -> None:
    scheduler = linear(allowance=1)
    scheduler.take()
    assert end(scheduler, "one@a", FAILED) == ["two@a"]
    assert scheduler.take() == []
    end(scheduler, "one@b", DONE)
    assert names(scheduler, scheduler.take()) == ["two@b"]
    end(scheduler, "two@b", DONE)
    assert scheduler.verdict() is Verdict.DONE


def test_more_failures_than_allowed_halt_the_run_and_leave_tasks_waiting() -> None:
    scheduler = linear(parallel=1)
    scheduler.take()
    end(scheduler, "one@a", UNREACHABLE)
    assert scheduler.halted
    assert scheduler.take() == []
    assert scheduler.verdict() is Verdict.FAILED
    assert scheduler.state == [UNREACHABLE, WAITING, BLOCKED, WAITING]


def test_continue_opens_barriers_whatever_the_number_and_the_run_still_fails() -> None:
    scheduler = linear(pass_failures=True)
    scheduler.take()
    end(scheduler, "one@a", FAILED)
    end(scheduler, "one@b", DONE)
    assert names(scheduler, scheduler.take()) == ["two@b"]
    end(scheduler, "two@b", DONE)
    assert scheduler.verdict() is Verdict.FAILED


def test_a_soft_need_is_waited_for_and_passed() -> None:
    graph = build(TWO, {"one": TWO, "two": TWO}, {"two": [("one", False, False)]})
    scheduler = Scheduler(graph, Limits(allowance=2))
    scheduler.take()
    assert end(scheduler, "one@a", FAILED) == []
    assert names(scheduler, scheduler.take()) == ["two@a"]


def test_a_task_in_doubt_holds_its_barrier_and_lets_others_go_on() -> None:
    graph = build(TWO, {"one": TWO, "two": TWO, "free": ["a"]}, {"two": [("one", True, True)]})
    scheduler = Scheduler(graph, Limits())
    scheduler.take()
    end(scheduler, "one@a", IN_DOUBT)
    end(scheduler, "one@b", DONE)
    assert names(scheduler, scheduler.take()) == ["free@a"]
    end(scheduler, "free@a", DONE)
    assert scheduler.verdict() is Verdict.IN_DOUBT
    end(scheduler, "one@a", DONE)
    assert names(scheduler, scheduler.take()) == ["two@a", "two@b"]


def test_a_task_in_doubt_can_be_opened_again() -> None:
    scheduler = linear()
    scheduler.take()
    end(scheduler, "one@a", IN_DOUBT)
    scheduler.again(task(scheduler, "one@a"))
    assert names(scheduler, scheduler.take()) == ["one@a"]


def test_a_step_of_its_own_allowance_does_not_count_for_the_run() -> None:
    graph = build(TWO, {"one": TWO, "two": TWO}, {"two": [("one", True, True)]}, allowances={"one": 1})
    scheduler = Scheduler(graph, Limits())
    scheduler.take()
    end(scheduler, "one@a", FAILED)
    end(scheduler, "one@b", DONE)
    assert names(scheduler, scheduler.take()) == ["two@b"]


def test_a_server_counts_once_however_often_it_fails() -> None:
    graph = build(TWO, {"one": TWO, "two": TWO}, {"two": []})
    scheduler = Scheduler(graph, Limits(allowance=1, per_server=2))
    scheduler.take()
    end(scheduler, "one@a", FAILED)
    end(scheduler, "two@a", FAILED)
    assert not scheduler.halted


def test_a_server_runs_as_many_tasks_at_once_as_allowed() -> None:
    graph = build(["a"], {"one": ["a"], "two": ["a"], "three": ["a"]}, {})
    scheduler = Scheduler(graph, Limits(per_server=2))
    assert names(scheduler, scheduler.take()) == ["one@a", "two@a"]
    end(scheduler, "one@a", DONE)
    assert names(scheduler, scheduler.take()) == ["three@a"]


def test_a_chain_of_ten_thousand_steps_fails_without_recursion() -> None:
    chain = [f"s{number}" for number in range(10_000)]
    graph = build(
        ["a"],
        {step: ["a"] for step in chain},
        {step: [(before, True, True)] for before, step in pairwise(chain)},
    )
    scheduler = Scheduler(graph, Limits())
    scheduler.take()
    assert len(scheduler.ended(0, FAILED)) == 9_999


def test_a_restored_scheduler_goes_on_where_the_first_one_stood() -> None:
    first = linear(allowance=1)
    first.take()
    end(first, "one@a", FAILED)
    end(first, "one@b", DONE)
    second = Scheduler(first.graph, first.limits, first.state)
    assert second.state == first.state
    assert second.take() == first.take()


def test_the_reversed_graph_undoes_the_later_first() -> None:
    graph = build(TWO, {"one": TWO, "two": TWO}, {"two": [("one", True, True)]}).reversed()
    scheduler = Scheduler(graph, Limits(pass_failures=True))
    assert names(scheduler, scheduler.take()) == ["two@a", "two@b"]
    assert end(scheduler, "two@a", FAILED) == ["one@a"]
    end(scheduler, "two@b", DONE)
    assert names(scheduler, scheduler.take()) == ["one@b"]


# ---------------------------------------------------------------- random graphs


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    servers = draw(st.integers(1, 4))
    steps = []
    for number in range(draw(st.integers(1, 7))):
        targets = draw(st.sets(st.integers(0, servers - 1)))
        needed = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        needs = tuple(
            GraphNeed(step, draw(st.booleans()), draw(st.sampled_from([True, True, False])))
            for step in sorted(needed)
        )
        steps.append(
            GraphStep(
                f"s{number}",
                tuple(sorted(targets)),
                needs,
                draw(st.one_of(st.none(), st.integers(1, 2))),
                draw(st.one_of(st.none(), st.none(), st.integers(0, 2))),
            )
        )
    return Graph([f"h{server}" for server in range(servers)], steps)


ENDS = [DONE, DONE, DONE, DONE, TaskState.IN_PLACE, TaskState.SKIPPED, FAILED, UNREACHABLE, IN_DOUBT]


def needs_met(scheduler: Scheduler, index: int) -> bool:
    """The contract's rule, worked out the slow way from the states alone."""
    graph = scheduler.graph
    step, server = graph.step_of[index], graph.server_of[index]
    for need in graph.steps[step].needs:
        own = graph.task(need.step, server)
        if own is not None and need.hard and not scheduler.state[own].well:
            return False
        if not need.everywhere:
            if own is not None and not scheduler.state[own].ended:
                return False
            continue
        states = [scheduler.state[other] for other in graph.tasks_of(need.step)]
        if not all(state.ended for state in states):
            return False
        failed = sum(state in FAILING for state in states)
        own_allowance = graph.steps[need.step].allowance
        allowed = scheduler.limits.allowance if own_allowance is None else own_allowance
        if need.hard and failed > allowed and not scheduler.limits.pass_failures:
            return False
    return True


@settings(max_examples=200, deadline=None)
@given(
    graph=graphs(),
    limits=st.builds(
        Limits,
        parallel=st.integers(1, 6),
        per_server=st.integers(1, 2),
        allowance=st.integers(0, 3),
        pass_failures=st.booleans(),
    ),
    data=st.data(),
)
def test_any_graph_keeps_the_contract(graph: Graph, limits: Limits, data: st.DataObject) -> None:
    scheduler = Scheduler(graph, limits)
    running: list[int] = []
    started: set[int] = set()
    while True:
        for index in scheduler.take():
            assert index not in started, "started twice"
            assert needs_met(scheduler, index), "started before its needs"
            started.add(index)
            running.append(index)
        assert len(running) <= limits.parallel
        for server in range(len(graph.servers)):
            assert sum(graph.server_of[index] == server for index in running) <= limits.per_server
        for number, step in enumerate(graph.steps):
            if step.parallel is not None:
                assert sum(graph.step_of[index] == number for index in running) <= step.parallel
        if not running:
            break
        index = running.pop(data.draw(st.integers(0, len(running) - 1)))
        state = data.draw(st.sampled_from(ENDS))
        for blocked in scheduler.ended(index, state):
            assert blocked not in started, "blocked what had started"
        if data.draw(st.integers(0, 9)) == 0 and not running:
            # A crash between two tasks: a new scheduler from the stored states goes on alike.
            scheduler = Scheduler(graph, limits, scheduler.state, halted=scheduler.halted)
    verdict = scheduler.verdict()
    assert verdict is not Verdict.BUSY
    if verdict is Verdict.DONE:
        assert all(state.ended for state in scheduler.state)
    if not scheduler.halted and verdict is not Verdict.IN_DOUBT:
        for index, state in enumerate(scheduler.state):
            if state is WAITING:
                assert not needs_met(scheduler, index), "left behind"
    for index, state in enumerate(scheduler.state):
        if state is BLOCKED:
            own_step, server = graph.step_of[index], graph.server_of[index]
            causes = [graph.task(need.step, server) for need in graph.steps[own_step].needs if need.hard]
            assert any(cause is not None and not scheduler.state[cause].well for cause in causes)
