"""A batch against an inventory: which servers each step runs on, and what its selectors name in vain."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from core.batch.load import LoadedBatch
from core.batch.selector import Selector, SelectorTarget, parse_selector
from core.errors import Fault
from core.model.ids import ENGINE_SERVER

MOST_HINTS = 20
"""For so many faults a name that is meant is looked for."""


def check_targets(loaded: LoadedBatch, servers: Sequence[SelectorTarget]) -> list[Fault]:
    """Faults for groups, names, labels and providers that no server of the inventory has."""
    known = {
        "group": sorted({group for server in servers for group in server.groups}),
        "name": [server.name for server in servers],
        "provider": sorted({server.provider for server in servers}),
        "label": sorted({key for server in servers for key in server.labels}),
    }
    there = {kind: frozenset(candidates) for kind, candidates in known.items()}
    faults: list[Fault] = []
    for step_name, step in loaded.batch.steps.items():
        if step.on_engine:
            continue
        for kind, value, offset in parse_selector(step.on).mentions:
            wanted = value.partition("=")[0] if kind == "label" else value
            if wanted in there[kind]:
                continue
            pattern = any(mark in wanted for mark in "*?[")
            if pattern and any(fnmatch.fnmatchcase(candidate, wanted) for candidate in known[kind]):
                continue
            if kind == "name" and pattern:
                continue  # a pattern may match nothing: the plan warns where a step has no server
            line, column = loaded.at("steps", step_name, "on")
            node = loaded.document.node("steps", step_name, "on")
            if node is not None and not node.block:
                column += offset + (1 if node.quoted else 0)
            # Looking for a near one costs: not for each of thousands of wrong names.
            near = difflib.get_close_matches(wanted, known[kind], n=1) if len(faults) < MOST_HINTS else []
            listed = ", ".join(known[kind][:8])
            hint = (
                f"did you mean {kind}:{near[0]}?"
                if near
                else (f"the inventory has {listed}" if listed else "")
            )
            noun = {"name": "server"}.get(kind, kind)
            faults.append(
                Fault(
                    loaded.file,
                    line,
                    column,
                    f"no server has {noun} {wanted!r}"
                    if kind != "name"
                    else f"there is no server {wanted!r}",
                    hint,
                )
            )
    return faults


def resolve(
    loaded: LoadedBatch, servers: Sequence[SelectorTarget], limit: Selector | None = None
) -> dict[str, list[str]]:
    """Step → names of its servers, both in order; steps of the engine run on the server `engine`."""
    pool = [server for server in servers if limit is None or limit.matches(server)]
    cache: dict[str, list[str]] = {}
    targets: dict[str, list[str]] = {}
    for name, step in loaded.batch.steps.items():
        if step.on_engine:
            targets[name] = [ENGINE_SERVER]
            continue
        if step.on not in cache:
            selector = parse_selector(step.on)
            cache[step.on] = [server.name for server in pool if selector.matches(server)]
        targets[name] = cache[step.on]
    return targets
