"""Errors as people meet them: message, faults, hint, status; a crash report, and never a traceback."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import click
import pytest

from cli import failures, plan
from core import errors
from core.errors import Fault
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass


def told(capsys: pytest.CaptureFixture[str], error: BaseException) -> tuple[int, str]:
    status = failures.report(error)
    printed = capsys.readouterr()
    assert printed.out == ""
    return status, printed.err


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InputError, 2),
        (errors.WorkspaceOwned, 3),
        (errors.NeedsPerson, 4),
        (errors.ServersUnreachable, 6),
        (errors.NotPossible, 2),
        (errors.StoreError, 70),
        (errors.StoreNewer, 2),
        (errors.StoreCorrupt, 2),
        (errors.Fenced, 3),
        (errors.ProviderError, 6),
    ],
)
def test_each_kind_has_its_status(
    capsys: pytest.CaptureFixture[str], kind: type[errors.WindlassError], status: int
) -> None:
    assert told(capsys, kind("it broke", hint="mend it")) == (status, "error: it broke\nmend it\n")


def test_every_fault_is_told_with_its_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    here = str(Path.cwd() / "batches" / "work.yaml")
    faults = [Fault(here, 3, 5, "unknown key 'runn'", "did you mean run?"), Fault("/else.yaml", 7, 1, "bad")]
    status, text = told(capsys, errors.InputError("work: 2 faults", faults=faults))
    assert status == 2
    assert text.splitlines() == [
        "error: work: 2 faults",
        "batches/work.yaml:3:5: unknown key 'runn' (did you mean run?)",
        "/else.yaml:7:1: bad",
    ]


def test_many_faults_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [Fault("f", line, 1, "bad") for line in range(1, 301)]
    _, text = told(capsys, errors.InputError("300 faults", faults=faults))
    assert "f:200:1: bad" in text and "f:201:1" not in text and "and 100 more" in text


def test_what_documents_and_servers_say_reaches_no_terminal_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile = "\x1b]0;owned\x07 \u202eabc [bold]"
    fault = Fault("f\x1b[31m", 1, 1, hostile, hostile)
    _, text = told(capsys, errors.InputError(hostile, hint=hostile, faults=[fault]))
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert "[bold]" in text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort(), asyncio.CancelledError()])
def test_interrupted_is_130(capsys: pytest.CaptureFixture[str], error: BaseException) -> None:
    assert told(capsys, error) == (130, "interrupted\n")


def test_a_group_of_our_errors_is_its_first(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup("", [ExceptionGroup("", [errors.NotPossible("no")]), errors.InputError("bad")])
    assert told(capsys, group) == (2, "error: no\n")


# ---------------------------------------------------------------- what nobody expected


class Surprise(Exception):
    """Not one of ours."""


def test_an_unexpected_error_is_70_with_a_private_report(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        secret = "hunter2"
        raise Surprise(f"boom \x1b[31m{len(secret)}")

    monkeypatch.setattr(plan, "_plan", broken)
    (lab.path / ".windlass").mkdir(mode=0o700)
    answer = windlass("plan", "work")
    assert (answer.status, answer.out) == (70, "")
    assert "Surprise: boom ^[[31m7" in answer.err
    assert "Traceback" not in answer.err
    (report,) = (lab.path / ".windlass" / "logs").iterdir()
    assert str(report) in answer.err
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert stat.S_IMODE(report.parent.stat().st_mode) == 0o700
    text = report.read_text()
    assert "Traceback" in text and "Surprise" in text and "windlass " in text
    assert "hunter2" not in text.replace('secret = "hunter2"', "")  # source lines, never values

    monkeypatch.setenv("WINDLASS_DEBUG", "1")
    assert "Traceback" in windlass("plan", "work").err


def test_the_report_goes_to_the_workspace_that_was_named(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def broken(*_: object) -> None:
        raise Surprise("boom")

    monkeypatch.setattr(plan, "_plan", broken)
    (lab.path / ".windlass").mkdir(mode=0o700)
    monkeypatch.chdir("/")
    assert windlass("-w", str(lab.path), "plan", "work").status == 70
    assert len(list((lab.path / ".windlass" / "logs").iterdir())) == 1


def test_without_a_workspace_the_report_is_a_private_temporary_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = failures.write_crash_report("text")
    assert path is not None and path.parent == tmp_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_where_nothing_can_be_written_the_error_is_told_all_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    status, text = told(capsys, Surprise("boom"))
    assert status == 70 and "Surprise: boom" in text and "crash report" not in text
