"""The documented `--json` forms: one function for each kind of object, plain data out of the engine's views.

docs/reference/json-lines.md describes them and a test holds the two together. Every object has a `type`; times
are UTC in RFC 3339 with milliseconds, or null; readers ignore keys they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.config.files import Change
    from core.config.load import Link
    from core.config.migrate import Move
    from core.config.tree import Entry
    from core.errors import Fault
    from core.model.events import Event
    from core.model.gaps import Gap
    from core.model.views import (
        AttemptInfo,
        DeadLetter,
        Explanation,
        OutletInfo,
        OutputChunk,
        OwnerInfo,
        Plan,
        RunInfo,
        ServerInfo,
        StepInfo,
        TaskInfo,
        UsedValue,
        WorkspaceInfo,
    )
    from core.secrets.store import SecretInfo
    from core.store.audit import Entry as Audited
    from core.workspace.folder import Workspace
    from core.workspace.registry import Entry as Registered
    from daemon.tokens import Token

Form = dict[str, Any]


def moment(when: float | None) -> str | None:
    """A time as "2026-03-01T14:02:11.250Z"."""
    if when is None:
        return None
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def counts(found: Mapping[Any, int]) -> dict[str, int]:
    """Counts by state; zeros are left out."""
    return {str(state.value): count for state, count in found.items() if count}


def plain(value: Any) -> Any:
    """Data of events and parameters without enumerations."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def run(info: RunInfo) -> Form:
    """One run."""
    return {
        "type": "run",
        "run": info.number,
        "id": info.run_id,
        "batch": info.batch,
        "path": info.path,
        "state": info.state.value,
        "interrupted": info.interrupted,
        "asked": info.asked.value,
        "why": info.why,
        "actor": info.actor,
        "controller": info.controller or None,
        "created": moment(info.created),
        "ended": moment(info.ended),
        "servers": info.servers,
        "tasks": info.tasks,
        "counts": counts(info.counts),
        "undo_counts": counts(info.undo_counts),
        "params": plain(info.params),
        "parent": info.parent,
        "environment": info.environment,
        "protection": info.protection,
        "last_seq": info.last_seq,
    }


def used_value(number: int, info: UsedValue) -> Form:
    """A value of the configuration that a run was frozen with."""
    return {
        "type": "used_value",
        "run": number,
        "path": info.path,
        "value": plain(info.value),
        "origin": info.origin,
    }


def step(number: int, info: StepInfo) -> Form:
    """One step of a run."""
    return {
        "type": "step",
        "run": number,
        "step": info.name,
        "index": info.index,
        "kind": info.kind,
        "summary": info.summary,
        "tasks": info.tasks,
        "counts": counts(info.counts),
        "undo_counts": counts(info.undo_counts),
        "irreversible": info.irreversible,
        "started": moment(info.started),
        "ended": moment(info.ended),
    }


def task(number: int, info: TaskInfo) -> Form:
    """One task of a run."""
    return {
        "type": "task",
        "run": number,
        "step": info.step,
        "server": info.server,
        "index": info.index,
        "state": info.state.value,
        "phase": info.phase.value if info.phase else None,
        "attempt": info.attempt,
        "attempts": info.attempts,
        "exit": info.exit_status,
        "signal": info.signal,
        "why": info.why,
        "evidence": info.evidence,
        "started": moment(info.started),
        "ended": moment(info.ended),
        "undo": info.undo.value,
        "undo_why": info.undo_why,
        "may_have_run": info.may_have_run,
        "decision": info.decision,
        "decided_by": info.decided_by,
        "last_line": info.last_line,
    }


def attempt(number: int, key: str, info: AttemptInfo) -> Form:
    """One attempt of a task."""
    name, _, server = key.rpartition("@")
    return {
        "type": "attempt",
        "run": number,
        "step": name,
        "server": server,
        "purpose": info.purpose.value,
        "attempt": info.number,
        "intent": moment(info.intent),
        "ended": moment(info.ended),
        "outcome": info.outcome,
        "exit": info.exit_status,
        "signal": info.signal,
        "why": info.why,
        "evidence": info.evidence,
    }


def explanation(number: int, key: str, info: Explanation) -> Form:
    """Why a task stands where it stands."""
    name, _, server = key.rpartition("@")
    return {
        "type": "explanation",
        "run": number,
        "step": name,
        "server": server,
        "sentences": list(info.sentences),
        "certain": list(info.certain),
        "unknown": list(info.unknown),
        "seq": info.seq,
    }


