"""Output of supervised commands: exact, whatever the command does with it, and bounded on the server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, Stopped
from core.model.ids import new_run_id
from core.model.states import Stream
from core.ssh.supervisor.program import CHUNK_BYTES, SMALL_BYTES
from tests.e2e.ssh.lab import PATIENCE_S, Lab, Recorder, eventually, laboratory, new_ref
from tests.e2e.ssh.records import Record, record_in_flight, record_of
from tests.support.hosts import Host
from tests.support.sshd import alive

BOUND = 400_000


@pytest.fixture
def run_id() -> str:
    return new_run_id()


@pytest.fixture
async def bounded(host: Host, run_id: str) -> AsyncIterator[Lab]:
    """A server on which output files may have 400 kB."""
    settings = replace(host.settings, output_bound_bytes=BOUND)
    async with laboratory(host.server, settings, run_id=run_id) as made:
        yield made


class GapRecorder(Recorder):
    """Takes gaps: for each chunk where it starts, how long it is."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = dict.fromkeys(Stream, 0)
        self.gaps: list[tuple[int, int]] = []
        self.tail = b""
        self.wait: asyncio.Event | None = None

    def __call__(self, stream: Stream, start: int, data: bytes) -> Awaitable[None] | None:
        assert data and start >= self.ends[stream], "nothing comes twice"
        if start > self.ends[stream]:
            self.gaps.append((self.ends[stream], start))
        self.ends[stream] = start + len(data)
        self.tail = (self.tail + data)[-1000:]
        if stream is Stream.STDOUT and len(self.streams[stream]) < 1000:
            super().__call__(stream, len(self.streams[stream]), data[:1000])
        return self.wait.wait() if self.wait is not None else None  # type: ignore[return-value]


# ---------------------------------------------------------------- exact


