"""Edits of the configuration on the command line, over real files, and taking them back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.config.files import history
from core.workspace.folder import Workspace
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass, golden

BASE = "# Shared.\nweb: &w\n  host: a   # aligned\n  port: 80\nhosts:\n- one\ncopy: *w\n"
DEV = "web: {port: 81}\n"


@pytest.fixture
def shop(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    monkeypatch.setattr("core.config.open.user_file", lambda: tmp_path / "home" / "config.yaml")
    monkeypatch.delenv("WINDLASS_ENVIRONMENT", raising=False)
    (lab.path / "config" / "environments").mkdir(parents=True)
    (lab.path / "config" / "base.yaml").write_text(BASE)
    (lab.path / "config" / "environments" / "dev.yaml").write_text(DEV)
    return lab


def base(shop: Lab) -> str:
    return (shop.path / "config" / "base.yaml").read_text()


def test_set_unset_append(windlass: Windlass, shop: Lab) -> None:
    answer = windlass("config", "set", "db.port", "5432")
    assert answer.status == 0
    assert base(shop) == BASE + "db:\n  port: 5432\n"
    golden("config-set", answer.out + "-- stderr\n" + answer.err)
    assert windlass("config", "append", "hosts", "two").status == 0
    assert windlass("config", "unset", "db").status == 0
    assert base(shop) == BASE.replace("- one\n", "- one\n- two\n")
    golden("json-config-edit", windlass("config", "set", "web.port", "82", "-e", "dev", "--json").out)
    assert (shop.path / "config" / "environments" / "dev.yaml").read_text() == "web: {port: 82}\n"


def test_values_are_yaml_unless_they_are_text(windlass: Windlass, shop: Lab) -> None:
    for value, options, written in [
        ("true", (), "true"),
        ("true", ("--string",), "'true'"),
        ("[1, a]", (), "[1, a]"),
        ("{a: 1}", (), "{a: 1}"),
        ("'{{ config.web.port }}'", (), "'{{ config.web.port }}'"),
        ("{{ config.web.port }}", ("--string",), "'{{ config.web.port }}'"),
        ("", (), "null"),
    ]:
        assert windlass("config", "set", "x", value, *options).status == 0
        assert base(shop) == f"{BASE}x: {written}\n"


def test_shared_values(windlass: Windlass, shop: Lab) -> None:
    answer = windlass("config", "set", "copy.port", "1")
    assert (answer.status, answer.out, base(shop)) == (2, "", BASE)
    assert "config/base.yaml:4:9: web.port would change with it" in answer.err
    assert "--everywhere" in answer.err
    answer = windlass("config", "set", "copy.port", "1", "--everywhere")
    assert answer.status == 0 and "changed with it: web.port" in answer.err
    assert base(shop) == BASE.replace("80", "1")
    assert windlass("config", "set", "copy", "null", "--here").status == 0
    assert base(shop) == BASE.replace("80", "1").replace("*w", "null")
    assert windlass("config", "set", "copy", "1", "--here", "--everywhere").status == 2


def test_history_and_revert(windlass: Windlass, shop: Lab) -> None:
    assert windlass("config", "history").out == ""
    assert windlass("config", "revert").status == 2
    file = shop.path / "config" / "base.yaml"
    file.chmod(0o640)
    windlass("config", "set", "hosts[0]", "1")
    windlass("config", "set", "hosts[0]", "2")
    golden("config-history", windlass("config", "history").out)
    assert windlass("config", "revert", "1").status == 2  # the second is in the way
    assert windlass("config", "revert").status == 0
    assert base(shop) == BASE.replace("one", "1")
    assert windlass("config", "revert", "1").status == 0
    assert base(shop) == BASE
    assert file.stat().st_mode & 0o777 == 0o640
    assert [
        json.loads(line)["action"] for line in windlass("config", "history", "--json").out.splitlines()
    ] == [
        "revert 1",
        "revert 2",
        "set",
        "set",
    ]
    file.write_text(BASE + "# by hand\n")
    answer = windlass("config", "revert", "4")
    assert answer.status == 2 and "was changed by hand" in answer.err
    assert windlass("config", "revert", "99").status == 2
    kept = shop.path / ".windlass" / "config-history"
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}


def test_the_history_is_bounded(windlass: Windlass, shop: Lab) -> None:
    windlass("config", "set", "app.history", "2")
    for number in range(4):
        windlass("config", "set", "hosts[0]", str(number))
    assert [change.number for change in history(Workspace.load(shop.path))] == [5, 4]


def test_a_file_that_is_not_there_yet(windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert windlass("config", "set", "a.b", "1").status == 0
    assert base(lab) == "a:\n  b: 1\n"
    assert windlass("config", "revert").status == 0
    assert base(lab) == ""


def test_an_edit_that_leaves_faults_says_so(windlass: Windlass, shop: Lab) -> None:
    answer = windlass("config", "set", "web.url", "'{{ config.nope }}'", "--everywhere")
    assert answer.status == 0
    assert "warning: config/base.yaml:5:8: web.url: there is no value for nope" in answer.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "a..b", "1"), "is no path"),
        (("set", "a", "[1"), "VALUE:1:3: not YAML"),
        (("set", "a", "{{ config.b }}"), "write it quoted: '{{ config.b }}'"),
        (("set", "a", "#fff"), "is a comment to YAML"),
        (("set", "a", "1", "-e", "dve"), "did you mean 'dev'?"),
        (("unset", "web.prot"), "did you mean web.port?"),
        (("append", "web.host", "x"), "is no list"),
        (("set", "hosts.a", "x"), "is no mapping"),
    ],
)
def test_what_is_refused(windlass: Windlass, shop: Lab, arguments: tuple[str, ...], told: str) -> None:
    answer = windlass("config", *arguments)
    assert (answer.status, answer.out, base(shop)) == (2, "", BASE)
    assert told in answer.err


def test_a_link_out_of_the_workspace_is_not_written(windlass: Windlass, shop: Lab, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("a: 1\n")
    (shop.path / "config" / "base.yaml").unlink()
    (shop.path / "config" / "base.yaml").symlink_to(outside)
    answer = windlass("config", "set", "a", "2")
    assert answer.status == 2 and "leads out of the workspace" in answer.err
    assert outside.read_text() == "a: 1\n"
    inside = shop.path / "config" / "real.yaml"
    inside.write_text("a: 1\n")
    (shop.path / "config" / "base.yaml").unlink()
    (shop.path / "config" / "base.yaml").symlink_to("real.yaml")
    assert windlass("config", "set", "a", "2").status == 0
    assert inside.read_text() == "a: 2\n"


def test_edits_at_once_are_all_kept(shop: Lab, repository: Path) -> None:
    """Several processes that edit one file: none overwrites another's edit."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "cli", "-w", str(shop.path), "config", "set", f"k{number}", str(number)],
            cwd=repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert run.returncode == 0, (out, err)
    assert all(f"k{number}: {number}\n" in base(shop) for number in range(4))


