"""Uploads and port probes over real SSH: atomic, checked, and told in words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, NotStarted, PortProbe, Stopped, Upload
from core.ssh.link import Link
from core.ssh.transfer import TransferFailed, digest, remote_path
from tests.e2e.ssh.lab import Lab, Recorder, eventually, laboratory, new_ref, upload_of
from tests.support.hosts import Host
from tests.support.sshd import Sshd, free_port

PLACED = Ended(0, evidence="renamed in place")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(random.Random(3).randbytes(3_000_000))
    return path


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".windlass-")]


@pytest.mark.parametrize("prefix", ["", "~/"])
async def test_a_file_arrives_exact_with_its_mode(lab: Lab, host: Host, source: Path, prefix: str) -> None:
    target = host.home / "arrived"
    target.unlink(missing_ok=True)
    assert await lab.start(upload_of(source, f"{prefix}arrived", 0o640), Recorder()) == PLACED
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o7777 == 0o640
    assert leftovers(host.home) == []


async def test_an_absolute_target_and_an_empty_file(lab: Lab, tmp_path: Path) -> None:
    empty, target = tmp_path / "empty", tmp_path / "ünï cödé 'x'"
    empty.touch()
    assert await lab.start(upload_of(empty, str(target), 0o755), Recorder()) == PLACED
    assert target.read_bytes() == b""
    assert target.stat().st_mode & 0o7777 == 0o755


async def test_an_old_file_is_replaced_and_a_link_is_not_followed(
    lab: Lab, source: Path, tmp_path: Path
) -> None:
    pointed, link = tmp_path / "pointed", tmp_path / "link"
    pointed.write_text("untouched")
    link.symlink_to(pointed)
    assert await lab.start(upload_of(source, str(link)), Recorder()) == PLACED
    assert pointed.read_text() == "untouched"
    assert not link.is_symlink()
    assert link.read_bytes() == source.read_bytes()
    assert await lab.start(upload_of(source, str(pointed)), Recorder()) == PLACED
    assert pointed.read_bytes() == source.read_bytes()


async def failed(lab: Lab, work: Upload) -> str:
    """Why an upload failed."""
    answer = await lab.start(work, Recorder())
    assert isinstance(answer, Ended), answer
    assert answer.exit_status == 1
    assert answer.evidence == "nothing was placed"
    return answer.why


async def test_a_missing_folder_is_named(lab: Lab, source: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    why = await failed(lab, upload_of(source, str(tmp_path / "there" / "no" / "nor" / "file")))
    assert f"the folder {tmp_path}/there/no is missing" in why
    assert "the folder missing is missing" in await failed(lab, upload_of(source, "missing/file"))


async def test_targets_that_are_no_file(lab: Lab, source: Path, tmp_path: Path) -> None:
    assert "is a folder" in await failed(lab, upload_of(source, str(tmp_path)))
    assert "names no file" in await failed(lab, upload_of(source, f"{tmp_path}/"))
    assert "names no file" in await failed(lab, upload_of(source, "~/"))
    assert "another user" in await failed(lab, upload_of(source, "~root/x"))
    assert "NUL" in await failed(lab, upload_of(source, "a\0b"))
    assert leftovers(tmp_path) == []


async def test_a_source_that_changed_or_went_places_nothing(lab: Lab, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    work = upload_of(source, str(target))
    source.write_text("changed meanwhile")
    why = await failed(lab, work)
    assert "has changed since the plan" in why
    assert work.digest in why
    source.unlink()
    assert "cannot be read: No such file" in await failed(lab, work)
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []


async def test_a_folder_without_permission(sshd: Sshd, source: Path, tmp_path: Path) -> None:
    # Even root cannot write into /proc.
    async with laboratory(sshd.server()) as lab:
        why = await failed(lab, upload_of(source, "/proc/file"))
    assert "missing" in why or "write" in why or "permission" in why


async def test_a_full_disk_leaves_the_old_file(lab: Lab, source: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        (disk / "target").write_text("old")
        why = await failed(lab, upload_of(source, str(disk / "target")))
        assert "no space left" in why
        assert (disk / "target").read_text() == "old"
        assert leftovers(disk) == []
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_the_digest_tells_what_became_of_an_upload(lab: Lab, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    work, ref = upload_of(source, str(target)), new_ref()
    answer = await lab.executor.attach(lab.server, ref, work, {}, Recorder())
    assert isinstance(answer, NotStarted) and "is not there" in answer.why
    target.write_text("another")
    answer = await lab.executor.attach(lab.server, ref, work, {}, Recorder())
    assert isinstance(answer, NotStarted) and "another digest" in answer.why
    assert await lab.start(work, Recorder(), ref) == PLACED
    answer = await lab.executor.attach(lab.server, ref, work, {}, Recorder())
    assert answer == Ended(0, evidence=f"the digest of {target} on srv matches")
    assert isinstance(await lab.executor.void(lab.server, ref), NotStarted)
    target.unlink()
    target.mkdir()
    answer = await lab.executor.attach(lab.server, ref, work, {}, Recorder())
    assert isinstance(answer, InDoubt) and "no regular file" in answer.evidence


@contextlib.asynccontextmanager
async def link_of(lab: Lab) -> AsyncIterator[Link]:
    await lab.executor.open(lab.server)
    connection = lab.executor._pool.current(lab.server)
    assert connection is not None
    yield connection.link


async def test_a_digest_is_bounded(lab: Lab, source: Path) -> None:
    async with link_of(lab) as link:
        assert await digest(link, str(source), wait_s=5) == upload_of(source, "x").digest
        with pytest.raises(TransferFailed, match="larger than 1000000 bytes"):
            await digest(link, str(source), wait_s=5, max_bytes=1_000_000)


async def test_a_connection_cut_in_mid_upload_placed_nothing(sshd: Sshd, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(400_000_000)
    target.write_text("old")
    async with laboratory(sshd.server()) as lab:
        await lab.executor.open(lab.server)
        answer = asyncio.ensure_future(lab.start(upload_of(source, str(target)), Recorder()))
        await eventually(lambda: bool(leftovers(tmp_path)), "the upload has begun")
        for pid in sshd.sessions():
            os.kill(pid, signal.SIGKILL)
        result = await answer
        assert isinstance(result, NotStarted)
        assert "was not touched" in result.why
        assert target.read_text() == "old"


async def test_a_stopped_upload_leaves_nothing_behind(lab: Lab, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(400_000_000)
    ref = new_ref()
    answer = asyncio.ensure_future(lab.start(upload_of(source, str(target)), Recorder(), ref))
    await eventually(lambda: bool(leftovers(tmp_path)), "the upload has begun")
    assert isinstance(await lab.executor.stop(lab.server, ref, 10), Stopped)
    result = await answer
    assert isinstance(result, NotStarted)
    assert "stopped by us" in result.why
    assert not target.exists()
    assert leftovers(tmp_path) == []
    assert (await lab.run("echo fine"))[1].out == b"fine\n"


@pytest.mark.parametrize(
    ("target", "path"),
    [("a", "a"), ("~/a", "a"), ("~//a", "a"), ("/a/b", "/a/b"), ("./a", "./a"), ("a~", "a~")],
)
def test_remote_paths(target: str, path: str) -> None:
    assert remote_path(target) == path


# ---------------------------------------------------------------- ports


async def test_a_port_that_accepts_and_one_that_does_not(lab: Lab) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        ref = new_ref()
        assert await lab.start(PortProbe(port), Recorder(), ref) == Ended(0, evidence="probe")
        assert isinstance(
            await lab.executor.attach(lab.server, ref, PortProbe(port), {}, Recorder()), NotStarted
        )
        assert isinstance(await lab.executor.void(lab.server, ref), NotStarted)
    answer = await lab.start(PortProbe(free_port()), Recorder())
    assert isinstance(answer, Ended)
    assert answer.exit_status == 1
    assert "nothing accepts connections at 127.0.0.1:" in answer.why


async def test_a_server_that_does_not_forward_is_told_apart(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"AllowTcpForwarding": "no"}) as sshd:
        async with laboratory(sshd.server()) as lab:
            answer = await lab.start(PortProbe(sshd.port), Recorder())
    assert isinstance(answer, Ended)
    assert answer.exit_status == 1
    assert "does not allow looking" in answer.why
    assert "AllowTcpForwarding" in answer.why


async def test_work_for_a_server_that_is_away_is_not_started(sshd: Sshd, source: Path) -> None:
    async with laboratory(sshd.server(port=free_port())) as lab:
        for work in (PortProbe(1), upload_of(source, "x"), Command("true")):
            answer = await lab.start(work, Recorder())
            assert isinstance(answer, NotStarted)
            assert "refused the connection" in answer.why
