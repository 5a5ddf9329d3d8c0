"""What the page on reliability says is shown by a test is a test that exists."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_test_that_the_page_names_exists(repository: Path) -> None:
    page = (repository / "docs" / "reliability.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 40
    there = {
        name
        for path in (repository / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert sorted(named - there) == []


def test_a_test_is_of_the_row_it_stands_in(repository: Path) -> None:
    for line in (repository / "docs" / "reliability.md").read_text().splitlines():
        row = re.match(r"\| (\d+)(?: to (\d+))? \|", line)
        rows = range(int(row[1]), int(row[2] or row[1]) + 1) if row is not None else ()
        for numbers in re.findall(r"`test((?:_f\d\d)+)_\w", line):
            assert any(f"_f{number:02}" in numbers for number in rows), line[:80]
