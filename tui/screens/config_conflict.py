"""A file changed on disk while the editor has it open: what both did to it, side by side, and what can be done.

Nothing is written from here: the editor goes on with what is chosen, and its undo brings back what stood there before.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from core.config.merge import Region, regions
from tui import words
from tui.look import Look, look
from tui.paint import Span, Spans, pad
from tui.screens.base import NARROW, Sheet
from tui.session import Session

THEIRS, MERGE = "theirs", "merge"
CONTEXT = 1
"""Lines shown before a change."""
MOST_LINES = 400
SIDES = ("as opened", "yours", "on disk")


class ConflictSheet(Sheet[str]):
    """Ends with THEIRS, MERGE, or None for going back to the editor as it is."""

    FOOTER = ("merge", "theirs", "close")
    BINDINGS = [
        Binding(
            "m", "merge", "keep mine", id="conflict.merge",
            tooltip="Put your changes on what is on disk; where both overlap, both stand between marks",
        ),
        Binding(
            "t", "theirs", "take theirs", id="conflict.theirs",
            tooltip="Go on with the file as it is on disk; undo in the editor brings yours back",
        ),
    ]  # fmt: skip
    DEFAULT_CSS = """
    ConflictSheet {
        #sheet { width: 100%; max-width: 180; }
        #sides { height: auto; max-height: 80vh; }
        &.-short #sides { max-height: 18; }
        #sides:focus { background: $surface; }
    }
    """

    def __init__(self, session: Session, file: str, base: str, mine: str, theirs: str) -> None:
        super().__init__(session)
        self._file = file
        self._base = base.splitlines()
        self._regions = regions(base, mine, theirs)

    def sheet(self) -> ComposeResult:
        with VerticalScroll(id="sides"):
            yield Static("", classes="text", id="sides-text")

    def default_focus(self) -> Widget:
        return self.query_one("#sides")

    def on_mount(self) -> None:
        self.entitle("#sheet", look(self).text(f"{self._file} changed on disk", max_chars=70))
        self.default_focus().focus()
        self.call_after_refresh(self._show)

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show)

    @property
    def _overlaps(self) -> int:
        return sum(region.conflict for region in self._regions)

    def label(self, action: str) -> str:
        if action == "merge":
            return "keep both, with marks" if self._overlaps else "keep mine on theirs"
        return "back to the editor" if action == "close" else ""

    def _show(self) -> None:
        if not self.is_mounted:
            return
        style = look(self)
        width = self.query_one("#sides").size.width - 3
        count = self._overlaps
        if count:
            told: Span = (f"{words.plural(count, 'change overlaps', 'changes overlap')}", "bold error")
            rest = ": both stand in the editor between marks, to be chosen from by hand."
        else:
            told, rest = (
                ("Your changes and those on disk do not overlap", "bold success"),
                ": both can be kept.",
            )
        lines: list[Spans] = [[told, (rest, "")], [("Nothing was written, and nothing is lost.", "muted")]]
        for region in self._regions:
            lines.append([])
            lines += self._region(region, style, width)
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [[(f"and {len(lines) - MOST_LINES} more lines", "muted")]]
        self.set_text("#sides-text", lines)

    def _region(self, region: Region, style: Look, width: int) -> list[Spans]:
        whose = "both changed" if region.conflict else _whose(region)
        head: Spans = [
            (f"line {region.line + 1}  ", "muted"),
            (whose, "bold error" if region.conflict else "bold"),
        ]
        texts = [
            [style.text(line.rstrip("\r\n")) for line in side]
            for side in (region.base, region.mine, region.theirs)
        ]
        changed = (False, region.mine != region.base, region.theirs != region.base)
        roles = ["muted", *("success" if each else "muted" for each in changed[1:])]
        around = [style.text(line) for line in self._base[max(0, region.line - CONTEXT) : region.line]]
        if self.size.width < NARROW:
            return [head, *_stacked(around, texts, roles)]
        return [head, *_columns(around, texts, roles, width, style.glyphs.ellipsis)]

    def action_merge(self) -> None:
        self.dismiss(MERGE)

    def action_theirs(self) -> None:
        self.dismiss(THEIRS)


def _whose(region: Region) -> str:
    if region.mine == region.theirs:
        return "both changed it to the same"
    return "changed on disk" if region.mine == region.base else "changed by you"


def _stacked(around: Sequence[str], texts: Sequence[Sequence[str]], roles: Sequence[str]) -> list[Spans]:
    """The three one below the other, for a narrow terminal."""
    lines: list[Spans] = [[(f"{'':11}{line}", "muted")] for line in around]
    for title, side, role in zip(SIDES, texts, roles, strict=True):
        for at, line in enumerate(side or ["(no line)"]):
            lines.append([(f"{title if at == 0 else '':11}", "muted"), (line, role if side else "muted")])
    return lines


def _columns(
    around: Sequence[str],
    texts: Sequence[Sequence[str]],
    roles: Sequence[str],
    width: int,
    ellipsis: str,
) -> list[Spans]:
    """The three beside each other."""
    each = max(10, (width - 4) // 3)

    def row(cells: Sequence[Span]) -> Spans:
        return [part for cell in cells for part in (*pad([cell], each, ellipsis), ("  ", ""))]

    lines = [row([(title, "bold") for title in SIDES])]
    lines += [row([(line, "muted")] * 3) for line in around]
    for at in range(max(1, *(len(side) for side in texts))):
        cells: list[Span] = []
        for side, role in zip(texts, roles, strict=True):
            nothing = "(no line)" if at == 0 and not side else ""
            cells.append((side[at], role) if at < len(side) else (nothing, "muted"))
        lines.append(row(cells))
    return lines
