"""Who decided and changed what: `.windlass/audit.jsonl`, one JSON object a line, each with the hash of the one before.

The log lies beside the database and not in it: whoever changes something writes it (the engine, and commands that need
no engine), and a backup that is put back takes nothing out of it. An entry is on the disk before its action begins;
what was then refused or failed has a second one. Lines are only ever added. Whoever edits, removes or moves one breaks
the chain from there on; what was cut off the end is seen only by a hash that was kept elsewhere (`verify` takes one).

The hash is SHA-256 of the entry as JSON with sorted keys, without spaces, in ASCII, without the hash itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import InputError, StoreError
from core.files import private_folder

FILE = "audit.jsonl"
FIRST = "0" * 64
TAIL_BYTES = 64 * 1024
MOST_LINE_BYTES = 60 * 1024
MOST_ACTOR_CHARS = 1000
EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision or change. `time` is wall time in seconds; `details` is plain data and holds no secret."""

    number: int
    time: float
    actor: str
    action: str
    details: Mapping[str, Any] = field(default_factory=dict)
    previous: str = FIRST
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """A chain that holds: how many entries it has, and the hash of the last one."""

    entries: int
    head: str


class AuditLog:
    """The log of the workspace whose state lies in `state_dir`."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.path = state_dir / FILE

    def append(self, actor: str, action: str, details: Mapping[str, Any] = EMPTY) -> Entry:
        """Adds an entry, durably. Blocks; several processes may. Raises StoreError, InputError."""
        private_folder(self._state_dir)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            last = self._last(descriptor)
            number, previous = (last.number + 1, last.hash) if last is not None else (1, FIRST)
            entry = _entry(number, actor, action, details, previous)
            os.write(descriptor, _line(entry))
            os.fsync(descriptor)
            return entry
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror or error}") from error
        finally:
            os.close(descriptor)

    def entries(self) -> Iterator[Entry]:
        """Every entry, oldest first. Raises InputError at a line that is none."""
        for number, line in self._lines():
            yield self._read(number, line)

    def verify(self, head: str = "") -> Verified:
        """Follows the chain to its end; with `head` an entry of that hash must be in it.

        Raises InputError, which names the first bad line.
        """
        count, previous, known = 0, FIRST, not head
        for number, line in self._lines():
            entry = self._read(number, line)
            count += 1
            if entry.number != count or entry.previous != previous:
                raise self._broken(number, f"it does not follow the line before it (entry {entry.number})")
            if _hashed(entry).hash != entry.hash:
                raise self._broken(number, f"entry {entry.number} was changed after it was written")
            previous = entry.hash
            known = known or entry.hash == head
        if not known:
            raise InputError(
                f"{self.path} has no entry of the hash {head[:80]}",
                hint="what came after that entry was cut off, or the hash is of another log",
            )
        return Verified(count, previous)

    # ------------------------------------------------------------ lines

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self.path.open("rb") as file:
                yield from enumerate(file, 1)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def _read(self, number: int, line: bytes) -> Entry:
        try:
            entry = Entry(**json.loads(line))
            _line(entry)
        except (ValueError, TypeError):
            raise self._broken(number, "it is no entry") from None
        if not line.endswith(b"\n"):
            raise self._broken(number, "it was not written to its end")
        return entry

    def _broken(self, number: int, why: str) -> InputError:
        return InputError(
            f"{self.path}:{number}:1: the audit log does not hold from here on: {why}",
            hint="the entries before it do; compare with an export or a backup of the file",
        )

    def _last(self, descriptor: int) -> Entry | None:
        """The last entry. What a crash left of a line that was never durable is taken away."""
        size = os.fstat(descriptor).st_size
        start = max(0, size - TAIL_BYTES)
        tail = os.pread(descriptor, size - start, start)
        whole = tail[: tail.rfind(b"\n") + 1]
        if len(whole) < len(tail):
            os.ftruncate(descriptor, start + len(whole))
        if not whole:
            return None
        line = whole[whole[:-1].rfind(b"\n") + 1 :]
        try:
            return Entry(**json.loads(line))
        except (ValueError, TypeError):
            raise StoreError(
                f"the last line of {self.path} is no entry: nothing is changed without the audit log",
                hint="`windlass audit verify` names the first bad line; move the file away to begin a new one",
            ) from None


def _hashed(entry: Entry) -> Entry:
    told = asdict(entry)
    del told["hash"]
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return Entry(**{**told, "hash": hashlib.sha256(text.encode()).hexdigest()})


def _entry(number: int, actor: str, action: str, details: Mapping[str, Any], previous: str) -> Entry:
    """A new entry; details that are too long for a line are left out, and that is said."""
    now = round(time.time(), 3)
    made = _hashed(Entry(number, now, actor[:MOST_ACTOR_CHARS], action, dict(details), previous))
    if len(_line(made)) > MOST_LINE_BYTES:
        made = _hashed(Entry(number, now, made.actor, action, {"left_out": "too long"}, previous))
    return made


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), separators=(",", ":"), allow_nan=False).encode() + b"\n"
