"""`windlass workspace`: names, choosing, moving, trusting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.workspace.folder import Workspace
from core.workspace.trust import is_trusted
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def elsewhere(tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_names(windlass: Windlass, lab: Lab, elsewhere: Path) -> None:
    answer = windlass("workspace", "list")
    assert (answer.status, answer.out) == (0, "") and "workspace add DIR" in answer.err
    assert windlass("workspace", "add", "../lab").out == f"lab {lab.path}\n"
    assert windlass("workspace", "use", "lab").status == 0
    assert windlass("workspace", "rename", "lab", "shop").out == f"shop {lab.path}\n"
    answer = windlass("workspace", "list")
    assert answer.out.split() == ["NAME", "FOLDER", "STATE", "*", "shop", str(lab.path), "in", "use"]
    (found,) = [json.loads(line) for line in windlass("workspace", "list", "--json").out.splitlines()]
    assert found == {
        "type": "workspace_name", "name": "shop", "folder": str(lab.path), "in_use": True, "there": True,
    }  # fmt: skip
    assert windlass("-w", "shop", "validate").status == 0
    answer = windlass("workspace", "remove", "shop")
    assert answer.status == 0 and "stays as it is" in answer.err and (lab.path / "workspace.yaml").is_file()
    assert windlass("validate").status == 2
    assert windlass("workspace", "remove", "shop").status == 2


def test_the_one_in_use_is_taken_and_a_change_says_so(
    windlass: Windlass, lab: Lab, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.batch("steps: {one: {run: work}}")
    told = f"workspace {lab.path}: 'lab' is in use"
    windlass("workspace", "use", str(lab.path))
    answer = windlass("run", "work")
    assert answer.status == 0 and answer.err.count(told) == 1
    assert told not in windlass("runs", "list").err  # it changes nothing
    assert told not in windlass("-w", "lab", "run", "work").err
    monkeypatch.setenv("WINDLASS_WORKSPACE", "lab")
    assert "WINDLASS_WORKSPACE says so" in windlass("run", "work").err
    monkeypatch.chdir(lab.path)
    monkeypatch.delenv("WINDLASS_WORKSPACE")
    assert "workspace " not in windlass("run", "work").err.partition("\n")[0]


def test_use_leaves_the_old_one_where_the_new_one_does_not_open(
    windlass: Windlass, lab: Lab, elsewhere: Path, tmp_path: Path
) -> None:
    windlass("workspace", "use", str(lab.path))
    (tmp_path / "none").mkdir()
    for name, text in (("newer", "format: 99\n"), ("faulty", "nam: x\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "workspace.yaml").write_text(text)
    for target in (tmp_path / "none", tmp_path / "missing", tmp_path / "newer", "unknown"):
        assert windlass("workspace", "use", str(target)).status == 2
        assert json.loads(windlass("workspace", "show", "--json").out)["folder"] == str(lab.path)
    answer = windlass("workspace", "use", str(tmp_path / "faulty"))
    assert answer.status == 0 and "is faulty" in answer.err
    assert windlass("workspace", "use", "lab").status == 0


def test_show(windlass: Windlass, lab: Lab) -> None:
    (lab.path / "workspace.yaml").write_text(
        "name: shop\nenvironments: {dev: , prod: {protection: production}}\nlabels: {team: web}\n"
        "read_only: true\nallow_paths: [../files]\nallow_env: [BUILD]\n"
    )
    answer = windlass("workspace", "show")
    assert answer.status == 0
    for text in (
        "dev (none), prod (production)",
        "team=web",
        "read-only:    yes",
        "BUILD",
        "trusted:      no",
    ):
        assert text in answer.out
    (lab.path / "workspace.yaml").write_text("nam: shop\n")
    assert windlass("workspace", "show").status == 2


def test_moving_one_elsewhere(windlass: Windlass, lab: Lab, elsewhere: Path) -> None:
    lab.batch("steps: {one: {upload: {from: files/a, to: x}}}")
    (lab.path / "files").mkdir()
    (lab.path / "files" / "a").write_text("content")
    plan = json.loads(windlass("-w", str(lab.path), "plan", "work", "--json").out)
    assert windlass("-w", str(lab.path), "workspace", "export").out == "lab.tar.gz\n"
    assert windlass("-w", str(lab.path), "workspace", "export").status == 2
    assert windlass("-w", str(lab.path), "workspace", "export", "--force").status == 0
    answer = windlass("workspace", "import", "lab.tar.gz", "new")
    assert answer.status == 0 and "registered as 'lab'; it is not trusted" in answer.err
    again = json.loads(windlass("-w", "lab", "plan", "work", "--json").out)
    assert {**again, "path": ""} == {**plan, "path": ""}
    assert not is_trusted(Workspace.load(elsewhere / "new"))
    assert windlass("workspace", "import", "lab.tar.gz", "other", "--name", "lab").status == 2
    assert not (elsewhere / "other").exists()
    assert windlass("workspace", "import", "lab.tar.gz", "other", "--name", "lab2").status == 0
    assert windlass("workspace", "import", "missing", "third").status == 2
    assert windlass("workspace", "import", "lab.tar.gz", "new").status == 2


def test_trusting(windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert windlass("workspace", "trust").status == 4
    assert windlass("workspace", "trust", "--yes").out == f"trusted {lab.path}\n"
    assert "trusted:      yes" in windlass("workspace", "show").out
    assert windlass("workspace", "untrust").status == 0
    assert "was not trusted" in windlass("workspace", "untrust").err
    (lab.path / "workspace.yaml").write_text("nam: x\n")
    assert windlass("workspace", "untrust").status == 0


def test_ones_own_new_workspace_is_trusted(windlass: Windlass, tmp_path: Path) -> None:
    assert windlass("init", str(tmp_path / "mine")).status == 0
    assert is_trusted(Workspace.load(tmp_path / "mine"))


def test_a_program_that_a_workspace_names_is_not_run_before_it_is_trusted(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:

    ran = lab.path / "ran"
    (lab.path / "ssh_config").write_text(f"Host far\n  HostName 127.0.0.1\n  ProxyCommand touch {ran}\n")
    (lab.path / "servers" / "static.yaml").write_text(
        "provider: static\nssh_config: {file: ssh_config, hosts: [far]}\n"
    )
    lab.batch("steps: {one: {run: work}}")
    assert "is not run before `windlass workspace trust`" in windlass("plan", "work").out
    answer = windlass("servers", "ssh", "far", "--", "true")
    assert answer.status == 2 and "windlass workspace trust" in answer.err
    answer = windlass("servers", "trust", "far")
    assert answer.status == 6 and "is not trusted" in answer.err and not ran.exists()
    windlass("workspace", "trust", "--yes")
    assert "is not run" not in windlass("plan", "work").out
    assert windlass("servers", "trust", "far").status == 6
    assert ran.exists()


def test_a_program_of_the_users_own_configuration_is_run(
    windlass: Windlass, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    ran = lab.path / "ran"
    (tmp_path / ".ssh" / "work").write_text(f"Host far\n  HostName 127.0.0.1\n  ProxyCommand touch {ran}\n")
    for file in ("~/.ssh/work",):
        (lab.path / "servers" / "static.yaml").write_text(
            f"provider: static\nssh_config: {{file: {file}, hosts: [far]}}\n"
        )
        assert windlass("servers", "trust", "far").status == 6
    assert ran.exists()
