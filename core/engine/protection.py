"""What a protected environment and a read-only workspace ask for; faces only pass on what a person typed.

In an environment with `protection: production` the name WORKSPACE/ENVIRONMENT must be given for a run with a
step that cannot be undone, for the first run of a batch text there, and for a rollback, and before
a file of the configuration that runs there use is edited. A run keeps the protection that it was started under:
taking it out of `workspace.yaml` later does not open its rollback.
"""

from __future__ import annotations

from dataclasses import replace

from core.errors import ConfirmationNeeded, NotPossible, ReadOnlyWorkspace
from core.model.actors import ENGINE, Actor, place
from core.model.views import Plan, RunInfo
from core.workspace.folder import Workspace
from core.workspace.settings import Protection

PRODUCTION = Protection.PRODUCTION.value
SHOWN_STEPS = 3
ENVIRONMENTS = "config/environments"
"""Where the files of environments lie; the configuration itself is loaded only where it is used."""


def protect(workspace: Workspace, plan: Plan, *, first: bool) -> Plan:
    """A plan with its environment's protection and what must be typed to start it.

    `first` tells that no run of this batch text was made in this environment yet.
    """
    protection = workspace.protection_of(plan.environment).value
    name = workspace.typed_name(plan.environment)
    plan = replace(plan, place=name)
    if protection != PRODUCTION:
        return replace(plan, protection=protection)
    lasting = [step.name for step in plan.steps if step.undo == "irreversible" and step.servers]
    why = []
    if lasting:
        more = f" and {len(lasting) - SHOWN_STEPS} more" if len(lasting) > SHOWN_STEPS else ""
        why.append(f"it cannot be undone ({', '.join(lasting[:SHOWN_STEPS])}{more})")
    if first:
        why.append("this text of the batch has never run here")
    return replace(plan, protection=protection, confirm=name if why else "", confirm_why=tuple(why))


def check_plan(plan: Plan, typed: str) -> None:
    """Raises ConfirmationNeeded where a plan asks for a name and it was not given."""
    if plan.confirm:
        _check(f"a run of {plan.batch}", plan.confirm, typed, "; ".join(plan.confirm_why))


def name_for_rollback(workspace: Workspace, run: RunInfo) -> str:
    """What must be typed to roll a run back; "" where nothing must be.

    A run from before the workspace had environments may have been of any of them: the most protected one counts.
    """
    names = [run.environment] if run.environment else ["", *(known.name for known in workspace.environments)]
    now = [workspace.protection_of(name).value for name in names]
    return workspace.typed_name(run.environment) if PRODUCTION in (*now, run.protection) else ""


def check_control(run: RunInfo, actor: str) -> None:
    """Raises NotPossible where somebody else has the control of a run; what no person asks for is let through."""
    asking = Actor.parse(actor)
    if run.controller and asking.name != ENGINE and asking.place != place(run.controller):
        raise NotPossible(
            f"{place(run.controller)} has the control of run {run.number}: others may only pause it",
            hint=f"`windlass runs control {run.number}` takes it over, and is recorded",
        )


def check_rollback(workspace: Workspace, run: RunInfo, typed: str) -> None:
    """Raises ConfirmationNeeded where a rollback asks for a name and it was not given."""
    name = name_for_rollback(workspace, run)
    if name:
        _check(f"the rollback of run {run.number}", name, typed, "it takes back what was done")


def check_changeable(workspace: Workspace) -> None:
    """Raises ReadOnlyWorkspace where the workspace says so."""
    if workspace.read_only:
        raise ReadOnlyWorkspace(
            f"the workspace {workspace.name} is read-only: nothing was changed",
            hint=f"{workspace.settings_file} says `read_only: true`; runs can be paused and cancelled all the same",
        )


def name_for_edit(workspace: Workspace, file: str) -> str:
    """What must be typed before a file of the configuration is changed; "" where nothing must be.

    The file of an environment asks where that is protected. What all environments share is used in the protected ones
    too: it asks for the first of them.
    """
    folder, _, name = file.rpartition("/")
    if folder == ENVIRONMENTS:
        names = [name.removesuffix(".yaml")]
    else:
        names = [known.name for known in workspace.known_environments()] or [""]
    for environment in names:
        if workspace.protection_of(environment) is Protection.PRODUCTION:
            return workspace.typed_name(environment)
    return ""


def check_edit(workspace: Workspace, file: str, typed: str) -> None:
    """Raises ReadOnlyWorkspace, and ConfirmationNeeded where an edit asks for a name and it was not given."""
    check_changeable(workspace)
    name = name_for_edit(workspace, file)
    if name:
        _check(f"an edit of {file}", name, typed, "runs in production use it")


def check_sound(workspace: Workspace) -> None:
    """Raises InputError with every fault of `workspace.yaml`, where it was opened in spite of them."""
    if workspace.broken is not None:
        raise workspace.broken


def _check(what: str, name: str, typed: str, why: str) -> None:
    if typed == name:
        return
    said = f"{typed!r} is not its name" if typed else "its name must be typed"
    raise ConfirmationNeeded(
        f"{name} is production, and {said} for {what}: {why}",
        name=name,
        hint=f"nothing was changed; `--confirm {name}` confirms it without a terminal",
    )
