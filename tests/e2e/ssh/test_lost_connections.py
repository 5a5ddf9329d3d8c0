"""Connections that go: in mid-command, half open, before anything was handed over; and how they come back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, NotStarted, Unreachable
from core.ssh.settings import SshSettings
from tests.e2e.ssh.lab import Recorder, eventually, laboratory, new_ref
from tests.support.sshd import Sshd, children


async def test_a_connection_cut_in_mid_command_leaves_it_in_doubt(sshd: Sshd, tmp_path: Path) -> None:
    effect = tmp_path / "effect"
    async with laboratory(sshd.server()) as lab:
        flying = await lab.begin(f"until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo done >{effect}")
        sshd.kill_sessions()
        answer = await flying.answer
        assert isinstance(answer, InDoubt)
        assert "was evaluated" in answer.evidence
        assert "without a supervisor" in answer.evidence
        # The doubt is justified: the command lives on, as sshd lets it.
        (tmp_path / "go").touch()
        await eventually(effect.exists, "the command took effect after its connection was cut")
        # The next open makes a new connection.
        assert (await lab.executor.open(lab.server)).boot_id
        assert (await lab.run("echo again"))[1].out == b"again\n"


async def test_output_before_the_cut_is_kept(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        flying = await lab.begin("sleep 300")
        sshd.kill_sessions()
        assert isinstance(await flying.answer, InDoubt)
        assert flying.recorder.out == b"ready\n"


async def test_a_lost_connection_is_noticed_before_the_next_command(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        assert (await lab.run("true"))[0] == Ended(0)
        pool = lab.executor._pool
        connection = pool.current(lab.server)
        assert connection is not None
        sshd.kill_sessions()
        await eventually(lambda: connection.link.gone, "the loss is noticed")
        assert pool.current(lab.server) is None
        assert (await lab.run("echo back"))[1].out == b"back\n"


async def test_nothing_is_handed_over_to_a_server_that_went_away(sshd: Sshd) -> None:
    async with laboratory(sshd.server(), SshSettings(connect_attempts=1)) as lab:
        await lab.executor.open(lab.server)
        sshd.stop()
        await eventually(lambda: lab.executor._pool.current(lab.server) is None, "the loss is noticed")
        answer, _ = await lab.run("true")
        assert isinstance(answer, NotStarted)
        assert "refused the connection" in answer.why
        with pytest.raises(Unreachable):
            await lab.executor.open(lab.server)
        with pytest.raises(Unreachable):
            await lab.executor.attach(lab.server, new_ref(), Command("true"), {}, Recorder())
        with pytest.raises(Unreachable):
            await lab.executor.void(lab.server, new_ref())


@pytest.mark.parametrize("noise", ["", "echo noise; echo noise >&2\n"])
async def test_the_shell_kept_ready_may_die_without_harm(sshd: Sshd, noise: str) -> None:
    (sshd.home / ".bashrc").write_text(noise)
    async with laboratory(sshd.server()) as lab:
        await lab.executor.open(lab.server)
        connection = lab.executor._pool.current(lab.server)
        assert connection is not None
        ready = getattr(connection.prepared, "_ready")[0]  # noqa: B009
        (session,) = sshd.sessions()
        for pid in children(session):
            os.kill(pid, signal.SIGKILL)
        # Whether it is noticed before the hand-over or after, nothing ran and a new channel is used.
        assert (await lab.run("echo fine"))[1].out == b"fine\n"
        assert ready.session.ending.signal == "KILL"


async def test_those_who_ask_at_once_share_one_connection(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        await asyncio.gather(*(lab.executor.open(lab.server) for _ in range(20)))
        assert len(sshd.sessions()) == 1
        assert sshd.log.count("Accepted publickey") == 1


async def test_one_who_gives_up_does_not_spoil_it_for_the_others(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        waiters = [asyncio.ensure_future(lab.executor.open(lab.server)) for _ in range(3)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1] == results[2]
        assert sshd.log.count("Accepted publickey") == 1


async def test_closing_ends_every_connection_and_abandons_what_runs(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        flying = await lab.begin("sleep 300")
        await lab.executor.close()
        assert isinstance(await flying.answer, InDoubt)
        with pytest.raises(Unreachable):
            await lab.executor.open(lab.server)
        await eventually(lambda: not sshd.sessions(), "the session is over")
