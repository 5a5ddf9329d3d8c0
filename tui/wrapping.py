"""Long lines on several rows: where a text is cut at a width in cells, and which row shows which part of which line.

Invariant: adding lines at the end and letting go of some at the beginning costs no more than those lines.
"""

from __future__ import annotations

from bisect import bisect_right

from rich.cells import cell_len, chop_cells

from tui.output_lines import Line, OutputLines
from tui.paint import Span, Spans

MIN_CELLS = 8
"""Narrower than this no text is cut."""


def cuts(text: str, cells: int) -> list[int]:
    """The characters at which each row of a text begins; the first is 0."""
    cells = max(MIN_CELLS, cells)
    if text.isascii():
        return list(range(0, max(1, len(text)), cells))
    if cell_len(text) <= cells:
        return [0]
    begins, at = [], 0
    for part in chop_cells(text, cells):
        begins.append(at)
        at += len(part)
    return begins


def part_of(spans: Spans, begin: int, end: int) -> list[Span]:
    """The characters from `begin` to `end` of spans."""
    out: list[Span] = []
    at = 0
    for text, role in spans:
        piece = text[max(0, begin - at) : max(0, end - at)]
        if piece:
            out.append((piece, role))
        at += len(text)
    return out


class RowIndex:
    """Which row shows what, for texts of so many cells. Headings and notes of ours take one row each."""

    def __init__(self, lines: OutputLines, cells: int) -> None:
        self._lines = lines
        self._cells = cells
        self._forgotten = lines.forgotten
        self._ends: list[
            int
        ] = []  # behind the last row of each complete line, counted from the first line ever
        self._gone = 0  # rows of lines that were let go
        self.update()

    def update(self) -> int:
        """Takes the lines that came, and forgets those that were let go; returns how many rows these had."""
        let_go = min(self._lines.forgotten - self._forgotten, len(self._ends))
        self._forgotten = self._lines.forgotten
        before = self._gone
        if let_go:
            self._gone = self._ends[let_go - 1]
            del self._ends[:let_go]
        end = self._ends[-1] if self._ends else self._gone
        for at in range(len(self._ends), self._lines.complete):
            end += self._rows(self._lines[at])
            self._ends.append(end)
        return self._gone - before

    def _rows(self, line: Line) -> int:
        if line.stream is None or (line.text.isascii() and len(line.text) <= self._cells):
            return 1
        return len(cuts(line.text, self._cells))

    def __len__(self) -> int:
        """How many rows there are."""
        rows = (self._ends[-1] if self._ends else self._gone) - self._gone
        return rows + sum(self._rows(self._lines[at]) for at in range(len(self._ends), len(self._lines)))

    def at(self, row: int) -> tuple[int, int]:
        """(line, part) that a row shows. Raises IndexError behind the last one."""
        wanted = row + self._gone
        line = bisect_right(self._ends, wanted)
        begin = self._ends[line - 1] if line else self._gone
        while line >= len(self._ends):  # a line in progress
            rows = self._rows(self._lines[line])
            if wanted < begin + rows:
                break
            line, begin = line + 1, begin + rows
        return line, wanted - begin

    def row_of(self, line: int) -> int:
        """The first row of a line."""
        if line <= len(self._ends):
            return (self._ends[line - 1] if line else self._gone) - self._gone
        return len(self) - sum(self._rows(self._lines[at]) for at in range(line, len(self._lines)))

    def part(self, line: int, part: int) -> tuple[int, int]:
        """The characters of a part of a line: first, and one past the last."""
        text = self._lines[line].text
        begins = [*cuts(text, self._cells), len(text)]
        return begins[part], begins[part + 1]
