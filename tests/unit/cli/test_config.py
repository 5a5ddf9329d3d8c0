"""The configuration on the command line, over real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.unit.cli.conftest import Answer, Windlass, golden
from tests.unit.cli.test_completion import offered

BASE = """\
# What every environment shares.
web:
  host: web.example
  port: 8080
  url: "http://{{ config.web.host }}:{{ config.web.port }}/"
  password: "{{ secret('web/password') }}"
hosts: [one, two]
address: "{{ servers['a'].address }}"
"""
DEV = "web:\n  port: 8081\nextra: {deep: [1, {x: yes}]}\n"
PROD = "web: {port: 443, host: shop.example}\nhosts: [three]\n"


@pytest.fixture
def shop(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """A workspace with a configuration and two environments, and a home without a user's file."""
    monkeypatch.setattr("core.config.open.user_file", lambda: tmp_path / "home" / "config.yaml")
    monkeypatch.delenv("WINDLASS_ENVIRONMENT", raising=False)
    folder = lab.path / "config" / "environments"
    folder.mkdir(parents=True)
    (lab.path / "config" / "base.yaml").write_text(BASE)
    (folder / "dev.yaml").write_text(DEV)
    (folder / "prod.yaml").write_text(PROD)
    (lab.path / "secrets" / "web").mkdir(parents=True)
    (lab.path / "secrets" / "web" / "password.age").write_text("not opened here\n")
    return lab


def told(answer: Answer, tmp_path: Path) -> str:
    return (answer.out + "-- stderr\n" + answer.err).replace(str(tmp_path), "TMP")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("web.port",), "8080\n"),
        (("web.port", "-e", "prod"), "443\n"),
        (("web.url", "--environment", "prod"), "http://shop.example:443/\n"),
        (("web.url", "--set", "web.port=1", "--set-string", "web.host=1"), "http://1:1/\n"),
        (("web.password",), "<secret web/password>\n"),
        (("hosts",), "- one\n- two\n"),
        (("hosts[1]",), "two\n"),
        (("address",), "127.0.0.1\n"),
        (("extra", "-e", "dev"), "deep:\n- 1\n- x: yes\n"),
        (("web", "-e", "prod"), "host: shop.example\nport: 443\nurl: http://shop.example:443/\npassword: <secret web/password>\n"),
    ],
)  # fmt: skip
def test_get(windlass: Windlass, shop: Lab, arguments: tuple[str, ...], printed: str) -> None:
    answer = windlass("config", "get", *arguments)
    assert (answer.status, answer.out, answer.err) == (0, printed, "")


def test_variables_count(windlass: Windlass, shop: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDLASS__WEB__PORT", "99")
    monkeypatch.setenv("WINDLASS_ENVIRONMENT", "prod")
    assert windlass("config", "get", "web.url").out == "http://shop.example:99/\n"
    monkeypatch.setenv("WINDLASS__WEB__PRT", "99")
    answer = windlass("config", "get", "web.url")
    assert answer.status == 2 and "did you mean WINDLASS__WEB__PORT for web.port?" in answer.err


def test_what_is_listed_and_explained(windlass: Windlass, shop: Lab, tmp_path: Path) -> None:
    golden("config-show", told(windlass("config", "show", "-e", "dev"), tmp_path))
    golden(
        "config-explain",
        told(windlass("config", "explain", "web.port", "-e", "prod", "--set", "web.port=1"), tmp_path),
    )
    golden("config-diff", told(windlass("config", "diff", "dev", "prod"), tmp_path))
    golden("config-missing", told(windlass("config", "get", "web.prot", "-e", "dev"), tmp_path))
    golden("json-config-setting", windlass("config", "show", "web", "--json").out)
    golden("json-config-link", windlass("config", "explain", "web.port", "-e", "dev", "--json").out)
    golden("json-config-difference", windlass("config", "diff", "-", "dev", "--json").out)


def test_a_hidden_value_is_explained(windlass: Windlass, shop: Lab) -> None:
    (shop.path / "config" / "environments" / "none.yaml").write_text("web: null\n")
    answer = windlass("config", "explain", "web.port", "-e", "none")
    assert (answer.status, answer.out) == (2, "")
    assert "web is null, which hides what lies below it" in answer.err and "none.yaml:1:1" in answer.err
    answer = windlass("config", "explain", "web", "-e", "none")
    assert answer.out.splitlines()[0] == "web = null"
    assert "overridden" in answer.out.splitlines()[-1]


def test_validate(windlass: Windlass, shop: Lab) -> None:
    answer = windlass("config", "validate")
    assert (answer.status, answer.out) == (0, "")
    assert "valid: " in answer.err and "in dev, prod" in answer.err
    dev = shop.path / "config" / "environments" / "dev.yaml"
    dev.write_text("web:\n  port: {{ config.x }}\n  port: 2\n")
    prod = shop.path / "config" / "environments" / "prod.yaml"
    prod.write_text("a: '{{ config.b }}'\nb: '{{ config.a }}'\nc: '{{ config.d }}'\n")
    answer = windlass("config", "validate")
    lines = answer.out.splitlines()
    assert answer.status == 2 and answer.err == "4 faults\n"
    assert lines[0].startswith("config/environments/dev.yaml:2:9: {{ … }} without quotes")
    assert lines[1].startswith("config/environments/dev.yaml:3:3: key 'port' is here twice")
    assert lines[2].startswith(
        "config/environments/prod.yaml:1:4: values refer to each other in a circle: a "
    )
    assert lines[3].startswith("config/environments/prod.yaml:3:4: c: there is no value for d")
    for line in windlass("config", "validate", "--json").out.splitlines():
        assert json.loads(line)["type"] == "fault"
    assert windlass("config", "validate", "-e", "prod").err == "2 faults\n"


def test_a_secret_that_is_not_there_is_told(windlass: Windlass, shop: Lab) -> None:
    (shop.path / "secrets" / "web" / "password.age").unlink()
    told = "config/base.yaml:6:13: web.password: there is no secret 'web/password' in this workspace"
    answer = windlass("config", "validate")
    assert answer.status == 2 and answer.out.startswith(told) and answer.err == "1 fault\n"
    answer = windlass("config", "show")
    assert answer.status == 0 and f"warning: {told}" in answer.err
    assert windlass("config", "get", "web.password").out == "<secret web/password>\n"


def test_the_only_declared_environment_is_meant(windlass: Windlass, shop: Lab) -> None:
    settings = shop.path / "workspace.yaml"
    settings.write_text(settings.read_text() + "environments: [prod]\n")
    assert windlass("config", "get", "web.port").out == "443\n"
    assert "prod.yaml" in windlass("config", "explain", "web.port").out
    assert "prod.yaml" in windlass("config", "show").out
    assert windlass("config", "get", "web.port", "-e", "dev").out == "8081\n"
    assert "8080" in windlass("config", "diff", "-", "prod").out


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("hosts[7]", "there is no hosts[7]: hosts is a list of 2\nits entries are hosts[0] to hosts[1]"),
        ("hosts.0", "there is no hosts.0: hosts is a list of 2\nits entries are hosts[0] to hosts[1]"),
        ("web.prot", "did you mean web.port?"),
        ("database.port", "write it into one of them"),
        ("address.x", "address is a single value"),
    ],
)
def test_what_is_near_is_told_and_nothing_else(windlass: Windlass, shop: Lab, path: str, told: str) -> None:
    assert told in windlass("config", "get", path).err


