"""What every route has at hand: the engine, and who is asking."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import gethostname
from typing import Annotated, Any

from fastapi import Depends, Request

from core.engine.api import Engine
from core.errors import WorkspaceOwned
from core.model.actors import Actor, from_header, nameless
from daemon.access import Action, Caller, Role
from daemon.limits import RATE, Limits
from daemon.metrics import Metrics

JSON = "application/json"
SOCKET_HOST = "unix"
"""Stands in the place of an address where a caller came in over the Unix socket; see `daemon.peer`."""

ACTOR_HEADER = "windlass-actor"
"""Who the caller says it is, over the socket: shown beside who it certainly is."""


class Refused(Exception):
    """The caller is not known (401), its role does not allow it (403), or it asks too much (429)."""

    def __init__(self, status: int, detail: str, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.status = status
        self.detail = detail
        self.hint = hint


Authenticate = Callable[[str], Caller | None]
"""The caller of a token, None where it is none of ours."""


def _tell_nobody(**told: str | bool) -> None:
    pass


@dataclass(slots=True)
class Served:
    """What an app serves. `stop` asks the process to end: True drains, False ends at once. `announce` says fields of
    OwnerInfo beside the lease. `takes_work` is False where
    the engine ends with its command: it starts and carries on nothing for others.
    """

    engine: Engine
    version: str
    authenticate: Authenticate
    stop: Callable[[bool], None]
    announce: Callable[..., None] = _tell_nobody
    takes_work: bool = True
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(init=False)
    clients: int = 0
    """How many follow events now."""
    requests: int = 0
    """How many requests came since somebody looked."""

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.version)


def served(request: Request) -> Served:
    """What the app of this request serves."""
    found: Served = request.app.state.served
    return found


def engine(request: Request) -> Engine:
    """The engine."""
    return served(request).engine


def over_socket(request: Request) -> bool:
    """Whether a request came in over the engine's own socket."""
    return request.client is not None and request.client.host.startswith(f"{SOCKET_HOST}:")


def caller_of(request: Request) -> Caller:
    """Who asks. Raises Refused."""
    host = request.client.host if request.client is not None else ""
    if host.startswith(f"{SOCKET_HOST}:"):
        _, uid, pid = host.split(":")
        return Caller(_actor(request, int(uid), int(pid)), Role.ADMIN)
    limits = served(request).limits
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else ""
    caller = served(request).authenticate(given) if given else None
    if caller is None:
        if wait_s := limits.failures.take(host):
            raise Refused(429, "too many requests without a good token came from this address", "", wait_s)
        if not given:
            raise Refused(401, "no token was given", "send it as `Authorization: Bearer TOKEN`")
        raise Refused(401, "the token is not known here, has expired or was revoked")
    if wait_s := limits.requests.take(caller.name):
        raise Refused(
            429, f"{caller.name} asks too much: {RATE:g} requests a second are answered", "", wait_s
        )
    return caller


def _actor(request: Request, uid: int, pid: int) -> str:
    """Who the kernel says it is; what the caller says of its host, terminal and origin stands behind it, cleaned."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = nameless(uid)
    claimed = from_header(request.headers.get(ACTOR_HEADER, ""))
    told = Actor.parse(claimed)
    if told.name.startswith(f"{name}@"):
        return str(Actor(told.name, told.terminal, pid, told.says))
    return str(Actor(f"{name}@{gethostname() or 'localhost'}", pid=pid, says=claimed.replace(";", ",")))


def takes_work(request: Request) -> None:
    """A dependency of what makes an engine go on with a run. Raises WorkspaceOwned where it ends with its command."""
    if not served(request).takes_work:
        raise WorkspaceOwned(
            "the engine of this workspace ends with the command that is it: it takes no other work",
            hint="wait until it ends (`windlass run --wait`); watching, pausing, cancelling and deciding work",
        )


def link_next(request: Request, **params: int) -> dict[str, str]:
    """The header that names the next page of a list (RFC 8288), relative to the host that was asked."""
    url = request.url.include_query_params(**params)
    return {"Link": f'<{url.path}?{url.query}>; rel="next"'}


class May:
    """A dependency: the caller, where its role allows the action; FastAPI keeps `action` in the route."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, request: Request) -> Caller:
        caller = caller_of(request)
        if not caller.may(self.action):
            raise Refused(
                403,
                f"{caller.name} is {caller.role.value}: that role does not allow {self.action.value}",
                "`windlass token create --role` makes a token with another role",
            )
        return caller


def may(action: Action) -> Any:
    """`Depends` for an action."""
    return Depends(May(action))


WORKS = Depends(takes_work)
TheEngine = Annotated[Engine, Depends(engine)]
TheServed = Annotated[Served, Depends(served)]
