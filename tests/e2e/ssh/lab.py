"""What the SSH tests share: an executor on real servers, its output recorded, attempts numbered."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from core.engine.executor import NO_TRACE, Answer, Command, Ended, Trace, Upload, Work
from core.model.ids import AttemptRef
from core.model.states import Purpose, Stream
from core.ssh.executor import SshExecutor
from core.ssh.settings import SshSettings
from core.ssh.shell import Started
from providers.base import Server

_numbers = itertools.count(1)

PATIENCE_S = 120.0
"""How long anything may take before a test gives up; nothing waits this long when all is well."""


def new_ref(server: str = "srv") -> AttemptRef:
    """The name of an attempt that nobody used before."""
    return AttemptRef("0" * 32, "step", server, Purpose.RUN, next(_numbers))


class Recorder:
    """A sink that checks the offsets and keeps the bytes of each stream."""

    def __init__(self) -> None:
        self.streams = {Stream.STDOUT: bytearray(), Stream.STDERR: bytearray()}
        self.chunks = 0
        self._waiting: list[tuple[Callable[[], bool], asyncio.Event]] = []

    def __call__(self, stream: Stream, start: int, data: bytes) -> None:
        assert data
        assert start == len(self.streams[stream]), "an offset is not where the last bytes ended"
        self.streams[stream] += data
        self.chunks += 1
        for holds, event in self._waiting:
            if holds():
                event.set()

    @property
    def out(self) -> bytes:
        """What came on stdout."""
        return bytes(self.streams[Stream.STDOUT])

    @property
    def err(self) -> bytes:
        """What came on stderr."""
        return bytes(self.streams[Stream.STDERR])

    async def until(self, text: bytes) -> None:
        """Waits until stdout contains `text`."""

        def holds() -> bool:
            return text in self.out

        event = asyncio.Event()
        self._waiting.append((holds, event))
        if not holds():
            async with asyncio.timeout(PATIENCE_S):
                await event.wait()


class Lab:
    """An executor and one server."""

    def __init__(self, executor: SshExecutor, server: Server, *, supervised: bool = False) -> None:
        self.executor = executor
        self.server = server
        self.supervised = supervised

    async def trace(self) -> Trace:
        """What an engine would store with an intent now."""
        if not self.supervised:
            return NO_TRACE
        facts = await self.executor.open(self.server)
        return Trace(facts.boot_id, facts.folder)

    async def run(
        self, text: str, env: Mapping[str, str] | None = None, *, sudo: str | None = None
    ) -> tuple[Answer, Recorder]:
        """Runs a command to its end."""
        recorder = Recorder()
        answer = await self.start(Command(text, dict(env or {}), sudo), recorder)
        return answer, recorder

    async def start(self, work: Work, recorder: Recorder, ref: AttemptRef | None = None) -> Answer:
        """Starts work and waits for its end."""
        async with asyncio.timeout(PATIENCE_S):
            trace = await self.trace()
            return await self.executor.start(
                self.server, ref or new_ref(self.server.name), work, recorder, trace
            )

    async def begin(self, text: str, *, sudo: str | None = None) -> Flying:
        """Starts a command that prints "ready" and goes on."""
        flying = Flying(self, new_ref(self.server.name), Command(f"echo ready; {text}", sudo=sudo))
        await flying.recorder.until(b"ready\n")
        return flying


class Flying:
    """A command in flight."""

    def __init__(self, lab: Lab, ref: AttemptRef, work: Command) -> None:
        self.ref = ref
        self.recorder = Recorder()
        self.answer = asyncio.ensure_future(lab.start(work, self.recorder, ref))


@asynccontextmanager
async def laboratory(
    server: Server, settings: SshSettings | None = None, *, run_id: str = ""
) -> AsyncIterator[Lab]:
    """An executor for the time of a test; with a `run_id` its commands are supervised."""
    executor = SshExecutor(settings or SshSettings(), run_id=run_id)
    try:
        yield Lab(executor, server, supervised=bool(run_id))
    finally:
        for ref, running in list(executor._ledger.items()):
            if running.record and not running.ended:
                await executor.stop(server, ref, 0.1)
        async with asyncio.timeout(PATIENCE_S):
            await executor.close(over=True)
        for running in executor._ledger.values():
            if running.started is not None and running.started.group > 1:
                end_group(running.started)


def end_group(started: Started) -> None:
    """Kills what a test left behind, which runs on this machine: every server here is a local one."""
    try:
        fields = Path(f"/proc/{started.group}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return
    if fields[19] == started.leader_start and started.group != os.getpgid(0):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.group, signal.SIGKILL)


def died_by(answer: Answer, name: str) -> bool:
    """Whether a command was ended by a signal. A supervisor is a shell, which tells it as a status."""
    status = 128 + signal.Signals[f"SIG{name}"]
    return answer in (Ended(status, signal=name), Ended(status))


def upload_of(source: Path, target: str, mode: int = 0o644) -> Upload:
    """An upload with the digest that the file has now."""
    return Upload(source, target, hashlib.sha256(source.read_bytes()).hexdigest(), mode)


async def eventually(holds: Callable[[], bool], what: str) -> None:
    """Polls for something that nothing announces."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not so in time: {what}")
