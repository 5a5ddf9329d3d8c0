"""Reads OpenSSH client configuration: which settings apply to a host, each with its file and line.

Purpose: asyncssh reads such files once for each connection and skips what it does not know without a
word. Here a file is parsed once, evaluated for many hosts, and every setting keeps where it stands, so
that what is not honoured can be named. No connection is made and no command of a file is run.

Invariants, as in ssh_config(5): the first value of an option wins, options that are lists collect;
`Host` matches the name that was asked for; `Match final` gets a second pass. Conditions that cannot be
told here (exec, localnetwork, …) never match and are reported by `Effective.untold`.
"""

from __future__ import annotations

import getpass
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import Fault
from core.ssh.patterns import matches_list

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
MAX_INCLUDE_DEPTH = 16
MAX_FILE_BYTES = 4 * 1024 * 1024

COLLECTED = frozenset({"identityfile", "certificatefile"})
"""Options of which every value counts; of all others the first."""

_EITHER = {"proxycommand": "proxyjump", "proxyjump": "proxycommand"}
"""Of these two the one that comes first shuts the other out."""

_WITH_ARGUMENT = frozenset({"host", "originalhost", "user", "localuser", "tagged"})
_UNTOLD = frozenset({"exec", "localnetwork", "version", "sessiontype", "command"})
_REST_OF_LINE = frozenset({"proxycommand", "remotecommand", "localcommand", "knownhostscommand"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One option as it is written: `name` in lower case, its arguments, where it stands."""

    name: str
    arguments: tuple[str, ...]
    file: str
    line: int

    @property
    def value(self) -> str:
        """The arguments as one text."""
        return " ".join(self.arguments)

    @property
    def place(self) -> str:
        """ "file:line"."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A `Host` or `Match` line: `tests` are (keyword, argument, negated); `Host` has the keyword "name"."""

    tests: tuple[tuple[str, str, bool], ...]
    text: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Item:
    """A setting and every condition that must hold for it, outermost first."""

    conditions: tuple[Condition, ...]
    setting: Setting


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A parsed file with everything it includes. `faults` are lines that OpenSSH would refuse.

    `named` holds, by host name, the positions of items under a `Host` line of plain names; `general` those of
    all others. A file with a block for each of a thousand hosts is so not read through for each of them.
    """

    items: tuple[Item, ...]
    faults: tuple[Fault, ...]
    has_final: bool
    named: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    general: tuple[int, ...] = ()

    @classmethod
    def of(cls, items: Sequence[Item], faults: Sequence[Fault], has_final: bool) -> ConfigFile:
        """A file with its index."""
        named: dict[str, list[int]] = {}
        general: list[int] = []
        for position, item in enumerate(items):
            names = _plain_names(item.conditions)
            if names is None:
                general.append(position)
            for name in names or ():
                named.setdefault(name, []).append(position)
        positions = {name: tuple(found) for name, found in named.items()}
        return cls(tuple(items), tuple(faults), has_final, positions, tuple(general))

    def for_host(self, host: str) -> Iterator[Item]:
        """The items that may apply to a host, in file order; their conditions are still to be tested."""
        found = self.named.get(host.lower(), ())
        for position in sorted((*found, *self.general)) if found else self.general:
            yield self.items[position]


def _plain_names(conditions: tuple[Condition, ...]) -> set[str] | None:
    """The names of a `Host` line without wildcards and negations; None for everything else."""
    if len(conditions) != 1:
        return None
    ((keyword, patterns, _), *more) = conditions[0].tests
    if keyword != "name" or more or any(char in patterns for char in "*?!"):
        return None
    return {name.strip().lower() for name in patterns.split(",")}


@dataclass(slots=True)
class Effective:
    """What applies to one host. `untold` are conditions that nobody evaluated, `faults` unreadable lines."""

    host: str
    settings: dict[str, list[Setting]] = field(default_factory=dict)
    untold: list[Condition] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def first(self, name: str) -> Setting | None:
        """The setting of an option, or None."""
        found = self.settings.get(name)
        return found[0] if found else None

    def value(self, name: str) -> str | None:
        """The text of an option; "none" counts as not set."""
        setting = self.first(name)
        return None if setting is None or setting.value.lower() == "none" else setting.value

    def all(self, name: str) -> list[Setting]:
        """Every setting of an option that collects; an option without any gives an empty list."""
        return list(self.settings.get(name, ()))

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes-or-no option."""
        value = self.value(name)
        return default if value is None else value.lower() in ("yes", "true")


def config_paths(ssh_config: Path | None, use_ssh_config: bool) -> tuple[Path, ...]:
    """The files to read, in order: a file of one's own stands alone, as with `ssh -F`."""
    if not use_ssh_config:
        return ()
    if ssh_config is None:
        return (USER_CONFIG.expanduser(), SYSTEM_CONFIG)
    return () if ssh_config == Path() or str(ssh_config) == "none" else (ssh_config.expanduser(),)


def effective(paths: Sequence[Path], host: str, user: str | None = None) -> Effective:
    """What the files say of `host`. A file that does not exist says nothing.

    `user` is the login name given elsewhere, which `Match user` compares with and `User` cannot change.
    """
    files = [load(path) for path in paths]
    result = Effective(host)
    for file in files:
        result.faults.extend(file.faults)
    told: set[int] = set()
    for final in (False, True) if any(file.has_final for file in files) else (False,):
        known: dict[int, bool] = {}
        for file in files:
            for item in file.for_host(host):
                if _applies(item, result, user, final, known, told):
                    _take(result, item.setting)
    return result


def load(path: Path) -> ConfigFile:
    """Parses a file, or gives what was parsed before while it and what it includes are unchanged."""
    cached = _CACHE.get(path)
    if cached is not None and all(_signature(file) == signature for file, signature in cached[0].items()):
        return cached[1]
    reader = _Reader(check_owner=path == USER_CONFIG.expanduser())
    reader.read(path, (), 0)
    parsed = ConfigFile.of(reader.items, reader.faults, reader.has_final)
    if len(_CACHE) > 64:
        _CACHE.clear()
    _CACHE[path] = (reader.seen, parsed)
    return parsed


_Signature = tuple[int, ...] | None
_CACHE: dict[Path, tuple[dict[Path, _Signature], ConfigFile]] = {}


def _signature(path: Path) -> _Signature:
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino)


def _take(result: Effective, setting: Setting) -> None:
    if _EITHER.get(setting.name) in result.settings:
        return
    values = result.settings.setdefault(setting.name, [])
    if not values or (setting.name in COLLECTED and setting not in values):
        values.append(setting)


def _applies(
    item: Item, result: Effective, user: str | None, final: bool, known: dict[int, bool], told: set[int]
) -> bool:
    for condition in item.conditions:
        holds = known.get(id(condition))
        if holds is None:
            holds = known[id(condition)] = _holds(condition, result, user, final, told)
        if not holds:
            return False
    return True


def _holds(condition: Condition, result: Effective, user: str | None, final: bool, told: set[int]) -> bool:
    for keyword, argument, negated in condition.tests:
        if keyword in _UNTOLD:
            if id(condition) not in told:
                told.add(id(condition))
                result.untold.append(condition)
            return False
        match keyword:
            case "name" | "originalhost":
                holds = matches_list(result.host, argument)
            case "host":
                name = (result.value("hostname") or "%h").replace("%h", result.host).replace("%%", "%")
                holds = matches_list(name, argument)
            case "user":
                holds = matches_list(user or result.value("user") or local_user(), argument)
            case "localuser":
                holds = matches_list(local_user(), argument)
            case "tagged":
                holds = matches_list(result.value("tag") or "", argument)
            case "final":
                holds = final
            case "canonical":
                holds = False
            case _:
                holds = True
        if holds == negated:
            return False
    return True


def local_user() -> str:
    """The name of the user who runs this process; "" where nobody can tell. Asked anew each time: it costs
    microseconds, and a name kept for the life of the process would outlast a changed environment.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


# ---------------------------------------------------------------- parsing


def split_words(text: str) -> list[str]:
    """The words of a line: quotes group, backslash escapes quotes and itself, `#` begins a comment.

    Raises ValueError for a quote that is not closed.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    position = 0
    while position < len(text):
        char = text[position]
        following = text[position + 1 : position + 2]
        if char == "\\" and following and (following in "\"'\\" or (following == " " and not quote)):
            word = [] if word is None else word
            word.append(following)
            position += 1
        elif quote:
            if char == quote:
                quote = ""
            elif word is not None:
                word.append(char)
        elif char in "\"'":
            quote = char
            word = [] if word is None else word
        elif char in " \t":
            if word is not None:
                words.append("".join(word))
                word = None
        elif char == "#" and word is None:
            break
        else:
            word = [] if word is None else word
            word.append(char)
        position += 1
    if quote:
        raise ValueError("a quote is not closed")
    if word is not None:
        words.append("".join(word))
    return words


def _split_line(line: str) -> tuple[str, str]:
    """The keyword in lower case and the rest, with at most one `=` between them."""
    for position, char in enumerate(line):
        if char in " \t=":
            rest = line[position:].lstrip(" \t")
            return line[:position].lower(), rest.removeprefix("=").lstrip(" \t")
    return line.lower(), ""


class _Reader:
    """Collects the items of a file and of what it includes."""

    def __init__(self, *, check_owner: bool) -> None:
        self.items: list[Item] = []
        self.faults: list[Fault] = []
        self.seen: dict[Path, _Signature] = {}
        self.has_final = False
        self._check_owner = check_owner

    def read(self, path: Path, outer: tuple[Condition, ...], depth: int) -> None:
        self.seen[path] = _signature(path)
        text = self._text(path)
        if text is None:
            return
        file = str(path)
        conditions = outer
        for number, raw in enumerate(text.splitlines(), start=1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            keyword, rest = _split_line(line)
            try:
                words = [rest] if keyword in _REST_OF_LINE and rest else split_words(rest)
                if not words:
                    raise ValueError(f"{keyword} has no value")
                match keyword:
                    case "host":
                        tests = (("name", ",".join(words), False),)
                        conditions = (*outer, Condition(tests, line, file, number))
                    case "match":
                        conditions = (*outer, Condition(self._tests(words), line, file, number))
                    case "include":
                        self._include(words, path, conditions, depth)
                    case _:
                        self.items.append(Item(conditions, Setting(keyword, tuple(words), file, number)))
            except ValueError as error:
                self.faults.append(Fault(file, number, 1, str(error)))
                if keyword in ("host", "match"):
                    never = Condition((("all", "", True),), line, file, number)
                    conditions = (*outer, never)

    def _text(self, path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                info = os.fstat(file.fileno())
                if self._check_owner and (
                    info.st_uid not in (0, os.getuid()) or stat.S_IMODE(info.st_mode) & 0o022
                ):
                    self.faults.append(
                        Fault(
                            str(path),
                            0,
                            0,
                            "others can write to it",
                            f"chmod go-w {path}, and check its owner",
                        )
                    )
                    return None
                data = file.read(MAX_FILE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.faults.append(Fault(str(path), 0, 0, f"cannot be read: {error.strerror}"))
            return None
        if len(data) > MAX_FILE_BYTES:
            self.faults.append(Fault(str(path), 0, 0, f"is larger than {MAX_FILE_BYTES} bytes"))
            return None
        return data.decode("utf-8", "surrogateescape")

    def _tests(self, words: Sequence[str]) -> tuple[tuple[str, str, bool], ...]:
        tests: list[tuple[str, str, bool]] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            negated = word.startswith("!")
            keyword, equals, argument = word.removeprefix("!").partition("=")
            keyword = keyword.lower()
            if keyword in ("all", "canonical", "final"):
                self.has_final = self.has_final or keyword == "final"
            elif keyword in _WITH_ARGUMENT | _UNTOLD:
                if not equals:
                    if not rest:
                        raise ValueError(f"Match {keyword} needs a pattern")
                    argument = rest.pop(0)
            else:
                raise ValueError(f"Match does not know the condition {keyword!r}")
            tests.append((keyword, argument, negated))
        return tuple(tests)

    def _include(
        self, patterns: Sequence[str], path: Path, conditions: tuple[Condition, ...], depth: int
    ) -> None:
        if depth >= MAX_INCLUDE_DEPTH:
            raise ValueError(f"files include each other more than {MAX_INCLUDE_DEPTH} deep")
        for pattern in patterns:
            for included in _included(pattern, path):
                self.read(included, conditions, depth + 1)


def _included(pattern: str, path: Path) -> Iterator[Path]:
    """The files that an `Include` names; relative ones stand in ~/.ssh, or in /etc/ssh for its files."""
    target = Path(pattern).expanduser() if pattern.startswith("~") else Path(pattern)
    if target.is_absolute():
        base, rest = Path(target.anchor), str(Path(*target.parts[1:]))
    else:
        base = (
            SYSTEM_CONFIG.parent
            if path.is_relative_to(SYSTEM_CONFIG.parent)
            else USER_CONFIG.expanduser().parent
        )
        rest = str(target)
    if not rest or rest == ".":
        return
    yield from sorted(found for found in base.glob(rest) if found.is_file())
