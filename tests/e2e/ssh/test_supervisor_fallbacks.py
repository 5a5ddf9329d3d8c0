"""The supervisor where something is missing: setsid, /proc, a login manager that lets be, room on the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, NotStarted, Stopped
from core.model.ids import new_run_id
from core.ssh.settings import SshSettings
from core.ssh.supervisor import program
from tests.e2e.ssh.lab import Recorder, laboratory, new_ref
from tests.e2e.ssh.records import attach, record_in_flight, record_of
from tests.support.hosts import link_shell
from tests.support.sshd import Sshd, alive

TOOLS = [
    "cat",
    "chmod",
    "env",
    "head",
    "id",
    "ls",
    "mkdir",
    "ps",
    "rm",
    "seq",
    "sh",
    "sleep",
    "tail",
    "tr",
    "true",
    "wc",
]


def folder_of(tmp_path: Path, *names: str) -> Path:
    """A folder with these programs alone."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in names:
        path = shutil.which(name)
        if name == "python3":
            path = (
                "/usr/bin/python3"
                if Path("/usr/bin/python3").exists()
                else os.path.realpath("/proc/self/exe")
            )
        if path is None:
            pytest.skip(f"{name} is not installed")
        (folder / name).symlink_to(path)
    return folder


@contextmanager
def sshd_with(tmp_path: Path, **env: object) -> Iterator[Sshd]:
    """A server whose sessions have these variables."""
    home = tmp_path / "sshd" / "home"
    words = " ".join(f'"{name}={value}"' for name, value in {"HOME": home, **env}.items())
    with Sshd.start(tmp_path / "sshd", {"SetEnv": words}) as sshd:
        yield sshd


@pytest.mark.parametrize("name", ["dash", "bash", "ash"])
@pytest.mark.parametrize("way", ["setsid", "python3", "perl"])
async def test_every_way_to_a_process_group(tmp_path: Path, way: str, name: str) -> None:
    shell = link_shell(name, tmp_path)
    with sshd_with(tmp_path, PATH=folder_of(tmp_path, *TOOLS, way)) as sshd:
        async with laboratory(sshd.server(), SshSettings(shell=shell), run_id=new_run_id()) as lab:
            assert (await lab.executor.open(lab.server)).folder
            answer, recorder = await lab.run("echo out; echo err >&2; echo $#; exit 3")
            assert (answer, recorder.out, recorder.err) == (Ended(3), b"out\n0\n", b"err\n")
            flying = await lab.begin("sleep 300")
            record = await record_in_flight(lab, flying)
            assert os.getpgid(record.pid) == os.getsid(record.pid) == record.pid
            assert isinstance(await lab.executor.stop(lab.server, flying.ref, 5), Stopped)
            assert not alive(record.pid)


