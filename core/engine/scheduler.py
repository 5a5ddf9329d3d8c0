"""Which tasks may start now: a pure machine without clocks, input or output.

The scheduler is told what ended and says what may start. It counts: a needed step's barrier is the
number of its tasks that have not ended, a task's own needs are the number of needed tasks on its
server. Nothing grows with tasks × tasks and nothing recurses.

Rules (docs/architecture/semantics.md, "Dependencies and failures"):

- scope all waits until every task of the needed step ended (blocked and unreachable count), its
  failures are within the allowance, and the task's own server ended well in it;
- scope server waits for the needed task on the same server, and is satisfied where there is none;
- a task in doubt has not ended: it holds the barrier until it is decided;
- a task is blocked only through its own hard needs, transitively on its server;
- more failing servers than allowed halt the run (nothing new starts), unless failures are passed over.
"""

from __future__ import annotations

import heapq
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.engine.graph import Graph
from core.model.states import FAILING, TaskState

KEPT = frozenset(state for state in TaskState if state.ended and state is not TaskState.BLOCKED) | {
    TaskState.IN_DOUBT
}
"""Stored states that a restored scheduler takes as they are; all others wait again."""


class Verdict(StrEnum):
    """Where the tasks of a run stand as a whole."""

    BUSY = "busy"  # something runs, or may start
    IN_DOUBT = "in_doubt"  # nothing can go on before a decision
    FAILED = "failed"  # halted, or more failures than allowed
    DONE = "done"  # everything ended, failures within the allowance


@dataclass(frozen=True, slots=True)
class Limits:
    """How much runs at once, and how many servers may fail.

    `pass_failures` is `on_failure: continue`: barriers open whatever the number and nothing halts.
    """

    parallel: int = 50
    per_server: int = 1
    allowance: int = 0
    pass_failures: bool = False


