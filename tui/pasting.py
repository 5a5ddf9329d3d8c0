"""Pasted text, made harmless: no control characters, nothing hidden, and in a field one line. It enters nothing."""

from __future__ import annotations

import unicodedata

KEPT = "\n\t"


def cleaned(text: str, *, one_line: bool) -> str:
    """What of a pasted text goes into a field (`one_line`: its first line that has something in it) or an editor."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(char for char in text if char in KEPT or unicodedata.category(char) not in ("Cc", "Cf"))
    if not one_line:
        return text
    return next((line for line in text.replace("\t", " ").split("\n") if line.strip()), "").strip()


class PasteGuard:
    """Takes escape characters out of what stands between the brackets of a paste, before it is read as keys.

    A terminal should do that itself, and tmux does not. What is left in reaches the reader of keys as key presses: a
    text from a web page could then confirm what nobody asked for. Where a terminal lets a text end its own paste, what
    follows cannot be told from keys.
    """

    BEGIN, END = "\x1b[200~", "\x1b[201~"

    def __init__(self) -> None:
        self._inside = False
        self._seen = ""  # the newest characters outside: a bracket may come in two pieces
        self._held = ""  # what may be the beginning of the closing bracket

    def feed(self, data: str) -> str:
        """What of the next characters from the terminal is to be read."""
        out: list[str] = []
        data, self._held = self._held + data, ""
        while data:
            data = self._in_paste(data, out) if self._inside else self._outside(data, out)
        return "".join(out)

    def _outside(self, data: str, out: list[str]) -> str:
        before = self._seen
        at = (before + data).find(self.BEGIN)
        end = at + len(self.BEGIN) - len(before) if at >= 0 else len(data)
        self._inside = at >= 0
        self._seen = "" if self._inside else (before + data)[1 - len(self.BEGIN) :]
        out.append(data[:end])
        return data[end:]

    def _in_paste(self, data: str, out: list[str]) -> str:
        at = data.find(self.END)
        if at >= 0:
            self._inside = False
            out.append(data[:at].replace("\x1b", "") + self.END)
            return data[at + len(self.END) :]
        held = next((size for size in range(len(self.END) - 1, 0, -1) if data.endswith(self.END[:size])), 0)
        text, self._held = data[: len(data) - held], data[len(data) - held :]
        out.append(text.replace("\x1b", ""))
        return ""
