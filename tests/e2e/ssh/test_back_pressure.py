"""A reader that is behind: the server is not read from, nothing is lost, and nothing is taken for an end."""

from __future__ import annotations

import asyncio
import hashlib

from core.engine.executor import Answer, Command, Ended, InDoubt
from core.model.states import Stream
from core.ssh.settings import SshSettings
from tests.e2e.ssh.lab import PATIENCE_S, Lab, eventually, laboratory, new_ref
from tests.support.hosts import Host
from tests.support.sshd import Sshd

WINDOW_BYTES = 4 * 1024 * 1024
"""More than a channel's window: what may be on its way when reading stops."""


class Behind:
    """A sink that is behind until `catch_up`; it counts and hashes what it gets."""

    def __init__(self, after_bytes: int = 1) -> None:
        self.bytes = 0
        self.digest = hashlib.sha256()
        self.asked_to_wait = 0
        self._after_bytes = after_bytes
        self._caught_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __call__(self, stream: Stream, start: int, data: bytes) -> asyncio.Future[None] | None:
        if stream is Stream.STDOUT:
            assert start == self.bytes
            self.bytes += len(data)
            self.digest.update(data)
        if self._caught_up.done() or self.bytes < self._after_bytes:
            return None
        self.asked_to_wait += 1
        return asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        await asyncio.shield(self._caught_up)

    def catch_up(self) -> None:
        """From now on everything is taken."""
        self._caught_up.set_result(None)


def start(lab: Lab, text: str, sink: Behind) -> asyncio.Task[Answer]:
    return asyncio.ensure_future(
        lab.executor.start(lab.server, new_ref(lab.server.name), Command(text), sink)
    )


async def still(sink: Behind) -> None:
    """Returns when nothing more has come for a while, however long the first bytes took."""
    await eventually(lambda: sink.asked_to_wait > 0, "the sink was behind")
    before = -1
    while sink.bytes != before:
        before = sink.bytes
        await asyncio.sleep(0.3)


async def test_a_server_is_not_read_from_while_its_reader_is_behind(lab: Lab) -> None:
    sink = Behind()
    running = start(lab, "head -c 50000000 /dev/zero", sink)
    await still(sink)
    assert 0 < sink.bytes < WINDOW_BYTES
    assert not running.done()
    assert (await lab.run("echo others go on"))[1].out == b"others go on\n"
    sink.catch_up()
    async with asyncio.timeout(4 * PATIENCE_S):
        assert await running == Ended(0)
    assert sink.bytes == 50_000_000
    assert sink.digest.digest() == hashlib.sha256(bytes(50_000_000)).digest()


async def test_an_end_that_comes_while_the_reader_is_behind_loses_nothing(host: Host) -> None:
    """The command ends at once, its output lies here; the pause is longer than silence is borne."""
    settings = SshSettings(shell=host.settings.shell, linger_s=0.2)
    async with laboratory(host.server, settings) as lab:
        sink = Behind(after_bytes=100_000)
        running = start(lab, "head -c 1500000 /dev/zero; exit 3", sink)
        await still(sink)
        await asyncio.sleep(1)
        assert not running.done(), "an end was told before the output was taken"
        sink.catch_up()
        async with asyncio.timeout(PATIENCE_S):
            answer = await running
        assert isinstance(answer, Ended) and answer.exit_status == 3
        assert sink.bytes == 1_500_000


async def test_a_connection_lost_while_the_reader_is_behind_is_told(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        sink = Behind()
        running = start(lab, "head -c 50000000 /dev/zero; sleep 300", sink)
        await still(sink)
        sshd.kill_sessions()
        async with asyncio.timeout(PATIENCE_S):
            assert isinstance(await running, InDoubt)
        sink.catch_up()
        assert (await lab.run("echo back"))[1].out == b"back\n"


async def test_a_stop_reaches_a_command_whose_reader_is_behind(lab: Lab) -> None:
    sink = Behind()
    ref = new_ref(lab.server.name)
    running = asyncio.ensure_future(
        lab.executor.start(lab.server, ref, Command("while :; do head -c 1000000 /dev/zero; done"), sink)
    )
    await still(sink)
    await lab.executor.stop(lab.server, ref, 2)
    sink.catch_up()
    async with asyncio.timeout(PATIENCE_S):
        answer = await running
    assert isinstance(answer, Ended) and answer.signal == "TERM"
