"""Stopping supervised commands, with sudo too; what stands of them in process lists; sudoers that refuse."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, NotStarted, Stopped, StopUnconfirmed
from core.model.ids import AttemptRef, new_run_id
from core.model.states import Purpose
from core.ssh.settings import SshSettings
from core.ssh.supervisor import stop as stopping
from tests.e2e.ssh.lab import Lab, Recorder, died_by, eventually, laboratory, new_ref
from tests.e2e.ssh.records import attach, record_in_flight, record_of
from tests.support.hosts import Host
from tests.support.sshd import Sshd, alive

SHELLS = {"dash": "/bin/dash", "bash": "/bin/bash", "ash": "/bin/busybox sh"}


@pytest.fixture
def run_id() -> str:
    return new_run_id()


@pytest.fixture
def sudo() -> None:
    if shutil.which("sudo") is None:
        pytest.skip("sudo is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root may use sudo without a password here")


@pytest.fixture(params=sorted(SHELLS))
async def open_lab(request: pytest.FixtureRequest, host: Host) -> AsyncIterator[Lab]:
    """Supervised, with a shell that every user can reach."""
    shell = SHELLS[request.param]
    if not Path(shell.split()[0]).exists():
        pytest.skip(f"{shell} is not installed")
    async with laboratory(host.server, SshSettings(shell=shell), run_id=new_run_id()) as made:
        yield made


# ---------------------------------------------------------------- stops


async def test_a_group_whose_leader_is_gone_is_stopped(lab: Lab) -> None:
    ref, recorder = new_ref(), Recorder()
    command = Command("trap '' TERM; sh -c 'sleep 300' </dev/null >/dev/null 2>&1 & echo $!; exit 3")
    assert await lab.start(command, recorder, ref) == Ended(3)
    child = int(recorder.out)
    assert alive(child)
    answer = await lab.executor.stop(lab.server, ref, 0.2)
    assert isinstance(answer, Stopped) and "after KILL" in answer.evidence
    assert not alive(child)


async def test_f32_a_kill_that_was_not_confirmed_is_told_with_the_pids(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a process that hangs in the kernel: the signals are sent to nobody."""
    flying = await lab.begin("sleep 300 & echo $! pid; wait")
    await flying.recorder.until(b" pid\n")
    record = await record_in_flight(lab, flying)
    child = int(flying.recorder.out.split()[1])
    connection = await lab.executor._pool.open(lab.server)
    session = await connection.prepared._open_session()  # type: ignore[attr-defined]
    real = session.kill

    async def only_look(folder: str, name: str, sent: str, sudo: str = "") -> list[str]:
        said: list[str] = await real(folder, name, "-")
        return said

    monkeypatch.setattr(session, "kill", only_look)
    answer = await stopping.stop_record(
        session, SshSettings(kill_wait_s=0.2), (record.trace.folder, record.name), None, 0.2
    )
    assert isinstance(answer, StopUnconfirmed)
    assert set(answer.pids) == {record.pid, child}
    assert "still there after KILL" in answer.evidence
    monkeypatch.undo()
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)


async def test_a_stop_of_what_never_started_voids_it(lab: Lab, tmp_path: Path) -> None:
    effect, ref = tmp_path / "effect", new_ref()
    record = await record_of(lab, ref)
    answer = await lab.executor.stop(lab.server, ref, 0.1, Command("x"), record.trace)
    assert isinstance(answer, Stopped) and "never will" in answer.evidence
    late = await lab.executor.start(lab.server, ref, Command(f"echo ran >{effect}"), Recorder(), record.trace)
    assert isinstance(late, NotStarted)
    assert not effect.exists()


async def test_a_stop_of_a_claim_without_a_pid_is_unconfirmed(lab: Lab) -> None:
    ref = new_ref()
    record = await record_of(lab, ref)
    record.file("c").write_text("1\n")
    answer = await lab.executor.stop(lab.server, ref, 0.2, Command("x"), record.trace)
    assert isinstance(answer, StopUnconfirmed) and "left no pid" in answer.evidence


async def test_a_stop_reaches_a_command_whose_connection_was_cut(lab: Lab) -> None:
    flying = await lab.begin("trap 'echo cleaned; exit 9' TERM; echo set; while :; do sleep 0.05; done")
    await flying.recorder.until(b"set\n")
    record = await record_in_flight(lab, flying)
    connection = await lab.executor._pool.open(lab.server)
    await connection.link.close()
    assert isinstance(await flying.answer, InDoubt)
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 10), Stopped)
    assert await attach(lab, flying.ref, record, flying.recorder) == Ended(9)
    assert flying.recorder.out.endswith(b"cleaned\n")


# ---------------------------------------------------------------- sudo


@pytest.mark.usefixtures("sudo")
async def test_sudo_gets_the_environment_and_no_input(open_lab: Lab) -> None:
    env = {"WINDLASS_RUN": "7", "NASTY": "a 'b'\n$c `d` \\ ä", "LC_ALL": "C.UTF-8"}
    text = """sh -c 'printf "%s|%s|%s|" "$WINDLASS_RUN" "$NASTY" "$LC_ALL"'; cat; umask; id -un; echo e >&2; exit 4"""
    for user in ("nobody", "root"):
        answer, recorder = await open_lab.run(text, env, sudo=user)
        assert answer == Ended(4)
        assert recorder.out.decode() == f"7|{env['NASTY']}|C.UTF-8|0022\n{user}\n"
        assert recorder.err == b"e\n"


