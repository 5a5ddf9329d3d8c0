"""Rows that are created with a run, and its stored snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.model.states import Phase, Purpose, TaskState, UndoState


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run as it is created; `document` is the JSON part of its snapshot."""

    number: int
    run_id: str
    batch: str
    path: str
    actor: str
    created: float
    params: Mapping[str, Any]
    servers: int
    parent: int | None
    batch_text: str
    digest: str
    document: Mapping[str, Any]
    environment: str = ""
    protection: str = "none"


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step of a new run."""

    index: int
    name: str
    kind: str
    summary: str
    tasks: int
    irreversible: bool


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task of a new run; `attempts` is how many it may make by itself."""

    index: int
    step: str
    server: str
    attempts: int


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """What a run was made from."""

    batch_text: str
    file: str
    digest: str
    document: dict[str, Any]


@dataclass(slots=True)
class StoredTask:
    """What a new engine needs of one task. (Not frozen: a large run has very many, and that costs time.)"""

    index: int
    state: TaskState
    phase: Phase | None
    attempt: int
    attempts: int
    exit_status: int | None
    undo: UndoState
    undo_attempt: int
    may_have_run: bool
    when_holds: bool
    handed_over: bool


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An intent without an outcome."""

    index: int
    purpose: Purpose
    attempt: int
    intent: float
    digest: str
    boot_id: str
    folder: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class KnownServer:
    """What the last session with a server learnt: whether commands are supervised there, and notes."""

    server: str
    time: float
    supervised: bool
    notes: tuple[str, ...]
