"""The demo without a terminal: ends with 0, twice in a row, leaves nothing running, says where it is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import Place


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that name a folder (Linux; elsewhere none are seen)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # ended meanwhile
        if str(folder) in command and path.parent.name != str(os.getpid()):
            found.append(command)
    return found


@pytest.mark.long
def test_the_demo_twice_and_anew(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here")
    first = place.windlass("demo", "--headless", "--dir", str(folder))
    assert first.status == 0, first.err
    for word in ("▶ running", "✓ done", "= in place", "↻ retrying"):
        assert word in first.err
    assert f"kept in {folder}" in first.out
    assert processes_of(folder) == []
    second = place.windlass("demo", "--headless", "--dir", str(folder))
    assert second.status == 0, second.err
    runs = place.windlass("-w", str(folder), "runs", "list", "--json").objects()
    assert [run["state"] for run in runs] == ["done", "done"]
    assert runs[0]["counts"]["in_place"] > runs[1]["counts"]["in_place"]
    states = {
        found["state"] for found in place.windlass("-w", str(folder), "servers", "list", "--json").objects()
    }
    assert states == {"stopped"}

    # What it says to try next can be tried.
    for line in first.out.splitlines():
        if line.startswith("  windlass ") and "demo --dir" not in line:
            assert place.windlass(*line.split()[1:]).status == 0

    fresh = place.windlass("demo", "--headless", "--fresh", "--keep-servers", "--dir", str(folder))
    assert fresh.status == 0, fresh.err
    assert len(place.windlass("-w", str(folder), "runs", "list", "--json").objects()) == 1
    stopped = place.windlass("-w", str(folder), "servers", "stop")
    assert len(stopped.out.split()) == 12
    assert processes_of(folder) == []
