"""What a program has painted on its terminal: the interface writes only what changes, so a text that is on the screen
may never have been written in one piece.
"""

from __future__ import annotations

import pyte


class Painted:
    """A screen that takes a program's bytes. The size is what the program thinks that its terminal has."""

    def __init__(self, columns: int = 80, rows: int = 25) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    def take(self, data: bytes) -> None:
        """Paints further bytes."""
        self._stream.feed(data)

    def shows(self, text: str) -> bool:
        """Whether a text is on the screen, in one line."""
        return any(text in line for line in self._screen.display)

    def __str__(self) -> str:
        return "\n".join(self._screen.display)
