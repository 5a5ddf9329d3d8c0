"""The real command line with one fault planted: `python -m tests.faults.planted FAULT ARGUMENT ... -- WORDS`.

    start STEP            killed when the attempt is about to be handed over: its intent is durable
    started STEP          killed when the attempt has ended and before its outcome is durable
    commit TEXT           killed at the COMMIT of the first transaction with a statement that contains TEXT
    freeze-commit FILE    stopped (SIGSTOP) in the middle of a transaction, at the first COMMIT after FILE exists
    freeze-begin FILE     stopped right before a transaction takes its lock, once FILE exists

The faults are signals that the process sends to itself, so that nothing of it runs any more afterwards.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from core.store import database


def die() -> None:
    """kill -9, by ourselves."""
    os.kill(os.getpid(), signal.SIGKILL)


def plant_statements(fault: str, argument: str) -> None:
    """Looks at each statement that a writing connection is about to execute."""
    connect = database.connect
    seen = False

    def look(sql: str) -> None:
        nonlocal seen
        file = Path(argument)
        if fault == "commit":
            seen = seen or argument in sql
            if seen and sql.startswith("COMMIT"):
                die()
        elif sql.startswith("COMMIT" if fault == "freeze-commit" else "BEGIN") and file.exists():
            file.rename(file.with_suffix(".frozen"))
            # To this very thread: one that is sent to the process stops it a moment later.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def watched(path: Path, **options: Any) -> sqlite3.Connection:
        connection = connect(path, **options)
        connection.set_trace_callback(look)
        return connection

    database.connect = watched  # type: ignore[assignment]


def plant_executor(fault: str, step: str) -> None:
    """Dies around the hand-over of a step's command."""
    from core.engine import open as opening

    make = opening.ssh_executor

    class Deadly:
        def __init__(self, executor: Any) -> None:
            self._executor = executor

        def __getattr__(self, name: str) -> Any:
            return getattr(self._executor, name)

        async def start(self, server: Any, ref: Any, *rest: Any, **more: Any) -> Any:
            deadly = ref.step == step and ref.purpose.value in ("run", "undo")
            if deadly and fault == "start":
                die()
            answer = await self._executor.start(server, ref, *rest, **more)
            if deadly:
                die()
            return answer

    opening.ssh_executor = lambda workspace: Deadly(make(workspace))  # type: ignore[assignment, return-value]


def main() -> None:
    """Plants the fault and runs the command."""
    fault, argument, _, *words = sys.argv[1:]
    if fault in ("start", "started"):
        plant_executor(fault, argument)
    else:
        plant_statements(fault, argument)
    from cli.main import main as windlass

    windlass(words)


if __name__ == "__main__":
    main()
