"""The one process that serves every local server of a workspace.

It takes orders on a Unix socket, one JSON object a line, and gives one answer a line:

    {"op": "start", "servers": [{"name": "web-1", "user": "deploy"}]}
        {"running": [names], "notes": [texts]}      with "ending": true where the process ends instead
    {"op": "stop", "names": ["web-1"]}          null for all
        {"stopped": [names], "left": [pids], "over": true}
    {"op": "status"}
        {"pid": 1, "servers": {"web-1": port}}

"over" says that the process ends now. A wrong order is answered with {"error": text}. Orders are carried
out one after the other. When the last server stops, everything that descends from this process is ended
and the process ends. No exception in a session or an order ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from providers.local import layout as places
from providers.local.children import Children
from providers.local.host import Host
from providers.local.layout import Layout, ServerRecord, State
from providers.local.processes import Belonging, Process, ancestors, end, processes, start_of

log = logging.getLogger(__name__)

MAX_ORDER_BYTES = 4 * 1024 * 1024
ORDER_TIMEOUT_S = 30.0
WATCH_S = 2.0


class Supervisor:
    """Servers, their records, and the socket that orders come in by."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._mark = layout.mark()
        self._children = Children()
        self._hosts: dict[str, Host] = {}
        self._records: dict[str, ServerRecord] = dict(places.read_state(layout).servers)
        self._login_key: asyncssh.SSHKey | None = None
        self._turn = asyncio.Lock()
        self._over = asyncio.Event()
        self._orders: set[asyncio.Task[None]] = set()

    async def run(self, ready: int) -> None:
        """Serves until the last server is stopped; writes "ready" to the descriptor `ready`, then closes it."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_exception)
        self._children.watch()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_end)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        await self._sweep()
        self._records = {
            name: ServerRecord(record.port, record.host_key) for name, record in self._records.items()
        }
        self._login_key = _key(self._layout.user_key)
        _write_public(self._layout.user_key, self._login_key)
        self._save()
        server = await asyncio.start_unix_server(self._serve, sock=_control_socket(), limit=MAX_ORDER_BYTES)
        watch = loop.create_task(self._watch(os.stat(places.CONTROL)))
        os.write(ready, b"ready\n")
        os.close(ready)
        log.info("serving as process %d", os.getpid())
        await self._over.wait()
        watch.cancel()
        server.close()
        with contextlib.suppress(OSError):
            os.unlink(places.CONTROL)
        for task in list(self._orders):
            with contextlib.suppress(TimeoutError, Exception):
                await asyncio.wait_for(asyncio.shield(task), 5)
        self._children.close()
        log.info("ended")

    # ------------------------------------------------------------ orders

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._orders.add(task)
        try:
            async with asyncio.timeout(ORDER_TIMEOUT_S):
                line = await reader.readline()
            answer = await self._carry_out(line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, TimeoutError, ValueError) as error:
            log.warning("an order was lost: %s", error)
        finally:
            writer.close()
            self._orders.discard(task)

    async def _carry_out(self, line: bytes) -> Mapping[str, Any]:
        try:
            order = json.loads(line)
            match order:
                case {"op": "start", "servers": list(servers)}:
                    wanted = {str(entry["name"]): str(entry["user"]) for entry in servers}
                    async with self._turn:
                        return await self._start(wanted)
                case {"op": "stop", "names": list() | None as names}:
                    async with self._turn:
                        return await self._stop(None if names is None else [str(name) for name in names])
                case {"op": "status"}:
                    return {
                        "pid": os.getpid(),
                        "servers": {name: host.port for name, host in self._hosts.items()},
                    }
                case _:
                    return {"error": "this order is not known"}
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"this order is malformed: {error}"}
        except Exception as error:
            log.exception("an order failed")
            return {"error": f"{type(error).__name__}: {error}"}

    # ------------------------------------------------------------ starting and stopping

    async def _start(self, wanted: Mapping[str, str]) -> Mapping[str, Any]:
        if self._over.is_set():
            return {"running": [], "notes": [], "ending": True}
        notes: list[str] = []
        for name, user in wanted.items():
            if name in self._hosts:
                self._hosts[name].user = user
                continue
            note = await self._start_one(name, user)
            if note:
                notes.append(note)
                log.warning("%s", note)
        if not self._hosts:
            self._over.set()
        self._save(ending=not self._hosts)
        return {"running": list(self._hosts), "notes": notes}

    async def _start_one(self, name: str, user: str) -> str:
        assert self._login_key is not None
        home = self._layout.home(name)
        host = Host(name, user, home, f"{self._mark}/{name}", self._login_key, self._children)
        before = self._records.get(name, ServerRecord()).port
        try:
            for folder in (home.parent.parent, home.parent, home):
                folder.mkdir(mode=0o700, exist_ok=True)
                if folder.is_symlink():
                    raise OSError(f"{folder} is a symbolic link")
            key = _key(self._layout.host_key(name))
            await host.open(key, before)
        except OSError as error:
            return f"{name} was not started: {error}"
        self._hosts[name] = host
        self._records[name] = ServerRecord(host.port, _public_line(key), running=True)
        if before and host.port != before:
            return f"{name}: port {before} is taken; it listens on {host.port} from now on"
        return ""

    async def _stop(self, names: Sequence[str] | None) -> Mapping[str, Any]:
        chosen = [name for name in self._hosts if names is None or name in names]
        last = len(chosen) == len(self._hosts)
        for name in chosen:
            self._hosts[name].stop_listening()
        left = await end(functools.partial(self._belonging, chosen, last)) if chosen else []
        for name in chosen:
            await self._hosts.pop(name).close()
            record = self._records[name]
            self._records[name] = ServerRecord(record.port, record.host_key)
        self._save(ending=last)
        if left:
            log.warning("processes are left: %s", [process.pid for process in left])
        if last:
            self._over.set()
        return {"stopped": chosen, "left": [process.pid for process in left], "over": last}

    def _belonging(self, names: Sequence[str], everything: bool) -> list[Process]:
        belonging = Belonging(
            marks=frozenset(f"{self._mark}/{name}" for name in names),
            adopter=os.getpid(),
            folders=tuple(os.path.realpath(self._layout.home(name).parent) for name in names),
            everything=everything,
        )
        return belonging.of(processes(), {os.getpid()})

    async def _sweep(self) -> None:
        """Ends what an earlier supervising process, killed in the middle, left behind."""
        spared = ancestors(processes(), os.getpid())
        belonging = Belonging(frozenset({self._mark}))
        found = belonging.of(processes(), spared)
        if found:
            log.warning("ending %d processes that a killed predecessor left", len(found))
            await end(lambda: belonging.of(processes(), spared))

    async def _watch(self, control: os.stat_result) -> None:
        """Ends everything when the state folder was deleted or moved: nobody could end it later."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                seen = os.stat(self._layout.control)
            except OSError:
                break
            if not os.path.samestat(seen, control):
                break
        log.error("the state folder %s is gone; the servers end", self._layout.root)
        self._asked_to_end()

    def _asked_to_end(self) -> None:
        async def stop() -> None:
            async with self._turn:
                await self._stop(None)
            self._over.set()

        task = asyncio.get_running_loop().create_task(stop())
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    def _save(self, *, ending: bool = False) -> None:
        pid = 0 if ending else os.getpid()
        started = "" if ending else start_of(pid)
        try:
            places.write_state(self._layout, State(pid, started, self._records))
        except FileNotFoundError:
            log.warning("the state folder is gone; nothing was recorded")


def _key(path: Path) -> asyncssh.SSHKey:
    """The private key kept at `path`; made when there is none (0600)."""
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("%s cannot be read and is made anew: %s", path, error)
    key = asyncssh.generate_private_key("ssh-ed25519", comment="windlass-local")
    places.write_private(path, key.export_private_key())
    return key


def _public_line(key: asyncssh.SSHKey) -> str:
    """A public key in OpenSSH's one-line form, without a comment."""
    return " ".join(key.export_public_key().decode().split()[:2])


def _write_public(path: Path, key: asyncssh.SSHKey) -> None:
    places.write_private(path.with_name(path.name + ".pub"), key.export_public_key())


def _control_socket() -> socket.socket:
    """The socket that orders come in by, in the working directory, so that no path is too long (0600)."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(places.CONTROL)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        control.bind(places.CONTROL)
    finally:
        os.umask(mask)
    control.setblocking(False)
    return control


def _log_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("%s", context.get("message", "an exception was not handled"), exc_info=context.get("exception"))