def test_show_goes_on_where_a_value_is_faulty(windlass: Windlass, shop: Lab) -> None:
    answer = windlass("config", "show", "--set", "web.host='{{ config.nope }}'")
    assert answer.status == 2
    assert "! fault" in answer.out and "8080" in answer.out
    assert answer.err.count("there is no value for nope") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("get", "web..port"), "is no path"),
        (("get", "web.port.x"), "web.port is a single value"),
        (("show", "wbe"), "did you mean web?"),
        (("get", "web", "-e", "prd"), "did you mean 'prod'?"),
        (("get", "web", "--set", "x"), "is not of the form PATH=VALUE"),
        (("diff", "dev", "nope"), "has no environment 'nope'"),
        (("explain", "nope"), "there is no value for nope"),
    ],
)
def test_what_is_refused(windlass: Windlass, shop: Lab, arguments: tuple[str, ...], text: str) -> None:
    answer = windlass("config", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert text in answer.err


def test_differences_are_of_values(windlass: Windlass, shop: Lab) -> None:
    folder = shop.path / "config" / "environments"
    (folder / "same.yaml").write_text("web: {port: '{{ 8000 + 80 }}'}\n")
    answer = windlass("config", "diff", "-", "same")
    assert (answer.status, answer.out) == (0, "")
    assert "same values" in answer.err
    assert windlass("config", "diff", "dev", "prod", "extra").out.splitlines()[-1].endswith("(not there)")


def test_a_workspace_without_configuration(windlass: Windlass, lab: Lab) -> None:
    assert windlass("config", "validate").status == 0
    assert windlass("config", "get", "web").status == 2


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("windlass config ex", ["explain"]),
        ("windlass config get web.p", ["web.port", "web.password"]),
        ("windlass config get -e dev ext", ["extra", "extra.deep", "extra.deep[0]", "extra.deep[1]", "extra.deep[1].x"]),
        ("windlass config show -e p", ["prod"]),
        ("windlass config diff dev ", ["dev", "prod"]),
    ],
)  # fmt: skip
def test_completion(
    windlass: Windlass, shop: Lab, monkeypatch: pytest.MonkeyPatch, line: str, found: list[str]
) -> None:
    assert offered(windlass, monkeypatch, line) == found


def test_batches_run_with_an_environment_and_settings(windlass: Windlass, shop: Lab) -> None:
    shop.batch(
        "steps: {go: {run: 'go {{ config.web.host }} {{ config.web.port }}', on: 'name:a', undo: u}}\n"
    )
    shop.batch("steps: {go: {run: 'go {{ config.extra.deep[0] }}', on: 'name:a', undo: u}}\n", "dev-only")
    answer = windlass(
        "run", "work", "--yes", "-e", "prod", "--set", "web.port=1", "--set-string", "web.host=2"
    )
    assert answer.status == 0
    assert windlass("plan", "dev-only", "-e", "dev").status == 0
    assert windlass("validate", "-e", "dev").status == 0
    answer = windlass("validate")
    assert answer.status == 2
    assert answer.out.startswith(
        "batches/dev-only.yaml:1:19: config.extra.deep: there is no value for extra.deep"
    )
    assert shop.memory.effects == ["go@a run 1: go 2 1"]
