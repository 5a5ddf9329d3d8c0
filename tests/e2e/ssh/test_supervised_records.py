"""Records on the server: claimed once, believed only when whole, kept apart from everybody else's, and removed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, NotStarted, Stopped, Trace
from core.model.ids import new_run_id
from core.ssh import shell
from core.ssh.executor import SshExecutor
from core.ssh.settings import SshSettings
from core.ssh.supervisor.record import record_id
from core.ssh.supervisor.session import Session
from tests.e2e.ssh.lab import Lab, Recorder, eventually, laboratory, new_ref
from tests.e2e.ssh.records import Record, attach, record_in_flight, record_of
from tests.support.hosts import Host
from tests.support.sshd import Sshd, alive


@pytest.fixture
def run_id() -> str:
    return new_run_id()


@pytest.fixture
async def another(host: Host, run_id: str) -> AsyncIterator[Lab]:
    """A second executor of the same run, as the next engine is one."""
    async with laboratory(host.server, host.settings, run_id=run_id) as made:
        yield made


async def session_of(lab: Lab) -> Session:
    connection = await lab.executor._pool.open(lab.server)
    session: Session = await connection.prepared._open_session()  # type: ignore[attr-defined]
    return session


# ---------------------------------------------------------------- claims and voids


async def test_two_sessions_start_the_same_attempt_and_it_runs_once(
    shell_lab: Lab, shell: str, host: Host, tmp_path: Path
) -> None:
    effect = tmp_path / "effect"
    settings = replace(host.settings, shell=shell)
    async with laboratory(host.server, settings, run_id=new_run_id()) as other:
        await other.trace()
        for _ in range(15):
            ref, recorders = new_ref(), (Recorder(), Recorder())
            trace = await shell_lab.trace()
            command = Command(f"echo {ref.attempt} >>{effect}; echo out; exit 5")
            answers = await asyncio.gather(
                *(
                    lab.executor.start(lab.server, ref, command, recorder, trace)
                    for lab, recorder in zip((shell_lab, other), recorders, strict=True)
                )
            )
            assert answers == [Ended(5), Ended(5)], "both follow the one that runs"
            assert [recorder.out for recorder in recorders] == [b"out\n", b"out\n"]
    lines = effect.read_text().split()
    assert len(lines) == len(set(lines)) == 15


async def test_start_bytes_that_come_after_a_void_do_nothing(shell_lab: Lab, tmp_path: Path) -> None:
    effect, ref = tmp_path / "effect", new_ref()
    record = await record_of(shell_lab, ref)
    voided = await shell_lab.executor.void(shell_lab.server, ref, record.trace)
    assert isinstance(voided, NotStarted) and "never will" in voided.why
    assert record.file("c").read_text() == "v\n"
    answer = await shell_lab.executor.start(
        shell_lab.server, ref, Command(f"echo ran >>{effect}"), Recorder(), record.trace
    )
    assert isinstance(answer, NotStarted) and "voided" in answer.why
    assert (await shell_lab.run("true"))[0] == Ended(0)
    assert not effect.exists()
    assert record.there() == {"c"}


async def test_what_never_started_is_voided_when_it_is_looked_for(lab: Lab) -> None:
    ref = new_ref()
    record = await record_of(lab, ref)
    assert isinstance(await attach(lab, ref, record), NotStarted)
    assert record.file("c").read_text() == "v\n"
    assert isinstance(await attach(lab, ref, record), NotStarted)


async def test_what_started_cannot_be_voided(lab: Lab) -> None:
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    assert isinstance(await lab.executor.void(lab.server, flying.ref, record.trace), InDoubt)
    assert alive(record.pid)


async def test_no_claim_proves_nothing_under_another_or_an_unknown_boot_id(lab: Lab) -> None:
    for boot_id in ("0" * 36, ""):
        ref = new_ref()
        record = await record_of(lab, ref)
        trace = replace(record.trace, boot_id=boot_id)
        assert isinstance(await attach(lab, ref, Record(trace, record.name)), InDoubt)
        assert isinstance(await lab.executor.void(lab.server, ref, trace), InDoubt)
        assert record.there() == set()


async def test_an_empty_claim_is_a_claim(lab: Lab, tmp_path: Path) -> None:
    """A disk that was full when it was written; a start that meets it in the making."""
    effect, ref = tmp_path / "effect", new_ref()
    record = await record_of(lab, ref)
    record.file("c").touch()
    answer = await lab.executor.start(
        lab.server, ref, Command(f"echo ran >>{effect}"), Recorder(), record.trace
    )
    assert isinstance(answer, InDoubt) and "left no pid" in answer.evidence
    assert not effect.exists()


# ---------------------------------------------------------------- the run's folder


async def test_the_folder_is_private_and_carries_a_marker(lab: Lab, run_id: str) -> None:
    folder = Path((await lab.trace()).folder)
    assert folder.name.startswith(f"run-{run_id}.") and len(folder.name) == 4 + 32 + 1 + 16
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert record.there() >= {"c", "p", "o", "e"}


async def test_a_folder_that_is_missing_starts_nothing_and_the_next_attempt_has_a_new_one(
    lab: Lab, tmp_path: Path
) -> None:
    effect = tmp_path / "effect"
    old = await lab.trace()
    shutil.rmtree(old.folder)
    answer = await lab.executor.start(lab.server, new_ref(), Command(f"echo ran >>{effect}"), Recorder(), old)
    assert isinstance(answer, NotStarted) and answer.again and "gone" in answer.why
    assert not effect.exists()
    assert not Path(old.folder).exists()
    new = await lab.trace()
    assert new.folder not in ("", old.folder)
    assert (await lab.run("echo again"))[1].out == b"again\n"


async def test_a_folder_that_went_while_a_command_runs_leaves_it_in_doubt(lab: Lab) -> None:
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    pid = record.pid
    shutil.rmtree(record.folder)
    answer = await flying.answer
    assert isinstance(answer, InDoubt) and "its records with it" in answer.evidence and not answer.over
    os.killpg(pid, signal.SIGKILL)


@pytest.mark.parametrize("spoilt", ["link", "file", "open", "group", "unwritable"])
async def test_a_base_that_cannot_be_trusted_is_left_alone(tmp_path: Path, spoilt: str) -> None:
    with Sshd.start(tmp_path / "sshd") as sshd:
        base, elsewhere = sshd.home / ".cache" / "windlass", tmp_path / "elsewhere"
        base.parent.mkdir(mode=0o700)
        elsewhere.mkdir(mode=0o700)
        match spoilt:
            case "link":
                base.symlink_to(elsewhere)
            case "file":
                base.write_text("")
            case "open":
                base.mkdir()
                base.chmod(0o777)
            case "group":
                base.mkdir()
                base.chmod(0o710)
            case _:
                if os.geteuid() != 0:
                    pytest.skip("only root can give a folder to somebody else")
                base.mkdir(mode=0o700)
                os.chown(base, 65534, 65534)
        second = tmp_path / "second"
        settings = SshSettings(record_bases=(SshSettings().record_bases[0], f"'{second}'"))
        async with laboratory(sshd.server(), settings, run_id=new_run_id()) as lab:
            facts = await lab.executor.open(lab.server)
            assert Path(facts.folder).parent == second
            assert (await lab.run("echo ran"))[1].out == b"ran\n"
            assert list(elsewhere.iterdir()) == []
            assert not base.is_dir() or base.is_symlink() or list(base.iterdir()) == []


async def test_without_any_folder_commands_run_plainly_and_that_is_told(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd") as sshd:
        settings = SshSettings(record_bases=("/proc/nothing", '""', "relative"))
        async with laboratory(sshd.server(), settings, run_id=new_run_id()) as lab:
            facts = await lab.executor.open(lab.server)
            assert facts.folder == "" and facts.boot_id
            assert "unsupervised" in facts.notes[0] and "no private folder" in facts.notes[0]
            assert (await lab.run("echo ran"))[1].out == b"ran\n"


# ---------------------------------------------------------------- what a record proves


@pytest.mark.parametrize("torn", ["", "0", "7", "x\n", "\0\0\n", "999\n", "-1\n"])
async def test_a_torn_status_is_in_doubt_never_zero(lab: Lab, torn: str) -> None:
    ref = new_ref()
    assert await lab.start(Command("true"), Recorder(), ref) == Ended(0)
    record = await record_of(lab, ref)
    await record.ended()
    record.file("s").write_text(torn)
    answer = await attach(lab, ref, record)
    assert isinstance(answer, InDoubt) and "not whole" in answer.evidence


async def test_a_status_that_is_being_written_is_waited_for(lab: Lab) -> None:
    ref = new_ref()
    assert await lab.start(Command("exit 9"), Recorder(), ref) == Ended(9)
    record = await record_of(lab, ref)
    await record.ended()
    record.file("s").write_text("")
    looking = asyncio.ensure_future(attach(lab, ref, record))
    await asyncio.wait({looking}, timeout=0.5)
    assert not looking.done()
    record.file("s").write_text("9\n")
    assert await looking == Ended(9)


async def test_a_process_that_is_gone_without_a_status_is_interrupted(lab: Lab, another: Lab) -> None:
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    os.kill(record.watcher, signal.SIGKILL)
    os.killpg(record.pid, signal.SIGKILL)
    for answer in (await flying.answer, await attach(another, flying.ref, record)):
        assert isinstance(answer, InDoubt)
        assert "interrupted" in answer.evidence and str(record.pid) in answer.evidence
        assert answer.over, "nothing of its group is left"


async def test_what_is_left_of_an_interrupted_group_is_told(lab: Lab) -> None:
    flying = await lab.begin("sleep 300 & echo $! pid; wait")
    await flying.recorder.until(b" pid\n")
    child = int(flying.recorder.out.split()[1])
    record = await record_in_flight(lab, flying)
    os.kill(record.watcher, signal.SIGKILL)
    os.kill(record.pid, signal.SIGKILL)
    answer = await flying.answer
    assert isinstance(answer, InDoubt) and not answer.over
    assert str(child) in answer.evidence and "are left" in answer.evidence
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
    assert not alive(child)


async def test_a_server_that_was_rebooted_interrupted_what_ran(lab: Lab, another: Lab) -> None:
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    pid, boot_id = record.pid, record.words[4]
    record.falsify(4, "0" * 36)
    for answer in (await flying.answer, await attach(another, flying.ref, record)):
        assert isinstance(answer, InDoubt) and "rebooted" in answer.evidence and answer.over
    # A group of another boot is somebody else's.
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 0.1), Stopped)
    assert alive(pid)
    record.falsify(4, boot_id)
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
    assert not alive(pid)


async def test_a_pid_counts_only_with_its_start_time(lab: Lab) -> None:
    """Its number was given anew: the process of today is left alone, and yesterday's is interrupted."""
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    pid, start = record.pid, record.words[2]
    os.kill(record.watcher, signal.SIGKILL)
    record.falsify(2, str(int(start) - 1))
    answer = await flying.answer
    assert isinstance(answer, InDoubt) and "interrupted" in answer.evidence and answer.over
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 0.1), Stopped)
    assert alive(pid)
    record.falsify(2, start)
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)


