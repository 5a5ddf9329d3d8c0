"""Supervised commands over connections that go, logins that are odd, and servers that allow one session."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, PortProbe, Stopped
from core.model.ids import new_run_id
from core.ssh.settings import SshSettings
from tests.e2e.ssh.lab import PATIENCE_S, Lab, Recorder, eventually, laboratory, new_ref, upload_of
from tests.e2e.ssh.records import attach, processes_of, record_in_flight
from tests.support.hosts import Host
from tests.support.sshd import Sshd, alive, children
from tests.support.wire import Wire

PRINTER = "i=0; while [ $i -lt 60 ]; do echo line $i; echo err $i >&2; i=$((i+1)); sleep 0.05; done; exit 6"
PRINTED = b"".join(b"line %d\n" % number for number in range(60))


@pytest.fixture
def run_id() -> str:
    return new_run_id()


async def attached(lab: Lab, ref: object, record: object, recorder: Recorder) -> object:
    """Asks again until the server can be asked."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await attach(lab, ref, record, recorder)  # type: ignore[arg-type]
            if not isinstance(answer, InDoubt) or not answer.lost:
                return answer


async def test_a_connection_that_is_cut_again_and_again_loses_and_doubles_nothing(
    host: Host, tmp_path: Path
) -> None:
    effect = tmp_path / "effect"
    async with Wire.to(host.server.ssh.port) as wire:
        server = wire.server(host.server)
        async with laboratory(server, host.settings, run_id=new_run_id()) as lab:
            flying = await lab.begin(f"echo once >>{effect}; {PRINTER}")
            record = await record_in_flight(lab, flying)
            recorder, answer = flying.recorder, None
            wire.cut()
            answer = await flying.answer
            assert isinstance(answer, InDoubt) and answer.lost
            for number in (15, 30, 45):
                following = asyncio.ensure_future(attached(lab, flying.ref, record, recorder))
                await recorder.until(b"line %d\n" % number)
                wire.cut()
                answer = await following
            assert answer == Ended(6)
            assert recorder.out == b"ready\n" + PRINTED
            assert recorder.err == PRINTED.replace(b"line", b"err")
            assert effect.read_text() == "once\n"


async def test_the_server_s_process_of_the_connection_is_killed(host: Host) -> None:
    async with laboratory(host.server, host.settings, run_id=new_run_id()) as lab:
        flying = await lab.begin(PRINTER)
        record = await record_in_flight(lab, flying)
        host.kill_sessions()
        answer = await flying.answer
        assert isinstance(answer, InDoubt) and answer.lost
        assert await attached(lab, flying.ref, record, flying.recorder) == Ended(6)
        assert flying.recorder.out == b"ready\n" + PRINTED


async def test_a_frozen_connection_is_ended_by_keepalive_and_the_command_goes_on(host: Host) -> None:
    settings = replace(host.settings, keepalive_s=0.3, keepalive_count=2)
    async with Wire.to(host.server.ssh.port) as wire:
        async with laboratory(wire.server(host.server), settings, run_id=new_run_id()) as lab:
            flying = await lab.begin("sleep 1; echo done; exit 4")
            record = await record_in_flight(lab, flying)
            wire.freeze()
            answer = await flying.answer
            assert isinstance(answer, InDoubt) and answer.lost
            wire.cut()
            wire.thaw()
            assert await attached(lab, flying.ref, record, flying.recorder) == Ended(4)
            assert flying.recorder.out == b"ready\ndone\n"


async def test_the_session_s_shell_is_killed_and_its_commands_do_not_notice(lab: Lab) -> None:
    flying = [await lab.begin(f"sleep 1; echo {number}; exit {number}") for number in range(4)]
    record = await record_in_flight(lab, flying[0])
    parent = int(Path(f"/proc/{record.watcher}/stat").read_text().rpartition(")")[2].split()[1])
    assert (
        b"/sh" in Path(f"/proc/{parent}/cmdline").read_bytes()
        or b"ash" in Path(f"/proc/{parent}/cmdline").read_bytes()
    )
    os.kill(parent, signal.SIGKILL)
    assert [await one.answer for one in flying] == [Ended(number) for number in range(4)]
    assert [one.recorder.out for one in flying] == [b"ready\n%d\n" % number for number in range(4)]


async def test_a_session_that_is_killed_over_and_over_is_told_as_lost(lab: Lab) -> None:
    """Not as the end of the command, and not for ever."""
    flying = await lab.begin("sleep 300")
    connection = await lab.executor._pool.open(lab.server)
    commands = connection.prepared
    real = commands._open_session  # type: ignore[attr-defined]

    async def dying() -> object:
        session = await real()
        session.close("killed")
        return session

    commands._open_session = dying  # type: ignore[attr-defined]
    answer = await flying.answer
    assert isinstance(answer, InDoubt) and answer.lost
    commands._open_session = real  # type: ignore[attr-defined]
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)