def output(number: int, key: str, chunk: OutputChunk) -> Form:
    """A piece of a task's output. Bytes that are not UTF-8 are replaced in `text`."""
    name, _, server = key.rpartition("@")
    return {
        "type": "output",
        "run": number,
        "step": name,
        "server": server,
        "purpose": chunk.purpose.value,
        "attempt": chunk.attempt,
        "stream": chunk.stream.value,
        "start": chunk.start,
        "end": chunk.end,
        "time": moment(chunk.time),
        "text": chunk.data.decode("utf-8", "replace"),
    }


def gap(number: int, key: str, info: Gap) -> Form:
    """A hole in a task's output, before the piece that follows it."""
    name, _, server = key.rpartition("@")
    return {
        "type": "gap",
        "run": number,
        "step": name,
        "server": server,
        "purpose": info.purpose.value,
        "attempt": info.attempt,
        "stream": info.stream.value,
        "start": info.start,
        "end": info.end,
        "not_kept": info.not_kept,
        "lost": info.lost,
    }


def event(info: Event) -> Form:
    """One event of the log."""
    return {
        "type": "event",
        "seq": info.seq,
        "event": info.type,
        "version": info.version,
        "run": info.run,
        "step": info.step,
        "server": info.server,
        "attempt": info.attempt,
        "actor": info.actor,
        "time": moment(info.time),
        "data": plain(info.data),
    }


def result(info: RunInfo, status: int) -> Form:
    """The last object of a command that followed a run."""
    return {**run(info), "type": "result", "exit": status}


def server(info: ServerInfo) -> Form:
    """One server."""
    return {
        "type": "server",
        "server": info.name,
        "provider": info.provider,
        "state": info.state,
        "address": info.address,
        "port": info.port,
        "user": info.user,
        "groups": list(info.groups),
        "labels": dict(info.labels),
        "source": info.source,
        "note": info.note,
        "held_by": info.held_by,
        "last_run": info.last_run,
        "options_ignored": list(info.options_ignored),
    }


def fault(info: Fault) -> Form:
    """One thing wrong with an input."""
    return {
        "type": "fault",
        "file": info.file,
        "line": info.line,
        "column": info.column,
        "message": info.message,
        "hint": info.hint,
    }


def plan(info: Plan) -> Form:
    """What a run would do."""
    return {
        "type": "plan",
        "batch": info.batch,
        "path": info.path,
        "digest": info.digest,
        "servers": list(info.servers),
        "servers_by_provider": dict(info.servers_by_provider),
        "tasks": info.tasks,
        "params": plain(info.params),
        "config": [
            {"path": used.path, "value": plain(used.value), "origin": used.origin} for used in info.config
        ],
        "strategy": plain(info.strategy),
        "steps": [
            {
                "step": planned.name,
                "kind": planned.kind,
                "summary": planned.summary,
                "servers": list(planned.servers),
                "needs": list(planned.needs),
                "undo": planned.undo,
                "guarded": planned.guarded,
                "line": planned.line,
            }
            for planned in info.steps
        ],
        "irreversible": list(info.irreversible),
        "warnings": list(info.warnings),
        "credentials": list(info.credentials),
        "held": dict(info.held),
        "environment": info.environment,
        "protection": info.protection,
        "confirm": info.confirm,
        "confirm_why": list(info.confirm_why),
    }


def secret(info: SecretInfo) -> Form:
    """What may be shown of a secret."""
    return {
        "type": "secret",
        "name": info.name,
        "recipients": info.recipients,
        "changed": moment(info.changed),
    }


def engine(info: WorkspaceInfo, process: str, runs: Sequence[int]) -> Form:
    """Who owns a workspace; `process` says what the owner does."""
    owner = info.owner
    return {
        "type": "engine",
        "workspace": info.path,
        "owned": owner is not None,
        "pid": owner.pid if owner else None,
        "user": owner.user if owner else None,
        "host": owner.host if owner else None,
        "since": moment(owner.since) if owner else None,
        "process": process or None,
        "background": owner.background if owner else None,
        "socket": (owner.socket or None) if owner else None,
        "agent": (owner.agent or None) if owner else None,
        "outlives_logout": owner.stays if owner and owner.background else None,
        "runs": list(runs),
        "incarnation": info.incarnation,
        "last_seq": info.last_seq,
    }


def token(found: Token, now: float) -> Form:
    """A token, without what it is."""
    return {
        "type": "token",
        "name": found.name,
        "role": found.role.value,
        "created": moment(found.created),
        "expires": moment(found.expires),
        "expired": found.expired(now),
    }


def token_made(name: str, role: str, made: str) -> Form:
    """A token that was made; `token` is shown this once."""
    return {"type": "token_made", "name": name, "role": role, "token": made}


