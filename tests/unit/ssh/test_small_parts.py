"""Slots, shared attempts, and the shell text that runs commands."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.ssh import shell
from core.ssh.shared import Shared
from core.ssh.slots import Slots

# ---------------------------------------------------------------- slots


async def test_slots_are_given_in_order_and_never_too_many() -> None:
    slots, order = Slots(2), []

    async def work(number: int) -> None:
        await slots.take(5)
        order.append(number)
        assert slots.used <= slots.limit
        await asyncio.sleep(0)
        slots.free()

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))
    assert slots.used == 0


async def test_a_lowered_limit_holds_and_is_never_below_one() -> None:
    slots = Slots(5)
    slots.lower(0)
    assert slots.limit == 1
    slots.lower(3)
    assert slots.limit == 1
    await slots.take(1)
    with pytest.raises(TimeoutError):
        await slots.take(0.01)
    slots.free()
    await slots.take(1)


async def test_a_waiter_that_leaves_takes_no_slot_along() -> None:
    slots = Slots(1)
    await slots.take(1)
    waiter = asyncio.ensure_future(slots.take(5))
    await asyncio.sleep(0)
    slots.free()  # the waiter has it now, and is cancelled before it runs
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert slots.used == 0


async def test_a_failure_reaches_every_waiter_and_the_next() -> None:
    slots = Slots(1)
    await slots.take(1)
    waiters = [asyncio.ensure_future(slots.take(5)) for _ in range(3)]
    await asyncio.sleep(0)
    slots.fail(ConnectionError("gone"))
    assert all(
        isinstance(result, ConnectionError)
        for result in await asyncio.gather(*waiters, return_exceptions=True)
    )
    with pytest.raises(ConnectionError):
        await slots.take(1)


# ---------------------------------------------------------------- shared attempts


async def test_one_attempt_for_all_who_ask() -> None:
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        return 7

    shared = Shared(work())
    assert not shared.done
    assert await asyncio.gather(*(shared.wait() for _ in range(5))) == [7] * 5
    assert (runs, shared.done, shared.value) == (1, True, 7)


async def test_the_last_who_leaves_ends_the_attempt() -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    shared = Shared(work())
    waiters = [asyncio.ensure_future(shared.wait()) for _ in range(2)]
    await started.wait()
    waiters[0].cancel()
    await asyncio.gather(waiters[0], return_exceptions=True)
    assert not shared.done
    waiters[1].cancel()
    await asyncio.gather(waiters[1], return_exceptions=True)
    await asyncio.sleep(0)
    assert shared.done
    assert shared.value is None


async def test_an_error_is_told_to_everybody() -> None:
    async def work() -> None:
        raise ValueError("no")

    shared = Shared(work())
    results = await asyncio.gather(shared.wait(), shared.wait(), return_exceptions=True)
    assert [str(result) for result in results] == ["no", "no"]


# ---------------------------------------------------------------- the shell text

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "ash": ["busybox", "sh"]}


def evaluate(name: str, lines: list[bytes], cut: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """What sshd would do with the constant line and this input; `cut` lets the input break off."""
    program = SHELLS[name]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    boot = shell.exec_line("/bin/sh").split("'")[1]
    data = b"".join(lines)
    return subprocess.run(
        [*program, "-c", boot],
        input=data if cut is None else data[:cut],
        capture_output=True,
        timeout=30,
        start_new_session=True,
    )


@pytest.mark.parametrize("name", sorted(SHELLS))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.binary(max_size=200).map(lambda data: data.replace(b"\0", b"")),
    text=st.binary(max_size=200).map(lambda data: data.replace(b"\0", b"").replace(b"'", b"")),
)
def test_any_bytes_arrive(name: str, value: bytes, text: bytes) -> None:
    marker = shell.new_marker()
    command = f"printf %s '{text.decode('utf-8', 'surrogateescape')}'; printf %s \"$V\" >&2"
    lines = [
        shell.opening_line("/bin/sh", marker),
        shell.command_line(command, {"V": value.decode("utf-8", "surrogateescape")}, marker),
    ]
    done = evaluate(name, lines)
    out, err = shell.MarkedStream(marker), shell.MarkedStream(marker)
    assert out.feed(done.stdout) == text
    assert err.feed(done.stderr) == value
    assert done.returncode == 0
    assert err.line is not None
    started = shell.parse_started(err.line)
    assert started.pid > 1 and started.group > 1 and started.leader_start.isdigit()


@pytest.mark.parametrize("name", sorted(SHELLS))
def test_input_that_breaks_off_starts_nothing(name: str, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    marker = shell.new_marker()
    lines = [
        shell.opening_line("/bin/sh", marker, hello=True),
        shell.command_line(f"touch {witness}\n:\n: 'a'", {"A": "b"}, marker),
    ]
    size = len(b"".join(lines))
    cuts = {0, 1, size - 1, *(random.Random(1).randrange(size) for _ in range(40))}
    for cut in sorted(cuts):
        done = evaluate(name, lines, cut)
        assert not witness.exists(), cut
        assert marker.encode() + b" " not in done.stderr, cut
    assert evaluate(name, lines).returncode == 0
    assert witness.exists()


@pytest.mark.parametrize("name", sorted(SHELLS))
def test_the_hello_tells_the_boot_id(name: str) -> None:
    marker = shell.new_marker()
    done = evaluate(name, [shell.opening_line("/bin/sh", marker, hello=True)])
    stream = shell.MarkedStream(marker)
    stream.feed(done.stdout)
    assert stream.line is not None
    assert shell.parse_boot_id(stream.line) == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_the_constant_line_suits_every_login_shell() -> None:
    line = shell.exec_line("/bin/sh")
    assert line == "exec /bin/sh -c 'IFS= read -r wl_s && eval \"$wl_s\"'"
    assert "!" not in line and "\n" not in line and line.count("'") == 2


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_a_marker_in_pieces_is_found(piece: int) -> None:
    marker = shell.new_marker()
    data = b"noise\nWL noise\n" + shell.marker_bytes(marker) + b" 12 12 99\nown\0bytes"
    stream = shell.MarkedStream(marker)
    own = b"".join(stream.feed(data[at : at + piece]) for at in range(0, len(data), piece))
    assert own == b"own\0bytes"
    assert stream.noise == b"noise\nWL noise\n"
    assert stream.line == b" 12 12 99"


def test_noise_without_end_stays_bounded() -> None:
    stream = shell.MarkedStream(shell.new_marker())
    for _ in range(100):
        assert stream.feed(b"x" * 10_000) == b""
    assert len(stream.noise) <= shell.MAX_NOISE_BYTES


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b" 12 34 5", (12, 34, "5")),
        (b" 12", (12, 0, "")),
        (b"", (0, 0, "")),
        (b" -1 1;id x", (0, 0, "")),
        (b" 99999999999 \xff 1", (0, 0, "1")),
    ],
)
def test_reports_that_make_no_sense_count_as_unknown(line: bytes, expected: tuple[int, int, str]) -> None:
    started = shell.parse_started(line)
    assert (started.pid, started.group, started.leader_start) == expected


def test_boot_ids_that_make_no_sense_are_none() -> None:
    assert shell.parse_boot_id(b" \x1b[31m") == ""
    assert shell.parse_boot_id(b" " + b"a" * 200) == ""
    assert shell.parse_boot_id(b" { sec = 1, usec = 2 } Mon") == "{ sec = 1, usec = 2 } Mon"
