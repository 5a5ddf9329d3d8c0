"""From stored chunks to lines: headings, gaps, streams apart, bounded."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from core.model.states import Purpose, Stream
from core.model.views import OutputSummary
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


def test_what_was_not_kept_and_what_was_lost_are_told_apart() -> None:
    summary = OutputSummary(Purpose.RUN, 1, Stream.STDOUT, 2_000_000, 900_000, "", 6_000, 906_000)
    lines = OutputLines()
    lines.add([chunk("tail\n", start=5000)], [summary])
    lines.add([chunk("far on\n", start=906_000)], [summary])
    lines.add([chunk("after a hole\n", start=1_906_007)], [summary])
    assert texts(lines) == [
        "run, attempt 1", "5.0 kB of stdout earlier", "tail",
        "900.0 kB of stdout in the middle not kept", "at least 995 B of stdout lost here", "far on",
        "at least 1.0 MB of stdout lost here", "after a hole",
    ]  # fmt: skip


def test_a_line_that_a_hole_cut_off_stands_alone() -> None:
    lines = OutputLines()
    lines.add([chunk("half"), chunk("other half\n", start=100)])
    assert texts(lines) == ["run, attempt 1", "half", "at least 96 B of stdout lost here", "other half"]


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


def test_long_lines_are_bounded_together_too() -> None:
    lines = OutputLines(max_chars=10_000)
    for number in range(50):
        lines.add([chunk("x" * 3999 + "\n", start=number * 4000)])
        assert sum(len(line.text) for line in lines.tail(1000)) <= 14_000
    assert texts(lines)[-1].startswith("xxx")
    assert lines.forgotten == 51 - len(lines)


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