async def test_all_byte_values_short_and_long_with_and_without_a_newline(
    shell_lab: Lab, tmp_path: Path
) -> None:
    every = bytes(range(256))
    cases = [
        every,
        every[1:],
        every[11:] + b"\n",
        b"\x81\x82\x83\x84\x85\x86\x87\x88\\c\\0%s\n",
        b"\n",
        b"\n\n",
        b" \t \n",
    ]
    cases += [b"a" * size for size in (399, 400, 401, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1)]
    cases += [
        every * 16,
        every[1:] * 16,
        b"x\n" * (SMALL_BYTES // 2),
        b"-n\n",
        b"= 0\n",
        b"one\ntwo",
        b"one\n two \n",
        b"one\n\n\ntwo\n",
        b"^\n",
        b"one^\ntwo\n",
        b"one\n^two\n",
        b"one\n\0two\n",
        b"one\n\x80\xff\n",
        b"x\n" * 200,
        b"x\n" * 201,
    ]
    for number, case in enumerate(cases):
        path = tmp_path / str(number)
        path.write_bytes(case)
        answer, recorder = await shell_lab.run(f"cat {path}; cat {path} >&2; exit {number}")
        assert (answer, recorder.out, recorder.err) == (Ended(number), case, case), case[:40]
        answer, recorder = await shell_lab.run(f"cat {path}; exit {number}")
        assert (answer, recorder.out, recorder.err) == (Ended(number), case, b""), case[:40]


async def test_twenty_at_once_with_two_hundred_kilobytes_each_while_they_are_looked_at(
    lab: Lab, tmp_path: Path
) -> None:
    async def one(number: int) -> None:
        data = random.Random(number).randbytes(200_000)
        path = tmp_path / str(number)
        path.write_bytes(data)
        text = (
            f"i=0; while [ $i -lt 20 ]; do tail -c +$((i*10000+1)) {path} | head -c 10000; "
            f"i=$((i+1)); sleep 0.03; done; exit {number}"
        )
        answer, recorder = await lab.run(text)
        assert answer == Ended(number)
        assert hashlib.sha256(recorder.out).digest() == hashlib.sha256(data).digest()
        assert recorder.err == b""

    await asyncio.gather(*(one(number) for number in range(20)))


async def test_a_chunk_and_more(lab: Lab, tmp_path: Path) -> None:
    for size in (CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES):
        data = random.Random(size).randbytes(size)
        (tmp_path / "data").write_bytes(data)
        answer, recorder = await lab.run(f"cat {tmp_path}/data")
        assert answer == Ended(0)
        assert recorder.out == data


# ---------------------------------------------------------------- opened anew


async def test_appending_to_the_output_by_its_name(shell_lab: Lab) -> None:
    answer, recorder = await shell_lab.run(
        "echo a; echo b >>/dev/stdout; echo c; echo d >>/dev/stderr; echo e >&2; sleep 0.3; "
        "echo f >>/dev/stdout; echo g >>/dev/stderr; sleep 0.3; echo h"
    )
    assert answer == Ended(0)
    assert recorder.out == b"a\nb\nc\nf\nh\n"
    assert recorder.err == b"d\ne\ng\n"


async def test_what_goes_by_another_way_is_streamed_as_well(lab: Lab) -> None:
    flying = await lab.begin("exec >>/dev/stdout; sleep 0.3; echo streamed; sleep 300")
    await flying.recorder.until(b"streamed\n")
    assert isinstance(await lab.executor.stop(lab.server, flying.ref, 2), Stopped)
    flying = await lab.begin("sleep 1 & exec >>/dev/stdout; sleep 0.3; seq 300; exit 7")
    assert await flying.answer == Ended(7)
    assert flying.recorder.out == b"ready\n" + b"".join(b"%d\n" % number for number in range(1, 301))


async def test_a_command_that_empties_its_own_output_loses_that_and_no_more(shell_lab: Lab, lab: Lab) -> None:
    """`>/dev/stdout` opens the file anew. What was read before stays, what comes later follows it."""
    flying = await shell_lab.begin(
        "sleep 0.4; echo lost; echo b >/dev/stdout; sleep 0.7; echo c; echo d >>/dev/stdout; sleep 0.5; exit 5"
    )
    others = await asyncio.gather(*(shell_lab.run(f"sleep 0.{number}; echo {number}") for number in range(9)))
    assert [recorder.out for _, recorder in others] == [b"%d\n" % number for number in range(9)]
    assert await flying.answer == Ended(5)
    assert flying.recorder.out.startswith(b"ready\n") and flying.recorder.out.endswith(b"b\nc\nd\n")


async def test_output_that_is_sent_elsewhere_is_not_ours(lab: Lab, tmp_path: Path) -> None:
    answer, recorder = await lab.run(f"echo a; exec >{tmp_path}/out 2>&1; echo b; exit 2")
    assert (answer, recorder.out) == (Ended(2), b"a\n")
    assert (tmp_path / "out").read_text() == "b\n"


async def test_what_is_left_in_the_background_does_not_delay_the_end(lab: Lab) -> None:
    answer, recorder = await lab.run("(sleep 300; echo late) & echo $! $$; exit 8")
    assert answer == Ended(8)
    pid, group = map(int, recorder.out.split())
    assert alive(pid)
    os.killpg(group, signal.SIGKILL)


async def test_output_that_nobody_wants_is_nowhere(lab: Lab) -> None:
    ref = new_ref()
    answer = await lab.start(
        Command("yes | head -c 5000000; yes | head -c 5000 >&2; exit 3", discard=True), rec := Recorder(), ref
    )
    assert answer == Ended(3)
    assert rec.out == rec.err == b""
    record = await record_of(lab, ref)
    assert record.file("o").stat().st_size == record.file("e").stat().st_size == 0


# ---------------------------------------------------------------- bounded


async def settle(record: Record, passes: int) -> int:
    """Waits until the output was cut so often; the largest size that was seen meanwhile."""
    largest = 0
    cuts = Path(f"{record.file('o')}.k")

    def cut() -> bool:
        nonlocal largest
        largest = max(largest, record.file("o").stat().st_size)
        return cuts.exists() and len(cuts.read_text().split()) >= passes

    await eventually(cut, "its output is cut")
    return largest


# About 3 MB a second, so that a look every fifth of a second is enough on a slow machine too.
ENDLESS = "while :; do head -c 60000 /dev/zero | tr '\\0' x; echo; sleep 0.02; done"


async def test_an_endless_printer_is_bounded_while_it_is_followed(bounded: Lab) -> None:
    recorder = GapRecorder()
    recorder.wait = asyncio.Event()  # the store takes nothing for now, so nobody looks at it
    ref = new_ref()
    following = asyncio.ensure_future(bounded.start(Command(f"echo ready; {ENDLESS}"), recorder, ref))
    await recorder.until(b"ready\n")
    record = await record_of(bounded, ref)
    largest = await settle(record, 2)
    assert largest < BOUND + 50 * 1024 * 1024
    recorder.wait.set()
    recorder.wait = None
    await eventually(lambda: bool(recorder.gaps), "the gap is told")
    assert isinstance(await bounded.executor.stop(bounded.server, ref, 2), Stopped)
    assert isinstance(await following, Ended)
    total = sum(map(int, Path(f"{record.file('o')}.k").read_text().split())) + record.file("o").stat().st_size
    assert recorder.ends[Stream.STDOUT] == total


async def test_an_endless_printer_is_bounded_when_nobody_listens(
    bounded: Lab, host: Host, run_id: str
) -> None:
    flying = await bounded.begin(ENDLESS)
    record = await record_in_flight(bounded, flying)
    pid = record.pid
    await bounded.executor._pool.close()
    assert isinstance(await flying.answer, InDoubt)
    assert await settle(record, 3) < BOUND + 50 * 1024 * 1024
    recorder = GapRecorder()
    recorder.ends[Stream.STDOUT] = known = len(flying.recorder.out)
    async with laboratory(host.server, bounded.executor._settings, run_id=run_id) as second:
        attached = asyncio.ensure_future(
            second.executor.attach(
                host.server, flying.ref, Command(""), {Stream.STDOUT: known}, recorder, record.trace
            )
        )
        await eventually(lambda: bool(recorder.gaps), "the gap is told")
        assert recorder.gaps[0][0] == known
        assert isinstance(await second.executor.stop(host.server, flying.ref, 2), Stopped)
        assert isinstance(await attached, Ended)
    assert not alive(pid)
    assert recorder.ends[Stream.STDOUT] == counted(record)


async def test_the_last_words_after_a_cut_are_told_at_their_place(
    bounded: Lab, host: Host, run_id: str
) -> None:
    """A short line that is all what is left in the file is not taken for the whole output."""
    size = 3 * BOUND
    flying = await bounded.begin(
        f"sleep 0.3; head -c {size} /dev/zero | tr '\\0' x; sleep 3; echo the end; exit 2"
    )
    record = await record_in_flight(bounded, flying)
    await bounded.executor._pool.close()
    assert isinstance(await flying.answer, InDoubt)
    await settle(record, 1)
    await record.ended()
    recorder = GapRecorder()
    async with laboratory(host.server, bounded.executor._settings, run_id=run_id) as second:
        assert await second.executor.attach(
            host.server, flying.ref, Command(""), {}, recorder, record.trace
        ) == Ended(2)
    assert recorder.tail.endswith(b"the end\n")
    # What was printed in the very moment of a cut is in no count: a place behind a cut is "at least".
    assert recorder.ends[Stream.STDOUT] == counted(record) > BOUND
    assert recorder.ends[Stream.STDOUT] <= len(b"ready\n") + size + len(b"the end\n")
    assert recorder.gaps and recorder.gaps[0][0] == 0


async def test_the_end_is_not_told_before_an_output_that_is_just_being_cut(
    bounded: Lab, host: Host, run_id: str
) -> None:
    size = 50_000
    flying = await bounded.begin(f"sleep 0.5; head -c {size} /dev/zero | tr '\\0' x; exit 3")
    record = await record_in_flight(bounded, flying)
    await bounded.executor._pool.close()
    assert isinstance(await flying.answer, InDoubt)
    await record.ended()
    # A guard that is there, in the middle of a cut: this process, for the shell that looks.
    (record.folder / "guard").write_text(f"{os.getpid()} {started(os.getpid())}\n")
    (record.folder / "cutting").write_text("c")
    recorder = GapRecorder()
    async with laboratory(host.server, bounded.executor._settings, run_id=run_id) as second:
        attached = asyncio.ensure_future(
            second.executor.attach(host.server, flying.ref, Command(""), {}, recorder, record.trace)
        )
        await asyncio.sleep(1)
        assert not attached.done()
        (record.folder / "cutting").write_text("")
        assert await attached == Ended(3)
    assert recorder.ends[Stream.STDOUT] == len(b"ready\n") + size


def started(pid: int) -> str:
    """When a process started, in clock ticks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def counted(record: Record) -> int:
    """The bytes of standard output that the server knows of: those cut away, and those in the file."""
    cuts = map(int, Path(f"{record.file('o')}.k").read_text().split())
    return sum(cuts) + record.file("o").stat().st_size


async def lose(lab: Lab) -> None:
    """Closes the connection; the next request makes another."""
    connection = lab.executor._pool.current(lab.server)
    assert connection is not None
    await connection.link.close()


async def test_one_guard_for_a_folder_and_none_when_nothing_runs(
    bounded: Lab, host: Host, run_id: str
) -> None:
    flying = await bounded.begin(ENDLESS)
    record = await record_in_flight(bounded, flying)
    guard = record.folder / "guard"
    await eventually(lambda: guard.exists() and bool(guard.read_text()), "there is a guard")
    first = int(guard.read_text().split()[0])
    for _ in range(3):  # every session that ends asks for one
        await lose(bounded)
        await asyncio.gather(flying.answer, return_exceptions=True)
        assert (await bounded.executor.open(host.server)).folder == str(record.folder)
    assert int(guard.read_text().split()[0]) == first and alive(first)
    assert isinstance(await bounded.executor.stop(bounded.server, flying.ref, 2), Stopped)
    await lose(bounded)
    await eventually(lambda: not alive(first), "the guard ends")


async def test_a_guard_that_was_killed_is_replaced(bounded: Lab) -> None:
    flying = await bounded.begin(ENDLESS)
    record = await record_in_flight(bounded, flying)
    guard = record.folder / "guard"
    await eventually(lambda: guard.exists() and bool(guard.read_text()), "there is a guard")
    first = int(guard.read_text().split()[0])
    os.kill(first, signal.SIGKILL)
    (record.folder / "cutting").write_text("c")  # it was in the middle of it
    before = (
        len(Path(f"{record.file('o')}.k").read_text().split())
        if Path(f"{record.file('o')}.k").exists()
        else 0
    )
    async with asyncio.timeout(PATIENCE_S):
        await settle(record, before + 1)
    assert int(guard.read_text().split()[0]) != first
    assert isinstance(await bounded.executor.stop(bounded.server, flying.ref, 2), Stopped)
