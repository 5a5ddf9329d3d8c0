"""Stopping a command: its whole process group, TERM before KILL, and told only when it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, NotStarted, Stopped, StopUnconfirmed
from core.ssh import stopping
from core.ssh.shell import Started
from tests.e2e.ssh.lab import Lab, Recorder, died_by, eventually, laboratory, new_ref
from tests.support.hosts import Host, link_shell
from tests.support.sshd import Sshd, alive


async def test_a_sleeping_command_ends_by_term(shell_lab: Lab) -> None:
    flying = await shell_lab.begin("sleep 300")
    answer = await shell_lab.executor.stop(shell_lab.server, flying.ref, 5)
    assert isinstance(answer, Stopped)
    assert "after TERM" in answer.evidence
    assert died_by(await flying.answer, "TERM")


async def test_a_command_may_clean_up_within_the_grace_time(shell_lab: Lab) -> None:
    flying = await shell_lab.begin("trap 'echo cleaned; exit 7' TERM; echo set; while :; do sleep 0.05; done")
    await flying.recorder.until(b"set\n")
    answer = await shell_lab.executor.stop(shell_lab.server, flying.ref, 5)
    assert isinstance(answer, Stopped)
    assert await flying.answer == Ended(7)
    assert b"cleaned\n" in flying.recorder.out


async def test_a_command_that_ignores_term_is_killed(shell_lab: Lab) -> None:
    flying = await shell_lab.begin("trap '' TERM; echo set; sleep 300")
    await flying.recorder.until(b"set\n")
    began = time.monotonic()
    answer = await shell_lab.executor.stop(shell_lab.server, flying.ref, 0.5)
    assert isinstance(answer, Stopped)
    assert "after KILL" in answer.evidence
    assert time.monotonic() - began >= 0.5
    assert died_by(await flying.answer, "KILL")


async def test_grandchildren_of_the_group_are_ended_too(shell_lab: Lab) -> None:
    flying = await shell_lab.begin("sh -c 'trap \"\" TERM; sleep 301 & sleep 302 & echo $! pid; wait' & wait")
    await flying.recorder.until(b" pid\n")
    pid = int(flying.recorder.out.split()[-2])
    assert alive(pid)
    answer = await shell_lab.executor.stop(shell_lab.server, flying.ref, 0.2)
    assert isinstance(answer, Stopped)
    assert not alive(pid)
    assert isinstance(await flying.answer, Ended)


async def test_a_child_that_outlives_its_shell_is_found(lab: Lab) -> None:
    flying = await lab.begin("sh -c 'trap \"\" TERM; echo $$ pid; sleep 300' & exec sleep 301")
    await flying.recorder.until(b" pid\n")
    pid = int(flying.recorder.out.split()[-2])
    answer = await lab.executor.stop(lab.server, flying.ref, 0.3)
    assert isinstance(answer, Stopped)
    assert "after KILL" in answer.evidence
    assert not alive(pid)


async def test_a_process_name_with_odd_characters_is_still_found(lab: Lab, tmp_path: Path) -> None:
    # The name stands in parentheses in /proc/PID/stat, and nothing forbids ") R 1 2" or a newline in it.
    for name in (") R 1 2", "a\nb"):
        program = tmp_path / name
        if not program.exists():
            program.symlink_to("/bin/sleep")
        quoted = str(program).replace("'", "'\\''")
        flying = await lab.begin(f"trap '' TERM; '{quoted}' 300 & echo $! pid; wait; wait")
        await flying.recorder.until(b" pid\n")
        pid = int(flying.recorder.out.split()[-2])
        await eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == f"{name}\n", "the program runs")  # noqa: B023
        answer = await lab.executor.stop(lab.server, flying.ref, 0.2)
        assert isinstance(answer, Stopped), answer
        assert not alive(pid)


async def test_a_process_in_a_session_of_its_own_is_out_of_reach(lab: Lab) -> None:
    flying = await lab.begin("setsid sh -c 'echo $$ pid; exec sleep 300 >/dev/null 2>&1' & wait; sleep 301")
    await flying.recorder.until(b" pid\n")
    pid = int(flying.recorder.out.split()[-2])
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_what_ended_already_is_stopped(lab: Lab) -> None:
    ref = new_ref()
    assert await lab.start(Command("true"), Recorder(), ref) == Ended(0)
    assert isinstance(await lab.executor.stop(lab.server, ref, 1), Stopped)


async def test_what_was_left_in_the_background_is_ended_by_a_stop(lab: Lab) -> None:
    ref, recorder = new_ref(), Recorder()
    command = Command("sleep 300 </dev/null >/dev/null 2>&1 & echo $!")
    assert await lab.start(command, recorder, ref) == Ended(0)
    pid = int(recorder.out)
    assert alive(pid)
    assert isinstance(await lab.executor.stop(lab.server, ref, 2), Stopped)
    assert not alive(pid)


async def test_an_attempt_of_another_process_cannot_be_stopped(lab: Lab) -> None:
    answer = await lab.executor.stop(lab.server, new_ref(), 1)
    assert isinstance(answer, StopUnconfirmed)
    assert "did not start it" in answer.evidence


async def test_an_abandoned_command_runs_on_until_it_is_stopped(lab: Lab) -> None:
    flying = await lab.begin("echo $$ pid; sleep 300")
    await flying.recorder.until(b" pid\n")
    pid = int(flying.recorder.out.split()[1])
    flying.answer.cancel()
    await asyncio.gather(flying.answer, return_exceptions=True)
    assert (await lab.run("true"))[0] == Ended(0)
    assert alive(pid)
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
    assert not alive(pid)


async def test_a_number_that_was_given_anew_is_left_alone(lab: Lab) -> None:
    """The group's leader counts only with its start time."""
    if lab.supervised:
        pytest.skip("its record is on the server: test_supervised.py falsifies it there")
    flying = await lab.begin("sleep 300")
    running = lab.executor._ledger[flying.ref]
    real = running.started
    assert real is not None and real.leader_start
    running.started = Started(real.pid, real.group, str(int(real.leader_start) - 1))
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 0.2), Stopped)
    assert alive(real.pid)
    assert not flying.answer.done()
    running.started = real
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 1), Stopped)
    assert died_by(await flying.answer, "TERM")