async def test_another_process_finds_follows_and_stops_what_the_first_one_started(
    host: Host, run_id: str
) -> None:
    async with laboratory(host.server, host.settings, run_id=run_id) as first:
        flying = await first.begin(PRINTER)
        forever = await first.begin("trap '' TERM; echo set; sleep 300; sleep 300")
        await forever.recorder.until(b"set\n")
        records = [await record_in_flight(first, one) for one in (flying, forever)]
        pid = records[1].pid
        await first.executor._pool.close()
        for one in (flying, forever):
            assert isinstance(await one.answer, InDoubt)
        async with laboratory(host.server, host.settings, run_id=run_id) as second:
            found: list[float | None] = []
            answer = await second.executor.attach(
                host.server,
                flying.ref,
                Command(""),
                {stream: len(data) for stream, data in flying.recorder.streams.items()},
                flying.recorder,
                records[0].trace,
                found.append,
            )
            assert answer == Ended(6)
            assert flying.recorder.out == b"ready\n" + PRINTED
            assert len(found) == 1 and found[0] is not None and 0 <= found[0] < PATIENCE_S
            stopped = await second.executor.stop(
                host.server, forever.ref, 0.2, Command("not looked at"), records[1].trace
            )
            assert isinstance(stopped, Stopped) and "after KILL" in stopped.evidence
            assert not alive(pid)
            assert await attach(second, forever.ref, records[1]) == Ended(137)


async def test_a_follower_that_is_cancelled_leaves_the_command_alone(lab: Lab) -> None:
    flying = await lab.begin("sleep 0.5; exit 3")
    record = await record_in_flight(lab, flying)
    flying.answer.cancel()
    await asyncio.gather(flying.answer, return_exceptions=True)
    assert await attach(lab, flying.ref, record, flying.recorder) == Ended(3)


async def test_cancelled_between_claim_and_pid_it_is_found_or_stopped(lab: Lab, tmp_path: Path) -> None:
    for number in range(1, 20):
        ref = new_ref()
        trace = await lab.trace()
        starting = asyncio.ensure_future(
            lab.executor.start(lab.server, ref, Command("sleep 300"), Recorder(), trace)
        )
        for _ in range(number):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert isinstance(await lab.executor.stop(lab.server, ref, 2), Stopped), number
    assert not [pid for pid, _ in processes_of(Path(trace.folder))]


# ---------------------------------------------------------------- one session at a time


async def test_one_session_for_everything_loses_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "1"}) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            flying = await lab.begin(PRINTER)
            uploads = [
                lab.start(upload_of(source, str(tmp_path / f"target{number}")), Recorder())
                for number in range(5)
            ]
            probes = [lab.start(PortProbe(sshd.port), Recorder()) for _ in range(5)]
            commands = [lab.run(f"echo {number}; sleep 0.2; exit {number}") for number in range(8)]
            answers = await asyncio.gather(
                *uploads, *probes, *(asyncio.ensure_future(one) for one in commands)
            )
            assert set(answers[:5]) == {Ended(0, evidence="renamed in place")}
            assert all(isinstance(answer, Ended) and answer.exit_status == 0 for answer in answers[5:10])
            assert [(answer, recorder.out) for answer, recorder in answers[10:]] == [
                (Ended(number), b"%d\n" % number) for number in range(8)
            ]
            assert await flying.answer == Ended(6)
            assert flying.recorder.out == b"ready\n" + PRINTED
            assert len(sshd.sessions()) == 1, "over one connection"


async def test_one_session_for_a_stop_and_transfers(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1_000_000))
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "1"}) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            flying = await lab.begin("trap '' TERM; echo set; sleep 300; sleep 300")
            await flying.recorder.until(b"set\n")
            uploads = [
                asyncio.ensure_future(lab.start(upload_of(source, str(tmp_path / f"t{number}")), Recorder()))
                for number in range(8)
            ]
            stopped = await lab.executor.stop(lab.server, flying.ref, 0.5)
            assert isinstance(stopped, Stopped) and "after KILL" in stopped.evidence
            assert set(await asyncio.gather(*uploads)) == {Ended(0, evidence="renamed in place")}
            assert await flying.answer == Ended(137)
            # A session that nobody uses gives way as well.
            assert (await lab.run("true"))[0] == Ended(0)
            answer = await lab.start(upload_of(source, str(tmp_path / "last")), Recorder())
            assert answer == Ended(0, evidence="renamed in place")


