"""Values worked out: each template once, when it is asked for, with everything that it refers to.

A value that is exactly one `{{ }}` keeps the type of what it gives; every other text with templates becomes text.
Values that refer to each other in a circle are told with the whole chain. How deep references go and how much they
make is bounded. What a template gives is a value and never a template again.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from core.config import paths
from core.config.facts import NAMES, Asked, Facts, Secrets, no_variable
from core.config.load import Config, leaves
from core.config.references import NO_REFERENCES, Referred, joined, plain_references, shape
from core.config.tree import Entry, Origin
from core.errors import Fault, InputError
from core.sandbox import BUDGET, Telling
from core.template import Expression, TemplateFault, compile_value

MAX_DEPTH = 30
MAX_TOTAL = 16 * 1024 * 1024
"""Characters of text that all templates together may make."""
KNOWN = frozenset(NAMES)
SCALARS = (str, int, float, type(None))


class _Unresolved(Exception):
    """A value that a template needs has a fault, which is told where it is."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Resolver:
    """The values of one configuration, worked out with the facts of one run."""

    def __init__(self, config: Config, facts: Facts) -> None:
        self.config = config
        self._facts = facts
        self._values: dict[paths.Path, Any] = {}
        self._faults: dict[paths.Path, Fault] = {}
        self._open: list[tuple[paths.Path, Entry]] = []
        self._secrets: dict[paths.Path, frozenset[str]] = {}
        self._secrets_open: list[set[str]] = []
        self._total = 0
        self._asked: dict[str, Any] = {}
        self._context = {
            "config": View(self, (), config.root),
            "env": Asked(self._variables, partial(no_variable, allowed=facts.allowed)),
            "git": Asked(lambda: {"commit": self._once("commit", facts.commit)}, _no_git),
            "now": facts.moment(),
            "secret": Secrets(self._secret),
            "servers": Asked(lambda: self._once("servers", facts.servers), self._no_server),
            "workspace": {"name": facts.workspace},
        }

    def value(self, path: paths.Path = ()) -> Any:
        """The value at a path as plain data. Raises InputError: there is none, or it has a fault."""
        try:
            return _plain(self._at(path))
        except _Unresolved as error:
            raise InputError(f"{paths.show(path)} cannot be worked out", faults=[error.fault]) from None

    def faults(self, path: paths.Path = ()) -> list[Fault]:
        """Everything wrong with the values at or below a path, each fault once."""
        found: list[Fault] = []
        for leaf, entry in leaves(self.config, path):
            try:
                self._scalar(leaf, entry)
            except _Unresolved as error:
                if error.fault not in found:
                    found.append(error.fault)
        return sorted(found, key=lambda fault: (fault.file, fault.line, fault.column))

    def with_secrets(self, secret: Callable[[str], str]) -> Resolver:
        """The same configuration at the same moment, with something else standing for its secrets."""
        return Resolver(self.config, replace(self._facts, secret=secret))

    @property
    def moment(self) -> str:
        """What `now` is in these values."""
        return self._facts.moment()

    def secrets(self, path: paths.Path) -> frozenset[str]:
        """The names of the secrets that went into the values at or below a path."""
        found: set[str] = set()
        for leaf, entry in leaves(self.config, path) or self._around(path):
            try:
                self._scalar(leaf, entry)
            except _Unresolved:
                continue
            found |= self._secrets.get(leaf, frozenset())
        return frozenset(found)

    def secret_origins(self, path: paths.Path) -> list[tuple[str, Origin]]:
        """The secrets that went into the values at or below a path, each with the value that holds it."""
        found = []
        for leaf, entry in leaves(self.config, path) or self._around(path):
            found += [(name, entry.origin) for name in sorted(self._secrets.get(leaf, frozenset()))]
        return found

    def origin(self, path: paths.Path) -> Origin:
        """Where the value at a path was written; where a template gives it, where that stands."""
        entry = self.config.root
        for part in path:
            child = entry.child(part)
            if child is None:
                break
            entry = child
        return entry.origin

    # ---------------------------------------------------------------- walking

    def _at(self, path: paths.Path) -> Any:
        """A value at a path; it may lie within what a template gives."""
        entry = self.config.root
        for depth, part in enumerate(path):
            child = entry.child(part)
            if child is None:
                if entry.kind == "scalar" and isinstance(entry.value, str):
                    try:
                        return paths.look_up(_plain(self._scalar(path[:depth], entry)), path[depth:])
                    except KeyError:
                        pass
                message, hint = self.config.missing(path)
                raise InputError(message, hint=hint)
            entry = child
        return self.view(path, entry)

    def _around(self, path: paths.Path) -> list[tuple[paths.Path, Entry]]:
        """The template whose value holds a path that nobody wrote, if there is one."""
        for length in range(1, len(path)):
            entry = self.config.find(path[:length])
            if entry is not None and entry.kind == "scalar":
                return [(path[:length], entry)]
        return []

    def view(self, path: paths.Path, entry: Entry) -> Any:
        """What a template sees of an entry: mappings are worked out key by key."""
        if entry.kind == "mapping":
            return View(self, path, entry)
        if entry.kind == "sequence":
            return [self.view((*path, index), child) for index, child in enumerate(entry.entries)]
        return self._scalar(path, entry)

    def _scalar(self, path: paths.Path, entry: Entry) -> Any:
        text = entry.value
        if entry.kind != "scalar":
            return entry.data()  # an empty collection
        if not isinstance(text, str) or ("{{" not in text and "{%" not in text and "{#" not in text):
            return text
        if path not in self._values and path not in self._faults:
            try:
                self._values[path] = self._render(path, entry, text)
            except _Unresolved as error:
                self._faults[path] = error.fault
        if self._secrets_open:
            self._secrets_open[-1] |= self._secrets.get(path, frozenset())
        if path in self._faults:
            raise _Unresolved(self._faults[path])
        return self._values[path]

    # ---------------------------------------------------------------- one template

    def _render(self, path: paths.Path, entry: Entry, text: str) -> Any:
        if any(opened == path for opened, _ in self._open):
            raise _Unresolved(self._circle(path, entry))
        if len(self._open) >= MAX_DEPTH:
            told = f"{paths.show(path)}: values refer to each other more than {MAX_DEPTH} deep"
            raise _Unresolved(_fault(entry, told))
        self._open.append((path, entry))
        self._secrets_open.append(set())
        before = (BUDGET.work, BUDGET.loops)
        try:
            return self._worked_out(path, entry, text)
        finally:
            self._secrets[path] = frozenset(self._secrets_open.pop())
            self._open.pop()
            if self._open:  # the template around goes on with what it had left
                BUDGET.work, BUDGET.loops = before

    def _worked_out(self, path: paths.Path, entry: Entry, text: str) -> Any:
        given = self._references(text)
        if given is NO_REFERENCES:
            given = self._by_shape(text)
        if given is NO_REFERENCES:
            given = self._rendered(path, entry, text)
        self._total += _size(given)
        if self._total > MAX_TOTAL:
            raise _Unresolved(_fault(entry, f"the templates make more than {MAX_TOTAL} characters in all"))
        return given

    def _references(self, text: str) -> Any:
        """What a text of plain references alone comes to; what is not plain, or not there, is left to a template."""
        plain = plain_references(text)
        if plain is None:
            return NO_REFERENCES
        around, referred = plain
        found = []
        for path in referred:
            entry = self.config.find(path)
            if entry is None or entry.kind != "scalar":
                return NO_REFERENCES
            found.append(self._scalar(path, entry))
        return joined(around, found)

    def _by_shape(self, text: str) -> Any:
        """What a template comes to by the shape that it shares with others, unless there is a fault."""
        found = shape(text, lambda path: self.config.find(path) is not None)
        if found is None:
            return NO_REFERENCES
        shared, referred = found
        context = {**self._context, "config": Referred(referred, self._at)}
        try:
            template = compile_value(shared)
            if not template.uses.names <= KNOWN:
                return NO_REFERENCES
            work_out = template.value if isinstance(template, Expression) else template.render
            return _plain(work_out(context))
        except (TemplateFault, ValueError):
            return NO_REFERENCES  # the template itself tells it in its own words

    def _rendered(self, path: paths.Path, entry: Entry, text: str) -> Any:
        try:
            template = compile_value(text)
            for name in sorted(template.uses.names.difference(NAMES)):
                close = difflib.get_close_matches(name, NAMES, n=1)
                near = f"did you mean {close[0]}?" if close else f"there is {', '.join(NAMES)}"
                raise _Unresolved(
                    _fault(entry, f"{paths.show(path)}: {name} is not defined in the configuration", near)
                )
            work_out = template.value if isinstance(template, Expression) else template.render
            return _plain(work_out(self._context))
        except TemplateFault as error:
            if isinstance(error.__cause__, _Unresolved):
                raise error.__cause__ from None
            if isinstance(error.__cause__, InputError):
                raise _Unresolved(_from_error(path, entry, error.__cause__)) from None
            raise _Unresolved(
                _fault(entry, f"{paths.show(path)}: {error.message}", line=error.line)
            ) from None
        except ValueError as error:
            raise _Unresolved(_fault(entry, f"{paths.show(path)}: {error}")) from None

    def _circle(self, path: paths.Path, entry: Entry) -> Fault:
        start = next(index for index, (opened, _) in enumerate(self._open) if opened == path)
        chain = [*self._open[start:], (path, entry)]
        told = " → ".join(f"{paths.show(found)} ({at.origin})" for found, at in chain[:-1])
        return _fault(entry, f"values refer to each other in a circle: {told} → {paths.show(path)}")

    # ---------------------------------------------------------------- facts

    def _once(self, name: str, ask: Any) -> Any:
        if name not in self._asked:
            self._asked[name] = ask()
        return self._asked[name]

    def _secret(self, name: str) -> str:
        if self._secrets_open:
            self._secrets_open[-1].add(name)
        return self._facts.secret(name)

    def _variables(self) -> dict[str, str]:
        facts = self._facts
        return {name: facts.environ[name] for name in facts.allowed if name in facts.environ}

    def _no_server(self, name: str) -> str:
        close = difflib.get_close_matches(name, self._once("servers", self._facts.servers), n=1)
        return f"there is no server '{name}'" + (f"; did you mean '{close[0]}'?" if close else "")


