"""`windlass config migrate`: variables into real files and real secrets; shown first, written when asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.secrets.store import SecretStore
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass, golden

BASE = """\
# Shared.
web:
  port: 80   # aligned
  host: shop.example
  max-size: 5
  zip: "012"
hosts: [a, b]
web_mode: fast
"""
TOKEN = "tok-very-secret-1"


@pytest.fixture
def shop(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, windlass: Windlass) -> Lab:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.delenv("WINDLASS_ENVIRONMENT", raising=False)
    (lab.path / "config" / "environments").mkdir(parents=True)
    (lab.path / "config" / "base.yaml").write_text(BASE)
    (lab.path / "config" / "environments" / "prod.yaml").write_text("web: {port: 443}\n")
    assert windlass("secrets", "init").status == 0
    return lab


def base(shop: Lab) -> str:
    return (shop.path / "config" / "base.yaml").read_text()


def forms(windlass: Windlass, *options: str) -> dict[str, dict]:
    out = windlass("config", "migrate", *options, "--json").out
    return {form["variable"]: form for form in map(json.loads, out.splitlines())}


def test_shown_first_then_written_then_taken_back(windlass: Windlass, shop: Lab, monkeypatch) -> None:
    for name, value in {
        "SHOP_WEB_PORT": "81", "SHOP_WEB_HOST": "shop.example", "SHOP_NEW__KEY_NAME": "1.10",
        "SHOP_WEB_TOKEN": TOKEN, "SHOP_WEB_MAX_SIZE": "5", "OTHER_WEB_PORT": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    answer = windlass("config", "migrate", "--prefix", "SHOP_")
    golden("config-migrate", answer.out + "-- stderr\n" + answer.err)
    assert answer.status == 4  # web.port is in conflict
    assert base(shop) == BASE and not (shop.path / ".windlass" / "config-history").exists()
    assert SecretStore(shop.path).names() == []

    answer = windlass("config", "migrate", "--prefix", "SHOP", "--apply")
    assert answer.status == 4 and "moved" in answer.out
    zip_line = '  zip: "012"\n'
    token_line = "  token: '{{ secret(''web/token'') }}'\n"
    assert base(shop) == BASE.replace(zip_line, zip_line + token_line) + "new:\n  key_name: '1.10'\n"
    assert SecretStore(shop.path).get("web/token") == TOKEN.encode()
    assert windlass("config", "get", "web.token").out == "<secret web/token>\n"
    assert windlass("config", "get", "new.key_name", "--json").out.count('"value":"1.10"') == 1
    assert windlass("config", "get", "web.port").out == "80\n"
    again = forms(windlass, "--prefix", "SHOP_")
    assert {form["status"] for name, form in again.items() if name != "SHOP_WEB_PORT"} == {"equal"}

    assert windlass("config", "migrate", "--prefix", "SHOP_", "--apply", "--force").status == 0
    assert windlass("config", "get", "web.port").out == "81\n"
    assert "port: 81   # aligned" in base(shop)
    assert windlass("config", "revert").status == 0
    assert windlass("config", "revert", "1").status == 0
    assert base(shop) == BASE


def test_a_secret_is_never_printed_nor_kept_in_clear(windlass: Windlass, shop: Lab, monkeypatch) -> None:
    address = "postgres://me:hidden-word@db/shop"
    monkeypatch.setenv("SHOP_DB__PASSWORD", TOKEN)
    monkeypatch.setenv("SHOP_DB__URL", address)
    monkeypatch.setenv("SHOP_PASS", "short")
    printed = ""
    for options in ((), ("--json",), ("--apply",)):
        answer = windlass("config", "migrate", "--prefix", "SHOP_", *options)
        assert answer.status == 2 and "8 to" in answer.out
        printed += answer.out + answer.err
    assert base(shop) == BASE and SecretStore(shop.path).names() == []  # one was refused: nothing is written
    monkeypatch.delenv("SHOP_PASS")
    for options in (("--apply",), ("--json",)):
        answer = windlass("config", "migrate", "--prefix", "SHOP_", *options)
        assert answer.status == 0
        printed += answer.out + answer.err
    monkeypatch.setenv("SHOP_DB__PASSWORD", TOKEN + "-new")
    answer = windlass("config", "migrate", "--prefix", "SHOP_")
    assert answer.status == 4 and "the secret db/password has another value" in answer.out
    printed += answer.out + answer.err
    assert TOKEN not in printed and "hidden-word" not in printed
    assert sorted(SecretStore(shop.path).names()) == ["db/password", "db/url"]
    for file in shop.path.rglob("*"):
        assert not file.is_file() or not any(
            word in file.read_bytes() for word in (TOKEN.encode(), b"hidden-word")
        )
    assert windlass("config", "migrate", "--prefix", "SHOP_", "--apply", "--force").status == 0
    assert SecretStore(shop.path).get("db/password") == f"{TOKEN}-new".encode()


def test_the_layer_of_an_environment(windlass: Windlass, shop: Lab, monkeypatch) -> None:
    monkeypatch.setenv("S_WEB_PORT", "443")
    monkeypatch.setenv("S_WEB_HOST", "prod.example")
    monkeypatch.setenv("S_API_TOKEN", TOKEN)
    found = forms(windlass, "--prefix", "S_", "-e", "prod", "--apply")
    assert {name: form["status"] for name, form in found.items()} == {
        "S_API_TOKEN": "move", "S_WEB_HOST": "move", "S_WEB_PORT": "equal",
    }  # fmt: skip
    assert found["S_WEB_HOST"]["written"] and found["S_WEB_HOST"]["before"] == "shop.example"
    assert base(shop) == BASE
    assert windlass("config", "get", "web.host", "-e", "prod").out == "prod.example\n"
    assert SecretStore(shop.path).names() == ["prod/api/token"]


def test_a_mapping_file(windlass: Windlass, shop: Lab, monkeypatch) -> None:
    file = shop.path / "variables.yaml"
    file.write_text(
        "A: web.port\nB: {path: db.dsn, secret: true}\nTOKEN_LIMIT: {path: api.limit, secret: false}\nGONE: x\n"
        "LIST: hosts\nZIP: web.zip\n"
    )
    for name, value in {
        "A": "80",
        "B": "12345678",
        "TOKEN_LIMIT": "12",
        "LIST": "[c, d]",
        "ZIP": "077",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GONE", raising=False)
    found = forms(windlass, "--mapping", str(file), "--apply", "--force")
    assert {name: form["status"] for name, form in found.items()} == {
        "A": "equal", "B": "move", "TOKEN_LIMIT": "move", "GONE": "unset", "LIST": "move", "ZIP": "move",
    }  # fmt: skip
    assert (found["TOKEN_LIMIT"]["value"], found["LIST"]["value"], found["ZIP"]["value"]) == (
        12,
        ["c", "d"],
        "077",
    )
    assert SecretStore(shop.path).get("db/dsn") == b"12345678"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", ":1:1: a configuration file is a mapping"),
        ("", "names no variable"),
        ("A: 5\n", ":1:4: A: write a path"),
        ("A: {path: x, sceret: true}\n", ":1:1: A: write a path"),
        ("A: {path: x, secret: maybe}\n", ":1:1: A: secret is true or false"),
        ("A: 'web..port'\n", "is no path"),
        ("'A B': x\n", "this can name no variable"),
        ("A: x\nA: y\n", "key 'A' is here twice"),
    ],
)
def test_a_mapping_file_with_faults(windlass: Windlass, shop: Lab, text: str, told: str) -> None:
    file = shop.path / "variables.yaml"
    file.write_text(text)
    answer = windlass("config", "migrate", "--mapping", str(file))
    assert answer.status == 2 and told in answer.err


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("S_WEB_MODE_", "x", "leaves a key without a name"),
        ("S_WEB", "x", "has keys below this path"),
        ("S_WEB_HOST_NAME", "x", "web.host is no mapping"),
        ("S_GREETING", "{{ config.web.port }}", "it would be a template"),
        ("S_HOSTS", "a", "the configuration has a list there"),
        ("S_HOSTS", "[a", "not YAML"),
        ("S_RAW", "\udcff", "it is not UTF-8"),
    ],
)
def test_what_cannot_be_moved(
    windlass: Windlass, shop: Lab, monkeypatch, variable: str, value: str, why: str
) -> None:
    monkeypatch.setitem(os.environ, variable, value)
    answer = windlass("config", "migrate", "--prefix", "S_", "--apply")
    assert answer.status == 2 and "! refused" in answer.out and why in answer.out
    assert base(shop) == BASE


def test_a_name_that_fits_two_keys(windlass: Windlass, shop: Lab, monkeypatch) -> None:
    (shop.path / "config" / "base.yaml").write_text(BASE + "web-mode: slow\n")
    monkeypatch.setenv("S_WEB_MODE", "x")
    assert "may mean web_mode or web-mode" in windlass("config", "migrate", "--prefix", "S_").out


def test_nobody_can_open_secrets_yet(windlass: Windlass, lab: Lab, monkeypatch) -> None:
    monkeypatch.setenv("S_TOKEN", TOKEN)
    answer = windlass("config", "migrate", "--prefix", "S_")
    assert answer.status == 2 and "secrets init" in answer.out


def test_what_is_asked_must_be_clear(windlass: Windlass, shop: Lab) -> None:
    assert windlass("config", "migrate").status == 2
    assert windlass("config", "migrate", "--prefix", "_").status == 2
    assert windlass("config", "migrate", "--prefix", "A_", "--mapping", "x").status == 2
    assert "there is no file" in windlass("config", "migrate", "--mapping", "nope.yaml").err
    answer = windlass("config", "migrate", "--prefix", "NOBODY_HAS_THIS_")
    assert answer.status == 0 and "no variable begins with NOBODY_HAS_THIS_" in answer.err
    (shop.path / "workspace.yaml").write_text("name: lab\nformat: 1\nread_only: true\n")
    assert windlass("config", "migrate", "--prefix", "A_").status == 2
