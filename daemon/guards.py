"""What is refused before any route is asked: foreign names, bodies that are too large, senders that are too slow.

A browser that was led to a name which resolves to this machine sends that name as `Host`: only names of this
machine are answered (DNS rebinding). The port does not count, as `ssh -L` brings callers in by another one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.context import Served
from daemon.problems import MEDIA_TYPE, plain_problem

BODY_BYTES = 4 * 1024 * 1024
BODY_WAIT_S = 20.0
NAMES = frozenset({"localhost", "engine"})
"""Names that are answered beside addresses; `engine` is what our client says over the socket."""


class Guards:
    """Stands before the application, and counts what comes in."""

    def __init__(self, app: ASGIApp, served: Served) -> None:
        self._app = app
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        self._served.requests += 1
        if scope["type"] != "http":
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not is_ours(host):
            detail = f"the name {host[:100]!r} is not one of this engine's"
            await _refuse(send, 421, "Misdirected Request", detail, "ask by its address, or as localhost")
            return
        length = headers.get(b"content-length", "")
        if length.isdigit() and int(length[:12]) > BODY_BYTES:
            await _refuse(send, 413, "Content Too Large", f"at most {BODY_BYTES} bytes are taken")
            return
        body = await _read(receive)
        if isinstance(body, int):
            titles = {408: "Request Timeout", 413: "Content Too Large"}
            await _refuse(send, body, titles[body], f"at most {BODY_BYTES} bytes within {BODY_WAIT_S:g} s")
            return
        sent = False

        async def receive_again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_again, send)


def is_ours(host: str) -> bool:
    """Whether a Host header names this machine by an address or as localhost."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    else:
        name = name.partition(":")[0]
    if name in NAMES:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _read(receive: Receive) -> bytes | int:
    """The whole body, or the status that it is refused with."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            while True:
                message: MutableMapping[str, Any] = await receive()
                if message["type"] != "http.request":
                    return bytes(body)
                body += message.get("body", b"")
                if len(body) > BODY_BYTES:
                    return 413
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        return 408


async def _refuse(send: Send, status: int, title: str, detail: str, hint: str = "") -> None:
    body = json.dumps(plain_problem(status, title, detail, hint)).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
