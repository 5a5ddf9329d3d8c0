"""`init`, `validate`, `schema`, `ui`, and what `demo` refuses to touch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.batch.schema import batch_schema
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass

BAD = """\
steps:
  one: {run: a, rnu: b}
  two: {run: c, needs: [won]}
"""


def test_init_lists_what_it_made(windlass: Windlass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = windlass("init", "shop")
    assert answer.status == 0
    made = answer.out.splitlines()
    assert "shop/workspace.yaml" in made and all((tmp_path / name).is_file() for name in made)
    assert "windlass validate" in answer.err
    again = windlass("init", "shop")
    assert (again.status, again.out) == (2, "")
    assert "is a workspace already" in again.err
    assert windlass("init", "other", "--template", "dmeo").status == 2


@pytest.mark.parametrize("template", ["demo", "empty"])
def test_a_new_workspace_is_valid(
    windlass: Windlass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert windlass("init", "lab", "--template", template).status == 0
    answer = windlass("validate", "-w", "lab")
    assert (answer.status, answer.out) == (0, ""), answer.err
    assert "valid: " in answer.err


def test_validate_tells_every_fault_of_every_file(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BAD, "bad")
    lab.batch("steps: {one: {on: 'group:evn', run: a}}", "far")
    lab.batch("steps: {one: {run: a}}", "good")
    answer = windlass("validate")
    assert answer.status == 2
    lines = answer.out.splitlines()
    assert [line.rsplit(":", 3)[0].partition(":")[0] for line in lines] == ["batches/bad.yaml"] * 2 + [
        "batches/far.yaml"
    ]
    assert "rnu" in lines[0] and "won" in lines[1] and "evn" in lines[2]
    assert "3 faults" in answer.err
    found = [json.loads(line) for line in windlass("validate", "--json").out.splitlines()]
    assert [fault["type"] for fault in found] == ["fault"] * 3
    assert [fault["line"] for fault in found] == [2, 3, 1]


def test_validate_of_some(windlass: Windlass, lab: Lab) -> None:
    lab.batch(BAD, "bad")
    lab.batch("steps: {one: {run: a}}", "good")
    assert windlass("validate", "good").status == 0
    assert windlass("validate", "batches/bad.yaml").status == 2
    answer = windlass("validate", "goood")
    assert (answer.status, answer.out) == (2, "")
    assert "did you mean 'good'?" in answer.err


def test_validate_plans_with_the_defaults_and_says_what_it_cannot(windlass: Windlass, lab: Lab) -> None:
    lab.batch("{params: {v: {type: string}}, steps: {one: {run: 'x {{ params.v }}'}}}", "asks")
    lab.batch("{steps: {one: {upload: {from: files/none, to: x}}}}", "lost")
    answer = windlass("validate")
    assert answer.status == 2
    assert "files/none" in answer.out
    assert "asks: not planned, it needs --param v=VALUE" in answer.err


def test_validate_of_servers_and_of_the_workspace_itself(windlass: Windlass, lab: Lab) -> None:
    lab.batch("steps: {one: {run: a}}", "good")
    (lab.path / "servers" / "static.yaml").write_text("provider: static\nservers:\n  a: {adress: x}\n")
    answer = windlass("validate")
    assert answer.status == 2
    assert answer.out.startswith("servers/static.yaml:3:")
    assert len(answer.out.splitlines()) == 1  # what the servers' fault makes of the batches is not repeated
    (lab.path / "workspace.yaml").write_text("format: 9\nnam: x\n")
    answer = windlass("validate")
    assert answer.status == 2
    assert [line.partition(": ")[0] for line in answer.out.splitlines()] == [
        "workspace.yaml:1:9",
        "workspace.yaml:2:1",
    ]
    assert windlass("runs", "list").status == 2


def test_schema_is_the_one_of_the_models(windlass: Windlass) -> None:
    answer = windlass("schema", "batch")
    assert answer.status == 0
    assert json.loads(answer.out) == batch_schema()
    assert windlass("schema") == answer


def test_the_interface_needs_a_terminal(windlass: Windlass, lab: Lab) -> None:
    answer = windlass("ui")
    assert (answer.status, answer.out) == (2, "")
    assert "terminal" in answer.err


def test_a_fresh_demo_never_removes_what_no_demo_made(windlass: Windlass, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    for arguments in (["--fresh"], []):
        answer = windlass("demo", "--headless", "--dir", str(mine), *arguments)
        assert (answer.status, answer.out) == (2, "")
        assert (mine / "notes.txt").read_text() == "mine"
    assert windlass("init", str(tmp_path / "lab"), "--template", "demo").status == 0
    answer = windlass("demo", "--headless", "--fresh", "--dir", str(tmp_path / "lab"))
    assert answer.status == 2
    assert "was not made by" in answer.err
    (tmp_path / "link").symlink_to(tmp_path / "lab")
    (tmp_path / "lab" / ".windlass" / "demo").touch()
    assert windlass("demo", "--headless", "--fresh", "--dir", str(tmp_path / "link")).status == 2
    assert (tmp_path / "lab" / "workspace.yaml").exists()


def test_a_demo_in_use_is_not_made_anew(windlass: Windlass, tmp_path: Path) -> None:
    from core.engine.lease import Lease

    folder = tmp_path / "demo"
    assert windlass("init", str(folder), "--template", "demo").status == 0
    (folder / ".windlass" / "demo").touch()
    lease = Lease.acquire(folder / ".windlass")
    try:
        answer = windlass("demo", "--headless", "--fresh", "--dir", str(folder))
    finally:
        lease.release()
    assert answer.status == 3
    assert (folder / "workspace.yaml").exists()
