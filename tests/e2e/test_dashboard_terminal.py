"""The dashboard in a real terminal of 80 columns, on the real engine: round its tiles, into their screens and back."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.terminals import environment, opened, windlass
from tests.support.program import Program


def test_round_the_tiles_while_files_change(program: Program, tmp_path: Path) -> None:
    folder = program.path
    program.batch("steps: {one: {on: 'name:a', run: echo hello}}")
    environments = folder / "config" / "environments"
    environments.mkdir(parents=True)
    (folder / "config" / "base.yaml").write_text("web: {port: 80}\n")
    (environments / "prod.yaml").write_text("web: {port: 443}\n")
    program.call("run", "work")
    with opened(windlass(folder, "ui"), environment(tmp_path / "home"), 80, 24) as terminal:
        terminal.shows("live")
        terminal.shows("✓ 3  – 2 new")  # one of three was contacted
        terminal.shows("prod       ✓ valid     1 its own")
        terminal.shows("run 1 done")
        (environments / "prod.yaml").write_text('web: {port: "{{ config.nowhere }}"}\n')
        terminal.shows("✗ 1 fault   prod.yaml:1")
        # Recent has the cursor; tab goes on to the servers, the arrow to what lies beside them.
        terminal.press(b"\t\x1b[C\r")
        terminal.shows("configuration ▸ prod")
        terminal.shows("no value for nowhere")
        terminal.press(b"\x1b")
        terminal.shows("Needs you")
        terminal.press(b"p")
        terminal.shows("servers/local.yaml:1")
        (folder / "servers" / "west.yaml").write_text("provider: static\nservers: {d: {adress: 127.0.0.1}}\n")
        terminal.press(b"u")
        terminal.shows("no server is known before every fault is mended")
        terminal.press(b"G\r")
        terminal.shows("Faults of servers/west.yaml")
        terminal.press(b"\x1b")
        terminal.shows_not("Faults of servers/west.yaml")
        (folder / "servers" / "west.yaml").unlink()
        terminal.press(b"u")
        terminal.shows("Windlass starts and stops them")
        terminal.press(b"\r")
        terminal.shows("Servers 3 of 3")
