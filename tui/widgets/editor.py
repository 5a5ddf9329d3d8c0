"""An editor of YAML: colours by the theme, faults beside their lines, and keys for a list of completions.

Invariants: what is written in a file is never obeyed (controls are drawn as dots, in place); without a parser for the
colours everything works in plain text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Document, LanguageDoesNotExist, TextAreaTheme

from tui.look import look

THEME = "windlass"
LEAST_CELLS = 12
"""A fault is written beside its line where there is so much room."""
COLOURS: Mapping[str, str] = {
    "yaml.field": "accent",
    "string": "",
    "string.escape": "warning",
    "number": "success",
    "boolean": "success",
    "constant.builtin": "success",
    "comment": "muted",
    "type": "warning",
    "error": "error",
    "punctuation.delimiter": "muted",
    "punctuation.bracket": "muted",
    "punctuation.special": "warning",
}
"""What the parts of a file are drawn in, by the roles of the theme."""


class YamlEditor(TextArea):
    """A whole file. The screen around it says where faults are, and whether completions are open."""

    BINDINGS = [
        Binding("ctrl+z", "undo", "undo", id="editor.undo", tooltip="Take back what was typed"),
        Binding("ctrl+y", "redo", "redo", id="editor.redo", tooltip="Do it again after all"),
    ]
    DEFAULT_CSS = """
    YamlEditor {
        border: none; padding: 0; background: $background; color: $foreground;
        scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
        &:focus { border: none; }
        & .text-area--cursor-line { background: $surface; }
        & .text-area--gutter { color: $muted; background: $background; }
        & .text-area--cursor-gutter { color: $foreground; background: $surface; }
        & .text-area--selection { background: $mark; }
    }
    """

    @dataclass
    class Asked(Message):
        """A key for the completions: "open", "take", "close", "next" or "previous"."""

        what: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id, soft_wrap=False, show_line_numbers=True, tab_behavior="indent", max_checkpoints=500
        )
        self.completing = False
        """Whether completions are open: then some keys belong to them."""
        self.typing = False
        """Whether the newest change was typed, and not pasted or taken back."""
        self._faults: dict[int, str] = {}
        self.indent_width = 2

    def on_mount(self) -> None:
        self._colour()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._colour())
        # Without a parser, or with one that does not fit, the text is plain.
        with contextlib.suppress(LanguageDoesNotExist, ImportError, ValueError):
            self.language = "yaml"

    def _colour(self) -> None:
        paint = look(self).paint
        styles = {name: paint.role(role) for name, role in COLOURS.items()}
        self.register_theme(TextAreaTheme(THEME, syntax_styles=styles))
        self.theme = THEME
        self._set_theme(THEME)
        self._line_cache.clear()
        self.refresh()

    # ------------------------------------------------------------ the text

    def put(self, text: str) -> None:
        """Replaces the whole text as one edit, which can be taken back; the cursor stays on its line."""
        row, column = self.cursor_location
        self.typing = False
        self.replace(text, self.document.start, self.document.end, maintain_selection_offset=False)
        row = min(row, self.document.line_count - 1)
        self.move_cursor((row, min(column, len(self.document.get_line(row)))))

    def holds(self, text: str) -> bool:
        """True where the editor gives this text back as it is: not so with line ends of several kinds."""
        return Document(text).text == text

    def get_line(self, line_index: int) -> Text:
        line = "".join(char if char.isprintable() or char == "\t" else "·" for char in
                       self.document.get_line(line_index))  # fmt: skip
        if look(self).ascii_only:
            line = "".join(char if ord(char) < 128 else "?" for char in line)
        return Text(line, end="", no_wrap=True)

    # ------------------------------------------------------------ faults

    def show_faults(self, faults: Mapping[int, str]) -> None:
        """What is wrong, by line from 1, as display text."""
        if self._faults != faults:
            self._faults = dict(faults)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        line = super().render_line(y)
        number = y + self.scroll_offset.y
        told = self._faults.get(number + 1)
        if told is None or number >= self.document.line_count:
            return line
        style = look(self)
        red = line_style = style.paint.role("error")
        sign = "!" if style.ascii_only else "✗"
        gutter = self.gutter_width
        width = self.size.width
        ends = gutter + cell_len(self.document.get_line(number).expandtabs(self.indent_width))
        ends = max(gutter, ends - self.scroll_offset.x) + 3
        parts = [line.crop(0, gutter - 1).apply_style(red), Strip([Segment(sign, red)])]
        if width - ends < LEAST_CELLS:
            return Strip.join([*parts, line.crop(gutter, width)])
        ground = next((each.style for each in reversed(list(line)) if each.style is not None), None)
        if ground is not None and ground.bgcolor is not None:
            line_style = ground + red
        text = f"{sign} {told}"
        if cell_len(text) > width - ends:
            text = text[: max(0, width - ends - 1)] + style.glyphs.ellipsis
        beside = Strip([Segment(text, line_style)]).adjust_cell_length(width - ends, line_style)
        return Strip.join([*parts, line.crop(gutter, ends), beside])

    # ------------------------------------------------------------ keys

    async def _on_key(self, event: events.Key) -> None:
        asked = self._meant(event.key)
        if asked:
            event.stop()
            event.prevent_default()
            self.post_message(self.Asked(asked))
        elif event.key == "escape":
            event.prevent_default()  # the screen goes back; the editor would only give up the focus
        elif event.key == "enter" and self.selection.is_empty and not self.read_only:
            event.stop()
            event.prevent_default()
            self.typing = True
            self.insert("\n" + self._indent_below())
        else:
            self.typing = event.is_printable

    def _meant(self, key: str) -> str:
        if key in {"ctrl+@", "ctrl+space"}:
            return "open"
        if not self.completing:
            return ""
        return {"tab": "take", "escape": "close", "down": "next", "up": "previous"}.get(key, "")

    def _indent_below(self) -> str:
        """How far the next line goes in: as this one, and further after a key without a value."""
        row, column = self.cursor_location
        before = self.document.get_line(row)[:column]
        indent = " " * (len(before) - len(before.lstrip(" ")))
        return indent + (" " * self.indent_width if before.rstrip().endswith(":") else "")

    def action_undo(self) -> None:
        self.typing = False
        super().action_undo()

    def action_redo(self) -> None:
        self.typing = False
        super().action_redo()
