"""A user of their own with an identity, and a workspace with that user as recipient."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.secrets.identity import identity_file, make_identity
from core.secrets.store import SecretStore


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.delenv("WINDLASS_IDENTITY", raising=False)
    return home


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def store(workspace: Path, home: Path) -> SecretStore:
    store = SecretStore(workspace)
    store.add_recipients([make_identity(identity_file())])
    return store
