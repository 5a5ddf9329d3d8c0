"""Who may do what: one table of roles and actions, and who is asking.

Whoever reaches the Unix socket has the account that owns the workspace, and is admin. Over TCP a token says who
it is and which role it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller is."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    AUDITOR = "auditor"


class Action(StrEnum):
    """What a caller may ask for; each route names one."""

    WORKSPACE_READ = "workspace.read"
    SERVERS_READ = "servers.read"
    SERVERS_CHANGE = "servers.change"
    SERVERS_TRUST = "servers.trust"
    BATCHES_READ = "batches.read"
    RUNS_READ = "runs.read"
    OUTPUT_READ = "output.read"
    RUNS_START = "runs.start"
    RUNS_CONTROL = "runs.control"
    RUNS_DECIDE = "runs.decide"
    RUNS_ROLL_BACK = "runs.roll_back"
    EVENTS_READ = "events.read"
    AUDIT_READ = "audit.read"
    CONFIG_READ = "config.read"
    CONFIG_CHANGE = "config.change"
    METRICS_READ = "metrics.read"
    ENGINE_STOP = "engine.stop"
    ENGINE_AGENT = "engine.agent"


_LOOK = frozenset(
    {
        Action.WORKSPACE_READ,
        Action.SERVERS_READ,
        Action.BATCHES_READ,
        Action.RUNS_READ,
        Action.EVENTS_READ,
        Action.METRICS_READ,
    }
)
_OPERATE = _LOOK | {
    Action.OUTPUT_READ,
    Action.CONFIG_READ,
    Action.SERVERS_CHANGE,
    Action.RUNS_START,
    Action.RUNS_CONTROL,
    Action.RUNS_DECIDE,
    Action.RUNS_ROLL_BACK,
    Action.CONFIG_CHANGE,
}

ALLOWED: Mapping[Role, frozenset[Action]] = {
    Role.VIEWER: _LOOK | {Action.OUTPUT_READ, Action.CONFIG_READ},
    Role.OPERATOR: frozenset(_OPERATE),
    Role.ADMIN: frozenset(Action),
    Role.AUDITOR: _LOOK | {Action.AUDIT_READ},
}
"""The whole of it: what is not named here is refused."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `name` is the actor that events and the audit log carry."""

    name: str
    role: Role

    def may(self, action: Action) -> bool:
        """Whether the role allows it."""
        return action in ALLOWED[self.role]
