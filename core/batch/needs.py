"""Which step waits for which: explicit needs, and those that the strategy's order implies.

Everything is iterative: a chain of ten thousand steps is as good as one of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.batch.model import Batch, Need


def effective_needs(batch: Batch) -> dict[str, tuple[Need, ...]]:
    """Every step's needs, the implied ones included; optional needs on absent steps are left out.

    Without `needs` a step waits for the one before it: on all servers (order linear) or on the same one
    (order free). Where one of the two runs on the engine there is no same server, so it waits for all.
    """
    needs: dict[str, tuple[Need, ...]] = {}
    before = ""
    for name, step in batch.steps.items():
        if step.needs is not None:
            needs[name] = tuple(need for need in step.needs if need.step in batch.steps)
        elif before:
            free = batch.strategy.order == "free" and not (step.on_engine or batch.steps[before].on_engine)
            needs[name] = (Need(step=before, scope="server" if free else "all"),)
        else:
            needs[name] = ()
        before = name
    return needs


def find_cycle(needs: Mapping[str, Sequence[Need]]) -> list[str]:
    """The steps of one cycle, each needing the next, the first one again at the end; [] without one."""
    done: set[str] = set()
    for root in needs:
        if root in done:
            continue
        path: list[str] = [root]
        on_path = {root}
        waiting = [iter(needs[root])]
        while waiting:
            need = next(waiting[-1], None)
            if need is None:
                waiting.pop()
                finished = path.pop()
                on_path.discard(finished)
                done.add(finished)
            elif need.step in on_path:
                return [*path[path.index(need.step) :], need.step]
            elif need.step in needs and need.step not in done:
                path.append(need.step)
                on_path.add(need.step)
                waiting.append(iter(needs[need.step]))
    return []


def find_cycles(needs: Mapping[str, Sequence[Need]], at_most: int = 20) -> list[list[str]]:
    """Cycles that share no step, each as `find_cycle` gives it; a step that needs itself is none here."""
    left: dict[str, Sequence[Need]] = {
        step: [need for need in of_step if need.step != step] for step, of_step in needs.items()
    }
    cycles: list[list[str]] = []
    while len(cycles) < at_most and (cycle := find_cycle(left)):
        cycles.append(cycle)
        for step in cycle[:-1]:
            left[step] = ()
    return cycles


class Reach:
    """Which steps every step waits for, directly or through others, and which of them on all servers.

    One bit for each step: built once, in the order of the needs, so that a document of ten thousand steps
    with as many references is checked in a moment. Only for needs without a cycle and without a gap.
    """

    def __init__(self, needs: Mapping[str, Sequence[Need]]) -> None:
        self._number = {step: number for number, step in enumerate(needs)}
        self._behind: dict[str, int] = {}
        self._behind_all: dict[str, int] = {}
        pending = list(needs)[::-1]
        while pending:
            step = pending[-1]
            if step in self._behind:
                pending.pop()
                continue
            open_needs = [need.step for need in needs[step] if need.step not in self._behind]
            if open_needs:
                pending.extend(open_needs)
                continue
            pending.pop()
            behind = behind_all = 0
            for need in needs[step]:
                through = self._behind[need.step] | 1 << self._number[need.step]
                behind |= through
                behind_all |= through if need.scope == "all" else self._behind_all[need.step]
            self._behind[step], self._behind_all[step] = behind, behind_all

    def waits_for(self, step: str, other: str) -> bool:
        """True where `other` has ended, at least on the same server, before `step` may start."""
        return bool(self._behind[step] >> self._number[other] & 1)

    def waits_for_all(self, step: str, other: str) -> bool:
        """True where `other` has ended on all its servers before `step` may start."""
        return bool(self._behind_all[step] >> self._number[other] & 1)


def transitive_needs(needs: Mapping[str, Sequence[Need]], step: str) -> set[str]:
    """Every step that has ended before `step` may start."""
    found: set[str] = set()
    pending = [need.step for need in needs[step]]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(need.step for need in needs[name])
    return found
