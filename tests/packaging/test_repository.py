"""What no file of the repository may hold: addresses of package registries, paths of one machine, orphans."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

# Written in parts, so that this file does not find itself.
REGISTRIES = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("registry", "npmjs", "org"),
            ("deb", "debian", "org"),
            ("crates", "io"),
        )
    ),
    re.IGNORECASE,
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.~$}-])/(?:" + "|".join(("ro" + "ot", "wo" + "rk", "opt/py" + "pi")) + r")\b"
)


@pytest.fixture(scope="module")
def files(repository: Path) -> list[Path]:
    """Every file of the checkout: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    if answer.returncode != 0:
        pytest.skip("not a git checkout: nobody says which files belong to it")
    names = sorted(name for name in answer.stdout.split("\0") if name)
    return [repository / name for name in names if (repository / name).is_file()]


def hits(files: list[Path], pattern: re.Pattern[str]) -> Iterator[str]:
    """ "file:line: text" of every match in the files that are text."""
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            if pattern.search(line):
                yield f"{path}:{number}: {line.strip()[:120]}"


def test_no_registry_address(files: list[Path]) -> None:
    assert list(hits(files, REGISTRIES)) == []


def test_no_path_of_one_machine(files: list[Path]) -> None:
    assert list(hits(files, MACHINE_PATHS)) == []


def test_the_patterns_find_what_they_are_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "https://files." + "pythonhosted" + ".org/x\n"
        "see /" + "work/x\n"
        "workspaces/demo, a/" + "work/b, /" + "workspace\n"
    )
    assert [hit.split(":")[1] for hit in hits([page], REGISTRIES)] == ["1"]
    assert [hit.split(":")[1] for hit in hits([page], MACHINE_PATHS)] == ["2"]


def test_no_lock_that_holds_addresses(files: list[Path]) -> None:
    assert [path.name for path in files if path.name == "uv.lock" or path.name.startswith("pylock")] == []


def test_every_requirement_is_pinned_with_hashes(repository: Path) -> None:
    for path in sorted((repository / "requirements").glob("*.txt")):
        text = path.read_text()
        entries = re.findall(
            r"^[a-z0-9][^\n]*\\\n(?: +--hash=sha256:[0-9a-f]{64}[^\n]*\n)+", text, re.MULTILINE
        )
        assert len(entries) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)) > 0, path
        assert all(re.match(r"[\w.-]+==\S+", entry) for entry in entries), path


def test_the_locks_agree_and_cover_the_dependencies(repository: Path) -> None:
    def pins(name: str) -> dict[str, str]:
        text = (repository / "requirements" / name).read_text()
        return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))

    base, dev = pins("base.txt"), pins("dev.txt")
    assert {name: dev.get(name) for name in base} == base
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["build"]]
    for requirement in wanted:
        assert name_of(requirement) in base, f"{requirement} is not locked: make lock"
    for requirement in [*groups["test"], *groups["lint"], *groups["docs"]]:
        assert name_of(requirement) in dev, f"{requirement} is not locked: make lock"


def name_of(requirement: str) -> str:
    """The name in a requirement, as locks spell it."""
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return re.sub(r"[._-]+", "-", match[0]).lower()


def test_no_orphaned_snapshot(files: list[Path]) -> None:
    """A picture that no test compares with is a promise that nobody checks."""
    for picture in (path for path in files if path.parent.parent.name == "__snapshots__"):
        module = picture.parent.parent.parent / f"{picture.parent.name}.py"
        assert module.exists(), f"{picture} belongs to no test module"
        name = re.match(r"(?:\w+\.)?(test_\w+)", picture.name)
        assert name is not None, f"{picture} is named after no test"
        assert re.search(rf"def {name[1]}\(", module.read_text()), f"{module} has no test {name[1]}"
