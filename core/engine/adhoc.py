"""One command on many servers as a batch of one step: planned, recorded, limited and resumed as every other run is.

The document lies in the workspace's state, so that what was run can be read as long as the run is kept.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from core.errors import InputError
from core.files import private_folder, write_atomically
from core.workspace.folder import Workspace

FOLDER = "adhoc"
KEPT = 50
"""So many documents are kept."""
STEP = "command"
MAX_COMMAND_BYTES = 64 * 1024
SHOWN_CHARS = 80
_OPENING = re.compile(r"\{[{%#]")


def adhoc_batch(
    selector: str, command: str, *, parallel: int = 20, timeout: str | None = None, sudo: bool = False
) -> str:
    """The batch document of one command. Its braces are the shell's, never a template's. Raises InputError."""
    if not command.strip():
        raise InputError("the command is empty")
    if len(command.encode("utf-8", "surrogateescape")) > MAX_COMMAND_BYTES:
        raise InputError(
            f"the command is longer than {MAX_COMMAND_BYTES} bytes", hint="upload a script and run it"
        )
    if not command.replace("\n", " ").replace("\t", " ").isprintable():
        raise InputError("the command holds a character that cannot be printed")
    step: dict[str, object] = {
        "description": _short(command),
        "on": selector,
        "run": _OPENING.sub(lambda found: "{{ '" + found.group() + "' }}", command),
    }
    if timeout is not None:
        step["timeout"] = timeout
    if sudo:
        step["sudo"] = True
    document = {
        "name": "exec",
        "description": f"windlass servers exec {_short(selector)}: {_short(command)}",
        "strategy": {"order": "free", "parallel": parallel, "on_failure": "continue"},
        "steps": {STEP: step},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"  # JSON is YAML


def keep_adhoc(workspace: Workspace, document: str) -> Path:
    """Writes a document (0600) beside the newest of those before it, and returns where. Blocks; raises InputError."""
    folder = private_folder(workspace.make_state_dir() / FOLDER)
    for old in sorted(folder.glob("exec-*.yaml"))[: -KEPT + 1]:
        old.unlink(missing_ok=True)
    now_us = time.time_ns() // 1000  # asked once: the name sorts by it
    second = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_us // 10**6))
    path = folder / f"exec-{second}-{now_us % 10**6:06d}.yaml"
    write_atomically(path, document.encode())
    return path


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 3] + "..."
