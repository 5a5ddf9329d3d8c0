"""Whom a take-over kills, and whom it refuses to: real processes that hold the lease."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.engine import takeover
from core.engine.lease import OWNER_NAME, Lease, read_owner
from core.engine.takeover import find_holder, take_over
from core.errors import NotPossible, WorkspaceOwned
from core.model import events
from core.model.views import OwnerInfo
from core.store.reader import StoreReader
from core.store.store import Store
from tests.unit.test_lease import holder

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="without /proc no process can be told for certain"
)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """The state folder of a workspace; it does not exist yet."""
    return tmp_path / ".windlass"


@contextmanager
def told(state_dir: Path, **changed: Any) -> Iterator[None]:
    """What the holder wrote of itself, changed."""
    path = state_dir / OWNER_NAME
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), **changed}))
    yield
    path.write_text(before)


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "stopped"])
async def test_the_holder_is_killed_and_the_workspace_free(
    state_dir: Path, repository: Path, frozen: bool
) -> None:
    database = state_dir / "state.db"
    await (await Store.open(database)).close()
    with holder(state_dir, repository) as process:
        if frozen:
            process.send_signal(signal.SIGSTOP)
        owner = find_holder(state_dir)
        assert owner.pid == process.pid
        done = await take_over(state_dir, database, owner, actor="ada@here")
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert done.owner == owner
    assert done.waited_s < takeover.WAIT_S
    assert read_owner(state_dir) is None
    Lease.acquire(state_dir).release()
    reader = await StoreReader.open(database)
    (event,) = await reader.events(0)
    await reader.close()
    assert (event.type, event.actor) == (events.ENGINE_TAKEN_OVER, "ada@here")
    assert event.data["pid"] == owner.pid


async def test_the_epoch_rises_so_that_what_is_left_of_the_owner_is_fenced(
    state_dir: Path, repository: Path
) -> None:
    store = await Store.open(state_dir / "state.db")
    with holder(state_dir, repository):
        await take_over(state_dir, state_dir / "state.db", find_holder(state_dir), actor="ada@here")
    later = await Store.open(state_dir / "state.db")
    assert later.epoch == store.epoch + 2
    await later.close()
    await store.close()


async def test_no_database_is_made_where_there_is_none(state_dir: Path, repository: Path) -> None:
    with holder(state_dir, repository):
        await take_over(state_dir, state_dir / "state.db", find_holder(state_dir), actor="ada@here")
    assert not (state_dir / "state.db").exists()


def test_nobody_holds_it(state_dir: Path) -> None:
    with pytest.raises(NotPossible, match="nothing to take over") as caught:
        find_holder(state_dir)
    assert caught.value.hint
    Lease.acquire(state_dir).release()
    with pytest.raises(NotPossible):
        find_holder(state_dir)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"host": "elsewhere"}, "another host"),
        ({"boot_id": "another boot"}, "another host"),
        ({"pid_namespace": "pid:[1]"}, "another container"),
        ({"uid": 4_000_000}, "another user's"),
        ({"started": 17.0}, "another process has that number now"),
        ({"started": 0}, "does not say for certain by whom"),
        ({"pid": 1, "started": takeover.processes.process_start(1)}, "is not the engine|another user's"),
        ({"pid": 0}, "does not say for certain by whom"),
    ],
)
def test_who_is_not_to_be_killed_is_refused_and_lives(
    state_dir: Path, repository: Path, changed: dict[str, Any], why: str
) -> None:
    with holder(state_dir, repository) as process:
        with told(state_dir, **changed):
            with pytest.raises(WorkspaceOwned, match=why) as caught:
                find_holder(state_dir)
        assert "nothing was killed" in caught.value.hint
        assert caught.value.exit_status == 3
        assert process.poll() is None


async def test_a_holder_that_changed_after_the_question_is_not_killed(
    state_dir: Path, repository: Path
) -> None:
    with holder(state_dir, repository) as process:
        asked = dataclasses.replace(find_holder(state_dir), started=1.0)
        with pytest.raises(WorkspaceOwned, match="changed hands"):
            await take_over(state_dir, state_dir / "state.db", asked, actor="ada@here")
        assert process.poll() is None


async def test_a_holder_that_ended_meanwhile_is_told(state_dir: Path, repository: Path) -> None:
    with holder(state_dir, repository) as process:
        asked = find_holder(state_dir)
        process.kill()
        process.wait()
        with pytest.raises(NotPossible, match="ended by itself"):
            await take_over(state_dir, state_dir / "state.db", asked, actor="ada@here")


async def test_a_lock_that_does_not_come_free_is_an_error_in_time(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a process that hangs in the kernel: it was sent SIGKILL and stays. Here the lock is our own."""
    lease = Lease.acquire(state_dir)
    owner = read_owner(state_dir)
    assert owner is not None
    monkeypatch.setattr(takeover, "WAIT_S", 0.2)
    with pytest.raises(WorkspaceOwned, match=r"still holds the lock after 0.2 s; it is running"):
        takeover._wait_for(state_dir, owner)
    lease.release()


def test_another_users_process_is_refused(state_dir: Path, repository: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user here")
    with holder(state_dir, repository) as process:
        code = (
            "import json, os, sys; from pathlib import Path\n"
            "from core.engine import takeover; from core.model.views import OwnerInfo\n"
            "from core.errors import WorkspaceOwned\n"
            "info = json.loads(sys.argv[1]); os.setuid(65534)\n"
            "try: takeover._refuse(OwnerInfo(**info), Path(sys.argv[2]))\n"
            "except WorkspaceOwned as error: print(error.message)"
        )
        owner = read_owner(state_dir)
        assert isinstance(owner, OwnerInfo)
        told_ = subprocess.run(
            [sys.executable, "-c", code, json.dumps(dataclasses.asdict(owner)), str(state_dir)],
            cwd=repository,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another user's" in told_.stdout, told_.stderr
        assert process.poll() is None
