"""`windlass secrets`: values go in by prompt, pipe and editor, and come out only where they are asked for."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.secrets.identity import identity_file
from core.secrets.store import SecretStore
from tests.unit.cli.conftest import Windlass

VALUE = "correct horse battery"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "workspace.yaml").write_text("format: 1\nname: lab\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, windlass: Windlass):
    """Runs a command with something on its standard input."""

    def call(text: bytes, *arguments: str):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        return windlass(*arguments)

    return call


def test_from_init_to_get(workspace: Path, windlass: Windlass, pipe) -> None:
    made = windlass("secrets", "init")
    assert made.status == 0 and made.out.startswith("age1")
    assert windlass("secrets", "init").out == made.out
    assert windlass("secrets", "recipients").out == made.out
    assert pipe(f"{VALUE}\n".encode(), "secrets", "set", "db/password").status == 0
    assert windlass("secrets", "get", "db/password").out == VALUE
    listed = windlass("secrets", "list")
    assert listed.out.splitlines()[1].split() == ["db/password", "1", "now"]
    form = json.loads(windlass("secrets", "list", "--json").out)
    assert list(form) == ["type", "name", "recipients", "changed"] and form["recipients"] == 1
    rotated = windlass("secrets", "rotate")
    assert (rotated.status, rotated.out) == (0, "db/password\n")
    for answer in (made, listed, rotated):
        assert VALUE not in answer.out + answer.err


def test_a_value_is_no_argument(workspace: Path, windlass: Windlass) -> None:
    assert windlass("secrets", "set", "db/password", VALUE).status == 2


def test_bad_input_is_told_with_the_next_step(workspace: Path, windlass: Windlass, pipe) -> None:
    answer = pipe(b"long enough", "secrets", "set", "token")
    assert answer.status == 2 and "windlass secrets init" in answer.err
    windlass("secrets", "init")
    for value, told in ((b"short\n", "--force"), (b"", "empty"), (b"x" * 70_000, "65536")):
        answer = pipe(value, "secrets", "set", "token")
        assert answer.status == 2 and told in answer.err and "short" not in answer.err.replace("shorter", "")
    assert pipe(b"pin\n", "secrets", "set", "token", "--force").status == 0
    for arguments in (("get", "../up"), ("get", "nope"), ("edit", "a//b"), ("recipients", "add", "age1x"),
                      ("recipients", "add"), ("recipients", "list", "x"), ("recipients", "remove", "age1x"),
                      ("init", "--recipient", "nonsense")):  # fmt: skip
        answer = windlass("secrets", *arguments)
        assert (answer.status, answer.out) == (2, ""), arguments
        assert answer.err.startswith("error: ") and "Traceback" not in answer.err


def test_recipients_are_added_and_removed_and_rotate_names_what_is_left(
    workspace: Path, windlass: Windlass, pipe
) -> None:
    import pyrage

    mine = windlass("secrets", "init").out.strip()
    other = str(pyrage.x25519.Identity.generate().to_public())
    pipe(b"12345678", "secrets", "set", "token")
    assert "secrets rotate" in windlass("secrets", "recipients", "add", other).err
    assert windlass("secrets", "recipients").out == f"{mine}\n{other}\n"
    (workspace / "secrets/foreign.age").write_bytes(
        pyrage.encrypt(b"12345678", [pyrage.x25519.Recipient.from_str(other)], armored=True)
    )
    answer = windlass("secrets", "rotate")
    assert (answer.status, answer.out) == (4, "token\n") and "foreign" in answer.err
    assert windlass("secrets", "recipients", "remove", other).status == 0
    assert windlass("secrets", "recipients").out == f"{mine}\n"


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    """An editor that notes which file it was given, then does `text` to it."""
    script = tmp_path / "editor"
    script.write_text(f'#!/bin/sh\nstat -c "%n %a" "$1" "$(dirname "$1")" >"{tmp_path}/seen"\n{text}\n')
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))
    monkeypatch.delenv("VISUAL", raising=False)
    return tmp_path / "seen"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="stat -c is GNU's")
def test_edit(workspace: Path, windlass: Windlass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windlass("secrets", "init")
    seen = editor(tmp_path, monkeypatch, 'echo "a new secret" >"$1"')
    assert windlass("secrets", "edit", "token").status == 0
    assert SecretStore(workspace).get("token") == b"a new secret"
    file, folder = (line.rsplit(" ", 1) for line in seen.read_text().splitlines())
    assert (file[1], folder[1]) == ("600", "700")
    assert not Path(file[0]).exists() and not Path(folder[0]).exists()
    editor(tmp_path, monkeypatch, 'printf "%s and more" "$(cat "$1")" >"$1"')
    windlass("secrets", "edit", "token")
    assert SecretStore(workspace).get("token") == b"a new secret and more"
    editor(tmp_path, monkeypatch, ":")
    assert "unchanged" in windlass("secrets", "edit", "token").err
    for text in ("exit 3", 'rm "$1"'):
        seen = editor(tmp_path, monkeypatch, text)
        answer = windlass("secrets", "edit", "token")
        assert answer.status == 2 and "nothing was stored" in answer.err
        assert not Path(seen.read_text().rsplit(" ", 1)[0].splitlines()[-1]).exists()
    monkeypatch.setenv("EDITOR", "no-such-editor")
    assert "no editor" in windlass("secrets", "edit", "token").err


# ---------------------------------------------------------------- on a terminal


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "cli", *arguments])
        self.seen = ""

    def read_until(self, text: str) -> None:
        until = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            if select.select([self.terminal], [], [], 0.2)[0]:
                self.seen += os.read(self.terminal, 4096).decode()

    def write(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self) -> int:
        while True:
            try:
                data = os.read(self.terminal, 4096)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode()
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def _importable(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository))


@pytest.mark.usefixtures("_importable")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_set_and_get_on_a_terminal(workspace: Path, windlass: Windlass) -> None:
    windlass("secrets", "init")
    for again, status in ((VALUE, 0), ("something else", 2)):
        terminal = Terminal("secrets", "set", "token")
        terminal.read_until("not shown): ")
        terminal.write(f"{VALUE}\n")
        terminal.read_until("once more: ")
        terminal.write(f"{again}\n")
        assert terminal.end() == status, terminal.seen
        assert VALUE not in terminal.seen
    for answer, shown, status in (("n", False, 4), ("y", True, 0)):
        terminal = Terminal("secrets", "get", "token")
        terminal.read_until("[y/N]")
        terminal.write(f"{answer}\n")
        assert terminal.end() == status
        assert (VALUE in terminal.seen) is shown


@pytest.mark.usefixtures("_importable")
def test_the_editor_s_file_goes_when_a_signal_ends_us(
    workspace: Path, windlass: Windlass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windlass("secrets", "init")
    script = tmp_path / "slow"
    script.write_text(
        f'#!/bin/sh\necho "$1" >"{tmp_path}/at.new"\nmv "{tmp_path}/at.new" "{tmp_path}/at"\nexec sleep 30\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "secrets", "edit", "token"], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 30
    while not (tmp_path / "at").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert not Path((tmp_path / "at").read_text().strip()).parent.exists()


def test_the_identity_is_the_user_s_own(workspace: Path, windlass: Windlass) -> None:
    windlass("secrets", "init")
    assert identity_file().stat().st_mode & 0o777 == 0o600
    assert b"AGE-SECRET-KEY" not in b"".join(
        path.read_bytes() for path in workspace.rglob("*") if path.is_file()
    )