# ---------------------------------------------------------------- where there is no room, or no connection


async def test_a_stop_finds_its_way_where_only_one_session_is_allowed(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "1"}) as sshd:
        async with laboratory(sshd.server()) as lab:
            flying = await lab.begin("sleep 300")
            assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
            assert died_by(await flying.answer, "TERM")


async def test_a_command_whose_connection_was_cut_is_stopped_over_a_new_one(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        flying = await lab.begin("echo $$ pid; sleep 300")
        await flying.recorder.until(b" pid\n")
        pid = int(flying.recorder.out.split()[1])
        for session in sshd.sessions():
            os.kill(session, signal.SIGKILL)
        await flying.answer
        assert alive(pid)
        assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
        assert not alive(pid)


async def test_a_stop_before_the_hand_over_calls_it_off(host: Host, tmp_path: Path) -> None:
    async with laboratory(host.server, host.settings) as lab:
        ref, witness = new_ref(), tmp_path / "witness"
        starting = asyncio.ensure_future(lab.start(Command(f"touch {witness}"), Recorder(), ref))
        await asyncio.sleep(0)  # it is connecting now
        assert await lab.executor.stop(lab.server, ref, 1) == Stopped("it was never handed over")
        assert await starting == NotStarted("it was stopped by us before it was handed over")
        assert (await lab.run("true"))[0] == Ended(0)
        assert not witness.exists()


@pytest.mark.parametrize("name", ["dash", "bash", "ash"])
async def test_where_there_is_no_proc_ps_tells_the_same(name: str, tmp_path: Path) -> None:
    shell = link_shell(name, tmp_path)
    process = await asyncio.create_subprocess_exec("sleep", "300", start_new_session=True)
    try:
        for text in (stopping._LOOK, stopping._LOOK.replace("[ -r /proc/self/stat ]", "false")):
            script = f'wl_g={process.pid};wl_h=;{text}wl_a;echo "[$wl_o]"'
            looking = await asyncio.create_subprocess_exec(
                shell, "-c", script, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await looking.communicate()
            assert out.decode().strip() == f"[ {process.pid}]"
    finally:
        process.kill()
        await process.wait()
