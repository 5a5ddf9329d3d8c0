"""Servers that are not like others: without a shell, without exit statuses, with noise, with old SFTP."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from pathlib import Path

import asyncssh
import pytest

from core.engine.executor import Ended, InDoubt, NotStarted, Stopped, StopUnconfirmed
from core.ssh.settings import SshSettings
from tests.e2e.ssh.lab import Recorder, eventually, laboratory, upload_of
from tests.support.odd_ssh import odd_server, run_shell
from tests.support.sshd import Sshd, alive, children


async def test_a_device_without_a_shell_is_noted_and_its_words_are_told(tmp_path: Path) -> None:
    async def behave(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"\r\nSwitch 7\r\n% Invalid input\x1b[0m\r\n")
        process.exit(1)

    async with odd_server(tmp_path, behave) as odd, laboratory(odd.server()) as lab:
        facts = await lab.executor.open(lab.server)
        assert facts.boot_id == ""
        assert "no POSIX shell answers" in facts.notes[0]
        assert "Invalid input" in facts.notes[0]
        assert "\x1b" not in facts.notes[0]
        answer, recorder = await lab.run("true")
        assert isinstance(answer, Ended)
        assert answer.exit_status == 1
        assert "did not start it" in answer.why and "Invalid input" in answer.why
        assert "Switch 7" in recorder.out.decode()


async def test_a_server_whose_shell_never_speaks(tmp_path: Path) -> None:
    async def behave(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.stdin.read()

    async with (
        odd_server(tmp_path, behave) as odd,
        laboratory(odd.server(), SshSettings(hello_wait_s=0.2)) as lab,
    ):
        facts = await lab.executor.open(lab.server)
        assert "no POSIX shell answers" in facts.notes[0]


async def test_a_server_that_refuses_commands(tmp_path: Path) -> None:
    async with odd_server(tmp_path, None) as odd, laboratory(odd.server()) as lab:
        facts = await lab.executor.open(lab.server)
        assert "commands cannot be run" in facts.notes[0]
        assert isinstance((await lab.run("true"))[0], NotStarted)


async def test_an_end_without_an_exit_status_is_in_doubt(tmp_path: Path) -> None:
    shell = run_shell()

    async def behave(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.exit = lambda status: process.close()  # type: ignore[method-assign]
        await shell(process)

    async with odd_server(tmp_path, behave) as odd, laboratory(odd.server()) as lab:
        answer, _ = await lab.run("echo done; exit 0")
        assert isinstance(answer, InDoubt)
        assert "without an exit status" in answer.evidence


async def test_a_careless_server_still_gives_a_process_group_of_its_own(tmp_path: Path) -> None:
    async with odd_server(tmp_path, run_shell()) as odd, laboratory(odd.server()) as lab:
        flying = await lab.begin("trap '' TERM; echo $$ pid; sleep 300")
        await flying.recorder.until(b" pid\n")
        pid = int(flying.recorder.out.split()[1])
        assert os.getpgid(pid) == pid != os.getpgid(0)
        assert isinstance(await lab.executor.stop(lab.server, flying.ref, 0.2), Stopped)
        assert not alive(pid)
        await flying.answer


async def test_without_setsid_a_stop_touches_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sleep", "ps"):
        (folder / name).symlink_to(shutil.which(name) or "/bin/false")
    async with odd_server(tmp_path, run_shell({"PATH": str(folder)})) as odd, laboratory(odd.server()) as lab:
        flying = await lab.begin("echo $$ pid; sleep 300")
        await flying.recorder.until(b" pid\n")
        pid = int(flying.recorder.out.split()[1])
        assert os.getpgid(pid) == os.getpgid(0), "the server's group, which is ours: nobody may signal it"
        answer = await lab.executor.stop(lab.server, flying.ref, 0.2)
        assert isinstance(answer, StopUnconfirmed)
        assert "no setsid" in answer.evidence
        assert answer.pids == (pid,)
        await eventually(lambda: bool(children(pid)), "the sleep has begun")
        for child in children(pid):
            os.kill(child, signal.SIGKILL)
        await flying.answer


async def test_noise_of_start_up_files_is_left_out(sshd: Sshd) -> None:
    if not pwd.getpwuid(os.getuid()).pw_shell.endswith("bash"):
        pytest.skip("the login shell of this user reads no start-up file without a terminal")
    (sshd.home / ".bashrc").write_text("echo welcome; echo careful >&2; printf 'no newline'\n")
    async with laboratory(sshd.server()) as lab:
        assert (await lab.executor.open(lab.server)).boot_id
        for _ in range(2):  # over the channel that was kept ready, and over a new one
            answer, recorder = await lab.run("echo out; echo err >&2")
            assert answer == Ended(0)
            assert (recorder.out, recorder.err) == (b"out\n", b"err\n")


async def test_a_forced_command_is_told(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"ForceCommand": "echo only this; exit 9"}) as sshd:
        async with laboratory(sshd.server()) as lab:
            assert "only this" in (await lab.executor.open(lab.server)).notes[0]
            answer, _ = await lab.run("true")
            assert isinstance(answer, Ended)
            assert answer.exit_status == 9
            assert "only this" in answer.why


async def test_sftp_only_servers_take_uploads(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("content")
    with Sshd.start(tmp_path / "sshd", {"ForceCommand": "internal-sftp"}) as sshd:
        async with laboratory(sshd.server(), SshSettings(hello_wait_s=1)) as lab:
            assert (await lab.executor.open(lab.server)).notes
            target = tmp_path / "target"
            answer = await lab.start(upload_of(source, str(target)), Recorder())
            assert answer == Ended(0, evidence="renamed in place")
            assert target.read_text() == "content"


class OldSftp(asyncssh.SFTPServer):
    """Knows neither posix-rename nor fsync, and renames over nothing."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("unknown")

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPOpUnsupported("unknown")

    def exit(self) -> None:
        self.channel.exit(0)


async def test_old_sftp_servers_replace_in_two_steps(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    async with odd_server(tmp_path, run_shell(), OldSftp) as odd, laboratory(odd.server()) as lab:
        for old in (None, "old"):
            if old is not None:
                target.write_text(old)
            answer = await lab.start(upload_of(source, str(target)), Recorder())
            assert answer == Ended(0, evidence="removed and renamed: this server cannot do both at once")
            assert target.read_text() == "new"


async def test_no_file_transfer_at_all(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("x")
    async with odd_server(tmp_path, run_shell()) as odd, laboratory(odd.server()) as lab:
        answer = await lab.start(upload_of(source, "x"), Recorder())
        assert isinstance(answer, NotStarted)
        assert "no file transfer" in answer.why
