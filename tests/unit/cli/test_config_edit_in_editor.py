"""`windlass config edit`: real editors (small shell programs) over real files, checked before they are saved."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass

BASE = "# Shared.\nweb:\n  host: a   # aligned\n  port: 80\n  url: 'http://{{ config.web.host }}/'\n"
DEV = "web: {host: dev}\n"


@pytest.fixture
def shop(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    monkeypatch.setattr("core.config.open.user_file", lambda: tmp_path / "home" / "config.yaml")
    monkeypatch.delenv("WINDLASS_ENVIRONMENT", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    (lab.path / "config" / "environments").mkdir(parents=True)
    (lab.path / "config" / "base.yaml").write_text(BASE)
    (lab.path / "config" / "environments" / "dev.yaml").write_text(DEV)
    (lab.path / "config" / "environments" / "prod.yaml").write_text("a: 1\n")
    return lab


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes EDITOR a shell script whose last argument is the file."""

    def make(script: str) -> Path:
        file = tmp_path / "editor.sh"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(file))
        return file

    return make


def base(shop: Lab) -> str:
    return (shop.path / "config" / "base.yaml").read_text()


def test_what_changes_by_value_is_shown_and_saved_and_reverted(windlass: Windlass, shop: Lab, editor) -> None:
    editor('stat -c %a "$1" > mode; sed -i "s/host: a/host: b/; s/port: 80/port: 81/" "$1"')
    answer = windlass("config", "edit")
    assert answer.status == 0, answer.err
    assert [line.split() for line in answer.out.splitlines()] == [
        ["PATH", "BEFORE", "AFTER", "IN"],
        ["web.port", "80", "81", "all"],
        ["web.host", "a", "b", "prod"],
        ["web.url", "http://a/", "http://b/", "prod"],
    ]
    assert (shop.path / "mode").read_text() == "600\n"
    assert base(shop) == BASE.replace("host: a", "host: b").replace("80", "81")
    assert windlass("config", "revert").status == 0
    assert base(shop) == BASE


def test_the_file_of_an_environment(windlass: Windlass, shop: Lab, editor) -> None:
    editor('echo "new: {x: 1}" >> "$1"')
    answer = windlass("config", "edit", "-e", "dev", "--json")
    form = json.loads(answer.out)
    assert (form["type"], form["action"], form["path"]) == ("edit", "edit", ".")
    assert form["file"] == "config/environments/dev.yaml"
    assert "new.x" in answer.err
    assert (shop.path / form["file"]).read_text() == DEV + "new: {x: 1}\n"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("printf 'a: 1\\na: 2\\n' > \"$1\"", "config/base.yaml:2:1: key 'a' is here twice"),
        ("echo 'x: {{ config.y }}' >> \"$1\"", "config/base.yaml:6:4:"),
        ('echo \'x: "{{ config.y }}"\' >> "$1"', "config/base.yaml:6:4: x: there is no value for y"),
        ("printf 'a: \\377' > \"$1\"", "config/base.yaml:1:4: byte 0xff is not UTF-8"),
        ("echo '- a' > \"$1\"", "config/base.yaml:1:1: a configuration file is a mapping"),
        ("echo 'app: {histori: 1}' >> \"$1\"", "config/base.yaml:6:"),
    ],
)
def test_a_result_with_faults_is_not_saved(
    windlass: Windlass, shop: Lab, editor, script: str, told: str
) -> None:
    editor(script)
    answer = windlass("config", "edit")
    assert answer.status == 2 and told in answer.err and "nothing was saved" in answer.err
    assert base(shop) == BASE
    assert not (shop.path / ".windlass" / "config-history").exists()


def test_the_schema_counts(windlass: Windlass, shop: Lab, editor) -> None:
    (shop.path / "config" / "schema.yaml").write_text(
        "properties: {web: {properties: {port: {maximum: 99}}}}\n"
    )
    editor('sed -i "s/port: 80/port: 100/" "$1"')
    answer = windlass("config", "edit")
    assert answer.status == 2 and "config/base.yaml:4:9: web.port: 100 is greater" in answer.err


def test_faults_of_other_files_from_before_are_no_hindrance(windlass: Windlass, shop: Lab, editor) -> None:
    (shop.path / "config" / "environments" / "prod.yaml").write_text("a: '{{ config.nope }}'\n")
    editor('echo "b: 1" >> "$1"')
    answer = windlass("config", "edit")
    assert answer.status == 0 and "warning:" in answer.err and "nope" in answer.err
    assert base(shop) == BASE + "b: 1\n"


def test_unchanged_failing_and_missing_editors(windlass: Windlass, shop: Lab, editor, monkeypatch) -> None:
    editor("true")
    answer = windlass("config", "edit")
    assert answer.status == 0 and "unchanged" in answer.err
    editor('echo broken > "$1"; exit 3')
    answer = windlass("config", "edit")
    assert answer.status == 2 and "status 3" in answer.err
    monkeypatch.setenv("EDITOR", "no-such-editor-here")
    answer = windlass("config", "edit")
    assert answer.status == 2 and "EDITOR=nano windlass config edit" in answer.err
    assert base(shop) == BASE


def test_a_change_meanwhile_is_not_overwritten(windlass: Windlass, shop: Lab, editor) -> None:
    editor('echo "mine: 1" >> "$1"; echo "theirs: 1" >> config/base.yaml')
    answer = windlass("config", "edit")
    assert answer.status == 2 and "has changed while it was edited" in answer.err
    assert "+mine: 1" in answer.out
    assert base(shop) == BASE + "theirs: 1\n"


def test_on_a_terminal_one_goes_on_editing_and_is_asked(shop: Lab, editor) -> None:
    script = editor(
        'if [ -e "$(dirname "$0")/again" ]; then echo "b: 1" > "$1"; else touch "$(dirname "$0")/again"; echo "b: [" > "$1"; fi'
    )
    environ = {**os.environ, "EDITOR": str(script), "TERM": "dumb"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "config", "edit", "-w", str(shop.path)],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=Path(__file__).parents[3], env=environ, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown, answered, ends = b"", 0, time.monotonic() + 60
    try:
        while time.monotonic() < ends and select.select([ours], [], [], 30)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:
                break
            if answered == 0 and b"Go on editing?" in shown:
                os.write(ours, b"y\n")
                answered = 1
            if answered == 1 and b"Save config/base.yaml?" in shown:
                os.write(ours, b"y\n")
                answered = 2
        assert process.wait(30) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert base(shop) == "b: 1\n"
