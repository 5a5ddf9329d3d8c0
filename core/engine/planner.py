"""From a request to a plan: everything that can be wrong is found here, before any side effect.

The batch is loaded whole, its targets resolved against the inventory, its parameters read, its files
found, and every template rendered that does not depend on what earlier tasks will print. All faults
come at once, each with file, line and column.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from core.batch.load import LoadedBatch
from core.batch.needs import effective_needs
from core.batch.params import resolve_params
from core.batch.references import SECRET_IN_TEXT, secret_hint, templates_of
from core.batch.selector import parse_selector
from core.batch.targets import check_targets, resolve
from core.config.facts import Asked, no_variable
from core.engine import work
from core.engine.api import PlanRequest
from core.engine.blobs import Blobs, FileRef
from core.engine.configured import Configured, in_env, uses_of, variables_of
from core.engine.contexts import Contexts
from core.engine.snapshot import ENGINE, Snapshot, used_values
from core.errors import Fault, InputError
from core.model.ids import ENGINE_SERVER
from core.model.views import Plan, PlannedStep
from core.secrets.sealed import render
from core.template import TemplateFault, TextTemplate, Uses, compile_condition, compile_text
from core.workspace.find import SETTINGS_FILE
from core.workspace.folder import Workspace
from core.workspace.inside import OutsideError
from providers.base import Server, ServerState

if TYPE_CHECKING:
    from core.config.resolve import Resolver

SHOWN_FAULTS_PER_FIELD = 3
"""A template that fails on many servers is told for the first few of them."""


@dataclass(slots=True)
class Planned:
    """A plan with what a run is made from."""

    plan: Plan
    snapshot: Snapshot


@dataclass(slots=True)
class _Faults:
    """Faults of one document, in the order found; given out in source order."""

    loaded: LoadedBatch
    found: list[Fault] = field(default_factory=list)

    def add(self, path: Sequence[str | int], message: str, hint: str = "") -> None:
        line, column = self.loaded.at(*path)
        self.found.append(Fault(self.loaded.file, line, column, message, hint))

    def check(self) -> None:
        if self.found:
            ordered = sorted(self.found, key=lambda fault: (fault.line, fault.column))
            count = len(ordered)
            elsewhere = all(fault.file != self.loaded.file for fault in ordered)
            told = f"{self.loaded.file} cannot be planned" if elsewhere else self.loaded.file
            raise InputError(
                f"{told}: {count} fault{'s' if count > 1 else ''}, nothing was run",
                faults=ordered,
            )


def make_plan(
    loaded: LoadedBatch,
    request: PlanRequest,
    inventory: Sequence[Server],
    users: Mapping[str, str],
    blobs: Blobs,
    workspace: Workspace,
    *,
    keep_files: bool,
    open_config: Callable[[], Resolver],
    held: Mapping[str, int] | None = None,
    warnings: Sequence[str] = (),
) -> Planned:
    """Plans a loaded batch. `keep_files` copies what it uploads into the blobs (a run does, a plan does not).

    `open_config` gives the configuration; it is called where the batch uses some of it.

    Raises InputError with every fault.
    """
    environment = workspace.environment(request.environment).name
    faults = _Faults(loaded)
    params = resolve_params(loaded.batch, request.params, loaded.file)
    limit = parse_selector(request.limit) if request.limit else None
    faults.found.extend(check_targets(loaded, inventory))
    targets = resolve(loaded, inventory, limit)
    told = [*warnings, *_warnings(loaded, targets, inventory)]
    named = {name for names in targets.values() for name in names}
    servers = {server.name: server for server in inventory if server.name in named}
    if ENGINE_SERVER in named:
        servers[ENGINE_SERVER] = ENGINE
    if not any(targets.values()):
        faults.check()
        raise InputError(
            f"{loaded.file}: no step has a server to run on",
            hint="`windlass servers list` shows the inventory; check the batch's `on` and --limit",
        )
    env = {name: os.environ[name] for name in workspace.allow_env if name in os.environ}
    configured = Configured(open_config)
    configured.variables |= variables_of(loaded)
    for place, used in uses_of(loaded):
        configured.use(used, partial(faults.add, place), secrets=in_env(place))
    known = Asked(lambda: env, partial(no_variable, allowed=workspace.allow_env))
    contexts = Contexts(
        params=params,
        servers=servers.values(),
        users=users,
        number=0,
        run_id="0" * 32,
        batch=loaded.batch.name,
        config=configured.values,
        environment=environment,
        env=known,
    )
    files = _files(faults, targets, contexts, configured, blobs, workspace, keep_files=keep_files)
    configured.check_rules(workspace.path)
    faults.found += configured.faults
    _render(faults, targets, contexts, configured)
    _secrets(faults, configured, workspace)
    _sudo_uploads(faults)
    faults.check()
    # Of the variables only those that are read are stored with the run: others may hold anything.
    env = {name: value for name, value in env.items() if name in configured.variables}
    snapshot = Snapshot(
        loaded,
        params,
        servers,
        targets,
        files,
        dict(users),
        environment,
        env,
        configured.values,
        used_values(configured.values, configured.origins()),
    )
    told += configured.notices
    return Planned(_describe(snapshot, told, held or {}, configured.moment), snapshot)


# ---------------------------------------------------------------- checks


def _warnings(
    loaded: LoadedBatch, targets: Mapping[str, Sequence[str]], inventory: Sequence[Server]
) -> Iterator[str]:
    for name, step in loaded.batch.steps.items():
        if not targets[name]:
            yield f"step {name}: no server matches `{step.on}`, so it does nothing"
    stopped = [
        s for s in inventory if s.state is ServerState.STOPPED and any(s.name in t for t in targets.values())
    ]
    if stopped:
        by_provider = sorted({server.provider for server in stopped})
        yield (
            f"{len(stopped)} server{'s are' if len(stopped) > 1 else ' is'} stopped "
            f"({', '.join(by_provider)}): start with `windlass servers start`"
        )


def _sudo_uploads(faults: _Faults) -> None:
    for name, step in faults.loaded.batch.steps.items():
        if step.upload is not None and step.sudo is not None:
            faults.add(
                ("steps", name, "sudo"),
                "an upload goes over SFTP, which knows no sudo",
                "upload to a place of your own, then move it with a `run` step under sudo",
            )


def _files(
    faults: _Faults,
    targets: Mapping[str, Sequence[str]],
    contexts: Contexts,
    configured: Configured,
    blobs: Blobs,
    workspace: Workspace,
    *,
    keep_files: bool,
) -> dict[str, FileRef]:
    files: dict[str, FileRef] = {}
    for name, step in faults.loaded.batch.steps.items():
        if step.upload is None:
            continue
        path = ("steps", name, "upload", "from")
        sources: set[str] = set()
        try:
            template = compile_text(step.upload.source)
            if template.uses.results:
                faults.add(
                    path, "the file to upload must be known at plan time: it may not depend on results"
                )
                continue
            if configured.told(template.uses):
                continue
            for server in targets[name]:
                sources.add(work.upload_source(step, contexts.of(name, server)))
                if template.constant:
                    break
        except TemplateFault as error:
            faults.add(path, error.message)
            continue
        for source in sorted(sources):
            if source in files:
                continue
            try:
                files[source] = blobs.keep(source) if keep_files else blobs.describe(source)
                if step.upload.template:
                    with blobs.open(source) as file:
                        text = file.read().decode()
                    uses = compile_text(text).uses
                    configured.use(uses.config, partial(faults.add, path))
                    configured.variables |= uses.env
                    faults.found += _secrets_in_file(source, text, uses)
            except OutsideError:
                faults.add(
                    path,
                    f"{source} leads out of the workspace",
                    f"copy it into the workspace, or name its folder in `allow_paths` of {SETTINGS_FILE}",
                )
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                faults.add(path, f"{source} is no file in the workspace ({workspace.path})")
            except TemplateFault as error:
                faults.found.append(Fault(source, error.line, error.column, error.message))
            except (OSError, UnicodeError) as error:
                told = (error.strerror if isinstance(error, OSError) else "") or error
                faults.add(path, f"{source} cannot be read: {told}")
    return files


def _secrets_in_file(source: str, text: str, uses: Uses) -> Iterator[Fault]:
    """The secrets that an uploaded template names, each where it does."""
    for reference in sorted(uses.secrets):
        found = re.search(rf"secret\s*\(\s*(['\"]){re.escape(reference)}\1", text)
        before = text[: found.start()] if found else ""
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        yield Fault(source, line, column, SECRET_IN_TEXT, secret_hint(reference))


def _render(
    faults: _Faults, targets: Mapping[str, Sequence[str]], contexts: Contexts, configured: Configured
) -> None:
    """Renders every template that can be rendered before the run, for each server it may differ on."""
    batch = faults.loaded.batch
    for name, step in batch.steps.items():
        if not targets[name]:
            continue
        for path, text in templates_of(step):
            template = compile_text(text)
            if template.constant or template.uses.results or configured.told(template.uses):
                continue
            _try(faults, ("steps", name, *path), template, name, targets[name], contexts)
        if step.when is not None:
            condition = compile_condition(step.when)
            if condition.uses.results or configured.told(condition.uses):
                continue
            for server in targets[name]:
                try:
                    condition.holds(contexts.of(name, server))
                except TemplateFault as error:
                    faults.add(("steps", name, "when"), f"{error.message} (on {server})")
                    break
                if not condition.uses.servers:
                    break


def _secrets(faults: _Faults, configured: Configured, workspace: Workspace) -> None:
    """Whether there are the secrets that commands use; no value is read."""
    batch = faults.loaded.batch
    env: dict[tuple[str | int, ...], str] = {("env", name): text for name, text in batch.env.items()}
    env |= {
        ("steps", s, "env", name): text for s, step in batch.steps.items() for name, text in step.env.items()
    }
    for path, text in env.items():
        for reference in sorted(compile_text(text).uses.secrets):
            if error := _refused(reference, workspace):
                faults.add(path, error.message, error.hint)
    for reference, at in configured.secrets.items():
        if error := _refused(reference, workspace):
            faults.found.append(Fault(at.file, at.line, at.column, error.message, error.hint))


def _refused(reference: str, workspace: Workspace) -> InputError | None:
    """Why a secret cannot be read, as far as that can be told without reading it."""
    from core.secrets.sources import Sources  # batches without secrets need no cryptography

    try:
        Sources.of(workspace).check(reference)
    except InputError as error:
        return error
    return None


def _try(
    faults: _Faults,
    path: tuple[str | int, ...],
    template: TextTemplate,
    step: str,
    servers: Sequence[str],
    contexts: Contexts,
) -> None:
    failed: dict[str, list[str]] = {}
    for server in servers:
        try:
            render(template, contexts.of(step, server))
        except TemplateFault as error:
            failed.setdefault(error.message, []).append(server)
        if not template.uses.servers:
            break
    for message, names in failed.items():
        more = (
            f" and {len(names) - SHOWN_FAULTS_PER_FIELD} more" if len(names) > SHOWN_FAULTS_PER_FIELD else ""
        )
        faults.add(path, f"{message} (on {', '.join(names[:SHOWN_FAULTS_PER_FIELD])}{more})")


# ---------------------------------------------------------------- description


def _describe(snapshot: Snapshot, warnings: Sequence[str], held: Mapping[str, int], moment: str) -> Plan:
    loaded = snapshot.loaded
    needs = effective_needs(loaded.batch)
    steps = []
    for name, step in loaded.batch.steps.items():
        if not step.changes_something:
            undo = "none needed"
        else:
            undo = "reversible" if step.undo is not None else "irreversible"
        steps.append(
            PlannedStep(
                name=name,
                kind=step.kind,
                summary=step.description or work.summary(step),
                servers=tuple(snapshot.targets[name]),
                needs=tuple(
                    f"{need.step}, {'on all servers' if need.scope == 'all' else 'on the same server'}"
                    + ("" if need.kind == "hard" else f" ({need.kind})")
                    for need in needs[name]
                ),
                undo=undo,
                guarded=step.check is not None,
                line=loaded.at("steps", name)[0],
            )
        )
    named = [server for server in snapshot.servers.values() if server.name != ENGINE_SERVER]
    providers: dict[str, int] = {}
    for server in named:
        providers[server.provider] = providers.get(server.provider, 0) + 1
    strategy = loaded.batch.strategy
    limits = snapshot.limits()
    return Plan(
        batch=loaded.batch.name,
        path=loaded.file,
        digest=plan_digest(snapshot, moment),
        steps=tuple(steps),
        servers=tuple(server.name for server in named),
        servers_by_provider=providers,
        tasks=sum(len(names) for names in snapshot.targets.values()),
        params=dict(snapshot.params),
        strategy={
            "parallel": strategy.parallel,
            "per_server": strategy.per_server,
            "order": strategy.order,
            "on_failure": strategy.on_failure,
            "max_failures": limits.allowance,
        },
        irreversible=tuple(step.name for step in steps if step.undo == "irreversible"),
        warnings=tuple(warnings),
        held={name: held[name] for name in held if name in snapshot.servers},
        environment=snapshot.environment,
        config=tuple(snapshot.used),
    )


def plan_digest(snapshot: Snapshot, moment: str = "") -> str:
    """What a person saw, as one digest: the text, the parameters, the configuration, the targets, the files and
    the environment. The `moment` that the configuration has as `now` is left out: a plan that is looked at and
    then started is the same one.
    """
    seen: list[Any] = [
        snapshot.environment,
        sorted(snapshot.env.items()),
        snapshot.loaded.digest,
        sorted((name, repr(value)) for name, value in snapshot.params.items()),
        [(step, list(names)) for step, names in snapshot.targets.items()],
        sorted((name, ref.digest) for name, ref in snapshot.files.items()),
    ]
    if snapshot.config:
        text = json.dumps(snapshot.config, sort_keys=True)
        seen.append(text.replace(moment, "now") if moment else text)
    return hashlib.sha256(repr(seen).encode()).hexdigest()
