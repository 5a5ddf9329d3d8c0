"""Checks an unsaved text of a configuration file in a process of its own: `python -m core.config.checking`.

Parsing takes a second for some thousand lines, and would hold up whoever shows what is being typed. The process reads
one JSON object a line and answers each with one; it ends with its standard input. `Checker` is its other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import Fault, InputError

LINE_BYTES = 64 * 1024 * 1024
"""More than any text and answer take."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text in place of a file, in the environment at hand. `servers` are those that templates may read.

    `trouble` says why the servers are not known, "" where they are.
    """

    folder: str
    file: str
    text: str
    environment: str
    servers: Mapping[str, Any]
    trouble: str = ""


def answer(question: Question) -> list[Fault]:
    """Every fault of the configuration with that text."""
    from core.config.effect import text_faults
    from core.workspace.folder import Workspace

    def servers() -> Mapping[str, Any]:
        if question.trouble:
            raise InputError(question.trouble)
        return question.servers

    try:
        workspace = Workspace.load(Path(question.folder))
        return text_faults(workspace, question.file, question.text, servers, question.environment)
    except InputError as error:
        return list(error.faults) or [Fault(question.file, 0, 0, error.message, error.hint)]


class Checker:
    """Asks one process, which is started with the first question and again where it was lost.

    A newer question overtakes an older one: whoever waits for the older is told None.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._newest = 0

    async def check(self, question: Question) -> Sequence[Fault] | None:
        """The faults of a text; None where a newer question has come meanwhile. Raises InputError."""
        self._newest += 1
        number = self._newest
        async with self._turn:
            if number != self._newest:
                return None
            try:
                found = await self._asked(question)
            except (OSError, ValueError) as error:
                await self.end()
                raise InputError(f"the text could not be checked: {error}") from error
        return found if number == self._newest else None

    async def _asked(self, question: Question) -> list[Fault]:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                # -P: a folder of the workspace never stands in for one of our packages.
                *(sys.executable, "-P", "-m", "core.config.checking"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=LINE_BYTES,
                start_new_session=True,  # a Ctrl-C of the terminal is not meant for it
            )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(question)).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
        except asyncio.CancelledError:
            await self.end()  # its answer would be taken for the next one's
            raise
        if not line:
            raise OSError("the process that checks it has ended")
        return [Fault(**each) for each in json.loads(line)]

    async def end(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def main() -> None:
    """Answers until there are no more questions."""
    for line in sys.stdin:
        found = answer(Question(**json.loads(line)))
        sys.stdout.write(json.dumps([asdict(fault) for fault in found]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