class View(Telling):
    """A mapping of the configuration as templates see it; its values are worked out when they are asked for."""

    def __init__(self, resolver: Resolver, path: paths.Path, entry: Entry) -> None:
        self._resolver = resolver
        self._path = path
        self._entry = entry

    def __getitem__(self, key: str) -> Any:
        return self._resolver.view((*self._path, key), self._entry.items[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entry.items)

    def __len__(self) -> int:
        return len(self._entry.items)

    def __contains__(self, key: object) -> bool:
        return key in self._entry.items

    def missing(self, key: str) -> str:
        return "; ".join(filter(None, self._resolver.config.missing((*self._path, key))))


def _no_git(name: str) -> str:
    return f"git.{name} is not defined; there is git.commit"


def _plain(value: Any) -> Any:
    """Plain data of its own. Raises ValueError for what is none."""
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it gives no finite number")
    if not isinstance(value, SCALARS):
        raise ValueError("it gives no plain value; | list makes a list of what a filter goes over")
    return value


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(len(key) + _size(item) for key, item in value.items()) + 1
    if isinstance(value, list):
        return sum(map(_size, value)) + 1
    return len(value) if isinstance(value, str) else 1


def _fault(entry: Entry, message: str, hint: str = "", *, line: int = 1) -> Fault:
    origin = entry.origin
    if entry.block:
        return Fault(origin.file, origin.line + line, 1, message, hint)
    return Fault(origin.file, origin.line + line - 1, origin.column, message, hint)


def _from_error(path: paths.Path, entry: Entry, error: InputError) -> Fault:
    told = "; ".join([error.message, *map(str, error.faults[:3])])
    return _fault(entry, f"{paths.show(path)}: {told}", error.hint)
