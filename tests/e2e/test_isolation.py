"""The real program writes to its workspace and the user's own folders, and nowhere else; two workspaces share nothing."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("cli", "core", "daemon", "providers", "themes", "tui", "workspaces")
WAIT_S = 180.0


class Machine:
    """A home, a temporary folder and an installation of their own, all of them watched."""

    def __init__(self, root: Path, repository: Path) -> None:
        self.home, self.temporary, self.work = root / "h", root / "t", root / "w"
        for folder in (self.home, self.temporary, self.work):
            folder.mkdir()
        self.installed = root / "i"
        self.installed.mkdir()
        for package in PACKAGES:
            shutil.copytree(
                repository / package, self.installed / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        for path in [self.installed, *self.installed.rglob("*")]:
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(self.installed),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
        }

    def windlass(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli", *words],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def remove(self) -> None:
        for path in [self.installed, *self.installed.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, repository: Path):
    made = Machine(tmp_path, repository)
    yield made
    made.remove()


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def inodes(folder: Path) -> set[tuple[int, int]]:
    return {(path.stat().st_dev, path.stat().st_ino) for path in folder.rglob("*")}


@pytest.mark.long
def test_a_demo_run_writes_nowhere_else(machine: Machine) -> None:
    installed = tree(machine.installed)
    for name in ("one", "two"):
        machine.windlass("init", name, "--template", "demo")
    template = tree(machine.work)
    try:
        for name in ("one", "two"):
            machine.windlass("-w", name, "servers", "start")
            machine.windlass("-w", name, "run", "rollout", "--yes")
            machine.windlass("-w", name, "workspace", "add", name)
    finally:
        for name in ("one", "two"):
            machine.windlass("-w", name, "servers", "stop")

    assert tree(machine.installed) == installed, "an installation is only read"
    assert list(machine.temporary.iterdir()) == [], "nothing is left in the temporary folder"
    home = {str(path.relative_to(machine.home)) for path in machine.home.rglob("*") if path.is_file()}
    own = ".local/share/windlass"
    assert home == {
        f"{own}/trusted.json",
        f"{own}/trusted.json.lock",
        f"{own}/workspaces.json",
        f"{own}/workspaces.json.lock",
    }
    # In a workspace, nothing but its state changed.
    changed = {
        name
        for name, told in tree(machine.work).items()
        if template.get(name) != told and "/.windlass" not in name and not stat.S_ISDIR(told[0])
    }
    assert changed == set()

    one, two = machine.work / "one", machine.work / "two"
    assert not inodes(one) & inodes(two), "two workspaces share no file"
    for folder, other in ((one, two), (two, one)):
        for path in folder.rglob("*"):
            if path.is_symlink():
                assert path.resolve().is_relative_to(folder)
            elif path.is_file():
                assert str(other).encode() not in path.read_bytes(), f"{path} names the other workspace"


LOCAL = "provider: local\nservers: {one: {}}\n"
BATCH = """\
steps:
  ask:
    on: all
    run: echo {{ config.web.port }} $TOKEN | wc -w
    env: {TOKEN: "{{ secret('api/token') }}"}
    undo: "true"
"""
READ_ONLY = """
set -eu
for folder in "$REPOSITORY" "$PREFIX"; do
    mount --bind "$folder" "$folder"
    mount -o remount,ro,bind "$folder" 2>/dev/null || mount -o remount,ro,bind,nosuid,nodev "$folder"
    ! touch "$folder/written" 2>/dev/null
done
cd "$WORK"
windlass() { "$PYTHON" -P -m cli "$@"; }
windlass init shop >/dev/null
cp local.yaml shop/servers/local.yaml
cp ask.yaml shop/batches/ask.yaml
cd shop
windlass workspace add .
windlass config set web.port 8080
windlass secrets init
printf 'a-secret-value\\n' | windlass secrets set api/token
windlass servers start
windlass run ask --yes --output
windlass engine start
windlass runs list
windlass engine stop
windlass servers stop
"""


def test_it_works_from_an_installation_that_nobody_can_write(tmp_path: Path, repository: Path) -> None:
    """Mounted read-only in a mount namespace of its own: root passes over mode bits."""
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("no mount namespace can be made here: it takes root")
    home, work = tmp_path / "h", tmp_path / "w"
    for folder in (home, work):
        folder.mkdir()
    (work / "local.yaml").write_text(LOCAL)
    (work / "ask.yaml").write_text(BATCH)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", READ_ONLY],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "REPOSITORY": str(repository),
            "PREFIX": sys.prefix,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(repository),
            "WORK": str(work),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ask@one | 2" in done.stderr, "the configuration and the secret reached the command"
    assert "ask" in done.stdout