def take_over(owner: OwnerInfo, waited_s: float, runs: Sequence[int]) -> Form:
    """An owner that was killed, and the runs that it had at work."""
    return {
        "type": "take_over",
        "pid": owner.pid,
        "user": owner.user,
        "host": owner.host,
        "since": moment(owner.since),
        "waited_s": round(waited_s, 3),
        "runs": list(runs),
    }


def workspace_name(info: Registered) -> Form:
    """A registered workspace."""
    return {
        "type": "workspace_name",
        "name": info.name,
        "folder": str(info.path),
        "in_use": info.active,
        "there": info.there,
    }


def workspace(info: Workspace, registered: str, trusted: bool, why: str) -> Form:
    """What a workspace is; `why` says why it is the one at hand."""
    return {
        "type": "workspace",
        "name": info.name,
        "folder": str(info.path),
        "registered": registered,
        "why": why,
        "description": info.description,
        "environments": [
            {
                "environment": known.name,
                "protection": info.protection_of(known.name).value,
                "description": known.description,
            }
            for known in info.environments
        ],
        "labels": dict(info.labels),
        "protection": info.protection.value,
        "read_only": info.read_only,
        "allow_paths": [str(path) for path in info.allow_paths],
        "allow_env": list(info.allow_env),
        "trusted": trusted,
    }


def outlet(info: OutletInfo) -> Form:
    """Who is told of events, and how that fares."""
    return {
        "type": "outlet",
        "name": info.name,
        "target": info.target,
        "types": list(info.types),
        "told": info.told,
        "owed": info.owed,
        "put_aside": info.dead,
        "tries": info.tries,
        "failing_since": moment(info.failing_since),
        "why": info.why,
        "fault": info.fault,
    }


def dead_letter(letter: DeadLetter) -> Form:
    """An event that could not be told."""
    return {
        "type": "dead_letter",
        "name": letter.outlet,
        "event": letter.event.seq,
        "event_type": letter.event.type,
        "run": letter.event.run,
        "time": moment(letter.time),
        "tries": letter.tries,
        "why": letter.why,
        "again": letter.again,
    }


def audit_entry(entry: Audited) -> Form:
    """One decision or change, as the audit log has it."""
    return {
        "type": "audit_entry",
        "number": entry.number,
        "time": moment(entry.time),
        "actor": entry.actor,
        "action": entry.action,
        "details": plain(dict(entry.details)),
        "previous": entry.previous,
        "hash": entry.hash,
    }


def audit_verified(entries: int, head: str) -> Form:
    """An audit log whose chain holds."""
    return {"type": "audit_verified", "entries": entries, "head": head}


def setting(path: str, value: Any, entry: Entry | None) -> Form:
    """A value of the configuration; without an entry of its own a template gave it as part of another value."""
    origin = entry.origin if entry is not None else None
    return {
        "type": "setting",
        "path": path,
        "value": plain(value),
        "layer": origin.layer.value if origin else None,
        "file": origin.file if origin else None,
        "line": origin.line if origin else None,
        "column": origin.column if origin else None,
    }


def link(path: str, found: Link, hides: str | None, *, effective: bool) -> Form:
    """What one layer says about a value, as it is written there; `hides` is the path above it that stands there."""
    origin = found.entry.origin
    return {
        "type": "link",
        "path": path,
        "layer": origin.layer.value,
        "file": origin.file,
        "line": origin.line,
        "column": origin.column,
        "written": plain(found.entry.data()),
        "effective": effective,
        "hides": hides,
    }


def difference(path: str, names: Sequence[str], values: Sequence[Any], absent: str | None) -> Form:
    """A value that differs between two environments; `absent` is the one that has none."""
    return {
        "type": "difference",
        "path": path,
        "environments": list(names),
        "values": plain(values),
        "absent": absent,
    }


def edit(change: Change, elsewhere: Sequence[str]) -> Form:
    """An edit of a file of the configuration; `elsewhere` are the paths that changed with it."""
    return {
        "type": "edit",
        "number": change.number,
        "time": moment(change.time),
        "actor": change.actor,
        "action": change.action,
        "path": change.path,
        "file": change.file,
        "elsewhere": list(elsewhere),
    }


def migration(move: Move, file: str, *, written: bool) -> Form:
    """What becomes, or became, of a variable; nothing of a secret's value is told."""
    from core.config.migrate import Status
    from core.config.paths import show

    return {
        "type": "migration",
        "variable": move.variable,
        "path": show(move.path) if move.path else None,
        "file": file,
        "status": move.status.value,
        "written": written and move.status is Status.MOVE,
        "value": plain(move.value),
        "before": plain(move.before),
        "secret": move.secret or None,
        "why": move.why,
    }
