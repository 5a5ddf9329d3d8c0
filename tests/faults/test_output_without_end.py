"""FAILURES row 17: a task that prints without end, a line of 100 MB, a gigabyte.

The engine is a process of its own, its memory is read from /proc while it runs; what it keeps is compared with
what was printed. Sizes are those of the row in the long suite and smaller ones otherwise.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.store.output import HEAD_BYTES, ROW_BYTES, TAIL_BYTES
from tests.support.program import REPOSITORY, WAIT_S, Program

MIB = 1024 * 1024
FLAT_BYTES = 48 * MIB
"""What an engine may grow by while any amount is printed: its queue (8 MiB), windows, SQLite's caches."""

KEPT_BYTES = HEAD_BYTES + TAIL_BYTES + ROW_BYTES
"""The tail is kept in whole rows, so one of them may stand out."""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """The program on one running local server."""
    made = Program(tmp_path / "lab", ["a"])
    made.call("servers", "start")
    yield made
    made.call("servers", "stop")


class Watched:
    """A process and the most memory that it had, from the moment `mark` was called."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.marked = 0
        self.most = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def mark(self) -> None:
        """From here on growth counts."""
        self.marked = resident(self.process.pid)

    @property
    def grown(self) -> int:
        """How much it grew beyond the mark."""
        return self.most - self.marked

    def wait(self, limit_s: float) -> int:
        """Its exit status."""
        status = self.process.wait(timeout=limit_s)
        self._thread.join()
        return status

    def _watch(self) -> None:
        while self.process.poll() is None:
            self.most = max(self.most, resident(self.process.pid))
            time.sleep(0.02)


def resident(pid: int) -> int:
    """The memory of a process, in bytes; 0 where it has gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0


@contextmanager
def watched(program: Program, *words: str) -> Iterator[Watched]:
    """A command whose memory is watched; what it prints goes nowhere. Killed at the end if it still runs."""
    with subprocess.Popen(
        program.command(*words),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield Watched(process)
        finally:
            if process.poll() is None:
                process.kill()


def begun(program: Program, step: str) -> None:
    """Waits until a step has printed something."""
    program.until_event(lambda event: event["type"] == "task.output" and event["step"] == step)


def accounted(program: Program, step: str, printed: int, *, exact: bool) -> None:
    """Every byte that was printed is kept, or was counted and hashed, or is told as lost; little is kept.

    Lost are bytes only where the server's own record of the output had to be cut, since it is bounded too.
    How many these were nobody knows exactly, as nobody sees what is printed in the moment of a cut: then
    "at least" is what is told, and the total with it. With `exact` nothing may be lost.
    """
    words = ("runs", "logs", "1", f"{step}@a", "--stream", "stdout")
    answer = program.call(*words)
    found = re.search(
        r"of (\d+) bytes on stdout the middle (\d+) were not kept \(sha256 chain [0-9a-f]{16}\)",
        answer.stderr,
    )
    assert found, answer.stderr
    total, dropped = int(found[1]), int(found[2])
    lost = sum(map(int, re.findall(r"at least (\d+) bytes of stdout lost here", answer.stderr)))
    with subprocess.Popen(program.command(*words, "--raw"), cwd=REPOSITORY, stdout=subprocess.PIPE) as raw:
        assert raw.stdout is not None
        kept = len(raw.stdout.read())
    assert total == printed or (lost and total < printed)
    assert not (exact and lost)
    assert kept + dropped + lost == total, (kept, dropped, lost, answer.stderr)
    assert 0 < kept <= KEPT_BYTES


# The first step brings the engine to what it needs anyway; growth counts from there.
BATCH = """
    supervise: SUPERVISE
    strategy: {order: free}
    steps:
      warm: {run: "head -c 20000000 /dev/zero | tr '\\\\0' w", undo: ":"}
      print:
        run: |
          echo begun
          while [ ! -e go ]; do sleep 0.05; done
          COMMAND
        undo: ":"
"""

LINES = "yes 'a line of output like any other, and sixty-four bytes long....' | head -c"
PRINTS = {
    "lines": (LINES, "{size}"),
    "a line without an end": ("head -c {size} /dev/zero | tr '\\\\0' x", ""),
    "any bytes": ("head -c {size} /dev/urandom", ""),
    "control sequences": (
        r"yes \"$(printf '\\033]52;c;aGk=\\007\\033[2J\\033]0;title\\007\\000\\377')\" | head -c {size}",
        "",
    ),
}


def printing(what: str, size: int, *, supervise: bool = True) -> str:
    command, argument = PRINTS[what]
    batch = BATCH.replace("SUPERVISE", str(supervise).lower())
    return batch.replace("COMMAND", f"{command} {argument}".format(size=size))


def stays_flat(program: Program, what: str, size: int, *, supervise: bool) -> None:
    """Prints `size` bytes and compares."""
    with watched(program, "run", program.batch(printing(what, size, supervise=supervise))) as engine:
        begun(program, "print")
        engine.mark()
        (program.home("a") / "go").touch()
        assert engine.wait(20 * WAIT_S) == 0
    assert engine.grown < FLAT_BYTES, f"grew by {engine.grown / MIB:.0f} MiB"
    accounted(program, "print", size + len("begun\n"), exact=not supervise)


@pytest.mark.parametrize(
    "supervise", [True, pytest.param(False, marks=pytest.mark.long)], ids=["supervised", "plain"]
)
@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=[pytest.mark.long] if what != "lines" else []) for what in sorted(PRINTS)],
)
def test_f17_memory_is_flat_and_head_and_tail_are_kept(program: Program, what: str, supervise: bool) -> None:
    stays_flat(program, what, 100_000_000, supervise=supervise)
    shown = program.call("runs", "logs", "1", "print@a")
    assert "begun" in shown.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown.stdout + shown.stderr)


