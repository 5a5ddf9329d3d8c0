"""FAILURES rows 26 to 32: half-open connections, host keys, lost servers, prompts, limits, unconfirmed kills.

OpenSSH's own servers; the program where what a person is told matters, its SSH executor where time or the
server's limits do.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.engine.executor import Ended, InDoubt, Stopped, StopUnconfirmed, Unreachable
from core.ssh.settings import SshSettings
from tests.e2e.ssh.lab import Recorder, eventually, laboratory, upload_of
from tests.support.hosts import KINDS, Host, running_host
from tests.support.program import Program
from tests.support.sshd import Sshd, alive, descendants, write_key
from tests.support.static_lab import on_sshd, reconnect
from tests.support.wire import Wire

LaunchSshd = Callable[..., Sshd]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[LaunchSshd]:
    """Starts OpenSSH servers by name, with options of sshd_config; they end with the test."""
    with ExitStack() as stack:

        def start(name: str, **options: str) -> Sshd:
            return stack.enter_context(Sshd.start(tmp_path / name, options))

        yield start


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """A server of each kind, of this test alone."""
    with running_host(request.param, tmp_path) as made:
        yield made


# ---------------------------------------------------------------- 26: half open

KEEPALIVE = SshSettings(keepalive_s=0.2, keepalive_count=3)


async def test_f26_half_open_connection_is_ended_within_its_limit(host: Host) -> None:
    """Something on the way forgets the connection: nobody closes it, nothing arrives any more."""
    settings = replace(host.settings, keepalive_s=0.2, keepalive_count=3)
    assert host.server.ssh.port is not None
    async with Wire.to(host.server.ssh.port) as wire, laboratory(wire.server(host.server), settings) as lab:
        flying = await lab.begin("sleep 300")
        wire.freeze()
        began = time.monotonic()
        answer = await flying.answer
        assert isinstance(answer, InDoubt)
        assert "not responding to keepalive" in answer.evidence
        # Four silences of 0.2 s; the rest is patience with a busy machine.
        assert 0.5 < time.monotonic() - began < 15
        assert wire.connections == 1, "the other side was never told"
        wire.thaw()
        assert (await lab.run("echo back"))[1].out == b"back\n"


async def test_f26_a_frozen_server_is_a_half_open_connection(launch: LaunchSshd) -> None:
    sshd = launch("sshd")
    async with laboratory(sshd.server(), KEEPALIVE) as lab:
        flying = await lab.begin("sleep 300")
        pids = sshd.freeze_sessions()
        assert isinstance(await flying.answer, InDoubt)
        assert all(alive(pid) for pid in pids)


async def test_f26_a_frozen_server_is_given_up_while_connecting(launch: LaunchSshd) -> None:
    """The time limit of connecting is its own, whatever a step may take."""
    sshd = launch("sshd")
    async with Wire.to(sshd.port) as wire:
        wire.freeze()
        async with laboratory(wire.server(sshd.server()), SshSettings(connect_timeout_s=0.5)) as lab:
            began = time.monotonic()
            with pytest.raises(Unreachable, match=r"within 0\.5 s"):
                await lab.executor.open(lab.server)
            assert time.monotonic() - began < 15


async def test_f26_a_silent_command_is_not_taken_for_a_dead_connection(launch: LaunchSshd) -> None:
    async with laboratory(launch("sshd").server(), SshSettings(keepalive_s=0.1, keepalive_count=2)) as lab:
        answer, recorder = await lab.run("sleep 1.5; echo alive")
        assert (answer, recorder.out) == (Ended(0), b"alive\n")


# ---------------------------------------------------------------- 27, 28: host keys

TWO_SERVERS = """
    strategy: {order: free, max_failures: 1, on_failure: continue}
    steps:
      touch: {run: "echo here >> $HOME/effects", undo: ":"}
