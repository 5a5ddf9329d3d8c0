"""The Jinja2 environment of the templates: bounded, without globals, over plain data.

Only data goes in and no method comes out: attributes of mappings are their keys. A small template cannot make
a large text or run for long: powers, repetition and formats are refused, sums and joined texts are measured
before they are made, loops are counted, and so is the whole. `core.template` is the way in.
"""

from __future__ import annotations

import difflib
import shlex
import threading
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn

from jinja2 import StrictUndefined, Undefined, UndefinedError, nodes, pass_context, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.filters import make_attrgetter
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

MAX_RENDERED = 1024 * 1024
MAX_WORK = 32 * MAX_RENDERED
"""Characters and entries that one rendering may make on the way to its text."""
MAX_LOOPS = 1_000_000
MAX_BITS = 4096
NAMES = ("params", "config", "server", "servers", "registered", "run", "step", "env")
FILTERS = (
    "abs", "capitalize", "count", "default", "d", "first", "float", "int", "items", "join", "last", "length",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "round", "select", "selectattr",
    "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
)  # fmt: skip
LOOP_NAMES = ("first", "index", "index0", "last", "length", "revindex", "revindex0")


class Telling(Mapping[str, Any]):
    """A mapping that says itself why a key is missing from it."""

    @abstractmethod
    def missing(self, key: str) -> str:
        """Why there is no such key, in one sentence, with what would have been near."""


class _Strict(StrictUndefined):
    """A missing name that says what would have been near."""

    def _fail_with_undefined_error(self, *_: Any, **__: Any) -> NoReturn:
        raise UndefinedError(_missing(self._undefined_obj, self._undefined_name, self._undefined_message))

    __str__ = __iter__ = __len__ = __bool__ = __eq__ = __ne__ = __hash__ = _fail_with_undefined_error
    __add__ = __radd__ = __contains__ = __call__ = __getitem__ = _fail_with_undefined_error
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __neg__ = __sub__ = _fail_with_undefined_error


class Budget(threading.local):
    """What the rendering under way in this thread may still make."""

    work = MAX_WORK
    loops = MAX_LOOPS

    def open(self) -> None:
        self.work, self.loops = MAX_WORK, MAX_LOOPS

    def spend(self, amount: int) -> None:
        if amount > MAX_RENDERED:
            raise SecurityError(f"a text or list on the way would have more than {MAX_RENDERED} entries")
        self.work -= amount
        if self.work < 0:
            raise SecurityError("the template makes more than is allowed")


BUDGET = Budget()


class Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, Undefined):
            return getattr(obj, attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_NAMES:
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj[argument]
        if isinstance(obj, Mapping | list | tuple | str):
            try:
                return obj[argument]
            except (KeyError, IndexError, TypeError):
                return self.undefined(obj=obj, name=argument)
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if isinstance(value, Undefined):
                str(value)
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if numbers and operator != "**":
            if sum(value.bit_length() for value in (left, right) if isinstance(value, int)) > MAX_BITS:
                raise SecurityError("a number grows too large")
            return super().call_binop(context, operator, left, right)
        texts = isinstance(left, str) and isinstance(right, str)
        if operator == "+" and (texts or (isinstance(left, list) and isinstance(right, list))):
            BUDGET.spend(len(left) + len(right))
            return left + right
        raise SecurityError(f"the operator {operator} is not allowed here; ~ puts anything into one text")

    def is_safe_callable(self, obj: Any) -> bool:
        return False


def _make_environment() -> Sandbox:
    environment = Sandbox(undefined=_Strict, keep_trailing_newline=True, autoescape=False, finalize=_text)
    environment.globals.clear()
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": _plain_mapping}
    environment.filters = {name: environment.filters[name] for name in FILTERS} | {
        "join": _join,
        "quote": lambda value: shlex.quote(_text(value)),
        "replace": _replace,
        "round": _round,
        "string": _text,
        "sum": lambda values, start=0: sum(map(_number, values), _number(start)),
        LOOP: _loop,
        CONCAT: _concat,
    }
    return environment


LOOP, CONCAT = " loop", " text"
"""Filters that no template can name: they measure what loops run over, and what ~ joins."""


def _text(value: Any) -> str:
    """A value as it stands in text; what has no form that a person would expect is refused."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Undefined):
        return str(value)
    if value is None:
        raise SecurityError("there is no value to put into text; use | default('…', true)")
    if isinstance(value, Mapping):
        raise SecurityError("a mapping cannot be put into text; name a key of it, or use | tojson")
    raise SecurityError("a list cannot be put into text; use | join(' ') or | tojson")


def _concat(values: list[Any]) -> str:
    texts = [_text(value) for value in values]
    BUDGET.spend(sum(map(len, texts)))
    return "".join(texts)


@pass_context
def _loop(_: Any, values: Any) -> list[Any]:
    entries = list(values)
    BUDGET.loops -= len(entries)
    if BUDGET.loops < 0:
        raise SecurityError(f"the loops run more than {MAX_LOOPS} times in all")
    return entries


@pass_environment
def _join(environment: Any, values: Any, between: Any = "", attribute: str | None = None) -> str:
    if attribute is not None:
        values = map(make_attrgetter(environment, attribute), values)
    texts = [_text(value) for value in values]
    separator = _text(between)
    BUDGET.spend(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    times = text.count(old)
    BUDGET.spend(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


def _round(value: Any, places: int = 0) -> Any:
    if not 0 <= places <= 10:
        raise SecurityError("round takes 0 to 10 places")
    return round(_number(value), places) if places else round(_number(value))


def _plain_mapping(value: Any) -> Any:
    """What JSON writes for a mapping that is no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SecurityError(f"a number was expected, not {_text(value)[:40]!r}")
    return value


ENVIRONMENT = _make_environment()


def guarded(tree: nodes.Template) -> nodes.Template:
    """The tree with what loops run over and what ~ joins measured; changed in place."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, LOOP, [], [], None, None, lineno=loop.lineno)
    for parent in [tree, *tree.find_all(nodes.Node)]:
        for field, value in parent.iter_fields():
            if isinstance(value, nodes.Concat):
                setattr(parent, field, _measured(value))
            elif isinstance(value, list):
                value[:] = [_measured(item) if isinstance(item, nodes.Concat) else item for item in value]
    return tree


def _measured(concat: nodes.Concat) -> nodes.Filter:
    parts = nodes.List(concat.nodes, lineno=concat.lineno)
    return nodes.Filter(parts, CONCAT, [], [], None, None, lineno=concat.lineno)


def _missing(around: Any, name: Any, message: str | None) -> str:
    if isinstance(around, Telling):
        return around.missing(str(name))
    if isinstance(around, Mapping):
        known = [str(key) for key in around]
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = (
            f"; did you mean {near[0]}?" if near else (f"; there is {', '.join(known[:8])}" if known else "")
        )
        return f"{name} is not defined here{hint}"
    if around is not missing and message:
        return message
    near = difflib.get_close_matches(str(name), NAMES, n=1)
    return f"{name} is not defined" + (f"; did you mean {near[0]}?" if near else "")
