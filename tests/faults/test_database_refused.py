"""Rows 9, 10 and 11 through the real program: the database is locked, damaged, or on a network file system."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.store.backups import backups
from tests.support.program import REPOSITORY, WAIT_S, Program

BATCH = "steps: {one: {wait: {http: 'http://127.0.0.1:1/', every: 50ms}, timeout: 100ms}}"
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program on a workspace whose servers are not started; runs that only wait end without them."""
    made = Program(tmp_path / "lab", servers=("a",))
    made.batch(BATCH)
    return made


def database(program: Program) -> Path:
    return program.path / ".windlass" / "state.db"


def test_f09_locked_by_another_program_it_is_named_after_a_bounded_wait(program: Program) -> None:
    program.call("run", "work", status=1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database(program))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
            refused = program.call("run", "work", status=70)
            assert "locked by another program for 5 s" in refused.stderr
            if Path("/proc/locks").exists():
                assert re.search(rf"\(held by pid {holder.pid} \(\S+\)\)", refused.stderr)
            assert "crash report" not in refused.stderr
            assert program.call("runs", "list").returncode == 0, "reading goes on"
        finally:
            holder.kill()
    program.call("run", "work", status=1)


def test_f10_damaged_it_is_refused_and_the_newest_good_backup_offered_works(program: Program) -> None:
    program.call("run", "work", status=1)
    program.call("run", "work", status=1)  # opening it makes the daily backup
    (good,) = backups(database(program))
    with database(program).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 6)
    before = database(program).read_bytes()
    refused = program.call("runs", "resume", status=2)
    assert "is damaged" in refused.stderr and "nothing was changed" in refused.stderr
    assert f"the newest good backup is {good}" in refused.stderr.replace("\n", " ")
    assert database(program).read_bytes() == before
    # What it says to do is done, and works: it is a new incarnation then.
    for suffix in ("", "-wal", "-shm"):
        path = database(program).with_name(f"state.db{suffix}")
        if path.exists():
            path.rename(path.with_name(f"damaged{suffix}"))
    shutil.copy(good, database(program))
    done = program.call("run", "work", status=1)
    assert "new incarnation" in done.stderr
    assert len(program.call("runs", "list", "--json").stdout.splitlines()) == 2


@pytest.mark.long
def test_f10_a_daily_backup_is_whole_and_made_once_a_day(program: Program) -> None:
    for _ in range(3):
        program.call("run", "work", status=1)
    (kept,) = backups(database(program))
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(f"{kept.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert [entry.name for entry in kept.parent.glob("*.part*")] == []


def with_mounts(program: Program, tmp_path: Path, kind: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the program in a world whose kernel says that the workspace is on a file system of some kind."""
    lines = Path("/proc/self/mountinfo").read_text()
    told = tmp_path / "mountinfo"
    told.write_text(f"{lines}9999 1 0:99 / {program.path} rw,relatime - {kind} nas:/export rw\n")
    script = f'mount --bind "{told}" /proc/$$/mountinfo && exec "$@"'
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("the kernel's list of mounts cannot be replaced here")
    return subprocess.run(
        [*alone, *program.command(*words)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def test_f11_on_a_network_file_system_it_is_refused(program: Program, tmp_path: Path) -> None:
    refused = with_mounts(program, tmp_path, "nfs4", "run", "work")
    assert refused.returncode == 70
    assert "on a network file system (nfs4)" in refused.stderr and "local disk" in refused.stderr
    assert "crash report" not in refused.stderr
    assert not database(program).exists()


def test_f11_where_it_cannot_be_told_there_is_a_warning_and_it_goes_on(
    program: Program, tmp_path: Path
) -> None:
    warned = with_mounts(program, tmp_path, "fuse.something-new", "run", "work")
    assert warned.returncode == 1
    assert "warning:" in warned.stderr and "may be another machine's disk" in warned.stderr