"""

ONE_SERVER = "steps: {touch: {run: 'true', undo: ':'}}\n"


def fingerprint(sshd: Sshd) -> str:
    return sshd.host_keys[0].get_fingerprint()


def trust(program: Program, name: str, sshd: Sshd) -> None:
    program.call("servers", "trust", name, "--fingerprint", fingerprint(sshd))


def test_f27_a_changed_host_key_stops_that_server_and_no_other(launch: LaunchSshd, tmp_path: Path) -> None:
    servers = {"a": launch("a"), "b": launch("b")}
    program = on_sshd(tmp_path / "lab", servers, pinned=False)
    for name, sshd in servers.items():
        trust(program, name, sshd)
    before = fingerprint(servers["a"])
    (servers["a"].folder / "host_0").unlink()
    servers["a"].host_keys[0] = write_key(servers["a"].folder / "host_0")
    servers["a"].restart()
    done = program.call("run", program.batch(TWO_SERVERS), status=None)
    assert program.states() == {"touch@a": "unreachable", "touch@b": "done"}
    assert before in done.stderr and fingerprint(servers["a"]) in done.stderr
    assert "has changed" in done.stderr
    assert (servers["b"].home / "effects").exists()
    assert not (servers["a"].home / "effects").exists()


def test_f28_an_unknown_host_fails_with_the_command_that_trusts_it(
    launch: LaunchSshd, tmp_path: Path
) -> None:
    sshd = launch("a")
    program = on_sshd(tmp_path / "lab", {"a": sshd}, pinned=False)
    done = program.call("run", program.batch(ONE_SERVER), status=6)
    command = f"windlass servers trust a --fingerprint {fingerprint(sshd)}"
    assert "is not known" in done.stderr and command in done.stderr
    assert program.states() == {"touch@a": "unreachable"}
    program.call(*command.split()[1:])
    program.call("run", "work")
    assert program.states(2) == {"touch@a": "done"}


def test_f28_a_key_that_the_provider_vouches_for_needs_no_trust(launch: LaunchSshd, tmp_path: Path) -> None:
    program = on_sshd(tmp_path / "lab", {"a": launch("a")}, pinned=True)
    program.call("run", program.batch(ONE_SERVER))
    assert not (program.path / ".windlass" / "known_hosts").exists()


# ---------------------------------------------------------------- 29: never back

LOST = """
    strategy: {RECONNECTper_server: 1, max_failures: 1, on_failure: continue}
    steps:
      reboot:
        run: |
          echo begun
          while [ ! -e "$HOME/go-on" ]; do sleep 0.05; done
        undo: ":"
      later: {needs: [], run: "echo later >> $HOME/effects", undo: ":"}
"""


def vanish(sshd: Sshd) -> list[int]:
    """Takes a server away in one moment, before anything on it can tell its end; what is left running."""
    os.kill(sshd.process.pid, signal.SIGSTOP)
    left = descendants(sshd.process.pid)
    sshd.kill_sessions()
    sshd.process.kill()
    sshd.process.wait()
    return left


def test_f29_never_back_is_in_doubt_and_what_never_started_is_unreachable(
    launch: LaunchSshd, tmp_path: Path
) -> None:
    servers = {"a": launch("a"), "b": launch("b")}
    program = on_sshd(tmp_path / "lab", servers)
    batch = program.batch(LOST.replace("RECONNECT", reconnect(3)))
    with program.process("run", batch) as process:
        for name in servers:
            program.until_event(
                lambda event, name=name: (
                    event["type"] == "task.output" and (event["step"], event["server"]) == ("reboot", name)
                )
            )
        left = vanish(servers["a"])
        (servers["b"].home / "go-on").touch()
        _, told = process.communicate(timeout=120)
    for pid in left:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert program.states() == {
        "reboot@a": "in_doubt",
        "later@a": "unreachable",
        "reboot@b": "done",
        "later@b": "done",
    }
    assert process.returncode == 4, "it waits for a person"
    assert "unreachable" in told and "in doubt" in told
    why = program.call("runs", "show", "1", "reboot@a", status=None).stdout
    assert "lost" in why


# ---------------------------------------------------------------- 30: prompts


def wants(program: Program, command: str, *, timeout: str = "") -> str:
    """Runs a command that fails, and returns what is told of it."""
    limit = f", timeout: {timeout}" if timeout else ""
    batch = program.batch(f"steps:\n  ask: {{run: {command!r}, undo: ':'{limit}}}\n")
    done = program.call("run", batch, status=1)
    assert program.states() == {"ask@a": "failed"}
    return done.stderr


@pytest.fixture
def alone(launch: LaunchSshd, tmp_path: Path) -> Program:
    """The program on one server."""
    return on_sshd(tmp_path / "lab", {"a": launch("a")})


def test_f30_a_question_finds_no_input_and_fails_with_a_hint(alone: Program) -> None:
    told = wants(alone, 'printf "Do you want to continue? [Y/n] "; read answer || { echo Abort.; exit 1; }')
    assert "exit 1" in told and "use -y" in told


def test_f30_sudo_without_a_rule_fails_with_a_hint(alone: Program) -> None:
    if shutil.which("sudo") is None or os.geteuid() != 0:
        pytest.skip("needs sudo, and root to become a user who may not use it")
    told = wants(alone, "exec sudo -n -u nobody -- sudo true")
    assert "NOPASSWD" in told


@pytest.mark.long
def test_f30_a_prompt_that_waits_is_told_when_its_time_is_up(alone: Program) -> None:
    told = wants(alone, 'printf "Password: "; sleep 300', timeout="1s")
    assert "timed out" in told and "it asked for a password" in told


@pytest.mark.long
def test_f30_a_failure_that_asked_nothing_gets_no_hint(alone: Program) -> None:
    assert "; " not in wants(alone, "echo no such file; exit 3").splitlines()[-1]


# ---------------------------------------------------------------- 31: limits


async def test_f31_one_session_at_a_time_loses_nothing_and_is_remembered(
    launch: LaunchSshd, tmp_path: Path
) -> None:
    sshd = launch("sshd", MaxSessions="1")
    async with laboratory(sshd.server()) as lab:
        results = await asyncio.gather(*(lab.run(f"sleep 0.05; echo {number}") for number in range(8)))
        assert [recorder.out for _, recorder in results] == [b"%d\n" % number for number in range(8)]
        connection = lab.executor._pool.current(lab.server)
        assert connection is not None
        assert connection.link.max_channels == 1, "the limit is remembered"
        (tmp_path / "file").write_text("x")
        flying = await lab.begin("sleep 0.3")
        uploaded = await lab.start(upload_of(tmp_path / "file", "~/file"), Recorder())
        assert uploaded == Ended(0, evidence="renamed in place")
        assert await flying.answer == Ended(0)
        assert len(sshd.sessions()) == 1
        sshd.kill_sessions()
        await eventually(lambda: connection.link.gone, "the loss is noticed")
        await lab.executor.open(lab.server)
        again = lab.executor._pool.current(lab.server)
        assert again is not None and again is not connection
        assert again.link.max_channels == 1, "also on the next connection"


async def test_f31_a_server_that_turns_us_away_is_asked_again(launch: LaunchSshd) -> None:
    sshd = launch("sshd", MaxStartups="1:100:1")
    servers = [sshd.server(f"srv{number}") for number in range(12)]
    async with laboratory(servers[0], SshSettings(connect_attempts=40, retry_max_s=0.5)) as lab:
        facts = await asyncio.gather(*(lab.executor.open(server) for server in servers))
        assert all(fact.boot_id for fact in facts)
    assert "MaxStartups" in sshd.log, "it did turn somebody away"


async def test_f31_a_jump_host_that_turns_us_away_is_asked_again(launch: LaunchSshd, tmp_path: Path) -> None:
    jump, inner = launch("jump", MaxStartups="1:100:1"), launch("inner")
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{jump.port} {jump.host_keys[0].export_public_key().decode()}")
    config = tmp_path / "config"
    config.write_text(
        f"Host bastion\n  HostName 127.0.0.1\n  Port {jump.port}\n  IdentityFile {jump.user_key}\n"
        f"  UserKnownHostsFile {known}\nHost *\n  ProxyJump bastion\n"
    )
    server = inner.server(ssh_config=config, use_ssh_config=True)
    settings = SshSettings(connect_attempts=40, retry_base_s=0.05, retry_max_s=0.2)
    with socket.create_connection(("127.0.0.1", jump.port)) as occupying:
        occupying.recv(1)  # its banner: this connection counts as a beginning one
        async with laboratory(server, settings) as lab:
            opening = asyncio.ensure_future(lab.executor.open(server))
            await eventually(lambda: "drop connection" in jump.log, "the jump host turned us away")
            occupying.close()
            assert (await asyncio.wait_for(opening, 60)).boot_id


async def test_f31_asking_again_is_bounded_and_jittered(
    launch: LaunchSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd = launch("sshd", MaxStartups="1:100:1")
    pauses: list[float] = []
    plain = asyncio.sleep

    async def noting(delay_s: float, *arguments: Any) -> Any:
        pauses.append(delay_s)
        return await plain(min(delay_s, 0.01), *arguments)

    with socket.create_connection(("127.0.0.1", sshd.port)) as occupying:
        occupying.recv(1)
        async with laboratory(sshd.server(), SshSettings(connect_attempts=5, retry_max_s=1.0)) as lab:
            monkeypatch.setattr("core.ssh.pool.asyncio.sleep", noting)
            with pytest.raises(Unreachable, match="closed the connection during the SSH handshake") as caught:
                await lab.executor.open(lab.server)
            monkeypatch.undo()
    assert "MaxStartups" in caught.value.hint
    assert sshd.log.count("drop connection") >= 5
    waits = [pause for pause in pauses if pause]
    assert len(waits) == 4
    for pause, longest in zip(waits, (0.25, 0.5, 1.0, 1.0), strict=True):
        assert longest / 4 <= pause <= longest


# ---------------------------------------------------------------- 32: unconfirmed kills


async def test_f32_a_stop_that_cannot_be_sent_is_unconfirmed_with_the_pid(launch: LaunchSshd) -> None:
    sshd = launch("sshd")
    async with laboratory(sshd.server(), SshSettings(connect_attempts=1)) as lab:
        flying = await lab.begin("echo $$ pid; sleep 300")
        await flying.recorder.until(b" pid\n")
        pid = int(flying.recorder.out.split()[1])
        sshd.process.kill()
        sshd.process.wait()
        session = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(session, signal.SIGKILL)
        await flying.answer
        answer = await lab.executor.stop(lab.server, flying.ref, 1)
        assert isinstance(answer, StopUnconfirmed)
        assert answer.pids == (pid,)
        assert "refused the connection" in answer.evidence
        os.killpg(pid, signal.SIGKILL)


async def test_f32_a_stop_over_a_half_open_connection_is_not_taken_for_confirmed(launch: LaunchSshd) -> None:
    sshd = launch("sshd")
    settings = replace(KEEPALIVE, connect_attempts=1, connect_timeout_s=1.0)
    async with Wire.to(sshd.port) as wire, laboratory(wire.server(sshd.server()), settings) as lab:
        flying = await lab.begin("echo $$ pid; sleep 300")
        await flying.recorder.until(b" pid\n")
        pid = int(flying.recorder.out.split()[1])
        wire.freeze()
        answer = await lab.executor.stop(lab.server, flying.ref, 1)
        assert isinstance(answer, StopUnconfirmed), answer
        assert answer.pids == (pid,)
        assert isinstance(await flying.answer, InDoubt)
        wire.thaw()
        assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
        assert not alive(pid)


@pytest.mark.long
def test_f32_an_unconfirmed_kill_leaves_the_task_in_doubt_with_its_pids(
    launch: LaunchSshd, tmp_path: Path
) -> None:
    """The time is up, and the server's process is frozen and its port closed: nobody can see what is left."""
    sshd = launch("a")
    program = on_sshd(tmp_path / "lab", {"a": sshd}, keepalive_s=5)
    batch = program.batch(
        f"strategy: {{{reconnect(2)}}}\n"
        "steps: {stay: {run: 'echo $$ pid; sleep 300', undo: ':', timeout: 6s}}\n"
    )
    with program.process("run", batch) as process:
        program.until_event(lambda event: event["type"] == "task.output")
        running = descendants(sshd.process.pid)
        sshd.freeze_sessions()
        sshd.process.kill()
        sshd.process.wait()
        _, told = process.communicate(timeout=150)
    for pid in running:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert program.states() == {"stay@a": "in_doubt"}, told
    assert process.returncode == 4
    shown = program.call("runs", "show", "1", "stay@a", status=None).stdout
    assert "unconfirmed" in shown or "could not be sent" in shown, shown
