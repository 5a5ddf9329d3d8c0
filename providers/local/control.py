"""Starts the supervising process where none lives, and gives it orders.

Whoever starts or stops servers holds `start.lock` meanwhile, so that two starters never race. A process
that was killed leaves its lock free: the next start sweeps what it left, and so does a stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import providers
from providers.base import ProviderError
from providers.local.layout import Layout, is_served, read_state, short_path, try_lock
from providers.local.processes import Belonging, ancestors, end, processes, start_of

ANSWER_LIMIT = 16 * 1024 * 1024
CONNECT_S = 15.0
ORDER_S = 60.0
KILL_S = 5.0
READY_S = 30.0
LOCK_S = 90.0


async def start(layout: Layout, servers: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Starts servers ({"name", "user"} each): the names of all that run now, and notes. Raises ProviderError."""
    try:
        layout.create()
    except OSError as error:
        raise ProviderError(f"{layout.root} cannot be made: {error.strerror or error}") from error
    async with _turn(layout):
        order = {"op": "start", "servers": list(servers)}
        await _ensure_served(layout)
        answer = await _order(layout, order)
        if answer.get("ending"):  # it was told to end a moment ago
            await _wait_for_end(layout, {"over": True})
            await _ensure_served(layout)
            answer = await _order(layout, order)
    return [str(name) for name in answer["running"]], [str(note) for note in answer["notes"]]


async def stop(layout: Layout, names: Sequence[str] | None) -> list[str]:
    """Stops servers (None: all) with everything started on them; the names of those that ran.

    Raises ProviderError, with the pids, where processes are left.
    """
    if not layout.root.is_dir():
        return []
    async with _turn(layout):
        if not await _is_answering(layout):
            left = [process.pid for process in await _sweep(layout, names)]
            stopped: list[str] = []
        else:
            answer = await _order(layout, {"op": "stop", "names": None if names is None else list(names)})
            stopped = [str(name) for name in answer["stopped"]]
            left = [int(pid) for pid in answer["left"]]
            await _wait_for_end(layout, answer)
    if left:
        raise ProviderError(
            f"processes started on local servers could not be ended: {', '.join(map(str, left))}",
            hint="they may belong to another user (sudo); end them by hand",
        )
    return stopped


# ---------------------------------------------------------------- the supervising process


async def _ensure_served(layout: Layout) -> None:
    if await _is_answering(layout):
        return
    await asyncio.to_thread(_launch, layout)


async def _is_answering(layout: Layout) -> bool:
    """True when a supervising process takes orders; one that is ending is waited for, a hung one killed."""
    begun = time.monotonic()
    while is_served(layout):
        try:
            await _order(layout, {"op": "status"}, limit_s=CONNECT_S)
        except ProviderError:
            if time.monotonic() - begun > CONNECT_S * 2:
                await _kill(layout)
                return False
            await asyncio.sleep(0.02)
        else:
            return True
    return False


async def _wait_for_end(layout: Layout, answer: Mapping[str, Any]) -> None:
    if answer.get("over"):
        for _ in range(1500):  # its end cannot be awaited: it is nobody's child
            if not is_served(layout):
                break
            await asyncio.sleep(0.01)


async def _kill(layout: Layout) -> None:
    """Ends a supervising process that holds its lock and does not answer. Raises ProviderError."""
    state = read_state(layout)
    if not state.pid or start_of(state.pid) != state.started:
        raise ProviderError(
            f"something holds {layout.daemon_lock} and does not answer on {layout.control}",
            hint=f"see {layout.log}; find its process with: fuser {layout.daemon_lock}",
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGKILL)
    begun = time.monotonic()
    while is_served(layout):
        if time.monotonic() - begun > KILL_S:
            raise ProviderError(
                f"process {state.pid} serves the local servers, does not answer and cannot be ended"
            )
        await asyncio.sleep(0.01)


async def _sweep(layout: Layout, names: Sequence[str] | None) -> Sequence[Any]:
    """Ends what a killed supervising process left on the named servers (None: all)."""
    mark = layout.mark()
    marks = {mark} if names is None else {f"{mark}/{name}" for name in names}
    belonging = Belonging(frozenset(marks))
    spared = ancestors(processes(), os.getpid())
    return await end(lambda: belonging.of(processes(), spared))


def _launch(layout: Layout) -> None:
    """Starts the supervising process and waits until it takes orders. Raises ProviderError."""
    reading, writing = os.pipe()
    try:
        subprocess.run(
            [sys.executable, "-P", "-m", "providers.local.daemon", str(layout.root.absolute()), str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=layout.root,
            env=_environment(),
            pass_fds=(writing,),
            start_new_session=True,
            check=True,
            timeout=READY_S,
        )
        os.close(writing)
        writing = -1
        readable, _, _ = select.select([reading], [], [], READY_S)
        said = os.read(reading, 64) if readable else b""
    except subprocess.CalledProcessError as error:
        said_last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ProviderError(
            f"the process that serves local servers could not be started: {said_last}"
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ProviderError(f"the process that serves local servers could not be started: {error}") from error
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    if said != b"ready\n":
        raise ProviderError(
            f"the process that serves local servers did not come up{_last_words(layout)}",
            hint=f"its log is {layout.log}",
        )


def _environment() -> dict[str, str]:
    """What the supervising process inherits: no secrets of whoever starts it, and where this package lies."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
    environment = {key: os.environ[key] for key in kept if key in os.environ}
    folder = Path(providers.__file__ or "").resolve().parent.parent
    environment["PYTHONPATH"] = str(folder)
    return environment


def _last_words(layout: Layout) -> str:
    try:
        lines = layout.log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1]}" if lines else ""


# ---------------------------------------------------------------- orders


async def _order(layout: Layout, order: Mapping[str, Any], *, limit_s: float = ORDER_S) -> Mapping[str, Any]:
    """Gives one order and returns its answer. Raises ProviderError."""
    try:
        async with asyncio.timeout(limit_s):
            with short_path(layout.control) as path:
                reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_LIMIT)
            try:
                writer.write(json.dumps(order).encode() + b"\n")
                await writer.drain()
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError) as error:
        why = str(error) or type(error).__name__
        raise ProviderError(
            f"the process that serves local servers does not answer: {why}", hint=f"its log is {layout.log}"
        ) from error
    if not isinstance(answer, dict) or "error" in answer:
        raise ProviderError(f"local servers: {answer['error'] if isinstance(answer, dict) else answer!r}")
    return answer


@contextlib.asynccontextmanager
async def _turn(layout: Layout) -> AsyncIterator[None]:
    """Holds `start.lock` in the block. Raises ProviderError when it cannot be had in time."""
    begun = time.monotonic()
    try:
        descriptor = try_lock(layout.start_lock)
        while descriptor is None:
            if time.monotonic() - begun > LOCK_S:
                raise ProviderError(
                    f"another process has been starting or stopping local servers for {LOCK_S:.0f} s"
                )
            await asyncio.sleep(0.02)
            descriptor = try_lock(layout.start_lock)
    except OSError as error:
        raise ProviderError(f"{layout.start_lock}: {error.strerror or error}") from error
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
