"""What each task of a plan would be handed: its command, the variables of its environment, paths and conditions.

A secret is named where it stands, never read. What depends on what earlier tasks print is not known before the run, and
is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from core.batch.references import templates_of
from core.config.paths import show
from core.engine.blobs import Blobs
from core.engine.contexts import Contexts
from core.engine.snapshot import Snapshot
from core.errors import NotFound
from core.model.ids import ENGINE_SERVER
from core.model.views import PlannedField, PlannedTask
from core.secrets.sealed import render
from core.template import TemplateFault, Uses, compile_condition, compile_text

MOST_CHARS = 2_000
LATER = "it depends on what earlier tasks print"
OF_THE_RUN = "the run's number and id are known once it has started"

Field = tuple[str, str]
"""What is handed over, and why that is not known ("" where it is)."""


def planned_tasks(snapshot: Snapshot, blobs: Blobs, step: str, after: int, limit: int) -> list[PlannedTask]:
    """The tasks of one step, in the order of its servers, behind the first `after` of them. Raises NotFound."""
    if step not in snapshot.targets:
        raise NotFound(f"the plan has no step {step!r}", hint=f"it has {', '.join(snapshot.targets)}")
    contexts = contexts_of(snapshot)
    return [
        PlannedTask(
            step,
            server,
            tuple(
                PlannedField(name, _cut(text), why)
                for name, (text, why) in fields(
                    snapshot, contexts, step, server, blobs, as_planned=True
                ).items()
            ),
        )
        for server in snapshot.targets[step][after : after + limit]
    ]


def contexts_of(snapshot: Snapshot) -> Contexts:
    """The contexts of a run that has no number yet."""
    return Contexts(
        params=snapshot.params,
        servers=snapshot.servers.values(),
        users=snapshot.users,
        number=0,
        run_id="0" * 32,
        batch=snapshot.loaded.batch.name,
        config=snapshot.config,
        environment=snapshot.environment,
        env=snapshot.env,
    )


def fields(
    snapshot: Snapshot,
    contexts: Contexts,
    step_name: str,
    server: str,
    blobs: Blobs,
    wanted: Callable[[Uses], object] = lambda uses: True,
    *,
    as_planned: bool = False,
) -> dict[str, Field]:
    """Everything of one task that a text of the batch gives, where what that text uses is `wanted`.

    What depends on earlier tasks is told by the values of the configuration that it uses, `as_planned` by the text of
    the batch.
    """
    batch = snapshot.loaded.batch
    step = batch.steps[step_name]
    context = contexts.of(step_name, server)
    texts = {" ".join(map(str, path)): text for path, text in templates_of(step)}
    if server != ENGINE_SERVER:
        texts |= {f"env {name}": text for name, text in batch.env.items() if name not in step.env}
    found: dict[str, Field] = {}
    for name, text in texts.items():
        template = compile_text(text)
        if wanted(template.uses):
            found[name] = _worked_out(
                template.uses, partial(render, template, context), snapshot, text if as_planned else None
            )
    if step.when is not None:
        condition = compile_condition(step.when)
        if wanted(condition.uses):
            told = _worked_out(
                condition.uses,
                lambda: "holds" if condition.holds(context) else "does not hold",
                snapshot,
                step.when if as_planned else None,
            )
            found["when"] = told
    if step.upload is not None and step.upload.template:
        found |= _uploaded(snapshot, step.upload.source, context, blobs, wanted, as_planned=as_planned)
    return found


def _uploaded(
    snapshot: Snapshot,
    source: str,
    context: Mapping[str, Any],
    blobs: Blobs,
    wanted: Callable[[Uses], object],
    *,
    as_planned: bool,
) -> dict[str, Field]:
    """The text of an uploaded template."""
    try:
        path = compile_text(source).render(context)
        with blobs.open(path) as stream:
            text = stream.read().decode()
            template = compile_text(text)
    except (TemplateFault, OSError, UnicodeError):
        return {}
    if not wanted(template.uses):
        return {}
    return {
        f"text of {path}": _worked_out(
            template.uses, lambda: template.render(context), snapshot, text if as_planned else None
        )
    }


def _worked_out(uses: Uses, work: Callable[[], object], snapshot: Snapshot, planned: str | None) -> Field:
    """`planned` is the batch's own text where that stands for what is not known yet."""
    if uses.results:
        if planned is not None:
            return planned, LATER
        values = [
            f"{show(path)}={_look_up(snapshot.config, path)!r}" for path in sorted(uses.config, key=str)
        ]
        return "; ".join(values), LATER
    try:
        return str(work()), OF_THE_RUN if planned is not None and "run" in uses.names else ""
    except TemplateFault as error:
        return "", error.message


def _cut(text: str) -> str:
    left = len(text) - MOST_CHARS
    return text if left <= 0 else f"{text[:MOST_CHARS]}\n… and {left} more characters"


def _look_up(config: Mapping[str, Any], path: tuple[str | int, ...]) -> Any:
    found: Any = config
    for part in path:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return None
    return found