@pytest.mark.long
def test_f17_a_gigabyte(program: Program) -> None:
    stays_flat(program, "lines", 1_000_000_000, supervise=True)


@pytest.mark.long
def test_f17_a_disk_that_is_behind_lets_the_output_wait_on_the_server(program: Program) -> None:
    """Somebody else holds the database's lock: nothing can be stored for a while, and nothing piles up."""
    size = 400_000_000
    with watched(program, "run", program.batch(printing("lines", size, supervise=False))) as engine:
        begun(program, "print")
        engine.mark()
        with contextlib.closing(
            sqlite3.connect(program.path / ".windlass" / "state.db", timeout=30)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            (program.home("a") / "go").touch()
            time.sleep(3)  # what would pile up in this time is some hundred megabytes
            other.execute("ROLLBACK")
        assert engine.wait(20 * WAIT_S) == 0
    assert engine.grown < FLAT_BYTES, f"grew by {engine.grown / MIB:.0f} MiB"
    accounted(program, "print", size + len("begun\n"), exact=True)


@pytest.mark.long
def test_f17_one_who_follows_stays_flat_too_and_others_are_answered(program: Program) -> None:
    endless = BATCH.replace("SUPERVISE", "true").replace("COMMAND", "yes 'on and on, without end'")
    with watched(program, "run", program.batch(endless)) as engine:
        begun(program, "print")
        with watched(program, "runs", "logs", "-f", "1", "print@a") as follower:
            (program.home("a") / "go").touch()
            program.call("runs", "list")
            engine.mark()
            follower.mark()
            ends_at = time.monotonic() + 5
            asked = 0
            while time.monotonic() < ends_at or asked < 2:
                assert "running" in program.call("runs", "show", "1").stdout
                asked += 1
            assert engine.process.poll() is None and follower.process.poll() is None
            assert follower.grown < FLAT_BYTES and engine.grown < FLAT_BYTES
