"""What goes to the terminal: of each frame only the cells that differ from what it shows.

Textual writes every line of a part that changed, with all colours of each piece of it: some 15 kB for a table whose
rows have moved on, four fifths of it colours. Here the cells that were written are remembered, and of the next
frame only those that differ are written, with what changes of the colours between two of them.

Invariants: after each frame the terminal shows what it would show without this. Whoever knows that the terminal shows
something else (it was resized, was given to another program, dropped bytes) calls `forget` before the next frame.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from textual._cells import cell_len
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

GAP = 3
"""So many cells that stay as they are are written again rather than leapt over: it takes no more bytes."""
MAX_STYLES = 4096

OFF = {
    "1": "22",
    "2": "22",
    "3": "23",
    "4": "24",
    "21": "24",
    "5": "25",
    "6": "25",
    "7": "27",
    "8": "28",
    "9": "29",
    "51": "54",
    "52": "54",
    "53": "55",
}
"""What ends an attribute. Some end several at once."""

Cell = tuple[str, int]
"""What stands in a cell ("" behind a wide sign), and the number of its style."""
Piece = tuple[int, int, Strip]
"""Row, column, and what is to stand there."""


class Sgr:
    """A style as the terminal is told: attributes, foreground and background."""

    __slots__ = ("attributes", "back", "fore")

    def __init__(self, codes: str) -> None:
        self.attributes: tuple[str, ...] = ()
        self.fore, self.back = "39", "49"
        words = codes.split(";") if codes else []
        at = 0
        while at < len(words):
            word = words[at]
            size = 1
            if word in ("38", "48"):
                size = 5 if words[at + 1] == "2" else 3
            told = ";".join(words[at : at + size])
            at += size
            if word == "38" or (word in OF_FORE):
                self.fore = told
            elif word == "48" or word in OF_BACK:
                self.back = told
            else:
                self.attributes += (told,)

    def after(self, before: Sgr) -> str:
        """The sequence that leads here from another style; "" where nothing changes."""
        told: list[str] = []
        if self.attributes != before.attributes:
            ends = {OFF.get(one, "0") for one in before.attributes if one not in self.attributes}
            if "0" in ends:
                return f"\x1b[{';'.join(('0', *self.attributes, self.fore, self.back))}m"
            told += sorted(ends)
            told += [one for one in self.attributes if one not in before.attributes or OFF.get(one) in ends]
        if self.fore != before.fore:
            told.append(self.fore)
        if self.back != before.back:
            told.append(self.back)
        return f"\x1b[{';'.join(told)}m" if told else ""


OF_FORE = frozenset(map(str, (*range(30, 38), 39, *range(90, 98))))
OF_BACK = frozenset(map(str, (*range(40, 48), 49, *range(100, 108))))
PLAIN = Sgr("")


class Frames:
    """The cells of one terminal."""

    def __init__(self) -> None:
        self._rows: list[list[Cell | None]] = []
        self._size = (0, 0)
        self._colours: ColorSystem | None = None
        self._numbers: dict[Style | None, int] = {}
        self._styles: list[Sgr] = []

    def forget(self) -> None:
        """Whatever the terminal shows now, it is not what was written."""
        self._size = (0, 0)

    def thin(self, update: CompositorUpdate, width: int, height: int) -> CompositorUpdate:
        """The same update, to be written with as few bytes as it takes; nothing happens before it is written."""
        if isinstance(update, LayoutUpdate | ChopsUpdate):
            return _Thin(self, update, width, height)
        self.forget()
        return update

    def sequence(self, pieces: Iterator[Piece], width: int, height: int, console: Console) -> str:
        """What is to be written so that the pieces stand where they belong."""
        self._begin(width, height, console)
        out = _Writer(self._styles)
        for y, x, strip in pieces:
            if 0 <= y < height and x < width:
                self._put(out, y, x, strip, console)
        return out.ended()

    def _begin(self, width: int, height: int, console: Console) -> None:
        colours = COLOR_SYSTEMS[console.color_system] if console.color_system else ColorSystem.TRUECOLOR
        if (width, height) != self._size or colours is not self._colours or len(self._styles) > MAX_STYLES:
            self._size, self._colours = (width, height), colours
            self._rows = [[None] * width for _ in range(height)]
            self._numbers, self._styles = {}, []

    def _put(self, out: _Writer, y: int, x: int, strip: Strip, console: Console) -> None:
        row = self._rows[y]
        cells, plain, linked = self._cells(strip)
        room = len(row) - x
        del cells[room:]
        end = x + len(cells)
        if row[x:end] == cells:
            return
        if linked or not plain:
            # Terminals differ in how wide some signs are: such a piece is written whole, or not at all.
            if linked:
                out.raw(y, x, strip.render(console))
            else:
                out.write(y, x, cells)
                out.lost()
        else:
            for first, last in _changed(row, x, cells):
                out.write(y, x + first, cells[first : last + 1])
            if end >= len(row):
                out.lost()  # a cursor behind the last column stands where the terminal likes
        row[x:end] = cells

    def _cells(self, strip: Strip) -> tuple[list[Cell], bool, bool]:
        cells: list[Cell] = []
        plain, linked = True, False
        for text, style, _ in strip:
            number = self._number(style)
            if style is not None and style.link:
                linked = True
            if text.isascii() or cell_len(text) == len(text):
                cells += [(sign, number) for sign in text]
                continue
            plain = False
            for sign in text:
                width = cell_len(sign)
                if width == 0 and cells:
                    cells[-1] = (cells[-1][0] + sign, cells[-1][1])
                else:
                    cells.append((sign, number))
                    cells += [("", number)] * (width - 1)
        return cells, plain, linked

    def _number(self, style: Style | None) -> int:
        number = self._numbers.get(style)
        if number is None:
            assert self._colours is not None
            codes = Strip.render_ansi(style, self._colours) if style is not None else ""
            number = self._numbers[style] = len(self._styles)
            self._styles.append(Sgr(codes))
        return number


class _Thin(CompositorUpdate):
    """An update that is worked out against what the terminal shows when it is written."""

    def __init__(self, frames: Frames, update: LayoutUpdate | ChopsUpdate, width: int, height: int) -> None:
        self._frames = frames
        self._update = update
        self._size = (width, height)

    def render_segments(self, console: Console) -> str:
        """See CompositorUpdate.render_segments."""
        found = (
            _of_layout(self._update) if isinstance(self._update, LayoutUpdate) else _of_chops(self._update)
        )
        return self._frames.sequence(found, *self._size, console)


class _Writer:
    """Gathers what is to be written, and knows where the cursor stands and which style holds by then."""

    def __init__(self, styles: list[Sgr]) -> None:
        self._styles = styles
        self._out: list[str] = []
        self._at: tuple[int, int] | None = None
        self._style = PLAIN

    def write(self, y: int, x: int, cells: list[Cell]) -> None:
        """Cells of one row."""
        self._go(y, x)
        append = self._out.append
        number = -1
        for sign, its in cells:
            if its != number:
                number, style = its, self._styles[its]
                append(style.after(self._style))
                self._style = style
            append(sign)
        self._at = (y, x + len(cells))

    def raw(self, y: int, x: int, text: str) -> None:
        """A text with sequences of its own, which leaves the plain style behind."""
        self._go(y, x)
        self._out.append(PLAIN.after(self._style) + text)
        self._style = PLAIN
        self._at = None

    def lost(self) -> None:
        """Nobody knows where the cursor stands."""
        self._at = None

    def ended(self) -> str:
        """Everything, with the plain style at its end."""
        self._out.append(PLAIN.after(self._style))
        return "".join(self._out)

    def _go(self, y: int, x: int) -> None:
        if self._at == (y, x):
            return
        if self._at is not None and self._at[0] == y and x > self._at[1]:
            self._out.append(f"\x1b[{x - self._at[1]}C")
        else:
            self._out.append(f"\x1b[{y + 1};{x + 1}H")


def _changed(row: list[Cell | None], x: int, cells: list[Cell]) -> Iterator[tuple[int, int]]:
    """The parts of a piece that differ from the row, as first and last index; what lies close together is one."""
    first = last = -1
    for at, cell in enumerate(cells):
        if row[x + at] == cell:
            continue
        if first < 0:
            first = at
        elif at - last - 1 > GAP:
            yield first, last
            first = at
        last = at
    if first >= 0:
        yield first, last


def _of_layout(update: LayoutUpdate) -> Iterator[Piece]:
    for y, line in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in line:
            yield y, x, strip
            x += strip.cell_length


def _of_chops(update: ChopsUpdate) -> Iterator[Piece]:
    for y, first, last in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is None or x > last or end <= first:
                continue
            whole = first <= x < last and end <= last
            yield y, x, strip if whole else strip.crop(0, min(end, last) - x)
