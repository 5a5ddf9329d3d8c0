"""What is missing in a task's output is told where it is missing, by every command that prints output."""

from __future__ import annotations

import json

import pytest

from cli import jsonforms
from core.model.gaps import Gap
from core.model.states import Purpose, Stream
from core.store.output import HEAD_BYTES, TAIL_BYTES
from tests.support.lab import Lab
from tests.support.memory import Reply
from tests.unit.cli.conftest import Windlass
from tests.unit.cli.test_docs_commands import documented

LOST = "print@a: at least 992 bytes of stdout lost here"
PIECE = 64 * 1024


@pytest.fixture
def holed(lab: Lab) -> Lab:
    """A batch whose only task prints a text with a hole in it."""
    lab.batch("steps:\n  print: {run: print, on: name:a}\n")
    reply = Reply(pieces=((0, b"head\nhal"), (1000, b"f\ntail\n")))
    lab.memory.rule = lambda ref, work: reply
    return lab


def test_logs_tell_a_hole_and_print_what_is_there(windlass: Windlass, holed: Lab) -> None:
    assert windlass("run", "work").status == 0
    answer = windlass("runs", "logs", "1")
    assert answer.out == "head\nhal\nf\ntail\n"
    assert answer.err.strip() == LOST


def test_raw_bytes_stay_what_is_stored(windlass: Windlass, holed: Lab) -> None:
    assert windlass("run", "work").status == 0
    answer = windlass("runs", "logs", "1", "--raw")
    assert LOST in answer.err


def test_json_tells_a_hole_as_an_object_of_its_own(windlass: Windlass, holed: Lab) -> None:
    assert windlass("run", "work").status == 0
    found = [json.loads(line) for line in windlass("runs", "logs", "1", "--json").out.splitlines()]
    assert [(item["type"], item["start"], item["end"]) for item in found] == [
        ("output", 0, 8),
        ("gap", 8, 1000),
        ("output", 1000, 1007),
    ]
    assert (found[1]["not_kept"], found[1]["lost"]) == (0, 992)


def test_a_gap_has_the_documented_keys() -> None:
    gap = Gap(Purpose.RUN, 1, Stream.STDOUT, 0, 10, lost=10)
    assert sorted(jsonforms.gap(1, "print@a", gap)) == sorted(documented("gap"))


def test_a_run_that_is_followed_tells_it_too(windlass: Windlass, holed: Lab) -> None:
    answer = windlass("run", "work", "--output")
    lines = answer.err.splitlines()
    at = lines.index(LOST)
    assert lines[at - 1].endswith("| hal") and lines[at + 1].endswith("| f")
    answer = windlass("run", "work", "--output", "--json")
    kinds = [json.loads(line)["type"] for line in answer.out.splitlines()]
    assert "gap" in kinds


def test_the_counted_middle_is_no_loss(windlass: Windlass, lab: Lab) -> None:
    lab.batch("steps:\n  print: {run: print, on: name:a}\n")
    count = (HEAD_BYTES + TAIL_BYTES) // PIECE + 4
    line = b"x" * 63 + b"\n"
    pieces = tuple((number * PIECE, line * (PIECE // 64)) for number in range(count))
    lab.memory.rule = lambda ref, work: Reply(pieces=pieces)
    assert windlass("run", "work").status == 0
    answer = windlass("runs", "logs", "1")
    assert "lost" not in answer.err
    assert f"{4 * PIECE} bytes of stdout in the middle not kept" in answer.err
    assert "sha256 chain" in answer.err
