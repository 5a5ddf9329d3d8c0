"""The real program in a real terminal: started, driven by keys, read from the screen.

tmux is the terminal; the program, its engine, its SSH servers and the batch are the real ones.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

from core.engine.lease import read_owner
from tests.e2e.terminals import WAIT_S, Tmux
from tests.support.program import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def test_the_demo_is_started_by_keys_watched_and_left(terminal: Tmux, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    terminal.start(
        f"cd {REPOSITORY} && env -u COLUMNS -u LINES TERM=xterm-256color LC_ALL=C.UTF-8 {sys.executable} -m cli demo --dir {demo}; "
        "echo ended $?; sleep 600"
    )
    terminal.shows("Rolls a small web page out")
    terminal.keys("Escape")
    terminal.shows("Nothing needs you")
    terminal.keys("b")
    terminal.shows("Start a batch")
    terminal.shows("restart-with-failure")
    terminal.keys("j", "j")
    terminal.shows("Rolls a small web page out")
    terminal.shows("14 steps, 99 tasks on 12 servers")
    terminal.keys("s")
    terminal.shows("rollout")
    running = terminal.shows("of 36: converted")
    assert "▶" in running
    assert read_owner(demo / ".windlass") is not None
    terminal.resize(80, 24)
    small = terminal.shows("live")
    assert max(len(line) for line in small.splitlines()) <= 80
    terminal.resize(120, 40)
    done = terminal.shows("✓ done: 99/99 on 12 servers")
    assert "100 %" in done
    terminal.keys("q")
    terminal.shows("Nothing needs you")
    terminal.keys("q")
    ended = terminal.shows("ended 0")
    assert "stopped 12 servers" in ended
    assert read_owner(demo / ".windlass") is None


BASE = """\
# Owned by the web team.
web:
  host: web.example     # the name that is served
  port: 8080
  # Keep in step with the balancer.
  url: "http://{{ config.web.host }}:{{ config.web.port }}/"
"""
BATCH = """\
steps:
  check:
    on: all
    run: curl -fsS {{ config.web.url }}
    undo: "true"
"""


def test_a_value_is_edited_looked_at_and_saved_and_comments_stay(terminal: Tmux, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "config").mkdir(parents=True)
    for name in ("batches", "servers"):
        (folder / name).mkdir()
    (folder / "workspace.yaml").write_text("format: 1\nname: shop\n")
    (folder / "servers" / "static.yaml").write_text(
        "provider: static\nservers:\n  web-1: {address: 127.0.0.1}\n"
    )
    (folder / "batches" / "check.yaml").write_text(BATCH)
    file = folder / "config" / "base.yaml"
    file.write_text(BASE)
    terminal.start(
        f"cd {REPOSITORY} && env -u COLUMNS -u LINES TERM=xterm-256color LC_ALL=C.UTF-8 {sys.executable} -m cli -w {folder}; "
        "echo ended $?; sleep 600"
    )
    terminal.shows("live")
    terminal.keys("c")
    terminal.shows("http://web.example:8080/")
    terminal.keys("/", *"port", "Enter", "E")  # in one go: each goes where the one before it led
    terminal.shows("# Keep in step with the balancer.")
    terminal.keys("End", "BSpace", "BSpace", "BSpace", "BSpace", *"8443")
    terminal.shows("port: 8443")
    terminal.keys("C-s")
    seen = terminal.shows("lines of the file")
    seen = terminal.shows("web-1") if "web-1" not in seen else seen
    assert "http://web.example:8443/" in seen and "curl -fsS" in seen, "by value and by planned task"
    assert file.read_text() == BASE, "nothing is written before it was looked at"
    terminal.keys("s")
    ends_at = time.monotonic() + WAIT_S
    while file.read_text() == BASE and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert file.read_text() == BASE.replace("8080", "8443")
    terminal.shows("is saved")
    terminal.keys("Escape")
    terminal.shows("Values 1 of")
    terminal.keys("Escape")
    terminal.shows("http://web.example:8443/")
    terminal.keys("Escape")
    terminal.shows("Runs")
    terminal.keys("q")
    terminal.shows("ended 0")
