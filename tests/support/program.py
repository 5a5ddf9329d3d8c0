"""The real program on a real workspace: `windlass` as a process, against local SSH servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from core.engine.api import Engine
from core.engine.open import open_reader
from core.model.states import TaskState

REPOSITORY = Path(__file__).parents[2]
WAIT_S = 180.0  # generous: the machine may be busy with other tests


class Program:
    """A workspace with local servers, and the command line on it."""

    def __init__(self, path: Path, servers: Sequence[str] = ("a", "b", "c")) -> None:
        self.path = path
        self.servers = tuple(servers)
        (path / "servers").mkdir(parents=True)
        (path / "batches").mkdir()
        (path / "files").mkdir()
        (path / "workspace.yaml").write_text("name: lab\nformat: 1\n")
        entries = "".join(f"  {name}: {{groups: [all-of-them]}}\n" for name in servers)
        (path / "servers" / "local.yaml").write_text(f"provider: local\nservers:\n{entries}")

    def batch(self, text: str, name: str = "work") -> str:
        """Writes a batch and returns its name."""
        (self.path / "batches" / f"{name}.yaml").write_text(textwrap.dedent(text))
        return name

    def command(self, *words: str) -> list[str]:
        """The argument list of a command on this workspace."""
        return [sys.executable, "-m", "cli", "-w", str(self.path), *words]

    def planted(self, fault: str, argument: object, *words: str) -> list[str]:
        """The argument list of a command with a fault planted in it (see tests.faults.planted)."""
        fault_words = ["-m", "tests.faults.planted", fault, str(argument), "--", "-w", str(self.path)]
        return [sys.executable, *fault_words, *words]

    def call(self, *words: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end and checks its exit status (None: any)."""
        done = subprocess.run(
            self.command(*words),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        if status is not None:
            assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def process(self, *words: str, command: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
        """A command in the background (`command` where it is not the plain program); killed at the end if it
        still runs.
        """
        with subprocess.Popen(
            command or self.command(*words),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
                process.communicate(timeout=WAIT_S)

    def home(self, server: str) -> Path:
        """A local server's home folder."""
        (home,) = (self.path / ".windlass").glob(f"**/servers/{server}/home")
        return home

    def lines(self, server: str, file: str) -> list[str]:
        """The lines of a file in a server's home; [] where there is none."""
        path = self.home(server) / file
        return path.read_text().splitlines() if path.exists() else []

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Engine]:
        """Reads the workspace beside whoever owns it."""
        engine = await open_reader(self.path)
        try:
            yield engine
        finally:
            await engine.close()

    def states(self, run: int = 1) -> dict[str, str]:
        """Every task's state by its name, as stored."""

        async def read() -> dict[str, str]:
            async with self.reader() as engine:
                return {str(task.key): task.state.value for task in await engine.tasks(run, limit=100_000)}

        return asyncio.run(read())

    def events(self, run: int = 1) -> list[dict[str, Any]]:
        """Every event of a run, as JSON lines tell them."""

        async def read() -> list[dict[str, Any]]:
            async with self.reader() as engine:
                found = await engine.events(0, run=run, limit=100_000)
                return [
                    {"type": event.type, "step": event.step, "server": event.server, **event.data}
                    for event in found
                ]

        return asyncio.run(read())

    def until(self, name: str, state: TaskState, run: int = 1) -> None:
        """Returns when a task has come to a state."""
        self.until_event(
            lambda event: f"{event['step']}@{event['server']}" == name and event.get("to") == state, run
        )

    def until_event(self, wanted: Any, run: int = 1) -> None:
        """Returns when the log holds an event that is wanted."""

        async def look() -> None:
            while not (self.path / ".windlass" / "state.db").exists():
                await asyncio.sleep(0.05)
            async with self.reader() as engine, asyncio.timeout(WAIT_S):
                async for event in engine.follow(0, run=run):
                    if wanted({"type": event.type, "step": event.step, "server": event.server, **event.data}):
                        return

        asyncio.run(look())


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, and nothing kinder."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=WAIT_S)


def json_lines(text: str) -> list[dict[str, Any]]:
    """One object a line."""
    return [json.loads(line) for line in text.splitlines()]
