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
