"""From stored chunks to lines: headings, gaps, streams apart, bounded."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from core.model.states import Purpose, Stream
from tests.functional.lab import chunk
from tui.output_lines import OutputLines


def texts(lines: OutputLines) -> list[str]:
    return [line.text for line in lines.tail(1000)]


def test_attempts_and_phases_have_headings() -> None:
    lines = OutputLines()
    lines.add([chunk("looking\n", purpose=Purpose.CHECK)])
    lines.add([chunk("one\n"), chunk("two", start=4)])
    lines.add([chunk("again\n", attempt=2)])
    assert texts(lines) == [
        "check, attempt 1", "looking", "run, attempt 1", "one", "two", "run, attempt 2", "again",
    ]  # fmt: skip


def test_streams_do_not_mix_within_a_line() -> None:
    lines = OutputLines()
    lines.add([chunk("half a "), chunk("an error\n", stream=Stream.STDERR), chunk("line\n", start=7)])
    assert texts(lines) == ["run, attempt 1", "an error", "half a line"]
    assert [line.stream for line in lines.tail(3)] == [None, Stream.STDERR, Stream.STDOUT]


def test_what_was_not_kept_is_told() -> None:
    lines = OutputLines()
    lines.add([chunk("tail\n", start=5000)])
    lines.add([chunk("far on\n", start=1_000_000)])
    assert texts(lines) == [
        "run, attempt 1", "5.0 kB of stdout earlier", "tail",
        "995.0 kB of stdout in the middle not kept", "far on",
    ]  # fmt: skip


def test_the_line_in_progress_is_shown_and_replaced() -> None:
    lines = OutputLines()
    lines.add([chunk("work")])
    assert texts(lines)[-1] == "work" and len(lines) == 2
    lines.add([chunk("ing\n", start=4)])
    assert texts(lines)[-1] == "working" and len(lines) == 2


def test_it_is_bounded_and_says_how_much_it_let_go() -> None:
    lines = OutputLines(max_lines=10)
    let_go = lines.add([chunk("".join(f"{number}\n" for number in range(100)))])
    assert let_go == lines.forgotten == 91 and len(lines) == 10 and texts(lines)[-1] == "99"


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.sampled_from(list(Stream)), st.integers(1, 3)), max_size=20)
)
def test_every_line_is_display_text(pieces: list[tuple[bytes, Stream, int]]) -> None:
    lines = OutputLines(max_lines=15)
    for data, stream, attempt in pieces:
        lines.add([chunk(data, stream=stream, attempt=attempt)])
        assert len(lines) <= 17
        for at in range(len(lines)):
            assert not {unicodedata.category(char) for char in lines[at].text} & {
                "Cc",
                "Cf",
                "Cs",
                "Zl",
                "Zp",
            }