def test_a_declared_environment_needs_no_file_beforehand(windlass: Windlass, lab: Lab) -> None:
    (lab.path / "workspace.yaml").write_text("name: shop\nenvironments: [dev, stage]\n")
    assert windlass("config", "set", "web.port", "443", "-e", "stage").status == 0
    assert windlass("config", "get", "web.port", "-e", "stage").out == "443\n"
    answer = windlass("config", "set", "web.port", "443", "-e", "stag")
    assert answer.status == 2 and "did you mean 'stage'?" in answer.err


@pytest.mark.parametrize("words", ["get", "explain", "set", "unset", "append"])
def test_a_path_that_is_missing_is_told(windlass: Windlass, lab: Lab, words: str) -> None:
    answer = windlass("config", words)
    assert answer.status == 2 and "Missing argument 'PATH'" in answer.err


def test_a_folder_in_the_place_of_a_file_is_told(windlass: Windlass, lab: Lab) -> None:
    base = lab.path / "config" / "base.yaml"
    base.unlink(missing_ok=True)
    base.mkdir(parents=True)
    answer = windlass("config", "show")
    assert answer.status == 2 and "config/base.yaml is not a regular file" in answer.err


def test_every_environment_is_validated_also_one_without_a_file(windlass: Windlass, lab: Lab) -> None:
    (lab.path / "workspace.yaml").write_text("name: shop\nenvironments: [dev, prod]\n")
    (lab.path / "config" / "environments").mkdir(parents=True, exist_ok=True)
    (lab.path / "config" / "environments" / "prod.yaml").write_text("web: {port: abc}\n")
    (lab.path / "config" / "base.yaml").write_text("web: {port: 1}\n")
    (lab.path / "config" / "schema.yaml").write_text(
        "properties: {web: {properties: {port: {type: string}}}}\n"
    )
    answer = windlass("config", "validate")
    assert answer.status == 2 and "web.port: 1 is not of type 'string'" in answer.out