@pytest.mark.usefixtures("sudo")
async def test_sudo_with_a_large_text_and_all_bytes(open_lab: Lab) -> None:
    raw = bytes(byte for byte in range(1, 256) if byte != 39) * 1500
    text = f"printf %s '{raw.decode('utf-8', 'surrogateescape')}'"
    answer, recorder = await open_lab.run(text, sudo="nobody")
    assert (answer, recorder.out) == (Ended(0), raw)


@pytest.mark.usefixtures("sudo")
async def test_a_refusal_of_sudo_is_found_before_anything_is_handed_over(open_lab: Lab) -> None:
    ref, recorder = new_ref(), Recorder()
    answer = await open_lab.start(Command("echo ran", sudo="no-such-user-here"), recorder, ref)
    assert isinstance(answer, Ended) and answer.exit_status == 1
    assert answer.evidence == "it was not handed over" and "unknown user" in answer.why
    assert (await record_of(open_lab, ref)).there() == set()
    assert recorder.out == b""


@pytest.mark.usefixtures("sudo")
@pytest.mark.parametrize("user", ["nobody", "root"])
async def test_a_stop_under_sudo_by_another_process(open_lab: Lab, host: Host, user: str) -> None:
    flying = await open_lab.begin("trap '' TERM; sleep 300 & echo $! pid; wait; wait", sudo=user)
    await flying.recorder.until(b" pid\n")
    pid = int(flying.recorder.out.split()[1])
    record = await record_in_flight(open_lab, flying)
    async with laboratory(host.server, open_lab.executor._settings, run_id=new_run_id()) as second:
        work = Command("x", sudo=user)
        answer = await second.executor.stop(host.server, flying.ref, 0.3, work, record.trace)
        assert isinstance(answer, Stopped), answer
    assert not alive(pid)
    assert died_by(await flying.answer, "KILL")


# ---------------------------------------------------------------- secrets

LOOK = (
    "for f in /proc/[0-9]*; do echo \"== $f\"; tr '\\0' ' ' <$f/cmdline; "
    "[ $f = /proc/$$ ] || tr '\\0' ' ' <$f/environ; done 2>/dev/null; "
)


@pytest.mark.parametrize("user", [None, "root", "nobody"])
async def test_text_and_secrets_stand_in_no_argument_and_in_no_other_environment(
    open_lab: Lab, user: str | None, request: pytest.FixtureRequest
) -> None:
    if user is not None:
        request.getfixturevalue("sudo")
    ref, recorder = new_ref(), Recorder()
    # What looks is a builtin loop: its own children would have the variable, as they must.
    hush, marker = new_run_id(), new_run_id()
    text = f"unset SECRET_WORD; {LOOK} : {marker}"
    answer = await open_lab.start(Command(text, {"SECRET_WORD": hush}, user), recorder, ref)
    assert answer == Ended(0)
    mine = recorder.out.replace(b"\0", b"")
    assert b'eval "$wl_w"' in mine or b"sudo -n" in mine, "it looked at the right place"
    assert hush.encode() not in mine
    assert marker.encode() not in mine


async def test_a_large_text_goes_by_a_private_file_that_is_removed_once_read(
    shell_lab: Lab, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    text = f"x='{'y' * 200_000}'; echo ready; until [ -e {go} ]; do sleep 0.02; done; echo ${{#x}}"
    ref, recorder = new_ref(), Recorder()
    running = asyncio.ensure_future(shell_lab.start(Command(text, {"SECRET": "hush"}), recorder, ref))
    await recorder.until(b"ready\n")
    record = await record_of(shell_lab, ref)
    assert "t" not in record.there()
    for path in record.folder.iterdir():
        assert b"hush" not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    go.touch()
    assert await running == Ended(0)
    assert recorder.out == b"ready\n200000\n"


async def test_the_names_in_the_process_list_are_harmless(sshd: Sshd) -> None:
    async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
        ref = AttemptRef("0" * 32, "a step\n; touch /tmp/x\x1b[31m 'q", "srv ä", Purpose.RUN, 1)
        recorder = Recorder()
        answer = await lab.start(Command("tr '\\0' ' ' </proc/$$/cmdline; kill -TERM $$"), recorder, ref)
        assert died_by(answer, "TERM")
        assert recorder.out.endswith(b"windlass srv _ a step__ touch /tmp/x__31m _q 1 ")


async def test_a_status_above_128_is_a_status_and_not_a_guess(lab: Lab) -> None:
    assert (await lab.run("exit 143"))[0] == Ended(143)
    assert (await lab.run("kill -TERM $$"))[0] == Ended(143)
    assert (await lab.run("exit 255"))[0] == Ended(255)


async def test_a_watcher_that_is_killed_leaves_its_command_running_and_found(lab: Lab) -> None:
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    os.kill(record.watcher, signal.SIGKILL)
    await eventually(lambda: not alive(record.watcher), "it is gone")
    await asyncio.wait({flying.answer}, timeout=1)
    assert not flying.answer.done(), "the command runs, whoever watches it"
    os.killpg(record.pid, signal.SIGTERM)
    answer = await flying.answer
    assert isinstance(answer, InDoubt) and answer.over
