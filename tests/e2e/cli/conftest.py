"""The real program in processes of its own, on real SSH servers of the `local` provider."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
LIMIT_S = 120.0


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Program:
    """A running `windlass`, its stderr in a file that can be read while it runs."""

    process: subprocess.Popen[str]
    errors: Path

    def err(self) -> str:
        """What it told so far."""
        return self.errors.read_text()

    def heard(self, text: str) -> None:
        """Returns once it has told `text`; fails when it ends without."""
        until(lambda: text in self.err() or self.process.poll() is not None, f"it says {text!r}")
        assert text in self.err(), self.err()

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def end(self) -> Answer:
        """Waits for its end."""
        out, _ = self.process.communicate(timeout=LIMIT_S)
        return Answer(self.process.returncode, out, self.err())


def until(true: Callable[[], bool], what: str) -> None:
    """A bounded poll for what another process does."""
    ends_at = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < ends_at, f"never seen: {what}"
        time.sleep(0.02)


@dataclass
class Place:
    """A workspace, and the program in it."""

    path: Path
    started: list[Program] = field(default_factory=list)

    def batch(self, text: str, name: str = "work") -> None:
        """Writes a batch."""
        (self.path / "batches" / f"{name}.yaml").write_text(textwrap.dedent(text))

    def start(self, *arguments: str) -> Program:
        """Starts `windlass ARGUMENTS` without a terminal."""
        errors = self.path.parent / f"stderr-{len(self.started)}.txt"
        with errors.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli", *arguments],
                cwd=self.path,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        program = Program(process, errors)
        self.started.append(program)
        return program

    def windlass(self, *arguments: str) -> Answer:
        """Runs `windlass ARGUMENTS` to its end."""
        return self.start(*arguments).end()

    def home(self, server: str) -> Path:
        """The home directory of a local server."""
        return self.path / ".windlass" / "providers" / "local" / "servers" / server / "home"

    def end(self) -> None:
        """Ends what is left."""
        for program in self.started:
            if program.process.poll() is None:
                program.process.kill()
                program.process.communicate()


def make_place(folder: Path, *servers: str) -> Place:
    """A workspace with local servers, started."""
    path = folder / "lab"
    (path / "batches").mkdir(parents=True)
    (path / "servers").mkdir()
    (path / "files").mkdir()
    (path / "workspace.yaml").write_text("format: 1\nname: lab\n")
    entries = "".join(f"  {name}: {{groups: [web]}}\n" for name in servers)
    (path / "servers" / "local.yaml").write_text(f"provider: local\nservers:\n{entries}")
    place = Place(path)
    answer = place.windlass("servers", "start")
    assert (answer.status, answer.out.split()) == (0, list(servers)), answer.err
    return place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A workspace with the local servers web-1 and web-2."""
    made = make_place(tmp_path, "web-1", "web-2")
    try:
        yield made
    finally:
        made.end()
        made.windlass("engine", "stop", "--now")
        assert made.windlass("servers", "stop").status == 0
