"""The import contracts find a breach of each rule: one is planted in a copy, and the checker has to see it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PACKAGES = ("cli", "core", "daemon", "providers", "themes", "tui")
CHECKER = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """A copy of our packages and of the contracts."""
    for package in PACKAGES:
        shutil.copytree(
            repository / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    shutil.copy(repository / "pyproject.toml", tmp_path)
    return tmp_path


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the checker on a folder, away from this checkout."""
    return subprocess.run(
        [sys.executable, "-P", "-c", CHECKER, "--no-logo", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_contracts_are_kept(copy: Path) -> None:
    answer = check(copy)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("core/engine/planted.py", "import cli.version", "Imports run one way"),
        ("themes/planted.py", "import cli.version", "Imports run one way"),
        ("tui/planted.py", "import cli.version", "Imports run one way"),
        ("cli/planted.py", "def f():\n    import tui", "Nothing imports the terminal face"),
        ("core/engine/planted.py", "from textual.app import App", "Nothing imports the terminal face"),
        ("providers/local/planted.py", "import core.model.ids", "A concrete provider imports only"),
        ("providers/static/planted.py", "import core.errors", "A concrete provider imports only"),
        (
            "providers/static/planted.py",
            "import providers.local",
            "Concrete providers do not know each other",
        ),
        ("core/engine/planted.py", "import providers.static", "The core knows no concrete provider"),
        ("core/model/planted.py", "import core.engine.api", "The model and the errors stand alone"),
        ("core/model/planted.py", "import providers.base", "The model and the errors know nothing outside"),
    ],
)
def test_a_breach_is_found(copy: Path, file: str, line: str, broken: str) -> None:
    (copy / file).write_text(f'"""Planted."""\n{line}\n')
    answer = check(copy)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    verdicts = [text for text in answer.stdout.splitlines() if " BROKEN" in text]
    assert any(verdict.startswith(broken) for verdict in verdicts), verdicts


def test_every_provider_and_every_part_of_the_core_is_under_contract(repository: Path) -> None:
    tool = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts = {contract["id"]: contract for contract in tool["contracts"]}
    concrete = {f"providers.{path.parent.name}" for path in (repository / "providers").glob("*/__init__.py")}
    assert set(contracts["providers"]["source_modules"]) == concrete
    assert set(contracts["independent-providers"]["modules"]) == concrete
    assert concrete <= set(contracts["core"]["forbidden_modules"])
