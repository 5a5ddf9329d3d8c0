"""The engine at logout, under a real service manager of an account: systemd's, in a mount namespace of this test alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import REPOSITORY, WAIT_S, Program, json_lines

pytestmark = pytest.mark.xdist_group("background")

MANAGER = Path("/usr/lib/systemd/systemd")


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A runtime folder for the account's manager."""
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd runs this machine: its files are not to be covered")
    allowed = (
        os.geteuid() == 0 and MANAGER.exists() and shutil.which("systemd-run") and shutil.which("unshare")
    )
    if not allowed or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace of its own takes root, and the manager takes systemd")
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    return folder


def inside(runtime: Path, program: Program, script: str, *, lingers: bool, manager: bool = True) -> str:
    """What a script prints in a machine that systemd seems to run, where our account's manager runs."""
    begin = f"""
        set -eu
        mount -t tmpfs tmpfs /var/lib/systemd
        mount -t tmpfs tmpfs /run/systemd
        mkdir /run/systemd/system /var/lib/systemd/linger
        {'touch "/var/lib/systemd/linger/$(id -un)"' if lingers else ""}
        export XDG_RUNTIME_DIR={runtime}
        unset DBUS_SESSION_BUS_ADDRESS
        windlass() {{ {sys.executable} -m cli -w {program.path} "$@"; }}
    """
    if manager:
        begin += f"""
        {MANAGER} --user >{runtime}/log 2>&1 &
        manager=$!
        trap 'kill "$manager"; wait "$manager" || true' EXIT
        for look in $(seq 100); do systemctl --user is-system-running >/dev/null 2>&1 && break; sleep 0.1; done
        """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", begin + script],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_an_engine_starts_in_a_scope_of_its_accounts_manager(runtime: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "lab", ["a"])
    program.batch("steps: {one: {run: 'echo x >> ran'}}")
    script = """
        windlass engine start
        windlass engine status
        windlass servers start
        windlass run work --detach
        windlass runs wait 1
        pid=$(sed 's/.*"pid": \\([0-9]*\\).*/\\1/' WORKSPACE/.windlass/lease.json)
        echo "scope:$(grep -o 'windlass-engine-[0-9a-f]*.scope' /proc/$pid/cgroup | sort -u)"
        scope=$(grep -om1 'windlass-engine-[0-9a-f]*.scope' /proc/$pid/cgroup)
        systemctl --user show --property=Description "$scope"
        systemctl --user stop "$scope"
        windlass engine status
        windlass servers stop
    """.replace("WORKSPACE", str(program.path))
    told = inside(runtime, program, script, lingers=True)
    assert "logout:      the account lingers, so its engine outlives a logout" in told
    assert "scope:windlass-engine-" in told and "Description=The engine of a Windlass workspace" in told
    assert "owner:       none" in told
    # The manager ends its scope as a service is ended: what is in flight ends first.
    log = (program.path / ".windlass/logs/engine.log").read_text()
    assert "ending: SIGTERM" in log and "ended" in log
    assert program.states() == {"one@a": "done"} and program.lines("a", "ran") == ["x"]


def test_without_lingering_an_engine_stays_in_a_session_that_nobody_ends(
    runtime: Path, tmp_path: Path
) -> None:
    program = Program(tmp_path / "lab", ["a"])
    script = """
        windlass engine start
        windlass engine status --json
        pid=$(sed 's/.*"pid": \\([0-9]*\\).*/\\1/' WORKSPACE/.windlass/lease.json)
        echo "scopes:$(grep -c windlass-engine /proc/$pid/cgroup)"
        windlass engine stop
    """.replace("WORKSPACE", str(program.path))
    told = inside(runtime, program, script, lingers=False)
    assert "scopes:0" in told and "warning" not in told
    (status,) = json_lines("\n".join(line for line in told.splitlines() if line.startswith("{")))
    assert status["outlives_logout"] is True


def test_a_manager_that_does_not_answer_keeps_no_engine_from_starting(runtime: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "lab", ["a"])
    script = """
        mkdir -m 700 "$XDG_RUNTIME_DIR/systemd"
        private=$XDG_RUNTIME_DIR/systemd/private
        python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$private"
        windlass engine start
        windlass engine stop
    """
    told = inside(runtime, program, script, lingers=True, manager=False)
    assert "the engine runs: pid" in told