# ---------------------------------------------------------------- odd logins


def login_shell(tmp_path: Path, program: str) -> dict[str, str]:
    """Options that hand each command line to a program, as a login shell would get it."""
    script = tmp_path / "login"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    return {"ForceCommand": f"exec {script}"}


@pytest.mark.parametrize("name", ["tcsh", "csh", "bash", "zsh", "fish", "mksh"])
async def test_any_login_shell_will_do(tmp_path: Path, name: str) -> None:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    options = login_shell(tmp_path, f'exec {path} -c "$SSH_ORIGINAL_COMMAND"')
    with Sshd.start(tmp_path / "sshd", options) as sshd:
        (sshd.home / ".cshrc").write_text("echo welcome\n")
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            facts = await lab.executor.open(lab.server)
            assert facts.folder and facts.notes == ()
            answer, recorder = await lab.run("echo out; echo err >&2; exit 3")
            assert (answer, recorder.out, recorder.err) == (Ended(3), b"out\n", b"err\n")


@pytest.mark.parametrize(
    "noise",
    [
        "echo welcome; echo careful >&2; printf 'no newline'; printf 'nor here' >&2",
        "head -c 300000 /dev/urandom; head -c 300000 /dev/urandom >&2",
        "printf 'WL'; printf 'WL0123456789abcdef B x\\n'; printf 'O r o 0 99\\n\\0\\377'; set -v",
        "stty -echo; clear; cat /nonexistent",
        "sleep 0.3; yes | head -n 5000",
    ],
)
async def test_what_start_up_files_print_is_skipped(tmp_path: Path, noise: str) -> None:
    options = login_shell(tmp_path, f'{noise}\nexec sh -c "$SSH_ORIGINAL_COMMAND"')
    with Sshd.start(tmp_path / "sshd", options) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            assert (await lab.executor.open(lab.server)).folder
            for _ in range(2):
                answer, recorder = await lab.run("echo out; echo err >&2; exit 3")
                assert (answer, recorder.out, recorder.err) == (Ended(3), b"out\n", b"err\n")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo this account is closed; exit 1", "this account is closed"),
        ("exec cat", ""),
        ("exec sleep 60", "no answer within"),
        ("echo 'Router> '; while read -r line; do echo '% Unknown command'; done", "Unknown command"),
        ("exec /nonexistent-shell", "nonexistent-shell"),
        ("kill -9 $$", ""),
    ],
)
async def test_where_no_shell_answers_that_is_told_and_nothing_hangs(
    tmp_path: Path, program: str, said: str
) -> None:
    options = login_shell(tmp_path, program)
    with Sshd.start(tmp_path / "sshd", options) as sshd:
        settings = SshSettings(hello_wait_s=1)
        async with laboratory(sshd.server(), settings, run_id=new_run_id()) as lab:
            async with asyncio.timeout(PATIENCE_S):
                facts = await lab.executor.open(lab.server)
            assert facts.folder == ""
            assert "no POSIX shell answers" in facts.notes[0] and said in facts.notes[0]
            assert "commands will fail" in facts.notes[0]


async def test_a_start_up_file_that_execs_another_shell(tmp_path: Path) -> None:
    """As those do that start a shell which the account may not have as its own."""
    options = login_shell(tmp_path, 'exec bash -c "exec sh -c \'eval \\"\\$SSH_ORIGINAL_COMMAND\\"\'"')
    with Sshd.start(tmp_path / "sshd", options) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            assert (await lab.executor.open(lab.server)).folder
            assert (await lab.run("exit 3"))[0] == Ended(3)


async def test_a_short_command_takes_a_watcher_and_a_shell_and_nothing_else(
    sshd: Sshd, tmp_path: Path
) -> None:
    """Processes are what a server pays for: the numbers that they got are next to each other."""
    async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
        await lab.run("true")
        flying = await lab.begin("sleep 300")
        record = await record_in_flight(lab, flying)
        session = int(Path(f"/proc/{record.watcher}/stat").read_text().rpartition(")")[2].split()[1])
        pids: list[int] = []
        for _ in range(20):
            answer, recorder = await lab.run("echo $PPID $$")
            assert answer == Ended(0)
            pids.append(int(recorder.out.split()[1]) - int(recorder.out.split()[0]))
        # Others make processes as well, so the smallest distance is the one that counts.
        assert min(pids) == 1
        await eventually(
            lambda: {pid for pid in children(session) if alive(pid)} == {record.watcher}, "no other child"
        )
        assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