async def test_a_record_of_a_start_that_is_torn_is_no_pid(lab: Lab) -> None:
    ref = new_ref()
    record = await record_of(lab, ref)
    record.file("c").write_text("1\n")
    record.file("p").write_text("1 1 1 1")  # no newline: were it believed, init would be meant
    answer = await attach(lab, ref, record)
    assert isinstance(answer, InDoubt) and "left no pid" in answer.evidence


# ---------------------------------------------------------------- what is removed, and what stays


async def test_forget_removes_all_but_the_claim(lab: Lab) -> None:
    refs = [new_ref() for _ in range(30)]
    for ref in refs:
        await lab.start(Command("echo out; echo err >&2"), Recorder(), ref)
    records = [await record_of(lab, ref) for ref in refs]
    assert all(record.there() >= {"c", "p", "o", "e"} for record in records)
    for ref in refs:
        await lab.executor.forget(lab.server, ref)
    assert (await lab.run("true"))[0] == Ended(0)
    forgotten = [record for record in records if record.there() == {"c"}]
    assert len(forgotten) >= 24, "they go in batches"
    await (await session_of(lab)).sweep([])  # an answer: what was asked before is done
    assert isinstance(await attach(lab, refs[0], forgotten[0]), InDoubt)


async def test_a_command_that_may_be_repeated_leaves_nothing(lab: Lab) -> None:
    for _ in range(60):
        await lab.start(Command("true", repeats=True), Recorder())
    folder = Path((await lab.trace()).folder)
    await (await session_of(lab)).sweep([])
    assert len(list(folder.iterdir())) < 24 * 5


