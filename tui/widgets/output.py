"""The output of one task: follows its tail, or stands still where a person scrolled to.

Invariants: memory is bounded by `OutputLines`; only the lines on the screen are drawn; remote text arrives here
already cleaned and is never parsed as markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.model.states import Stream
from core.model.views import OutputChunk, OutputSummary
from tui import words
from tui.look import look
from tui.output_lines import DEFAULT_MAX_LINES, Line, OutputLines
from tui.paint import Span, Spans, fit, strip
from tui.wrapping import MIN_CELLS, RowIndex, part_of

TIME_MIN_WIDTH = 64
"""From this width on each line begins with its time of day."""
TIME_CELLS, MARK_CELLS = 9, 2
"""What stands before the text of a line."""


class OutputPane(ScrollView, can_focus=True):
    """Shows `OutputLines`. `follow` is True while the newest line stays in view."""

    DEFAULT_CSS = """
    OutputPane {
        height: 1fr;
        overflow-y: auto;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
    }
    """
    BINDINGS = [
        Binding("down,j", "line(1)", "down", id="output.down", tooltip="One line on", show=False),
        Binding("up,k", "line(-1)", "up", id="output.up", tooltip="One line back", show=False),
        Binding("pagedown", "page(1)", "page down", id="output.page-down", tooltip="A page on", show=False),
        Binding("pageup", "page(-1)", "page up", id="output.page-up", tooltip="A page back", show=False),
        Binding("home,g", "top", "top", id="output.top", tooltip="The oldest line kept", show=False),
        Binding(
            "end,G", "tail", "Bottom", id="output.bottom", tooltip="The newest line, and follow", show=False
        ),
        Binding("left", "aside(-8)", "left", id="output.left", tooltip="Long lines: to the left", show=False),
        Binding(
            "right", "aside(8)", "Right", id="output.right", tooltip="Long lines: to the right", show=False
        ),
    ]

    @dataclass
    class Follows(Message):
        """Following began or ended, by a person."""

        follow: bool

    @dataclass
    class Shifted(Message):
        """Long lines were moved aside, by a person."""

    def __init__(
        self, *, max_lines: int = DEFAULT_MAX_LINES, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._max_lines = max_lines
        self._lines: OutputLines | None = None
        self._empty: Sequence[Spans] = ()
        self._shift = 0  # how many cells long lines are moved to the left
        self._find = ""
        self._found_at = -1  # the line that a search stands on
        self._index: RowIndex | None = None  # where lines are wrapped
        self._index_for: tuple[int, OutputLines] | None = None
        self.times: bool | None = None
        """Whether lines begin with their time of day; None where the width decides."""
        self.follow = True

    @property
    def output_lines(self) -> OutputLines:
        """What is shown."""
        if self._lines is None:
            self._lines = OutputLines(ascii_only=look(self).ascii_only, max_lines=self._max_lines)
        return self._lines

    def clear(self, empty: Sequence[Spans] = ()) -> None:
        """Begins with another task; `empty` is shown while it has no output."""
        self._lines = self._index = self._index_for = None
        self._empty = tuple(empty)
        self._shift = 0
        self._found_at = -1
        self._fit_size()
        self.scroll_to(y=0, animate=False)
        self.refresh()

    def set_empty(self, empty: Sequence[Spans]) -> None:
        """What is shown while there is no output."""
        if tuple(empty) != tuple(self._empty):
            self._empty = tuple(empty)
            self.refresh()

    def add(self, chunks: Sequence[OutputChunk], summaries: Sequence[OutputSummary] = ()) -> None:
        """Takes further chunks, with the summaries that were read with them."""
        if not chunks:
            return
        top = self.scroll_offset.y  # before the end moves
        let_go = rows_gone = self.output_lines.add(chunks, summaries)
        if self._index is None:
            self.rewrap()
        else:
            rows_gone = self._index.update()
        self._fit_size()
        if self.follow:
            self._to_tail()
        if let_go and self._found_at >= 0:
            self._found_at = max(-1, self._found_at - let_go)
        if let_go and not self.follow:
            self.scroll_to(y=max(0, top - rows_gone), animate=False)
        self.refresh()

    def set_follow(self, follow: bool) -> None:
        """Begins or ends following, without telling anyone."""
        self.follow = follow
        if follow:
            self._to_tail()

    # ------------------------------------------------------------ finding

    def find(self, text: str, *, backwards: bool = False, again: bool = False) -> bool:
        """Goes to the next line that has a text in it (in either case), round the end; says whether there is one.

        Begins with what is on the screen, or with `again` behind the line that was found last.
        """
        self._find = text.lower()
        count = len(self.output_lines)
        begin = self._at(self.scroll_offset.y)[0]
        if again and self._found_at >= 0:
            begin = self._found_at + (-1 if backwards else 1)
        order = range(begin, begin - count, -1) if backwards else range(begin, begin + count)
        for at in order:
            if self._find and self._find in self.output_lines[at % count].text.lower():
                self._found_at = at % count
                self._show_line(self._found_at)
                self.refresh()
                return True
        self._found_at = -1
        self.refresh()
        return False

    def count_found(self) -> int:
        """How many lines have the text that is looked for in them."""
        if not self._find:
            return 0
        lines = self.output_lines
        return sum(1 for at in range(len(lines)) if self._find in lines[at].text.lower())

    def set_times(self, shown: bool) -> None:
        """Shows the time of day before each line, or not."""
        self.times = shown
        self.rewrap()
        self.refresh()

    @property
    def shows_times(self) -> bool:
        """Whether lines begin with their time of day now."""
        return self.scrollable_content_region.width >= TIME_MIN_WIDTH if self.times is None else self.times

    @property
    def column(self) -> int:
        """How many cells long lines are moved to the left; 0 where they are wrapped."""
        return 0 if self.wraps else self._shift

    def _show_line(self, at: int) -> None:
        top, height, row = self.scroll_offset.y, max(1, self.size.height), self._row_of(at)
        if not top <= row < top + height:
            self.scroll_to(y=min(max(0, row - height // 3), self.max_scroll_y), animate=False)
        self._show_column(self.output_lines[at].text)
        self._by_person(False)

    def _show_column(self, text: str) -> None:
        """Moves long lines so that what was found in one of them is seen."""
        begin, room = text.lower().find(self._find), self._room(self.scrollable_content_region.width)
        end = begin + len(self._find)
        if not self.wraps and not self._shift <= begin <= end < self._shift + room:
            self._shift = max(0, end - room + room // 3)
            self.post_message(self.Shifted())

    # ------------------------------------------------------------ wrapping

    @property
    def wraps(self) -> bool:
        """Whether long lines go on in the next row."""
        return look(self).wrap

    def rewrap(self) -> None:
        """Lays the lines out anew where it is wanted otherwise than before; what is on top stays there."""
        lines = self.output_lines
        width = self.scrollable_content_region.width
        wanted = (self._room(width), lines) if self.wraps and width > 0 else None
        if wanted == self._index_for:
            return
        top = self._at(self.scroll_offset.y)[0] if len(lines) else 0
        self._index_for = wanted
        self._index = RowIndex(lines, wanted[0]) if wanted is not None else None
        self._fit_size()
        if self.follow:
            self._to_tail()
        elif len(lines):
            self.scroll_to(y=min(self._row_of(top), self.max_scroll_y), animate=False)
        self.refresh()

    def _room(self, width: int) -> int:
        """How many cells of a row are for text."""
        return max(MIN_CELLS, width - (TIME_CELLS if self.shows_times else 0) - MARK_CELLS)

    def _rows(self) -> int:
        return len(self.output_lines) if self._index is None else len(self._index)

    def _at(self, row: int) -> tuple[int, int]:
        """(line, part of it) that a row shows."""
        if self._index is None or not len(self.output_lines):
            return row, 0
        return self._index.at(min(row, len(self._index) - 1))

    def _row_of(self, line: int) -> int:
        return line if self._index is None else self._index.row_of(line)

    # ------------------------------------------------------------ moving

    def _fit_size(self) -> None:
        """Tells the scroll bar how many rows there are, without laying the whole screen out for each line."""
        size = Size(1, self._rows())
        if size != self.virtual_size:
            self.set_reactive(ScrollView.virtual_size, size)
            self._scroll_update(size)

    def _to_tail(self) -> None:
        self.scroll_end(animate=False, immediate=True, x_axis=False)

    def _by_person(self, follow: bool) -> None:
        if follow != self.follow:
            self.follow = follow
            self.post_message(self.Follows(follow))

    def action_line(self, by: int) -> None:
        self._scroll_by(by)

    def action_page(self, by: int) -> None:
        self._scroll_by(by * max(1, self.size.height - 1))

    def _scroll_by(self, lines: int) -> None:
        target = min(max(0, self.scroll_offset.y + lines), self.max_scroll_y)
        self.scroll_to(y=target, animate=False)
        self._by_person(target >= self.max_scroll_y)

    def action_top(self) -> None:
        self.scroll_to(y=0, animate=False)
        self._by_person(self.max_scroll_y <= 0)

    def action_tail(self) -> None:
        self._to_tail()
        self._by_person(True)

    def action_aside(self, cells: int) -> None:
        if self.wraps:
            return
        first = self.scroll_offset.y  # a row is a line here
        seen = range(first, min(len(self.output_lines), first + self.size.height))
        widest = max((cell_len(self.output_lines[at].text) for at in seen), default=0)
        shift = min(max(0, self._shift + cells), max(0, widest - 8))
        if shift != self._shift:
            self._shift = shift
            self.post_message(self.Shifted())
            self.refresh()

    def _on_mouse_scroll_up(self, event: object) -> None:
        self._scroll_by(-3)

    def _on_mouse_scroll_down(self, event: object) -> None:
        self._scroll_by(3)

    def on_resize(self) -> None:
        self.rewrap()
        self._fit_size()
        if self.follow:
            self._to_tail()

    # ------------------------------------------------------------ drawing

    def _spans(self, line: Line, width: int, characters: tuple[int, int] | None = None) -> list[Span]:
        """One row of a line: all of it, or so many `characters`, first and one past the last."""
        style = look(self)
        glyphs = style.glyphs
        goes_on = characters is not None and characters[0] > 0
        out: list[Span] = []
        if self.shows_times:
            known = line.time and not goes_on
            out.append(((words.clock(line.time, seconds=True) if known else " " * 8) + " ", "muted"))
        if line.stream is None:
            out.append((f"{glyphs.rule * 2} {line.text} {glyphs.rule * 2}", "muted"))
            return fit(out, width, glyphs.ellipsis)
        if line.stream is Stream.STDERR:
            out.append((glyphs.stderr + " ", "warning"))
        else:
            out.append((glyphs.wrapped + " ", "muted") if goes_on else ("  ", ""))
        if characters is not None:
            return [*out, *part_of(self._marked(line.text), *characters)]
        out += self._marked(line.text[self._shift :])
        return fit(out, width, glyphs.ellipsis)

    def _marked(self, text: str) -> list[Span]:
        """A text with what is looked for in it drawn in bold, and in the colour of what is chosen."""
        lowered = text.lower()
        if not self._find or self._find not in lowered or len(lowered) != len(text):
            return [(text, "")]
        out: list[Span] = []
        at = 0
        while (found := lowered.find(self._find, at)) >= 0:
            end = found + len(self._find)
            out += [(text[at:found], ""), (text[found:end], "bold accent")]
            at = end
        return [*out, (text[at:], "")]

    def render_line(self, y: int) -> Strip:
        style = look(self)
        total = self.scrollable_content_region.width
        base = self.rich_style
        row = y + self.scroll_offset.y
        if row < self._rows():
            at, part = self._at(row)
            line = self.output_lines[at]
            wrapped = self._index is not None and line.stream is not None
            characters = self._index.part(at, part) if wrapped and self._index is not None else None
            spans = self._spans(line, total, characters)
            over = style.paint.ground("mark") if at == self._found_at else None
            return strip(spans, total, style.paint, base, over)
        if not len(self.output_lines) and y < len(self._empty):
            return strip(
                fit([(" ", ""), *self._empty[y]], total, style.glyphs.ellipsis), total, style.paint, base
            )
        return Strip.blank(total, base)
