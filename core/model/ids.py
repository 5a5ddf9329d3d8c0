"""Identities: a task is (step, server); a run has a number for people and a random 128-bit id."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from core.model.states import Purpose

ENGINE_SERVER = "engine"
"""The name of the server that stands for the engine itself; no inventory may use it."""


@dataclass(frozen=True, slots=True, order=True)
class TaskKey:
    """One step on one server within a run."""

    step: str
    server: str

    def __str__(self) -> str:
        return f"{self.step}@{self.server}"


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """One attempt of one task's command: what records on servers are filed under."""

    run_id: str
    step: str
    server: str
    purpose: Purpose
    attempt: int

    def __str__(self) -> str:
        return f"{self.step}@{self.server} {self.purpose} attempt {self.attempt}"


def new_run_id() -> str:
    """A random 128-bit id as 32 hexadecimal digits."""
    return secrets.token_hex(16)
