"""Reads which hosts an OpenSSH client configuration names, without connecting and without other options.

Only `Host`, `Match` and `Include` matter here: patterns without wildcards are hosts. How a host is reached
is looked up by the SSH library when it connects. Included files, depth, sizes and counts are bounded.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_DEPTH = 16
MAX_FILES = 256
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_HOSTS = 50_000

_WORDS = re.compile(r'"([^"]*)"|([^\s"]+)')


class SshConfigError(Exception):
    """A configuration that cannot be read or is out of bounds; the text names file and line."""


@dataclass(frozen=True, slots=True)
class ConfigHost:
    """One host that a configuration names, and where it was first named."""

    name: str
    file: Path
    line: int


def read_hosts(file: Path, *, user_folder: Path | None = None) -> list[ConfigHost]:
    """The hosts of a configuration in the order they are first named.

    `user_folder` is where relative `Include` paths start (`~/.ssh`). Raises SshConfigError.
    """
    reader = _Reader(user_folder or Path.home() / ".ssh")
    reader.read(file, [])
    return list(reader.hosts.values())


def choose(hosts: Sequence[ConfigHost], patterns: Sequence[str]) -> list[ConfigHost]:
    """The hosts that match a pattern list as OpenSSH does: any of `patterns`, none of those after `!`."""
    return [host for host in hosts if matches(host.name, patterns)]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """True when `name` matches one of the patterns (`*`, `?`) and none of the negated ones."""
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if _match(name, pattern[1:] if negated else pattern):
            if negated:
                return False
            found = True
    return found


def is_pattern(text: str) -> bool:
    """True for patterns with wildcards and negated ones."""
    return text.startswith("!") or "*" in text or "?" in text


def _match(name: str, pattern: str) -> bool:
    literal = pattern.replace("[", "[[]")  # brackets are no wildcards for OpenSSH
    return fnmatch.fnmatchcase(name.lower(), literal.lower())


class _Reader:
    """Collects hosts over included files; `outer` are the pattern lists that an Include stands under."""

    def __init__(self, user_folder: Path) -> None:
        self._user_folder = user_folder
        self._files = 0
        self.hosts: dict[str, ConfigHost] = {}

    def read(self, file: Path, outer: list[list[str]], depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            raise SshConfigError(f"{file}: more than {MAX_DEPTH} levels of Include")
        self._files += 1
        if self._files > MAX_FILES:
            raise SshConfigError(f"{file}: more than {MAX_FILES} files are included")
        block: list[str] | None = ["*"]  # None: a Match block, whose conditions are not known here
        for number, keyword, words in _lines(file):
            if keyword == "host":
                block = words
                self._add(file, number, words, outer)
            elif keyword == "match":
                block = ["*"] if [word.lower() for word in words] == ["all"] else None
            elif keyword == "include" and block is not None:
                for included in self._included(words):
                    self.read(included, [*outer, block], depth + 1)

    def _add(self, file: Path, line: int, words: list[str], outer: list[list[str]]) -> None:
        for name in words:
            if is_pattern(name) or name in self.hosts or not matches(name, words):
                continue
            if not all(matches(name, patterns) for patterns in outer):
                continue
            if len(self.hosts) >= MAX_HOSTS:
                raise SshConfigError(f"{file}:{line}: more than {MAX_HOSTS} hosts")
            self.hosts[name] = ConfigHost(name, file, line)

    def _included(self, words: list[str]) -> Iterator[Path]:
        for word in words:
            try:
                pattern = self._user_folder / Path(word).expanduser()
            except RuntimeError:  # a user that is not known
                continue
            for name in sorted(glob.glob(str(pattern))):
                path = Path(name)
                if path.is_file():
                    yield path


def _lines(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    """The settings of a file: line number, keyword in lower case, arguments."""
    try:
        if not file.is_file():
            raise SshConfigError(
                f"{file}: there is no such file" if not file.exists() else f"{file}: not a file"
            )
        if file.stat().st_size > MAX_FILE_BYTES:
            raise SshConfigError(f"{file}: larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SshConfigError(f"{file}: {error.strerror or error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = re.match(r"([A-Za-z0-9]+)(?:\s*=\s*|\s+|$)(.*)", stripped)
        if match is None:
            continue
        words: list[str] = []
        for quoted, plain in _WORDS.findall(match.group(2)):
            if plain.startswith("#"):
                break
            words.append(quoted or plain)
        yield number, match.group(1).lower(), words
