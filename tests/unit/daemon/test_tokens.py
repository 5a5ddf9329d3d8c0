"""Tokens: shown once, kept as digests, refused when they are over or taken back."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.errors import InputError, NotFound, StoreError
from daemon.access import Role
from daemon.tokens import Tokens


def test_a_token_is_known_by_its_digest_alone(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "state")
    made = tokens.create("ci", Role.OPERATOR)
    caller = tokens.authenticate(made)
    assert caller is not None and (caller.name, caller.role) == ("token ci", Role.OPERATOR)
    kept = tmp_path / "state" / "tokens.json"
    assert made not in kept.read_text() and made.removeprefix("wl_") not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    for wrong in ("", made[:-1], made + "x", made.lower(), tokens.all()[0].digest):
        assert tokens.authenticate(wrong) is None
    assert tokens.create("other", Role.VIEWER) != made


def test_an_expired_and_a_revoked_token_are_refused_by_who_has_read_them_before(tmp_path: Path) -> None:
    now = 1000.0
    maker, server = Tokens(tmp_path, lambda: now), Tokens(tmp_path, lambda: now)
    short, long = maker.create("short", Role.ADMIN, 60), maker.create("long", Role.VIEWER)
    assert server.authenticate(short) is not None and server.authenticate(long) is not None
    now = 1059.9
    assert server.authenticate(short) is not None
    now = 1060.0
    assert server.authenticate(short) is None and server.authenticate(long) is not None
    maker.revoke("long")
    assert server.authenticate(long) is None
    with pytest.raises(NotFound):
        maker.revoke("long")


@pytest.mark.parametrize("name", ["", "x" * 61, "a\nb", "\x1b[0m"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Tokens(tmp_path).create(name, Role.VIEWER)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.create("ci", Role.VIEWER)
    with pytest.raises(InputError, match="there is a token named ci"):
        tokens.create("ci", Role.ADMIN)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens": [{"name": "a"}]}', '{"tokens": 7}'])
def test_a_file_that_cannot_be_read_lets_nobody_in(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens.json").write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        Tokens(tmp_path).authenticate("wl_anything")
