"""Reading what a supervisor session prints: cut at any byte, garbled, hostile."""

from __future__ import annotations

import pytest

from core.ssh.supervisor import frames
from core.ssh.supervisor.frames import AnswerReader, Frame, Garbled, NoticeReader

MARKER = b"WL0123456789abcdef"
GREETING = MARKER + b" B 6f1a-boot 12.34 4711 setsid\n"


def reader() -> tuple[AnswerReader, list[Frame]]:
    got: list[Frame] = []
    return AnswerReader(MARKER, got.append), got


def output(body: bytes, start: int = 0, name: bytes = b"rabc") -> bytes:
    return b"O %s o %d %d\n%s%s\n" % (name, start, len(body), body, MARKER)


SAID = (
    b"Welcome!\nlast login \xff\x00 " + GREETING + output(b"a\nb\0\xffc") + b"G rabc y 0 n 12 1.00 2.00\n"
    b"F /home/a b/.cache/windlass/run-x\nN /home/a b/.cache/windlass/run-y\nC\n" + output(b"", 9)
)
READ = [
    Frame("B", (b"6f1a-boot", b"12.34", b"4711", b"setsid")),
    Frame("O", (b"rabc", b"o", b"0", b"6"), b"a\nb\0\xffc"),
    Frame("G", (b"rabc", b"y", b"0", b"n", b"12", b"1.00", b"2.00")),
    Frame("F", (b"/home/a b/.cache/windlass/run-x",)),
    Frame("N", (b"/home/a b/.cache/windlass/run-y",)),
    Frame("C", ()),
    Frame("O", (b"rabc", b"o", b"9", b"0"), b""),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(SAID)])
def test_answers_in_pieces(size: int) -> None:
    answers, got = reader()
    for at in range(0, len(SAID), size):
        answers.feed(SAID[at : at + size])
    assert got == READ
    assert answers.noise == b"Welcome!\nlast login \xff\x00 "


def test_answers_cut_at_every_byte() -> None:
    for at in range(len(SAID) + 1):
        answers, got = reader()
        answers.feed(SAID[:at])
        answers.feed(SAID[at:])
        assert got == READ, at


def test_an_output_may_contain_the_marker_and_whole_answers() -> None:
    body = MARKER + b"\n" + MARKER + b" B x\n" + output(b"inner") + b"G x y 0 n\n"
    answers, got = reader()
    answers.feed(GREETING + output(body))
    assert [frame.body for frame in got if frame.kind == "O"] == [body]


@pytest.mark.parametrize("wrong", [-3, -1, 1, 5])
def test_a_length_that_was_not_kept_is_noticed_and_never_passed_on(wrong: int) -> None:
    answers, got = reader()
    body = b"0123456789"
    with pytest.raises(Garbled):
        answers.feed(
            GREETING + b"O r o 0 %d\n" % (len(body) + wrong) + body + MARKER + b"\n" + b"G r y 0 n\n" * 9
        )
    assert [frame.kind for frame in got] == ["B"]


@pytest.mark.parametrize(
    "head",
    [
        b"O r o 0 -1",
        b"O r o 0 1e9",
        b"O r o 0",
        b"O",
        b"O r o 0 \xc2\xb2",
        b"O r o 0 99999999999999999999",
        b"O r o 0 %d" % (frames.MAX_BODY_BYTES + 1),
    ],
)
def test_numbers_that_make_no_sense(head: bytes) -> None:
    answers, _ = reader()
    with pytest.raises(Garbled):
        answers.feed(GREETING + head + b"\n" + b"x" * 100)


def test_an_answer_without_an_end_is_given_up() -> None:
    answers, _ = reader()
    answers.feed(GREETING)
    with pytest.raises(Garbled):
        for _ in range(100):
            answers.feed(b"x" * 4096)


def test_noise_is_bounded_and_the_marker_found_behind_it() -> None:
    answers, got = reader()
    for _ in range(100):
        answers.feed(bytes(range(256)) * 64)
    assert len(answers.noise) <= frames.MAX_NOISE_BYTES
    answers.feed(MARKER[:9])
    answers.feed(MARKER[9:] + b" B boot\n")
    assert got == [Frame("B", (b"boot",))]


def test_a_marker_that_is_only_shown_is_no_greeting() -> None:
    """A shell that shows its input prints the marker in two parts; one cut off is noise as well."""
    answers, got = reader()
    answers.feed(b"+ wl_m=WL\n+ wl_m=WL0123456789abcde\n" + MARKER + b"\n")
    assert got == []


def test_notices_in_pieces_between_noise() -> None:
    said = (
        b"bash: warning: here\n"
        + MARKER
        + b" D rabc 3 120 7\nno newline here"
        + MARKER
        + b" D rdef 0 =   two  words \nrest"
        + b" of it\n"
        + MARKER
        + b" N rghi record\n"
    )
    wanted = [
        Frame("D", (b"rabc", b"3", b"120", b"7")),
        Frame("D", (b"rdef", b"0", b"=", b"  two  words ")),
        Frame("N", (b"rghi", b"record")),
    ]
    for size in (1, 2, 5, len(said)):
        got: list[Frame] = []
        notices = NoticeReader(MARKER, got.append)
        for at in range(0, len(said), size):
            notices.feed(said[at : at + size])
        assert got == wanted
        assert bytes(notices.noise) == b"bash: warning: here\nno newline hererest of it\n"


def test_notices_are_bounded() -> None:
    notices = NoticeReader(MARKER, lambda frame: None)
    for _ in range(100):
        notices.feed(b"y" * 10_000)
        notices.feed(b"z\n" * 5_000)
    assert len(notices.noise) <= frames.MAX_NOISE_BYTES
    assert len(notices._partial) <= frames.MAX_LINE_BYTES
