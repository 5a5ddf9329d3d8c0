"""What a process loads: nothing heavy for --version and --help, no terminal library for headless work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "aiosqlite",
    "asyncssh",
    "httpx",
    "jinja2",
    "jsonschema",
    "pydantic",
    "pydantic_settings",
    "ruamel",
    "textual",
}
TERMINAL = {"textual", "tui"}

RUNNER = """
import atexit, json, os, sys
out, sys.argv[:] = sys.argv[1], ["windlass", *sys.argv[2:]]
def dump(pid=os.getpid()):
    if os.getpid() == pid:
        with open(out, "w") as file:
            json.dump(sorted({name.partition(".")[0] for name in sys.modules}), file)
atexit.register(dump)
from cli.main import main
main()
"""


def loaded(repository: Path, cwd: Path, *arguments: str, limit_s: float = 60) -> tuple[int, set[str], str]:
    """Runs `windlass ARGUMENTS` in a process of its own: exit status, top-level modules at its end, output."""
    out = cwd / "modules.json"
    answer = subprocess.run(
        [sys.executable, "-c", RUNNER, str(out), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_s,
    )
    return answer.returncode, set(json.loads(out.read_text())), answer.stdout + answer.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"], ["runs", "--help"]])
def test_light_commands_load_nothing_heavy(repository: Path, tmp_path: Path, arguments: list[str]) -> None:
    status, modules, output = loaded(repository, tmp_path, *arguments)
    assert status == 0, output
    assert "click" in modules  # the runner sees what is loaded
    assert modules & (HEAVY | TERMINAL) == set()


@pytest.mark.long
def test_a_headless_run_loads_no_terminal_library(repository: Path, tmp_path: Path) -> None:
    status, modules, output = loaded(repository, tmp_path, "demo", "--headless", limit_s=240)
    assert status == 0, output
    assert {"asyncssh", "core", "providers"} <= modules
    assert modules & TERMINAL == set()
