"""How long Windlass takes to start, beside the least that Python and its libraries take.

    python -m benchmarks.bench_start [--rounds 11] [--folder DIR] [--json]

Each row is a program of its own, started again and again in turn with the others; wall time is to its end,
CPU time the process's own. For the interface, a program in a pseudo-terminal of 120 × 40, wall time is to
the first frame (the header and the line of keys are drawn) and to the frame that holds what the engine read
of the workspace's batches (one is listed with its steps); it is ended then. `bare Textual` is an
application with one line of text. The workspace has twelve servers, one batch and one run that ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import measure

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07")
SIZE = (40, 120)  # rows, columns
GIVE_UP_S = 60.0
WINDLASS = [sys.executable, "-m", "cli"]
BARE_TEXTUAL = """
from textual.app import App
from textual.widgets import Label
class Bare(App):
    def compose(self):
        yield Label("one line of keys")
Bare().run()
"""


@dataclass(frozen=True, slots=True)
class Took:
    """What one start took; `shown_s` are the times until each of the texts waited for was on the screen."""

    wall_s: float
    cpu_s: float
    shown_s: tuple[float, ...] = ()


def start(command: Sequence[str], environment: Mapping[str, str]) -> Took:
    """A program to its end."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Took(wall_s, used.ru_utime + used.ru_stime)


def paint(command: Sequence[str], environment: Mapping[str, str], texts: Sequence[bytes]) -> Took:
    """A program in a terminal, until it has shown each of `texts` in turn; then it is ended."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, SIZE)
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown: list[float] = []
    output = b""
    try:
        while len(shown) < len(texts):
            if time.perf_counter() - begun > GIVE_UP_S:
                raise RuntimeError(f"{texts[len(shown)]!r} did not come up")
            if select.select([ours], [], [], 0.5)[0]:
                output += os.read(ours, 1 << 16)
                if texts[len(shown)] in CONTROL.sub(b"", output):
                    shown.append(time.perf_counter() - begun)
        ends_at = time.perf_counter() + 2
        process.send_signal(signal.SIGHUP)
        while time.perf_counter() < ends_at and process.poll() is None:
            with contextlib.suppress(OSError):
                if select.select([ours], [], [], 0.05)[0]:
                    os.read(ours, 1 << 16)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Took(shown[-1], 0.0, tuple(shown))


def make_workspace(path: Path) -> None:
    """A small workspace with one run that ended."""
    from benchmarks import bench_engine
    from core.engine.api import PlanRequest, RunRequest
    from core.engine.open import open_engine

    async def one_run() -> None:
        engine = await open_engine(
            path, actor="bench", executor_factory=lambda _workspace: bench_engine.NoWork()
        )
        run = await engine.start(RunRequest(PlanRequest("chains"), "bench"))
        await engine.wait(run.number)
        await engine.close()

    bench_engine.make_workspace(path, 12, 3)
    asyncio.run(one_run())


def measure_all(rounds: int, parent: Path) -> dict[str, Took]:
    """Every program in turn; medians of each figure by itself."""
    with measure.folder(parent, "bench-start-") as folder:
        workspace = folder / "workspace"
        make_workspace(workspace)
        environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "WINDLASS_WORKSPACE": str(workspace),
        }

        def python(code: str) -> list[str]:
            return [sys.executable, "-c", code]

        variants: dict[str, Callable[[], Took]] = {
            "python -c pass": partial(start, python("pass"), environment),
            "import click": partial(start, python("import click"), environment),
            "windlass --version": partial(start, [*WINDLASS, "--version"], environment),
            "import click, aiosqlite": partial(start, python("import click, aiosqlite"), environment),
            "windlass runs list": partial(start, [*WINDLASS, "runs", "list"], environment),
            "import textual.app": partial(start, python("import textual.app"), environment),
            "bare Textual": partial(paint, python(BARE_TEXTUAL), environment, [b"keys"]),
            "windlass, first frame": partial(paint, [*WINDLASS], environment, [b"keys", b"3 steps"]),
        }
        for variant in variants.values():  # compiled and read from the disk once
            variant()
        results = measure.in_turn(variants, rounds)
    medians = {
        name: Took(
            measure.median([took.wall_s for took in found]),
            measure.median([took.cpu_s for took in found]),
            tuple(measure.median(values) for values in zip(*(took.shown_s for took in found), strict=True)),
        )
        for name, found in results.items()
    }
    interface = medians.pop("windlass, first frame")
    first_s, whole_s = interface.shown_s
    return {
        **medians,
        "windlass, first frame": Took(first_s, 0.0),
        "windlass, with its data": Took(whole_s, 0.0),
    }


PEERS = {
    "windlass --version": "import click",
    "windlass runs list": "import click, aiosqlite",
    "bare Textual": "import textual.app",
    "windlass, first frame": "bare Textual",
    "windlass, with its data": "bare Textual",
}
"""What each row is a multiple of."""


def main() -> None:
    """Runs everything and prints the table."""
    options = measure.arguments("How long Windlass takes to start.", rounds=11).parse_args()
    measure.end_on_signals()
    if not options.json:
        print(f"{measure.machine_line()}; median of {options.rounds}\n")
    results = measure_all(options.rounds, options.folder)
    document = {
        name: {
            "wall_ms": took.wall_s * 1000,
            "cpu_ms": took.cpu_s * 1000,
            "peer": PEERS.get(name),
            "ratio": took.wall_s / results[PEERS[name]].wall_s if name in PEERS else None,
        }
        for name, took in results.items()
    }
    rows = [
        (
            name,
            f"{took.wall_s * 1000:.0f}",
            f"{took.cpu_s * 1000:.0f}" if took.cpu_s else "-",
            f"{took.wall_s / results[PEERS[name]].wall_s:.2f} × {PEERS[name]}" if name in PEERS else "",
        )
        for name, took in results.items()
    ]
    measure.show(
        ("", "wall ms", "CPU ms", "beside"),
        rows,
        {"benchmark": "start", "variants": document},
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
