"""The terminal as a file: one that takes nothing now is not gone, one that is gone raises nothing."""

from __future__ import annotations

import io
import os

import pytest

from tui.driver import SafeFile


def test_a_full_terminal_that_does_not_wait_is_not_gone() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    lost: list[bool] = []
    raw = io.FileIO(writing, "w")
    file = SafeFile(
        io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", write_through=True), lambda: lost.append(True)
    )
    try:
        file.write("x" * 1_000_000)
        file.flush()
        assert lost and not file.gone
    finally:
        while len(os.read(reading, 1_000_000)) == 1_000_000:
            pass
        os.close(reading)
        raw.close()


@pytest.mark.parametrize("error", [OSError(5, "gone"), ValueError("closed")])
def test_a_terminal_that_is_gone_is_noticed_and_raises_nothing(error: Exception) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    lost: list[bool] = []
    file = SafeFile(Gone(), lambda: lost.append(True))
    assert file.write("x") == 0
    assert file.gone and not lost
