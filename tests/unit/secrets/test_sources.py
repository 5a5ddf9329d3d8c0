"""References: what they may reach, and that a fault never quotes a value."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.errors import InputError
from core.secrets import sources
from core.secrets.reference import refuse_reference
from core.secrets.sources import Sources
from core.secrets.store import SecretStore


@pytest.mark.parametrize(
    "reference", ["db/password", "env:TOKEN", "file:files/key", "command:pass show 'db one'"]
)
def test_references(reference: str) -> None:
    assert refuse_reference(reference) == ""


@pytest.mark.parametrize(
    "reference",
    ["", "../x", "env:", "env:A-B", "env:A\n", "file:", "file:a\0b", "command:", "command:'open", "command:a\0b",
     "vault:x", ":x", "http://x"],
)  # fmt: skip
def test_what_is_none(reference: str) -> None:
    assert refuse_reference(reference)
    with pytest.raises(InputError):
        Sources(Path("/nonexistent")).read(reference)


def test_a_secret_of_the_workspace(store: SecretStore, workspace: Path) -> None:
    store.put("db/password", b"correct horse")
    assert Sources(workspace).read("db/password") == b"correct horse"
    with pytest.raises(InputError, match="windlass secrets set nope"):
        Sources(workspace).check("nope")


def test_a_variable(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"TOKEN", b"caf\xe9 token")
    assert Sources(workspace).read("env:TOKEN") == b"caf\xe9 token"
    for value in (None, ""):
        monkeypatch.delenv("TOKEN", raising=False)
        if value is not None:
            monkeypatch.setenv("TOKEN", value)
        with pytest.raises(InputError, match="TOKEN"):
            Sources(workspace).read("env:TOKEN")


def test_a_file_lies_in_the_workspace_unless_it_is_allowed(workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_bytes(b"from outside\r\n")
    (workspace / "key").write_bytes(b"from inside\n\n")
    (workspace / "link").symlink_to(outside / "key")
    os.mkfifo(workspace / "pipe")
    (workspace / "null").write_bytes(b"a\0b")
    (workspace / "large").write_bytes(b"x" * 70_000)
    inside = Sources(workspace)
    assert inside.read("file:key") == b"from inside\n"
    for path in ("link", "../outside/key", str(outside / "key"), "pipe", "null", "large", "nope", "."):
        with pytest.raises(InputError):
            inside.read(f"file:{path}")
    for allowed in (outside, outside / "key"):
        for path in ("link", "../outside/key", str(outside / "key")):
            assert Sources(workspace, allowed=[allowed]).read(f"file:{path}") == b"from outside"


def test_a_command_runs_in_a_trusted_workspace_only(workspace: Path) -> None:
    reference = f"command:sh -c 'pwd; echo out of sight >&2; touch {workspace}/ran'"
    with pytest.raises(InputError, match="trusted"):
        Sources(workspace).read(reference)
    assert not (workspace / "ran").exists()
    assert Sources(workspace, trusted=True).read(reference) == str(workspace).encode()


def test_a_failing_command_is_told_without_what_it_printed(workspace: Path) -> None:
    trusted = Sources(workspace, trusted=True)
    for words in ("sh -c 'echo hush; echo hush >&2; exit 3'", "no-such-program", "true"):
        with pytest.raises(InputError) as caught:
            trusted.read(f"command:{words}")
        assert "hush" not in str(caught.value)


def test_a_command_that_hangs_is_ended_with_its_children(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "COMMAND_TIMEOUT_S", 0.3)
    begun = time.monotonic()
    with pytest.raises(InputError, match="took more than"):
        Sources(workspace, trusted=True).read("command:sh -c 'sleep 30 & sleep 30'")
    assert time.monotonic() - begun < 10


def test_a_variable_that_every_template_may_read_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the variable TOKEN is no secret here"):
        Sources(tmp_path, readable=["TOKEN"]).check("env:TOKEN")
    Sources(tmp_path, readable=["OTHER"]).check("env:TOKEN")
