"""Frames are written thin: after any keys the terminal shows what a whole frame would show."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import bench_start
from benchmarks.terminal import SIZE, Terminal, shows
from benchmarks.tui_parts import UI, environment

WAYS = (
    (("i",), "Servers 12"),
    (("/", "0", "0", "3", "\r"), "1 of 12"),
    (("\x1b", "\x1b"), "Nothing needs you"),
    (("?",), "Moving"),
    (("\x1b",), "Nothing needs you"),
    ((":1\r",), "36/36"),
    (("\t", "j", "j", "G"), "step-00002"),
    ((":theme windlass-light\r",), "36/36"),
    (("v",), "timeline"),
    (("\x1b", "\x1b"), "Nothing needs you"),
)
"""Keys, and what comes up behind them."""


def still(terminal: Terminal) -> list[list[tuple[object, ...]]]:
    """The cells of what does not go on by itself, as the clock, "just now" and "12s ago" do."""
    return [
        [] if re.search(r"\b(ago|now)\b", "".join(str(cell[0]) for cell in row)) else row
        for row in terminal.cells()[1:]
    ]


def settled(terminal: Terminal) -> list[list[tuple[object, ...]]]:
    """The cells once they stay as they are."""
    before, now = None, still(terminal)
    while now != before:
        terminal.watch(0.4)
        before, now = now, still(terminal)
    return now


def test_after_any_keys_the_terminal_shows_what_a_whole_frame_shows(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    bench_start.make_workspace(workspace)
    rows, columns = SIZE
    with Terminal(UI, environment(tmp_path, workspace)) as terminal:
        terminal.until(shows("Nothing needs you", "3 steps"))
        for keys, shown in WAYS:
            for key in keys:
                terminal.press(key)
                terminal.watch(0.1)
            terminal.until(shows(shown), give_up_s=60)
            thin = settled(terminal)
            terminal.resize(rows, columns - 1)
            terminal.watch(0.3)
            terminal.resize(rows, columns)
            terminal.watch(0.3)
            assert settled(terminal) == thin, keys
