"""A batch file against the text that a run was made from."""

from __future__ import annotations

from pathlib import Path

from core.batch.changes import changes

STORED = "steps:\n  one: {run: a}\n"


def made(workspace: Path, text: str) -> Path:
    path = workspace / "batches" / "work.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_same(tmp_path: Path) -> None:
    assert changes(STORED, str(made(tmp_path, STORED)), tmp_path) == ""


def test_a_change_is_a_unified_diff(tmp_path: Path) -> None:
    told = changes(STORED, str(made(tmp_path, STORED.replace("run: a", "run: b"))), tmp_path)
    assert told.splitlines()[:2] == ["--- work.yaml (as the run has it)", "+++ work.yaml (now)"]
    assert {"-  one: {run: a}", "+  one: {run: b}"} <= set(told.splitlines())


def test_a_moved_workspace_is_compared_with_its_own_file(tmp_path: Path) -> None:
    path = made(tmp_path / "old", STORED)
    made(tmp_path / "new", STORED.replace("a", "b"))
    assert "+  one: {run: b}" in changes(STORED, str(path), tmp_path / "new")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    path = made(tmp_path, STORED)
    path.unlink()
    assert "-steps:" in changes(STORED, str(path), tmp_path)


def test_line_ends_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = made(tmp_path, STORED)
    path.write_bytes(STORED.replace("\n", "\r\n").encode())
    assert changes(STORED, str(path), tmp_path) == "the two differ in line ends only"
    path.write_bytes(STORED.encode() + b"\xff\n")
    assert r"+\xff" in changes(STORED, str(path), tmp_path)


def test_what_was_made_from_no_file_has_no_changes(tmp_path: Path) -> None:
    assert changes(STORED, "<made up>", tmp_path) == ""
    assert changes(STORED, str(tmp_path / ".windlass" / "exec" / "exec-1.yaml"), tmp_path) == ""
