"""Who has a workspace open: seen while it is there, and gone with its process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from core.engine.presence import FOLDER, Presence, watchers
from tests.support.lab import Lab
from tests.support.program import REPOSITORY


def test_who_is_here_is_seen_and_gone_after(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with Presence(tmp_path, "me@here (pts/1)", "interface") as mine:
        with Presence(tmp_path, "you@here", "watching", 41):
            found = watchers(tmp_path)
            assert [(one.actor, one.how, one.run) for one in found] == [
                ("me@here (pts/1)", "interface", None),
                ("you@here", "watching", 41),
            ]
            assert found[0].id == mine.id
            assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (tmp_path / FOLDER).iterdir())
        assert [one.actor for one in watchers(tmp_path)] == ["me@here (pts/1)"]
    assert watchers(tmp_path) == () and list((tmp_path / FOLDER).iterdir()) == []


def test_a_killed_one_is_gone_and_its_file_is_taken_away(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from core.engine.presence import Presence\n"
        "with Presence(Path(sys.argv[1]), 'killed@here', 'interface'):\n    print('here', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"here\n"
        assert [one.actor for one in watchers(tmp_path)] == ["killed@here"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    assert watchers(tmp_path) == () and list((tmp_path / FOLDER).iterdir()) == []


def test_nothing_fails_for_it(tmp_path: Path) -> None:
    with Presence(tmp_path / "no" / "such", "me", "interface"):
        assert watchers(tmp_path / "no" / "such") == ()
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "broken.json").write_text("{")
    (tmp_path / FOLDER / "link.json").symlink_to("/etc/passwd")
    assert watchers(tmp_path) == ()


async def test_the_workspace_says_who_is_here(lab: Lab) -> None:
    async with lab.engine() as engine:
        with Presence(lab.path / ".windlass", "me@here", "interface"):
            assert [one.actor for one in (await engine.workspace()).watchers] == ["me@here"]