async def test_the_folder_goes_when_the_run_is_over_and_stays_when_it_is_not(host: Host) -> None:
    for over in (False, True):
        async with laboratory(host.server, host.settings, run_id=new_run_id()) as lab:
            await lab.run("echo ran")
            folder = Path((await lab.trace()).folder)
            assert folder.is_dir()
            await lab.executor.close(over=over)
            if over:
                await eventually(lambda: not folder.exists(), "the folder is gone")  # noqa: B023
            else:
                assert folder.is_dir()


async def test_the_folder_goes_although_the_session_made_room(host: Host, tmp_path: Path) -> None:
    async with laboratory(host.server, host.settings, run_id=new_run_id()) as lab:
        folder = Path((await lab.trace()).folder)
        (await session_of(lab)).close("it made room")
        await lab.executor.close(over=True)
        await eventually(lambda: not folder.exists(), "the folder is gone")


async def test_folders_of_other_runs_go_only_where_they_are_over(host: Host) -> None:
    runs = [new_run_id() for _ in range(3)]
    folders = []
    for run in runs:
        async with laboratory(host.server, host.settings, run_id=run) as lab:
            folders.append(Path((await lab.trace()).folder))
            await lab.executor.close(over=False)
    strange = folders[0].parent / "run-of-somebody else"
    strange.mkdir(exist_ok=True)
    asked: list[str] = []

    async def over(found: list[str]) -> set[str]:
        asked.extend(found)
        return {path for path in found if path == str(folders[1])}

    executor = SshExecutor(host.settings, run_id=new_run_id(), folders_over=over)
    try:
        await executor.open(host.server)
        await eventually(lambda: not folders[1].exists(), "it is swept")
    finally:
        await executor.close(over=True)
    assert {str(path) for path in folders} <= set(asked)
    assert str(strange) not in asked
    assert folders[0].is_dir() and folders[2].is_dir() and strange.is_dir()


async def test_a_late_request_for_an_odd_folder_is_not_made(lab: Lab) -> None:
    await lab.trace()
    ref = new_ref()
    trace = Trace("x", "/tmp'; touch /tmp/windlass-was-here; '")
    answer = await lab.executor.attach(lab.server, ref, Command("true"), {}, Recorder(), trace)
    assert isinstance(answer, InDoubt) and "odd name" in answer.evidence
    assert record_id(ref).isalnum() and shell.new_marker().isalnum()
