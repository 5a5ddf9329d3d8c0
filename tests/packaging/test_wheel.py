"""The wheel holds what it should, brings no name that another package has, and runs where nothing else is."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("wheel")

PACKAGES = {"cli", "core", "daemon", "providers", "themes", "tui", "workspaces"}
DEMO_LIMIT_S = 240


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), "."]
    subprocess.run(command, cwd=repository, check=True, capture_output=True, timeout=120)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; the locked dependencies are lent from this one.

    They are lent as a plain folder on the path, after the environment's own: no editable install and no
    other hook of this environment comes with it.
    """
    root = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(root, with_pip=False, symlinks=True)
    python = root / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    subprocess.run(
        [*command, "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (site,) = root.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return root


def windlass(root: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the installed console script in `cwd`, without a terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [root / "bin" / "windlass", *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEMO_LIMIT_S,
    )


# ---------------------------------------------------------------- what is in it


def test_top_level_names(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    (metadata,) = (name for name in names if name.endswith(".dist-info"))
    assert names - {metadata} == PACKAGES


def test_every_source_file_and_every_template_is_in_it(wheel: Path, repository: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *sorted(PACKAGES)],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nobody says which files belong to it")
    ours = {name for name in listed.stdout.split("\0") if name and (repository / name).exists()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert ours - packed == set()
    for template in ("demo", "empty"):
        assert f"workspaces/{template}/workspace.yaml" in packed
    assert any(name.startswith("workspaces/demo/batches/") for name in packed)


def test_metadata(wheel: Path, repository: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    from cli.version import __version__

    assert f"\nVersion: {__version__}\n" in metadata
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    optional = [name for names in project["optional-dependencies"].values() for name in names]
    required = re.findall(r"^Requires-Dist: ([\w.-]+)", metadata, re.MULTILINE)
    assert len(required) == len(project["dependencies"]) + len(optional)


def test_no_locked_dependency_has_a_name_of_ours(repository: Path) -> None:
    theirs = importlib.metadata.packages_distributions()
    locked = (repository / "requirements" / "dev.txt").read_text()
    installed = {
        dist.metadata["Name"].lower().replace("_", "-") for dist in importlib.metadata.distributions()
    }
    assert {"textual", "asyncssh", "pytest"} <= installed & set(
        re.findall(r"^([\w-]+)==", locked, re.MULTILINE)
    )
    collisions = {
        name: found
        for name in PACKAGES | {"daemon"}
        if (found := [dist for dist in theirs.get(name, []) if dist.lower() != "windlass"])
    }
    assert collisions == {}


# ---------------------------------------------------------------- where it is installed


@pytest.mark.long
def test_version_in_a_fresh_environment(installed: Path, tmp_path: Path) -> None:
    from cli.version import __version__

    answer = windlass(installed, tmp_path, "--version")
    assert answer.returncode == 0, answer.stderr
    assert __version__ in answer.stdout


@pytest.mark.long
def test_a_folder_with_names_of_ours_does_not_get_in_the_way(installed: Path, tmp_path: Path) -> None:
    for name in ("cli", "core", "daemon", "providers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    answer = windlass(installed, tmp_path, "--version")
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.long
def test_the_headless_demo_in_a_fresh_environment(installed: Path, tmp_path: Path) -> None:
    answer = windlass(installed, tmp_path, "demo", "--headless")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert processes_of(installed) == []


def processes_of(root: Path) -> list[str]:
    """The command lines of the processes that run from an environment (Linux; elsewhere none are seen)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # ended meanwhile
        if str(root) in command:
            found.append(command)
    return found
