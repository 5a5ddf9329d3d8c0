"""The log of the background engine, as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.workspace.folder import Workspace
from tui.bridge import Changes
from tui.look import look
from tui.paint import Spans
from tui.screens.listing import Listing, entry
from tui.session import Session
from tui.widgets.table import Column

TAIL_BYTES = 256 * 1024
LEVELS = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line: `at` is the offset where it begins in the file, `level` a word of Python's logging ("" none)."""

    at: int
    text: str
    level: str = ""


class EngineLogScreen(Listing[LogLine]):
    """The newest quarter of a megabyte of the log, newest last."""

    WHAT = "engine log"
    LINE = "log"
    HINT = "warning, run 41, a word"
    COLUMNS = (Column("line"),)
    FOOTER = ("find", "copy", "back")

    def __init__(self, session: Session, find: str = "") -> None:
        super().__init__(session, find)
        self.all_read = True
        self._seen: tuple[int, int] = (0, 0)

    async def reload(self, changes: Changes) -> None:
        found = await asyncio.to_thread(self._read)
        if found is None:
            self.show()
            return
        follows = self.table.cursor >= len(self.table.items) - 1
        self.rows = found
        self.show()
        if follows and self.table.items:
            self.table.choose(self.table.items[-1].at)

    def tick(self) -> None:
        super().tick()
        self.needs_reload(Changes())

    def _read(self) -> list[LogLine] | None:
        """The end of the file; None where it is as it was."""
        from daemon.log import log_path

        workspace = self.session.workspace
        path = log_path(Workspace.open(Path(workspace.path)).state_dir) if workspace is not None else None
        try:
            if path is None:
                return []
            with path.open("rb") as log:
                status = path.stat()
                seen = (status.st_ino, status.st_size)
                if seen == self._seen:
                    return None
                self._seen = seen
                begin = max(0, status.st_size - TAIL_BYTES)
                log.seek(begin)
                data = log.read(TAIL_BYTES)
        except OSError:
            return []
        if begin:
            cut = data.find(b"\n") + 1
            data, begin = data[cut:], begin + cut
        lines = []
        for raw in data.splitlines(keepends=True):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            words = text.split(" ", 4)
            level = words[3] if len(words) == 5 and words[3].isupper() else ""
            lines.append(LogLine(begin, text, level))
            begin += len(raw)
        return lines

    def key_of(self, item: LogLine) -> Hashable:
        return item.at

    def cells(self, item: LogLine) -> Sequence[Spans]:
        return [[(look(self).text(item.text), LEVELS.get(item.level, ""))]]

    def text_of(self, item: LogLine) -> str:
        return item.text

    def detail(self, item: LogLine) -> list[Spans]:
        return [entry("line", [(look(self).text(item.text, max_chars=1000), "")])]

    def nothing(self) -> list[Spans]:
        return [[("No background engine has written a log here yet: the first run starts one.", "muted")]]

    def opened(self, item: LogLine) -> None:
        """A line leads nowhere."""

    def command(self) -> Sequence[str]:
        return ("engine", "logs")
