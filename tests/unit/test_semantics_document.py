"""The contract in docs/architecture/semantics.md names what the code has: states, signs, exit statuses."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import core.errors
from cli.exits import PRECEDENCE
from core.errors import WindlassError
from core.model.states import Decision, InDoubtPolicy, RunState, TaskState, UndoState
from themes.signs import RUN_SIGNS, TASK_SIGNS


@pytest.fixture(scope="module")
def sections(repository: Path) -> dict[str, str]:
    """The text of each section by its heading."""
    text = (repository / "docs" / "architecture" / "semantics.md").read_text()
    parts = re.split(r"^#{2,3} (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, heads left out."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    rules = [index for index, row in enumerate(cells) if set("".join(row)) <= {"-"}]
    heads = {index for rule in rules for index in (rule, rule - 1)}
    return [row for index, row in enumerate(cells) if index not in heads]


def test_every_state_of_a_task_with_its_sign(sections: dict[str, str]) -> None:
    told = {row[0]: (row[1].strip("`"), row[3]) for row in rows(sections["States"]) if len(row) == 4}
    assert set(told) == {state.word for state in TaskState}
    for state in TaskState:
        sign, ended = told[state.word]
        assert sign == TASK_SIGNS[state].sign
        assert (ended == "well") == state.well
        assert (ended == "well" or ended.startswith(("yes", "for barriers"))) == state.ended


def test_every_state_of_a_run(sections: dict[str, str]) -> None:
    told = {row[0]: row[2] == "yes" for row in rows(sections["States"]) if len(row) == 3}
    assert told == {RUN_SIGNS[state].word: state.open for state in RunState}


def test_every_state_of_an_undo(sections: dict[str, str]) -> None:
    flat = " ".join(sections["Rollback"].split())
    for state in UndoState:
        assert re.search(rf"\b{state.word}\b", flat), state


def test_every_decision(sections: dict[str, str]) -> None:
    assert [row[0] for row in rows(sections["Decisions"])] == [decision.value for decision in Decision]
    for policy in InDoubtPolicy:
        assert f"`{policy}`" in sections["Decisions"]


def test_every_exit_status_in_the_order_of_precedence(sections: dict[str, str]) -> None:
    told = [int(row[0]) for row in rows(sections["Exit statuses"])]
    assert told == list(PRECEDENCE)
    used = {
        error.exit_status
        for _, error in inspect.getmembers(core.errors, inspect.isclass)
        if issubclass(error, WindlassError)
    }
    assert used <= set(told)
