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
