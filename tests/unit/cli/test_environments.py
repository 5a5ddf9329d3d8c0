"""Environments and production at the command line."""

from __future__ import annotations

import io
import json
import sys

import pytest

from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass

SHOP = "name: shop\nenvironments: {dev: , prod: {protection: production}}\n"
UNDOABLE = "steps: {one: {run: work, undo: back}}"


@pytest.fixture(autouse=True)
def _shop(lab: Lab) -> None:
    (lab.path / "workspace.yaml").write_text(SHOP)
    lab.batch(UNDOABLE)


def on_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    for module in ("cli.run", "cli.environments", "cli.runs_change", "cli.servers_exec"):
        monkeypatch.setattr(f"{module}.interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))


def test_an_environment_must_be_named_where_there_are_several(windlass: Windlass) -> None:
    answer = windlass("plan", "work")
    assert answer.status == 2 and "one of: dev, prod" in answer.err
    assert windlass("plan", "work", "-e", "dev").status == 0
    answer = windlass("plan", "work", "-e", "prd")
    assert answer.status == 2 and "did you mean 'prod'?" in answer.err


def test_production_is_said_in_words(windlass: Windlass) -> None:
    answer = windlass("plan", "work", "--environment", "prod")
    assert answer.out.startswith("PRODUCTION: shop/prod\n")
    assert "starting it needs shop/prod typed" in answer.out
    plan = json.loads(windlass("plan", "work", "-e", "prod", "--json").out)
    assert (plan["environment"], plan["protection"], plan["confirm"]) == ("prod", "production", "shop/prod")


def test_yes_is_not_enough_in_production(windlass: Windlass) -> None:
    answer = windlass("run", "work", "-e", "prod", "--yes")
    assert answer.status == 4
    assert "`--confirm shop/prod` confirms it" in answer.err
    assert "PRODUCTION: shop/prod" in answer.err
    assert windlass("run", "work", "-e", "prod", "--confirm", "shop/dev").status == 4
    assert windlass("runs", "list").out == ""
    answer = windlass("run", "work", "-e", "prod", "--confirm", "shop/prod")
    assert answer.status == 0 and "typed" not in answer.err  # it was given
    assert "environ: prod (protection production)" in windlass("runs", "show").out
    answer = windlass("run", "work", "-e", "prod")
    assert answer.status == 0  # known by now, and it can be undone
    assert "PRODUCTION: shop/prod" in answer.err
    assert windlass("plan", "work", "-e", "prod").out.startswith("PRODUCTION: shop/prod\n")


def test_a_rollback_in_production_needs_the_name(windlass: Windlass) -> None:
    windlass("run", "work", "-e", "prod", "--confirm", "shop/prod")
    assert windlass("runs", "rollback", "1", "--yes").status == 4
    assert windlass("runs", "rollback", "1", "--yes", "--confirm", "shop/prod").status == 5


def test_the_name_is_typed_on_a_terminal(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, "y\n")
    answer = windlass("run", "work", "-e", "prod")
    assert answer.status == 4 and "'y' is not its name" in answer.err
    on_terminal(monkeypatch, "shop/prod\n")
    answer = windlass("run", "work", "-e", "prod")
    assert answer.status == 0
    assert answer.err.count("this text of the batch has never run here") == 1
    on_terminal(monkeypatch, "y\n")
    assert windlass("runs", "rollback", "1").status == 4
    on_terminal(monkeypatch, "shop/prod\n")
    assert windlass("runs", "rollback", "1").status == 5


def test_a_command_on_servers_in_production_needs_the_name(windlass: Windlass) -> None:
    assert windlass("servers", "exec", "-y", "-e", "prod", "all", "--", "uptime").status == 4
    assert (
        windlass("servers", "exec", "-e", "prod", "--confirm", "shop/prod", "all", "--", "uptime").status == 0
    )
    assert windlass("servers", "exec", "-e", "dev", "all", "--", "uptime").status == 0


def test_a_read_only_workspace(windlass: Windlass, lab: Lab) -> None:
    (lab.path / "workspace.yaml").write_text(SHOP + "read_only: true\n")
    answer = windlass("run", "work", "-e", "dev")
    assert answer.status == 2 and "is read-only" in answer.err
    assert windlass("run", "work", "-e", "dev", "--wait").status == 2  # no waiting changes that
    assert windlass("servers", "start").status == 2
    answer = windlass("servers", "ssh", "a")
    assert answer.status == 2 and "is read-only" in answer.err
    assert windlass("servers", "exec", "-e", "dev", "all", "--", "uptime").status == 2
    assert not (lab.path / ".windlass" / "adhoc").exists(), "nothing was changed"
    assert windlass("plan", "work", "-e", "dev").status == 0


def test_a_read_only_workspace_keeps_its_configuration_and_secrets(windlass: Windlass, lab: Lab) -> None:
    (lab.path / "config").mkdir()
    base = lab.path / "config" / "base.yaml"
    base.write_text("web: {port: 80}\n")
    assert windlass("config", "set", "web.port", "81").status == 0
    (lab.path / "workspace.yaml").write_text(SHOP + "read_only: true\n")
    for words in (
        ("config", "set", "web.port", "82"),
        ("config", "unset", "web.port"),
        ("config", "revert", "1"),
        ("secrets", "init"),
        ("secrets", "rotate"),
    ):
        answer = windlass(*words)
        assert answer.status == 2 and "is read-only" in answer.err, words
    assert windlass("config", "get", "web.port").out == "81\n"
    assert base.read_text() == "web: {port: 81}\n" and not (lab.path / "secrets").exists()


def test_a_faulty_workspace_shows_its_runs_and_refuses_new_ones(windlass: Windlass, lab: Lab) -> None:
    assert windlass("run", "work", "-e", "dev").status == 0
    (lab.path / "workspace.yaml").write_text("nam: shop\n")
    assert windlass("runs", "list").status == 0
    assert "work" in windlass("runs", "show", "1").out
    answer = windlass("run", "work", "-e", "dev")
    assert answer.status == 2 and "workspace.yaml:1:1: unknown key 'nam'" in answer.err
    answer = windlass("validate")
    assert (answer.status, answer.out.count("workspace.yaml:1:1:")) == (2, 1)


def test_validate_checks_every_environment(windlass: Windlass, lab: Lab) -> None:
    lab.batch("steps: {one: {run: \"{{ 1 if run.environment == 'dev' else server.labels.zone }}\"}}")
    answer = windlass("validate")
    assert answer.status == 2 and answer.out.count("zone is not defined") == 1


def test_a_workspace_file_that_cannot_be_read_is_a_fault(windlass: Windlass, lab: Lab) -> None:
    assert windlass("run", "work", "-e", "dev").status == 0
    (lab.path / "workspace.yaml").write_bytes(b"name: caf\xe9\n")
    answer = windlass("validate")
    assert (answer.status, answer.out.count("is not UTF-8")) == (2, 1)
    assert windlass("runs", "list").status == 0


def test_a_run_from_before_there_were_environments_asks_before_it_is_rolled_back(
    windlass: Windlass, lab: Lab
) -> None:
    (lab.path / "workspace.yaml").write_text("name: shop\n")
    lab.batch(UNDOABLE)
    assert windlass("run", "work").status == 0
    (lab.path / "workspace.yaml").write_text(SHOP)
    assert windlass("runs", "rollback", "1", "--yes").status == 4
    assert windlass("runs", "rollback", "1", "--yes", "--confirm", "shop").status == 5