class Scheduler:
    """Tasks by index over a graph. Every method is linear in what it changes."""

    def __init__(
        self,
        graph: Graph,
        limits: Limits,
        states: Sequence[TaskState] | None = None,
        *,
        halted: bool = False,
    ) -> None:
        """Starts from `states` (all waiting when None): what runs must have been settled before.

        Stored blocked states are worked out anew, since what blocked them may have been opened again;
        the result is in `state`. `halted` continues a run that its failures had halted.
        """
        self.graph = graph
        self.limits = limits
        self.halted = halted
        self.held = False
        self.state: list[TaskState] = [TaskState.WAITING] * graph.tasks
        self.running: set[int] = set()
        self.in_doubt: set[int] = set()
        self.failed_servers: dict[int, int] = {}
        self.failed_in_step = array("L", [0]) * len(graph.steps)
        self._left = array("L", (len(step.servers) for step in graph.steps))
        self._closed_barriers = array(
            "L", (sum(need.everywhere for need in step.needs) for step in graph.steps)
        )
        self._open_needs = array("L", [0]) * graph.tasks
        self._ready: list[deque[int]] = [deque() for _ in graph.steps]
        self._ready_count = 0
        self._steps_ready: list[int] = []  # heap of steps with ready tasks and room
        self._queued = bytearray(len(graph.steps))  # 1 while a step is in the heap
        self._step_running = array("L", [0]) * len(graph.steps)
        self._server_running = array("L", [0]) * len(graph.servers)
        self._parked: dict[int, deque[int]] = {}
        self._doomed = bytearray(graph.tasks)  # 1 once a hard need on the task's server failed
        self._building = True  # nothing becomes ready before every stored end is counted
        self._count_needs()
        self._restore(states)

    # ------------------------------------------------------------ asking

    def take(self) -> list[int]:
        """The tasks to start now; they are running from here on."""
        started: list[int] = []
        if self.halted or self.held:
            return started
        while self._steps_ready and len(self.running) < self.limits.parallel:
            step = heapq.heappop(self._steps_ready)
            self._queued[step] = 0
            ready = self._ready[step]
            bound = self.graph.steps[step].parallel
            while ready and len(self.running) < self.limits.parallel:
                if bound is not None and self._step_running[step] >= bound:
                    break
                task = ready.popleft()
                server = self.graph.server_of[task]
                if self._server_running[server] >= self.limits.per_server:
                    self._parked.setdefault(server, deque()).append(task)
                    continue
                self._ready_count -= 1
                self._step_running[step] += 1
                self._server_running[server] += 1
                self.running.add(task)
                self.state[task] = TaskState.RUNNING
                started.append(task)
            self._offer(step)
        return started

    def verdict(self) -> Verdict:
        """Where the run stands as a whole."""
        if self.running or (self._ready_count and not self.halted):
            return Verdict.BUSY
        if self.in_doubt:
            return Verdict.IN_DOUBT
        if self.halted or self._over_allowance() or any(left for left in self._left):
            return Verdict.FAILED
        return Verdict.DONE

    def may_start(self) -> bool:
        """True when a task is ready and nothing but limits or a hold keeps it."""
        return bool(self._ready_count) and not self.halted

    # ------------------------------------------------------------ telling

    def ended(self, task: int, state: TaskState) -> list[int]:
        """Tells that a task ended, or came in doubt; returns the tasks that this blocked.

        A task in doubt gives its place back and holds its dependents.
        """
        self._leave(task)
        if state is TaskState.IN_DOUBT:
            self.in_doubt.add(task)
            self.state[task] = state
            return []
        blocked = self._settle(task, state)
        if state in FAILING and not self.limits.pass_failures and self._exceeded(task):
            self.halted = True
        return blocked

    def adopt(self, task: int) -> None:
        """Takes a task in doubt as running: what it started is followed again, whatever holds the run."""
        self.in_doubt.discard(task)
        self.running.add(task)
        self.state[task] = TaskState.RUNNING
        self._step_running[self.graph.step_of[task]] += 1
        self._server_running[self.graph.server_of[task]] += 1

    def again(self, task: int) -> None:
        """Opens a task that runs or is in doubt again: its needs stay met, it waits for a place."""
        self._leave(task)
        self.state[task] = TaskState.WAITING
        self._make_ready(task)

    # ------------------------------------------------------------ building

    def _count_needs(self) -> None:
        for number, step in enumerate(self.graph.steps):
            own = [need.step for need in step.needs if not need.everywhere]
            if not own:
                continue
            for task in self.graph.tasks_of(number):
                server = self.graph.server_of[task]
                self._open_needs[task] = sum(self.graph.task(needed, server) is not None for needed in own)

    def _restore(self, states: Sequence[TaskState] | None) -> None:
        for number, step in enumerate(self.graph.steps):
            if not step.servers:
                self._barrier_reached(number)
        if states is not None:
            # Stored ends stand, whatever their needs say now: they cannot be blocked any more.
            kept = [task for task, state in enumerate(states) if state in KEPT]
            for task in kept:
                self._doomed[task] = 1
            for task in kept:
                if states[task] is TaskState.IN_DOUBT:
                    self.in_doubt.add(task)
                    self.state[task] = TaskState.IN_DOUBT
                else:
                    self._settle(task, states[task])
            for task in kept:
                self._doomed[task] = 0
        self._building = False
        for number in range(len(self.graph.steps)):
            if not self._closed_barriers[number]:
                self._step_opened(number)

    # ------------------------------------------------------------ counting

    def _leave(self, task: int) -> None:
        """Gives back the places of a running task and lets those parked behind it come."""
        self.in_doubt.discard(task)
        if task not in self.running:
            return
        self.running.remove(task)
        step, server = self.graph.step_of[task], self.graph.server_of[task]
        self._step_running[step] -= 1
        self._server_running[server] -= 1
        self._offer(step)
        parked = self._parked.get(server)
        if parked:
            waiting = parked.popleft()
            if not parked:
                del self._parked[server]
            back = self.graph.step_of[waiting]
            self._ready[back].appendleft(waiting)
            self._offer(back)

    def _settle(self, task: int, state: TaskState) -> list[int]:
        """Records ends and everything that follows from them: barriers, own needs, blocked tasks."""
        blocked: list[int] = []
        pending = [(task, state)]
        while pending:
            task, state = pending.pop()
            if self.state[task].ended:
                continue
            self.state[task] = state
            if state is TaskState.BLOCKED:
                blocked.append(task)
            step, server = self.graph.step_of[task], self.graph.server_of[task]
            if state in FAILING:
                self.failed_in_step[step] += 1
                if self.graph.steps[step].allowance is None:
                    self.failed_servers[server] = self.failed_servers.get(server, 0) + 1
            for dependent, need in self.graph.dependents[step]:
                other = self.graph.task(dependent, server)
                if other is None:
                    continue
                if need.hard and not state.well and not self._doomed[other]:
                    self._doomed[other] = 1
                    pending.append((other, TaskState.BLOCKED))
                if not need.everywhere:
                    self._open_needs[other] -= 1
                    if not self._open_needs[other] and not self._closed_barriers[dependent]:
                        self._make_ready(other)
            self._left[step] -= 1
            if not self._left[step]:
                self._barrier_reached(step)
        return blocked

    def _barrier_reached(self, step: int) -> None:
        """Every task of `step` has ended: opens its barrier for those that wait for all of it."""
        passed = self.limits.pass_failures or not self._step_over_allowance(step)
        for dependent, need in self.graph.dependents[step]:
            if need.everywhere and (passed or not need.hard):
                self._closed_barriers[dependent] -= 1
                if not self._closed_barriers[dependent]:
                    self._step_opened(dependent)

    def _step_opened(self, step: int) -> None:
        for task in self.graph.tasks_of(step):
            if not self._open_needs[task]:
                self._make_ready(task)

    def _make_ready(self, task: int) -> None:
        if self._building or self._doomed[task]:
            return
        if self.state[task] is TaskState.WAITING:
            step = self.graph.step_of[task]
            self._ready[step].append(task)
            self._ready_count += 1
            self._offer(step)

    def _offer(self, step: int) -> None:
        """Puts a step with ready tasks and room into the heap, once."""
        if self._queued[step] or not self._ready[step]:
            return
        bound = self.graph.steps[step].parallel
        if bound is None or self._step_running[step] < bound:
            self._queued[step] = 1
            heapq.heappush(self._steps_ready, step)

    # ------------------------------------------------------------ failures

    def _step_over_allowance(self, step: int) -> bool:
        own = self.graph.steps[step].allowance
        return self.failed_in_step[step] > (self.limits.allowance if own is None else own)

    def _exceeded(self, task: int) -> bool:
        step = self.graph.step_of[task]
        if self.graph.steps[step].allowance is not None:
            return self._step_over_allowance(step)
        return len(self.failed_servers) > self.limits.allowance

    def _over_allowance(self) -> bool:
        return len(self.failed_servers) > self.limits.allowance or any(
            step.allowance is not None and self.failed_in_step[number] > step.allowance
            for number, step in enumerate(self.graph.steps)
        )
