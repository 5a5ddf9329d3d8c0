"""The lease: one engine owns a workspace, by a kernel lock that a dead owner gives back."""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.engine.lease import LOCK_NAME, OWNER_NAME, Lease, read_owner
from core.errors import InputError, WorkspaceOwned
from core.processes import process_start

HOLDER = """
import sys, time
from pathlib import Path
from core.engine.lease import Lease
lease = Lease.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
CONTENDER = """
import sys
from pathlib import Path
from core.engine.lease import Lease
from core.errors import WorkspaceOwned
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
won = 0
for _ in range(rounds):
    try:
        lease = Lease.acquire(folder)
    except WorkspaceOwned:
        continue
    inside = folder / "inside"
    inside.mkdir()  # raises where somebody else is inside
    inside.rmdir()
    lease.release()
    won += 1
print(won)
"""


@contextmanager
def holder(state_dir: Path, repository: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the workspace."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state_dir)],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """The state folder of a workspace; it does not exist yet."""
    return tmp_path / ".windlass"


def test_nobody_owns_a_workspace_without_state(state_dir: Path) -> None:
    assert read_owner(state_dir) is None
    assert not state_dir.exists()


def test_the_owner_is_named(state_dir: Path) -> None:
    before = time.time()
    lease = Lease.acquire(state_dir)
    owner = read_owner(state_dir)
    assert owner is not None
    assert (owner.pid, owner.user, owner.host) == (os.getpid(), getpass.getuser(), socket.gethostname())
    assert before <= owner.since <= time.time()
    assert owner.started == process_start(os.getpid())
    assert owner.live
    lease.release()
    assert read_owner(state_dir) is None


def test_it_can_be_taken_again_after_a_release(state_dir: Path) -> None:
    for _ in range(3):
        lease = Lease.acquire(state_dir)
        inode = (state_dir / LOCK_NAME).stat().st_ino
        lease.release()
        lease.release()  # harmless
        assert (state_dir / LOCK_NAME).stat().st_ino == inode, "the file is never deleted"


def test_a_second_engine_is_refused_in_the_same_process(state_dir: Path) -> None:
    lease = Lease.acquire(state_dir)
    with pytest.raises(WorkspaceOwned, match=f"pid {os.getpid()}"):
        Lease.acquire(state_dir)
    lease.release()


def test_files_are_private(state_dir: Path) -> None:
    before = os.umask(0)
    try:
        lease = Lease.acquire(state_dir)
    finally:
        os.umask(before)
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in state_dir.iterdir()} == {0o600}
    assert {entry.name for entry in state_dir.iterdir()} == {LOCK_NAME, OWNER_NAME}
    lease.release()


def test_f12_a_second_engine_is_refused_with_the_owner_named(state_dir: Path, repository: Path) -> None:
    with holder(state_dir, repository) as process:
        with pytest.raises(WorkspaceOwned) as caught:
            Lease.acquire(state_dir)
        message = str(caught.value)
        assert f"pid {process.pid}" in message
        assert f"{getpass.getuser()}@{socket.gethostname()}" in message
        assert "for 0 s" in message or "for 1 s" in message or "for 2 s" in message
        assert caught.value.hint
        assert caught.value.exit_status == 3
        owner = read_owner(state_dir)
        assert owner is not None and owner.pid == process.pid


def test_f12_a_dead_owner_frees_itself(state_dir: Path, repository: Path) -> None:
    with holder(state_dir, repository) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert read_owner(state_dir) is None, "what it wrote of itself counts no more"
        lease = Lease.acquire(state_dir)
        owner = read_owner(state_dir)
        assert owner is not None and owner.pid == os.getpid()
        lease.release()


def test_f13_a_frozen_owner_still_owns(state_dir: Path, repository: Path) -> None:
    with holder(state_dir, repository) as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(WorkspaceOwned, match=f"pid {process.pid}"):
            Lease.acquire(state_dir)


def test_children_do_not_inherit_the_lock(state_dir: Path) -> None:
    lease = Lease.acquire(state_dir)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        lease.release()
        assert child.poll() is None
        assert read_owner(state_dir) is None
        Lease.acquire(state_dir).release()


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b'{"pid": "nobody"}',
        b'{"pid": 1}',
        b'{"pid": 1, "user": "x", "host": "y", "since": "then", "started": 0}',
        b"9" * 5000,
    ],
)
def test_the_lock_alone_decides_whatever_was_written(state_dir: Path, content: bytes | None) -> None:
    state_dir.mkdir(mode=0o700)
    information = state_dir / OWNER_NAME
    if content is not None:
        information.write_bytes(content)
    assert read_owner(state_dir) is None
    lease = Lease.acquire(state_dir)
    if content is None:
        information.unlink()
    else:
        information.write_bytes(content)
    owner = read_owner(state_dir)
    assert owner is not None and owner.live
    with pytest.raises(WorkspaceOwned):
        Lease.acquire(state_dir)
    lease.release()


def test_looking_does_not_take_the_lease(state_dir: Path, repository: Path) -> None:
    """Many look all the time; an engine that starts meanwhile gets the lease all the same."""
    Lease.acquire(state_dir).release()
    code = (
        "import sys; from pathlib import Path; from core.engine.lease import read_owner\n"
        "print('up', flush=True)\n"
        "while True: read_owner(Path(sys.argv[1]))"
    )
    lookers = [
        subprocess.Popen([sys.executable, "-c", code, str(state_dir)], cwd=repository, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        for looker in lookers:
            assert looker.stdout is not None
            assert looker.stdout.readline() == b"up\n"
        for _ in range(30):
            Lease.acquire(state_dir).release()
    finally:
        for looker in lookers:
            looker.kill()
            looker.communicate()


def test_never_two_at_once(state_dir: Path, repository: Path) -> None:
    Lease.acquire(state_dir).release()
    contenders = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(state_dir), "30"],
            cwd=repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [contender.communicate(timeout=60) for contender in contenders]
    assert [errors for _, errors in told] == ["", "", ""]
    assert sum(int(won) for won, _ in told) > 0


def test_a_link_in_the_place_of_the_lock_is_refused(state_dir: Path, tmp_path: Path) -> None:
    state_dir.mkdir(mode=0o700)
    target = tmp_path / "target"
    target.write_text("mine")
    (state_dir / LOCK_NAME).symlink_to(target)
    with pytest.raises(Exception, match="cannot be opened"):
        Lease.acquire(state_dir)
    assert read_owner(state_dir) is None
    assert target.read_text() == "mine"


def test_a_link_in_the_place_of_the_folder_is_refused(state_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    state_dir.symlink_to(elsewhere)
    with pytest.raises(InputError, match="symbolic link"):
        Lease.acquire(state_dir)
    assert list(elsewhere.iterdir()) == []


def test_what_is_written_of_the_owner(state_dir: Path) -> None:
    lease = Lease.acquire(state_dir)
    written = json.loads((state_dir / OWNER_NAME).read_text())
    assert {"pid", "started", "user", "host", "since"} <= set(written)
    lease.release()
