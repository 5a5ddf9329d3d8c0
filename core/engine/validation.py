"""Every fault of one batch, without touching a server: its text, and its plan in each environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.engine.api import Engine, PlanRequest
from core.errors import Fault, InputError
from core.model.views import BatchInfo, WorkspaceInfo


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of a batch. `planned` is False where no plan was made: it has faults, or needs parameters.

    `needs` are the parameters without which there is no plan; `warnings` are those of its plans.
    """

    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    planned: bool = False


def environments_of(info: WorkspaceInfo) -> Sequence[str]:
    """The environments that a batch is checked for, [""] where the workspace has none."""
    return [known.name for known in info.environments if known.declared] or [""]


async def check_batch(
    engine: Engine, batch: BatchInfo, environments: Sequence[str], *, empty: bool = False
) -> Checked:
    """Looks at a batch with its defaults; in a workspace without servers (`empty`) one that finds none is no fault.

    Raises what a plan raises but InputError, which becomes faults.
    """
    if batch.faults:
        return Checked(batch.faults)
    needs = tuple(param.name for param in batch.params if param.required)
    if needs:
        return Checked(needs=needs)
    faults: list[Fault] = []
    warnings: list[str] = []
    planned = False
    for environment in environments:
        try:
            told = (await engine.plan(PlanRequest(batch.path, environment=environment))).warnings
        except InputError as error:
            if empty and not error.faults:
                warnings = ["there is no server yet"]
                continue
            found = error.faults or (Fault(batch.path, 0, 0, error.message, error.hint),)
            faults += [fault for fault in found if fault not in faults]
        else:
            planned = True
            warnings += [warning for warning in told if warning not in warnings]
    return Checked(tuple(faults), tuple(warnings), planned=planned)
