"""What a record proves, and what it never proves; what a server may say without being believed."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from core.engine.executor import Ended, InDoubt, NotStarted
from core.model.ids import AttemptRef
from core.model.states import Purpose, Stream
from core.ssh.shell import parse_boot_id
from core.ssh.supervisor.frames import Frame
from core.ssh.supervisor.record import State, is_folder, new_folder_name, passing_id, record_id
from core.ssh.supervisor.stop import pids_of
from core.ssh.supervisor.watch import Watch, hints, settled, verdict

REF = AttemptRef("0" * 32, "step", "srv", Purpose.RUN, 1)


def state(said: str) -> State:
    return State.of(Frame("G", tuple(f"rabc {said}".encode().split())))


def watch() -> tuple[Watch, list[tuple[Stream, int, bytes]]]:
    got: list[tuple[Stream, int, bytes]] = []

    def sink(stream: Stream, start: int, data: bytes) -> Awaitable[None] | None:
        got.append((stream, start, data))
        return None

    return Watch(REF, "/x", "rabc", sink, dict.fromkeys(Stream, 0)), got


def notice(said: bytes) -> Frame:
    kind, _, rest = said.partition(b" ")
    return Frame(kind.decode(), tuple(rest.split(b" ", 3)))


# ---------------------------------------------------------------- records


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("y 0 n 12 1.0 2.0", Ended(0)),
        ("y 255 n 12 1.0 2.0", Ended(255)),
        ("y 0 boot 12 1.0 2.0", Ended(0)),
        ("v - n - - 2.0", NotStarted),
        ("y - y 12 1.0 2.0", None),
        ("y bad n 12 1.0 2.0", InDoubt),
        ("y bad y 12 1.0 2.0", InDoubt),
        ("y 256 n 12 1.0 2.0", InDoubt),
        ("y 00000 n 12 1.0 2.0", InDoubt),
        ("y -1 n 12 1.0 2.0", InDoubt),
        ("y ² n 12 1.0 2.0", InDoubt),
        ("y - n 12 1.0 2.0", InDoubt),
        ("y - n - - 2.0", InDoubt),
        ("y - boot 12 1.0 2.0", InDoubt),
        ("gone - n - - 2.0", InDoubt),
        ("n - n - - 2.0", InDoubt),
        ("what - what x y z", InDoubt),
        ("", InDoubt),
    ],
)
def test_what_a_record_proves(said: str, wanted: object) -> None:
    proved = verdict(state(said), "/x", "srv")
    assert proved == wanted or (isinstance(wanted, type) and isinstance(proved, wanted))


def test_only_a_reboot_proves_by_itself_that_nothing_runs_any_more() -> None:
    told = {
        said: verdict(state(said), "/x", "srv") for said in ("y - boot 9 1 2", "y - n 9 1 2", "y bad n 9 1 2")
    }
    assert [isinstance(answer, InDoubt) and answer.over for answer in told.values()] == [True, False, False]


@pytest.mark.parametrize(
    ("said", "unsettled"),
    [
        ("y - n - - 2.0", True),  # claimed a moment ago
        ("y - n 12 1.0 2.0", True),  # between the end of the process and its status
        ("y bad n 12 1.0 2.0", True),  # its status is being written
        ("y bad y 12 1.0 2.0", True),
        ("y - y 12 1.0 2.0", False),
        ("y 0 n 12 1.0 2.0", False),
        ("y - boot 12 1.0 2.0", False),
        ("gone - n - - 2.0", False),
    ],
)
def test_a_record_on_its_way_is_looked_at_again(said: str, unsettled: bool) -> None:
    assert state(said).unsettled is unsettled


def test_how_long_it_ran_is_told_by_the_uptime_alone() -> None:
    assert state("y - y 12 100.50 160.75").elapsed_s == 60.25
    assert state("y - y 12 100.50 -").elapsed_s is None
    assert state("y - boot 12 100.50 160.75").elapsed_s is None
    assert state("y - y 12 1e3 nan").elapsed_s is None


def test_names_of_records() -> None:
    other = AttemptRef("0" * 32, "step", "srv", Purpose.RUN, 2)
    assert record_id(REF) == record_id(AttemptRef("1" * 32, "step", "srv", Purpose.RUN, 1))
    assert len({record_id(REF), record_id(other), passing_id(REF), passing_id(REF)}) == 4
    assert "-" not in record_id(REF) and "-" in passing_id(REF)


@pytest.mark.parametrize(
    "path",
    ["run-", "relative/run-" + "0" * 32 + "." + "1" * 16, "/a'b/run-" + "0" * 32 + "." + "1" * 16, "/", ""],
)
def test_a_path_that_can_be_no_folder_of_ours(path: str) -> None:
    assert not is_folder(path)
    assert is_folder(f"/home/a b/{new_folder_name('0' * 32)}")
    assert not is_folder(f"/home/a\nb/{new_folder_name('0' * 32)}")


@pytest.mark.parametrize(
    "told",
    [
        b"6fa459ea-ee8a-3ca4-894e-db77e160355e",
        b"__sec___1700000000__usec___123456___Tue_Nov_14_22_13_20_2023_",
    ],
)
def test_boot_ids_of_linux_and_of_sysctl(told: bytes) -> None:
    assert parse_boot_id(told) == told.decode()


# ---------------------------------------------------------------- notices


def test_an_end_told_with_its_lines() -> None:
    following, got = watch()
    assert settled(notice(b"D rabc 3 = a  b ^^ c^"), following, "srv") == Ended(3)
    assert got == [(Stream.STDOUT, 0, b"a  b \n\n c\n")]
    assert settled(notice(b"D rabc 3 = a  b ^^ c^"), following, "srv") == Ended(3)
    assert len(got) == 1, "what is known already is left out"


@pytest.mark.parametrize(
    "said",
    [
        b"D rabc \xc2\xb2 0",
        b"D rabc 256 0",
        b"D rabc -1 0",
        b"D rabc x = y",
        b"D rabc 0 0 0",
        b"D rabc",
        b"D",
    ],
)
def test_an_end_that_settles_nothing_by_itself(said: bytes) -> None:
    following, got = watch()
    assert settled(notice(said), following, "srv") is None
    assert got == []


@pytest.mark.parametrize(
    "said", [b"D rabc 0 1;reboot $(x)", b"D rabc 0 \xc2\xb2 -1", b"D rabc 0 " + b"9" * 40, b"D"]
)
def test_hints_are_numbers_or_nothing(said: bytes) -> None:
    assert hints(notice(said)) == ("-", "-")
    assert hints(notice(b"D rabc 0 17 -")) == ("17", "-")
    assert hints(None) == ("-", "-")


@pytest.mark.parametrize(
    ("said", "again"),
    [(b"X rabc gone", True), (b"X rabc full", False), (b"N rabc record", False), (b"N rabc output", False)],
)
def test_what_proves_that_it_never_ran(said: bytes, again: bool) -> None:
    answer = settled(notice(said), watch()[0], "srv")
    assert isinstance(answer, NotStarted) and answer.again is again


def test_a_claim_of_somebody_else_proves_nothing_by_itself() -> None:
    assert settled(notice(b"X rabc claimed"), watch()[0], "srv") is None


def test_output_is_handed_on_once_and_a_gap_is_kept() -> None:
    following, got = watch()
    for start, data in ((0, b"abc"), (0, b"abcde"), (2, b"c"), (5, b""), (9, b"jk")):
        following.deliver(Stream.STDOUT, start, data)
    assert got == [(Stream.STDOUT, 0, b"abc"), (Stream.STDOUT, 3, b"de"), (Stream.STDOUT, 9, b"jk")]
    assert following.offsets[Stream.STDOUT] == 11


def test_pids_that_are_none_are_left_out() -> None:
    assert pids_of(["12", "?", "-1", "9" * 5000, "²", "nopid", "34"]) == [12, 34]
