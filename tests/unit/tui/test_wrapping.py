"""Long lines on several rows: every character once, no row too wide, and rows and lines that lead to each other."""

from __future__ import annotations

import itertools
import random

import pytest
from rich.cells import cell_len

from core.model.states import Purpose, Stream
from core.model.views import OutputChunk
from tui.output_lines import OutputLines
from tui.wrapping import RowIndex, cuts, part_of


def chunk(text: str, start: int = 0) -> OutputChunk:
    data = text.encode()
    return OutputChunk(
        purpose=Purpose.RUN, attempt=1, stream=Stream.STDOUT, start=start, end=start + len(data), time=1.0, data=data
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 40, "a" * 41, "世界" * 30, "x世" * 25 + "é" * 9, "á" * 50]
)
def test_a_text_is_cut_into_rows_that_fit(text: str) -> None:
    begins = [*cuts(text, 20), len(text)]
    rows = [text[begin:end] for begin, end in itertools.pairwise(begins)]
    assert "".join(rows) == text and all(cell_len(row) <= 20 for row in rows)
    assert begins[0] == 0 and (not text or all(rows))


def test_parts_of_spans_keep_their_roles() -> None:
    spans = [("abc", ""), ("DEF", "bold"), ("ghi", "muted")]
    assert part_of(spans, 2, 7) == [("c", ""), ("DEF", "bold"), ("g", "muted")]
    assert part_of(spans, 0, 0) == []


@pytest.mark.parametrize("seed", range(10))
def test_rows_and_lines_lead_to_each_other_while_lines_come_and_go(seed: int) -> None:
    chance = random.Random(seed)
    lines = OutputLines(max_lines=40)
    index = RowIndex(lines, 10)
    sent, gone = 0, 0
    for _ in range(30):
        text = "".join(
            chance.choice(["", "\n", "word ", "世界", "x" * 25, "\n"]) for _ in range(chance.randrange(20))
        )
        lines.add([chunk(text, sent)] if text else [])
        sent += len(text.encode())
        gone += index.update()
        fresh = RowIndex(lines, 10)
        assert len(index) == len(fresh)
        found = [index.at(row) for row in range(len(index))]
        assert found == [fresh.at(row) for row in range(len(fresh))]
        assert found == sorted(found) and {line for line, _ in found} == set(range(len(lines)))
        for row, (line, part) in enumerate(found):
            assert index.row_of(line) == row - part
            if lines[line].stream is not None:
                begin, end = index.part(line, part)
                assert cell_len(lines[line].text[begin:end]) <= 10
    assert lines.forgotten and gone >= lines.forgotten - 1


def test_fifty_thousand_lines_are_laid_out_at_once() -> None:
    lines = OutputLines(max_lines=60_000)
    lines.add([chunk("a line of output, as long as such lines are, or a little longer than that\n" * 50_000)])
    index = RowIndex(lines, 40)
    assert len(index) == 100_001  # and the heading
    assert index.at(100_000) == (50_000, 1)
