"""The secrets of one run: what is told of one that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.secrets.use import RunSecrets


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "workspace.yaml").write_text("format: 1\nname: lab\n")
    return folder


async def test_what_changed_since_it_was_read_is_told(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", "first-value")
    monkeypatch.setenv("TWO", "the-same-value")
    secrets = RunSecrets(workspace, ["env:ONE", "env:TWO"])
    assert await secrets.prepare() == []
    monkeypatch.setenv("ONE", "second-value")
    assert await secrets.prepare() == []  # it was read already
    assert await secrets.prepare(anew=True) == ["env:ONE"]
    assert secrets.forms.redact(b"first-value second-value") == b"*" * 11 + b" " + b"*" * 12
