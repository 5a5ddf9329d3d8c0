"""Errors as people meet them: a message on stderr and an exit status, never a traceback.

An unexpected exception is written, with its traceback and without any values of variables, to a crash report
(0600) in the workspace's `.windlass/logs`, else in the temporary folder. WINDLASS_DEBUG=1 shows the traceback
as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import click

from cli.exits import Exit
from cli.options import GIVEN
from cli.terminal import paint, say
from cli.words import short_path

FAULTS_SHOWN = 200


def report(error: BaseException) -> int:
    """Tells of an error and returns the exit status."""
    from core.errors import WindlassError

    if isinstance(error, SystemExit):
        code = error.code
        return code if isinstance(code, int) else int(bool(code))
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError | click.Abort):
        say("interrupted")
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return _quiet()
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, WindlassError):
        tell(error)
        if error.exit_status == Exit.INTERNAL and _debug():
            traceback.print_exception(error)
        return error.exit_status
    if isinstance(error, BaseExceptionGroup):
        known = error.subgroup(WindlassError)
        if known is not None and error.split(WindlassError)[1] is None:
            return report(_first(known))
    return _crash(error)


def tell(error: BaseException) -> None:
    """A WindlassError on stderr: message, every fault, what to do next."""
    from core.errors import InputError, WindlassError

    if not isinstance(error, WindlassError):
        say(f"{paint('error:', 'error', sys.stderr)} {error}")
        return
    say(f"{paint('error:', 'error', sys.stderr)} {_safe(error.message)}")
    if isinstance(error, InputError):
        for fault in error.faults[:FAULTS_SHOWN]:
            say(_safe(fault_line(fault.file, fault.line, fault.column, fault.message, fault.hint)))
        if len(error.faults) > FAULTS_SHOWN:
            say(f"and {len(error.faults) - FAULTS_SHOWN} more")
    if error.hint:
        say(_safe(error.hint))


def fault_line(file: str, line: int, column: int, message: str, hint: str = "") -> str:
    """`file:line:column: message (hint)`, the file as it is reached from here."""
    return f"{short_path(file)}:{line}:{column}: {message}" + (f" ({hint})" if hint else "")


def _safe(text: str) -> str:
    """Messages may quote what documents and servers say; lines stay lines."""
    from cli.terminal import clean

    return "\n".join(clean(line) for line in text.split("\n"))


def _usage(error: click.ClickException) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    say(f"{paint('error:', 'error', sys.stderr)} {_safe(error.format_message())}")
    if context is not None:
        say(context.get_usage())
        say(f"`{context.command_path} --help` says more")
    return Exit.BAD_INPUT


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _quiet() -> int:
    """Nobody reads our output any more: end without a word, also from the interpreter's last flush."""
    void = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(void, stream.fileno())
    os.close(void)
    return Exit.OK


def _debug() -> bool:
    return os.environ.get("WINDLASS_DEBUG", "") not in {"", "0"}


def _crash(error: BaseException) -> int:
    text = "".join(traceback.format_exception(error))
    path = write_crash_report(text)
    what = traceback.format_exception_only(error)[-1].strip()
    say(f"{paint('internal error:', 'error', sys.stderr)} {_safe(what)}")
    say(
        "This is a fault of Windlass. Runs keep what was durable: `windlass runs list` shows where they stand."
    )
    if path is not None:
        say(f"A crash report is in {path}")
    if _debug():
        say(text)
    return Exit.INTERNAL


def write_crash_report(text: str) -> Path | None:
    """Writes a report (0600) where it can be kept; None where nothing can be written."""
    from cli.version import __version__

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    head = f"windlass {__version__}, python {sys.version.split()[0]}, {now}\n\n"
    prefix = f"windlass-crash-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-"
    for folder in (_workspace_logs(), None):
        try:
            if folder is not None:
                folder.mkdir(mode=0o700, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=".txt", dir=folder)
            with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
                file.write(head + text)
        except OSError:
            continue
        return Path(name)
    return None


def _workspace_logs() -> Path | None:
    """The logs of the workspace the command was about; None where it has no state folder."""
    from core.errors import WindlassError
    from core.workspace.find import find_workspace

    try:
        state = find_workspace(GIVEN.get("workspace")) / ".windlass"
    except (WindlassError, OSError):
        return None
    return state / "logs" if state.is_dir() else None