async def test_without_any_way_to_a_process_group_it_is_plain_and_told(tmp_path: Path) -> None:
    with sshd_with(tmp_path, PATH=folder_of(tmp_path, *TOOLS)) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            facts = await lab.executor.open(lab.server)
            assert facts.folder == "" and facts.boot_id
            assert "neither setsid, python3 nor perl" in facts.notes[0]
            assert (await lab.run("echo ran; exit 2"))[0] == Ended(2)


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program as it runs where there is no /proc: its text names a folder that is not there."""
    parts = {name: text.replace("/proc", "/no-proc") for name, text in program._parts().items()}
    monkeypatch.setattr(program, "_parts", lambda: parts)


@pytest.mark.usefixtures("no_proc")
@pytest.mark.parametrize("name", ["dash", "bash", "ash"])
async def test_without_proc_ps_and_wc_tell_the_same(tmp_path: Path, name: str) -> None:
    shell = link_shell(name, tmp_path)
    sysctl = folder_of(tmp_path, *TOOLS, "setsid") / "sysctl"
    sysctl.write_text("#!/bin/sh\necho '{ sec = 1700000000, usec = 0 } Tue Nov 14 22:13:20 2023'\n")
    sysctl.chmod(0o755)
    with sshd_with(tmp_path, PATH=sysctl.parent) as sshd:
        async with laboratory(sshd.server(), SshSettings(shell=shell), run_id=new_run_id()) as lab:
            facts = await lab.executor.open(lab.server)
            assert facts.folder and "1700000000" in facts.boot_id
            for number, text in enumerate(("a", "a\\n", "a\\nb\\n", "\\0\\377", "")):
                answer, recorder = await lab.run(f"printf '{text}'; printf '{text}' >&2; exit {number}")
                wanted = text.encode().decode("unicode_escape").replace("ÿ", "ÿ").encode("latin-1")
                wanted = {3: b"\0\377"}.get(number, wanted)
                assert (answer, recorder.out, recorder.err) == (Ended(number), wanted, wanted)
            answer, recorder = await lab.run("umask; seq 20000; sleep 0.5; seq 5")
            assert answer == Ended(0)
            assert recorder.out.startswith(b"0022\n1\n2\n") and recorder.out.endswith(
                b"\n20000\n1\n2\n3\n4\n5\n"
            )
            flying = await lab.begin("trap '' TERM; sleep 300 & echo $! pid; wait; wait")
            await flying.recorder.until(b" pid\n")
            record = await record_in_flight(lab, flying)
            child = int(flying.recorder.out.split()[1])
            assert isinstance(await lab.executor.stop(lab.server, flying.ref, 0.3), Stopped)
            assert not alive(child)
            assert await attach(lab, flying.ref, record, flying.recorder) == Ended(137)
            ref = new_ref()
            assert isinstance(await attach(lab, ref, await record_of(lab, ref)), NotStarted)


@pytest.mark.usefixtures("no_proc")
async def test_without_proc_a_command_that_ended_silently_is_interrupted(tmp_path: Path) -> None:
    with sshd_with(tmp_path) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            flying = await lab.begin("sleep 300")
            record = await record_in_flight(lab, flying)
            os.kill(record.watcher, 9)
            os.killpg(record.pid, 9)
            answer = await flying.answer
            assert isinstance(answer, InDoubt) and answer.over


# ---------------------------------------------------------------- the login manager


@contextmanager
def logind(tmp_path: Path, conf: str, *, linger: bool, systemd_run: str) -> Iterator[Sshd]:
    """A server that looks as if systemd ran it, for a user who is not root."""
    run, linger_folder, conf_file = tmp_path / "run", tmp_path / "linger", tmp_path / "logind.conf"
    run.mkdir()
    linger_folder.mkdir()
    if linger:
        (linger_folder / "deploy").touch()
    conf_file.write_text(conf)
    tools = folder_of(tmp_path, *(tool for tool in TOOLS if tool != "id"), "setsid")
    for name, text in (
        ("id", '[ "$1" = -un ] && echo deploy || echo 1000'),
        ("systemd-run", systemd_run),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    names = {"wl_systemd": run, "wl_logind": conf_file, "wl_linger": linger_folder}
    with sshd_with(tmp_path, PATH=tools, **names) as sshd:
        yield sshd


SCOPE = 'echo "$*" >>$HOME/scopes; shift 3; exec "$@"'


@pytest.mark.parametrize("conf", ["", "[Login]\n#KillUserProcesses=yes\n", "KillUserProcesses=no\n"])
async def test_a_login_manager_that_lets_be(tmp_path: Path, conf: str) -> None:
    with logind(tmp_path, conf, linger=True, systemd_run=SCOPE) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            assert (await lab.executor.open(lab.server)).notes == ()
            assert (await lab.run("exit 3"))[0] == Ended(3)
            assert not (sshd.home / "scopes").exists()


@pytest.mark.parametrize("said", ["yes", "true", "1", "on"])
async def test_f55_a_login_manager_that_kills_is_escaped_by_a_scope_of_its_own(
    tmp_path: Path, said: str
) -> None:
    conf = f"[Login]\nKillUserProcesses=no\nKillUserProcesses={said}\n"
    with logind(tmp_path, conf, linger=True, systemd_run=SCOPE) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            assert (await lab.executor.open(lab.server)).notes == ()
            answer, recorder = await lab.run("echo out; exit 3")
            assert (answer, recorder.out) == (Ended(3), b"out\n")
            # A session that was opened again, and a connection that was, start in a scope as well.
            connection = await lab.executor._pool.open(lab.server)
            session = await connection.prepared._open_session()  # type: ignore[attr-defined]
            session.close("it made room")
            assert (await lab.run("exit 4"))[0] == Ended(4)
            await connection.link.close()
            assert (await lab.run("exit 5"))[0] == Ended(5)
            scopes = (sshd.home / "scopes").read_text().splitlines()
            assert all(line.startswith("--user --scope --quiet ") for line in scopes)
            assert len([line for line in scopes if "setsid" in line]) == 3


@pytest.mark.parametrize(("linger", "systemd_run"), [(False, SCOPE), (True, "exit 1")])
async def test_f55_a_login_manager_that_kills_is_told_before_the_run(
    tmp_path: Path, linger: bool, systemd_run: str
) -> None:
    with logind(tmp_path, "KillUserProcesses=yes\n", linger=linger, systemd_run=systemd_run) as sshd:
        async with laboratory(sshd.server(), run_id=new_run_id()) as lab:
            (note,) = (await lab.executor.open(lab.server)).notes
            assert "KillUserProcesses" in note and "loginctl enable-linger" in note
            assert str(tmp_path / "logind.conf") in note
            assert (await lab.run("exit 3"))[0] == Ended(3)


# ---------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB for records."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o700)
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", folder], capture_output=True
        ).returncode
    ):
        pytest.skip("no small file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_f54_a_full_disk_starts_nothing_and_says_so(small_disk: Path, tmp_path: Path) -> None:
    effect, filler = tmp_path / "effect", small_disk / "filler"
    with Sshd.start(tmp_path / "sshd") as sshd:
        settings = SshSettings(record_bases=(f"'{small_disk}'",))
        async with laboratory(sshd.server(), settings, run_id=new_run_id()) as lab:
            await lab.trace()
            filler.write_bytes(b"")
            with filler.open("ab", buffering=0) as file:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
            answer, _ = await lab.run(f"echo ran >{effect}")
            assert isinstance(answer, NotStarted) and "disk full" in answer.why
            assert not effect.exists()
            filler.unlink()
            assert (await lab.run("exit 3"))[0] == Ended(3)


async def test_f54_a_disk_that_fills_under_a_command_leaves_its_end_certain(
    small_disk: Path, tmp_path: Path
) -> None:
    with Sshd.start(tmp_path / "sshd") as sshd:
        settings = SshSettings(record_bases=(f"'{small_disk}'",))
        async with laboratory(sshd.server(), settings, run_id=new_run_id()) as lab:
            ref, recorder = new_ref(), Recorder()
            answer = await lab.start(Command("head -c 400000 /dev/zero; exit 6"), recorder, ref)
            assert answer == Ended(6), "its end was told although it could not be written"
            assert 0 < len(recorder.out) < 256 * 1024
