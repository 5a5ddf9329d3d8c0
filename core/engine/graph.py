"""The expanded graph of a run: steps, servers and tasks as integers, dependencies by step.

A task's index is its step's first index plus the position of its server among the step's servers, so
that memory grows with tasks and with dependencies between steps, never with tasks × tasks. The same
indexes serve the run and its rollback, whose graph is the reverse of this one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.model.ids import TaskKey


@dataclass(frozen=True, slots=True)
class GraphNeed:
    """A dependency on step number `step`. `everywhere` is scope all; `hard` blocks when it failed."""

    step: int
    everywhere: bool
    hard: bool


@dataclass(frozen=True, slots=True)
class GraphStep:
    """A step with the servers it runs on (indexes into `Graph.servers`).

    `parallel` bounds its tasks at once (None: no bound of its own); `allowance` is how many of its
    servers may fail (None: the run's allowance counts).
    """

    name: str
    servers: Sequence[int]
    needs: tuple[GraphNeed, ...] = ()
    parallel: int | None = None
    allowance: int | None = None


class Graph:
    """Steps, servers and tasks. Immutable once built."""

    __slots__ = (
        "_keys",
        "_positions",
        "dependents",
        "first",
        "server_of",
        "servers",
        "step_of",
        "steps",
        "tasks",
    )

    def __init__(self, servers: Sequence[str], steps: Sequence[GraphStep]) -> None:
        self.servers = tuple(servers)
        self.steps = tuple(steps)
        self.first = array("L")
        self.step_of = array("L")
        self.server_of = array("L")
        # Steps on the same servers (most of a batch) share one map from server to position.
        shared: dict[tuple[int, ...], dict[int, int]] = {}
        self._positions: list[dict[int, int]] = []
        for number, step in enumerate(self.steps):
            self.first.append(len(self.step_of))
            key = tuple(step.servers)
            if key not in shared:
                shared[key] = {server: position for position, server in enumerate(key)}
            self._positions.append(shared[key])
            self.step_of.extend([number] * len(key))
            self.server_of.extend(key)
        self.tasks = len(self.step_of)
        self._keys: list[TaskKey | None] = [None] * self.tasks  # made when first asked for
        dependents: list[list[tuple[int, GraphNeed]]] = [[] for _ in self.steps]
        for number, step in enumerate(self.steps):
            for need in step.needs:
                dependents[need.step].append((number, need))
        self.dependents = tuple(tuple(entries) for entries in dependents)

    def task(self, step: int, server: int) -> int | None:
        """The index of the task of `step` on `server`, None where the step does not target it."""
        position = self._positions[step].get(server)
        return None if position is None else self.first[step] + position

    def tasks_of(self, step: int) -> range:
        """The indexes of a step's tasks."""
        return range(self.first[step], self.first[step] + len(self.steps[step].servers))

    def key(self, task: int) -> TaskKey:
        """The identity of a task."""
        key = self._keys[task]
        if key is None:
            key = TaskKey(self.steps[self.step_of[task]].name, self.servers[self.server_of[task]])
            self._keys[task] = key
        return key

    def index(self, key: TaskKey) -> int | None:
        """The index of a task by its identity, None where there is no such task."""
        for number, step in enumerate(self.steps):
            if step.name == key.step:
                return (
                    self.task(number, self.servers.index(key.server)) if key.server in self.servers else None
                )
        return None

    def keys(self) -> Iterator[TaskKey]:
        """Every task's identity, by index."""
        return map(self.key, range(self.tasks))

    def reversed(self) -> Graph:
        """The graph of the rollback: each need turned round, all of them hard, the limits kept.

        Every step and task keeps its index. A soft need orders the undos as well as a hard one does:
        what was done later is undone first.
        """
        needs: list[list[GraphNeed]] = [[] for _ in self.steps]
        for number, step in enumerate(self.steps):
            for need in step.needs:
                needs[need.step].append(GraphNeed(number, need.everywhere, hard=True))
        return Graph(
            self.servers,
            [
                GraphStep(step.name, step.servers, tuple(turned), step.parallel)
                for step, turned in zip(self.steps, needs, strict=True)
            ],
        )


def build(
    servers: Sequence[str],
    targets: Mapping[str, Sequence[str]],
    needs: Mapping[str, Sequence[tuple[str, bool, bool]]],
    parallel: Mapping[str, int] | None = None,
    allowances: Mapping[str, int] | None = None,
) -> Graph:
    """A graph from names: `targets` maps each step, in document order, to its servers; `needs` maps a step
    to (needed step, scope is all, is hard).
    """
    numbers = {server: number for number, server in enumerate(servers)}
    order = {step: number for number, step in enumerate(targets)}
    return Graph(
        servers,
        [
            GraphStep(
                step,
                tuple(numbers[server] for server in named),
                tuple(
                    GraphNeed(order[needed], everywhere, hard)
                    for needed, everywhere, hard in needs.get(step, ())
                ),
                (parallel or {}).get(step),
                (allowances or {}).get(step),
            )
            for step, named in targets.items()
        ],
    )
