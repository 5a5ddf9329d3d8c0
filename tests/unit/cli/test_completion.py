"""Completion: scripts that shells take, and what the workspace at hand offers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.completion import SHELLS, VARIABLE
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass

BATCH = """
params:
  version: {type: string, default: "1.4", choices: ["1.4", "1.5"]}
  force: {type: boolean, default: false}
steps:
  install: {run: install}
  verify: {run: verify}
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_takes(windlass: Windlass, tmp_path: Path, shell: str) -> None:
    answer = windlass("completion", shell)
    assert (answer.status, answer.err) == (0, "")
    assert VARIABLE in answer.out and "windlass" in answer.out
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here: only the text was looked at")
    path = tmp_path / "script"
    path.write_text(answer.out)
    assert subprocess.run([program, "-n", str(path)], capture_output=True, timeout=30).returncode == 0


def offered(windlass: Windlass, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """What bash would be offered for the last word of a line."""
    words = line.split(" ")
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    answer = windlass()
    assert answer.err == ""
    return [item.partition(",")[2] for item in answer.out.splitlines() if item]


def test_workspaces_are_offered_by_name(
    windlass: Windlass, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert windlass("workspace", "add", str(lab.path), "--name", "shop").status == 0
    assert offered(windlass, monkeypatch, "windlass -w sh") == ["shop"]
    assert offered(windlass, monkeypatch, "windlass runs list -w ") == ["shop"]
    assert offered(windlass, monkeypatch, "windlass -w ./") == ["./"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("windlass ser", ["servers"]),
        ("windlass runs de", ["decide"]),
        ("windlass run ", ["other", "work"]),
        ("windlass plan w", ["work"]),
        ("windlass run work --param ver", ["version=1.4", "version=1.5"]),
        ("windlass run work --param force=t", ["force=true"]),
        ("windlass run work --limit gr", ["group:odd", "group:even"]),
        ("windlass servers show ", ["a", "b"]),
        ("windlass servers exec name:", ["name:a", "name:b"]),
        ("windlass runs show ", ["2", "1"]),
        ("windlass runs watch 1", ["1"]),
        ("windlass runs show 1 ver", ["verify@a", "verify@b"]),
        ("windlass runs logs 1 --step ", ["install", "verify"]),
        ("windlass runs rollback 1 --step in", ["install"]),
        ("windlass runs list --state rolled", ["rolled_back"]),
        ("windlass completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_what_is_offered(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch, line: str, found: list[str]
) -> None:
    lab.batch(BATCH)
    lab.batch(BATCH, "other")
    assert windlass("run", "work").status == 0
    assert windlass("run", "other").status == 0
    assert offered(windlass, monkeypatch, line) == found


def test_a_workspace_named_before_is_the_one(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.batch(BATCH)
    monkeypatch.chdir("/")
    assert offered(windlass, monkeypatch, f"windlass -w {lab.path} run ") == ["work"]
    assert offered(windlass, monkeypatch, f"windlass run -w {lab.path} wo") == ["work"]


@pytest.mark.parametrize(
    "line",
    [
        "windlass run ",
        "windlass runs show ",
        "windlass servers show ",
        "windlass run x --param ",
        "windlass run x --limit ",
    ],
)
def test_nothing_is_offered_and_nothing_told_where_something_is_wrong(
    windlass: Windlass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered(windlass, monkeypatch, line) == []
    (tmp_path / "workspace.yaml").write_text("nonsense: [")
    assert offered(windlass, monkeypatch, line) == []


def test_secrets_are_offered_by_name(lab: Lab, windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.path / "secrets" / "db").mkdir(parents=True)
    for name in ("token", "db/password"):
        (lab.path / "secrets" / f"{name}.age").touch()
    assert offered(windlass, monkeypatch, "windlass secrets get ") == ["db/password", "token"]
    assert offered(windlass, monkeypatch, "windlass secrets edit t") == ["token"]
