"""From a step and a context to work: everything rendered, nothing left to look up.

The same functions serve the plan (which renders what does not depend on results, to find every fault
before any side effect) and the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.batch.model import Batch, Step
from core.engine.blobs import Blobs, FileRef
from core.engine.executor import Command, HttpProbe, PortProbe, Upload, Work
from core.errors import InputError
from core.model.ids import AttemptRef
from core.secrets.sealed import render
from core.template import compile_condition, compile_text

DEFAULT_GUARD_TIMEOUT_S = 60.0
DEFAULT_WAIT_TIMEOUT_S = 300.0
DEFAULT_UPLOAD_TIMEOUT_S = 600.0


def environment(batch: Batch, step: Step, context: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a step's commands: the batch's, then the step's, rendered; secrets stay sealed."""
    if not batch.env and not step.env:
        return {}
    return {name: render(compile_text(value), context) for name, value in {**batch.env, **step.env}.items()}


def identity(ref: AttemptRef) -> dict[str, str]:
    """The variables by which a command knows what it is part of."""
    return {
        "WINDLASS_RUN": ref.run_id,
        "WINDLASS_STEP": ref.step,
        "WINDLASS_SERVER": ref.server,
        "WINDLASS_ATTEMPT": str(ref.attempt),
    }


def command(
    batch: Batch,
    step: Step,
    text: str,
    context: Mapping[str, Any],
    ref: AttemptRef,
    *,
    repeats: bool = False,
) -> Command:
    """One of a step's commands (run, check, verify, undo, wait) with the step's environment and sudo.

    `repeats` for those that change nothing.
    """
    return Command(
        text=compile_text(text).render(context),
        env={**environment(batch, step, context), **identity(ref)},
        sudo=step.sudo,
        supervise=batch.supervise if step.supervise is None else step.supervise,
        repeats=repeats,
        discard=step.output == "discard",
    )


def condition_holds(step: Step, context: Mapping[str, Any]) -> bool:
    """Whether the step's `when` holds; True without one."""
    return step.when is None or compile_condition(step.when).holds(context)


def main_work(
    batch: Batch,
    step: Step,
    context: Mapping[str, Any],
    ref: AttemptRef,
    files: Mapping[str, FileRef],
    blobs: Blobs,
) -> Work:
    """What an attempt of the step hands over. Raises TemplateFault and InputError, before any side effect."""
    if step.upload is not None:
        return _upload(step, context, files, blobs)
    if step.wait is not None:
        wait = step.wait
        if wait.command is not None:
            return command(batch, step, wait.command, context, ref, repeats=True)
        if wait.port is not None:
            return PortProbe(wait.port, compile_text(wait.host).render(context))
        if wait.http is not None:
            return HttpProbe(
                url=compile_text(wait.http.url).render(context),
                status=tuple(wait.http.status),
                contains=compile_text(wait.http.contains or "").render(context),
                timeout_s=wait.http.timeout_s,
            )
    if step.run is None:
        raise InputError(f"step {step.name} has nothing to do")
    return command(batch, step, step.run, context, ref)


def upload_source(step: Step, context: Mapping[str, Any]) -> str:
    """The workspace path of the file that the step uploads to one server, rendered."""
    return compile_text(step.upload.source).render(context) if step.upload else ""


def _upload(step: Step, context: Mapping[str, Any], files: Mapping[str, FileRef], blobs: Blobs) -> Upload:
    spec = step.upload
    if spec is None:
        raise InputError(f"step {step.name} uploads nothing")
    source = upload_source(step, context)
    try:
        stored = files[source]
    except KeyError:
        raise InputError(f"{source} was not part of the plan, so no copy of it is known") from None
    path, digest = blobs.find(stored), stored.digest
    if spec.template:
        try:
            rendered = rendered_file(path, context)
            digest = blobs.keep_bytes(rendered.encode())
        except (OSError, UnicodeError) as error:
            raise InputError(
                f"{source} cannot be rendered for {context['server']['name']}: {error}"
            ) from error
        path = blobs.path(digest)
    return Upload(path, compile_text(spec.target).render(context), digest, spec.mode)


def timeout_of(step: Step) -> float | None:
    """How long the main work of a step may take, in seconds; None: as long as it wants."""
    if step.timeout_s is not None:
        return step.timeout_s
    if step.wait is not None:
        return DEFAULT_WAIT_TIMEOUT_S
    return DEFAULT_UPLOAD_TIMEOUT_S if step.upload is not None else None


def summary(step: Step) -> str:
    """A step in a few words, for lists: its command's first line, or what it places or waits for."""
    if step.upload is not None:
        return f"{step.upload.source} → {step.upload.target}"
    if step.wait is not None:
        wait = step.wait
        if wait.port is not None:
            return f"port {wait.port} on {wait.host}"
        return (
            wait.command.strip().partition("\n")[0]
            if wait.command
            else f"HTTP {wait.http.url if wait.http else ''}"
        )
    lines = (step.run or "").strip().splitlines()
    return lines[0] + (" …" if len(lines) > 1 else "") if lines else ""


def rendered_file(path: Path, context: Mapping[str, Any]) -> str:
    """A template file's text for one server. Raises TemplateFault; OSError and UnicodeError from reading."""
    return compile_text(path.read_text("utf-8")).render(context)
