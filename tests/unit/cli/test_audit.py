"""`windlass audit`, and what commands that need no engine write into the log."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from core.secrets.identity import identity_file
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass, golden


@pytest.fixture
def used(windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """A workspace in which a run was made and things were changed."""
    monkeypatch.setattr("core.config.open.user_file", lambda: tmp_path / "none.yaml")
    lab.batch("steps: {go: {run: go, on: 'name:a', undo: u}}\n")
    assert windlass("run", "work", "--yes").status == 0
    assert windlass("config", "set", "web.port", "80").status == 0
    assert windlass("config", "revert").status == 0
    assert windlass("token", "create", "ci", "--role", "viewer").status == 0
    assert windlass("token", "revoke", "ci").status == 0
    assert windlass("secrets", "init").status == 0
    piped = io.TextIOWrapper(io.BytesIO(b"very-secret-value\n"))
    monkeypatch.setattr(sys, "stdin", piped)
    assert windlass("secrets", "set", "db/password").status == 0
    assert identity_file().exists()
    return lab


ACTIONS = [
    "run.start", "run.started", "config.edit", "config.edit", "token.create", "token.revoke", "secret.recipients",
    "secret.set",
]  # fmt: skip


def test_list(windlass: Windlass, used: Lab) -> None:
    answer = windlass("audit", "list", "--json")
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [entry["action"] for entry in found] == ACTIONS
    assert all("@" in entry["actor"] for entry in found)
    assert "very-secret-value" not in (used.path / ".windlass" / "audit.jsonl").read_text()
    shown = windlass("audit", "list")
    assert "config.edit" in shown.out and "path web.port" in shown.out
    assert windlass("audit", "list", "-n", "2").out.count("\n") == 3
    assert "6 older ones" in windlass("audit", "list", "-n", "2").err
    only = windlass("audit", "list", "--run", "1", "--json").out.splitlines()
    assert [json.loads(line)["action"] for line in only] == ["run.started"]
    assert windlass("audit", "list", "--action", "token", "--json").out.count("\n") == 2
    assert windlass("audit", "list", "--actor", "nobody-else").out == ""


def test_verify_and_export(windlass: Windlass, used: Lab) -> None:
    answer = windlass("audit", "verify")
    assert answer.status == 0 and "8 entries" in answer.err
    head = answer.out.strip()
    assert windlass("audit", "verify", "--head", head).status == 0
    assert windlass("audit", "verify", "--head", "0" * 64).status == 2
    lines = windlass("audit", "export").out.splitlines()
    assert [json.loads(line)["action"] for line in lines] == ACTIONS
    assert json.loads(lines[-1])["hash"] == head
    rows = list(csv.reader(io.StringIO(windlass("audit", "export", "--format", "csv").out)))
    assert rows[0][:4] == ["number", "time", "actor", "action"]
    assert [row[3] for row in rows[1:]] == ACTIONS

    log = used.path / ".windlass" / "audit.jsonl"
    log.write_text(log.read_text().replace("web.port", "web.prot", 1))
    answer = windlass("audit", "verify")
    assert answer.status == 2 and "audit.jsonl:3:1: the audit log does not hold from here on" in answer.err
    assert windlass("audit", "export").status == 2


def test_the_json_forms(windlass: Windlass, used: Lab) -> None:
    entry = json.loads(windlass("audit", "list", "-n", "1", "--json").out)
    entry |= {"time": "TIME", "actor": "ME", "previous": "HASH", "hash": "HASH"}
    golden("json-audit-entry", json.dumps(entry) + "\n")
    verified = json.loads(windlass("audit", "verify", "--json").out)
    golden("json-audit-verified", json.dumps(verified | {"head": "HASH"}) + "\n")


def test_a_cell_is_no_formula(windlass: Windlass, used: Lab) -> None:
    assert windlass("runs", "cancel", "1").status != 0
    answer = windlass("run", "work", "--yes", "-w", str(used.path))
    assert answer.status == 0
    from core.store.audit import AuditLog

    AuditLog(used.path / ".windlass").append("=cmd()", "run.pause", {"reason": "x"})
    rows = list(csv.reader(io.StringIO(windlass("audit", "export", "--format", "csv").out)))
    assert rows[-1][2] == "'=cmd()"


def test_an_empty_log(windlass: Windlass, lab: Lab) -> None:
    assert windlass("audit", "list").status == 0
    assert windlass("audit", "verify").out == "0" * 64 + "\n"
