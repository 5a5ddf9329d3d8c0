"""Row 8: the disk is full. An engine on a real small disk (a tmpfs of its own), filled to its last byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.store.reserve import RESERVE_BYTES, Reserve
from tests.faults.storms import sshd_servers
from tests.support.sshd import Sshd


def on_a_small_disk(
    folder: Path, repository: Path, module: str, size_mib: int, told: str = ""
) -> dict[str, Any]:
    """What a program printed that ran with a disk of its own at `folder`; skips where none can be made."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed: no small disk can be made")
    mount = f'mount -t tmpfs -o size={size_mib}m tmpfs "{folder}"'
    environment = {**os.environ, "STORM": told}
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    probe = subprocess.run([*alone, mount], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no small disk can be made here: {probe.stderr.strip()}")
    script = f'{mount} && exec "{sys.executable}" -m {module} "{folder}"'
    done = subprocess.run(
        [*alone, script],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_f08_disk_full_outcomes_and_the_pause_are_durable_and_nothing_starts(
    tmp_path: Path, repository: Path
) -> None:
    seen = on_a_small_disk(tmp_path, repository, "tests.faults.full_disk_program", 64)
    servers = ("a", "b", "c", "d")
    # What was in flight ended and is recorded, with the space kept back; nothing else was started.
    assert seen["tasks"] == {
        **{f"one@{name}": "done" for name in servers},
        **{f"two@{name}": "done" for name in servers},
        **{f"three@{name}": "waiting" for name in servers},
    }
    assert seen["started"] == ["one", "two"]
    assert (seen["run"], seen["reserve"]) == ("paused", False)
    assert "disk" in seen["why"] and "resume" in seen["why"]
    # Nothing starts until the reserve is whole again, and that is told.
    assert seen["refused"].startswith("DiskFull 4: ") and "free at least 20 MiB" in seen["refused"]
    assert any("disk of this workspace is full" in notice for notice in seen["notices"])
    # With room again the same engine goes on, and nothing was done twice.
    assert set(seen["at_last"].values()) == {"done"}
    assert seen["reserve_again"] == RESERVE_BYTES
    assert seen["effects"] == 12
    # An engine that opens on a full disk starts nothing either.
    assert seen["refused_by_the_next"].startswith("DiskFull 4: ")
    assert any("disk of this workspace is full" in notice for notice in seen["next_notices"])


def test_f08_filled_at_random_moments_every_effect_happens_once(tmp_path: Path, repository: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "20"}) as sshd:
        names = ["a", "b"]
        told = {"names": names, "servers": sshd_servers(sshd, names), "home": str(sshd.home), "seed": 8}
        plan = json.dumps({**told, "steps": 24, "times": 2})
        seen = on_a_small_disk(disk, repository, "tests.faults.full_disk_storm", 64, plan)
    assert seen["state"] == "done"
    assert seen["kills"] >= 1 and seen["outputs"] > 0


def test_f08_the_reserve_is_real_space_given_back_once(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    assert reserve.kept
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= RESERVE_BYTES, "not a hole"
    assert reserve.release()
    assert not (tmp_path / "reserve").exists()
    assert not reserve.release()
    assert reserve.restore() and reserve.kept
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES
