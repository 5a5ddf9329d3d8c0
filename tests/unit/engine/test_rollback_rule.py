"""The rollback rule over random runs: exactly what was handed over is undone, the later first."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.engine.executor import Answer, Ended, InDoubt, NotStarted, Work
from core.model.ids import AttemptRef
from core.model.states import Purpose, RunState, TaskState, UndoState
from tests.support.lab import ACTOR, Lab
from tests.support.memory import Reply

ENDS: dict[str, Answer] = {
    "ok": Ended(0),
    "failed": Ended(1),
    "lost": InDoubt("lost"),
    "never": NotStarted("never sent"),
}


@st.composite
def runs(draw: st.DrawFn) -> tuple[str, dict[str, str], dict[tuple[str, str], set[tuple[str, str]]]]:
    """A batch, how each of its tasks ends, and which tasks each task has waited for."""
    steps: list[str] = []
    ends: dict[str, str] = {}
    waited: dict[tuple[str, str], set[tuple[str, str]]] = {}
    targets: list[list[str]] = []
    for number in range(draw(st.integers(1, 5))):
        on = draw(st.sampled_from(["all", "name:a", "name:b"]))
        servers = ["a", "b"] if on == "all" else [on[-1]]
        targets.append(servers)
        needs = []
        for needed in sorted(draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()):
            scope = draw(st.sampled_from(["all", "server"]))
            kind = draw(st.sampled_from(["hard", "hard", "soft"]))
            needs.append(f"{{step: s{needed}, scope: {scope}, kind: {kind}}}")
            for server in servers:
                for other in targets[needed]:
                    if scope == "all" or other == server:
                        waited.setdefault((f"s{number}", server), set()).add((f"s{needed}", other))
        undo = ", undo: back" if draw(st.integers(0, 3)) else ""
        steps.append(f"  s{number}: {{run: go, on: '{on}', needs: [{', '.join(needs)}]{undo}}}\n")
        for server in servers:
            ends[f"s{number}@{server}"] = draw(st.sampled_from(["ok", "ok", "ok", *ENDS]))
    undo_failed = draw(st.booleans())
    head = f"strategy: {{on_failure: continue, undo_failed: {str(undo_failed).lower()}}}\nsteps:\n"
    return head + "".join(steps), ends, waited


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs())
def test_a_rollback_undoes_exactly_what_was_handed_over_in_reverse(
    drawn: tuple[str, dict[str, str], dict[tuple[str, str], set[tuple[str, str]]]],
) -> None:
    asyncio.run(_check(*drawn))


async def _check(
    text: str, ends: dict[str, str], waited: dict[tuple[str, str], set[tuple[str, str]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder) / "lab")

        def rule(ref: AttemptRef, work: Work) -> Reply | None:
            if ref.purpose is Purpose.RUN:
                return Reply(ENDS[ends[f"{ref.step}@{ref.server}"]])
            return None

        lab.memory.rule = rule
        async with lab.engine() as engine:
            await lab.run(engine, lab.batch(text))
            handed = {effect.split()[0] for effect in lab.memory.effects}
            with_undo = {line.split(":")[0].strip() for line in text.splitlines() if "undo: back" in line}
            before = await lab.states(engine)
            undone_failed = "undo_failed: true" in text
            expected = {
                name
                for name in handed
                if name.partition("@")[0] in with_undo
                # A task in doubt is decided as failed when the run is rolled back.
                and (undone_failed or before[name] not in ("failed", "in_doubt"))
            }
            if not any(name.partition("@")[0] in with_undo for name in handed):
                return
            await engine.roll_back(1, actor=ACTOR)
            run = await engine.wait(1)
            assert run.state is RunState.ROLLED_BACK
            undos = [effect.split()[0] for effect in lab.memory.effects if " undo " in effect]
            assert len(undos) == len(set(undos))
            assert set(undos) == expected
            place = {name: index for index, name in enumerate(undos)}
            for (step, server), earlier in waited.items():
                for other_step, other in earlier:
                    later_name, earlier_name = f"{step}@{server}", f"{other_step}@{other}"
                    if later_name in place and earlier_name in place:
                        assert place[later_name] < place[earlier_name], "undone before what rested on it"
            for task in await engine.tasks(1):
                assert task.undo is (UndoState.UNDONE if str(task.key) in expected else UndoState.NONE)
                assert task.state is not TaskState.IN_DOUBT
