"""Templates: Jinja2 in a sandbox, over plain data, rendered once.

Names are strict: what is missing is a fault, with a near name where there is one. Only data goes in and no
method comes out: attributes of mappings are their keys. Repetition, powers and formats are refused, so that
a small template cannot make a large text, and the result is bounded. What servers print is only ever a
value, never a template.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeVisitor

MAX_RENDERED = 1024 * 1024
MAX_TEMPLATE = 1024 * 1024
NAMES = ("params", "server", "servers", "registered", "run", "step")
FILTERS = (
    "abs", "capitalize", "count", "default", "d", "first", "float", "int", "items", "join", "last", "length",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "round", "select", "selectattr",
    "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
)  # fmt: skip
CALLS = "templates call no functions or methods; use a filter, such as {{ name | upper }}"


class TemplateFault(Exception):
    """What is wrong with a template; line and column count from 1 within its text."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class _Strict(StrictUndefined):
    """A missing name that says what would have been near."""

    def _fail_with_undefined_error(self, *_: Any, **__: Any) -> NoReturn:
        raise UndefinedError(_missing(self._undefined_obj, self._undefined_name, self._undefined_message))

    __str__ = __iter__ = __len__ = __bool__ = __eq__ = __ne__ = __hash__ = _fail_with_undefined_error
    __add__ = __radd__ = __contains__ = __call__ = __getitem__ = _fail_with_undefined_error
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __neg__ = __sub__ = _fail_with_undefined_error


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, Undefined):
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
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" or not numbers:
            raise SecurityError(f"the operator {operator} is not allowed here")
        return super().call_binop(context, operator, left, right)

    def is_safe_callable(self, obj: Any) -> bool:
        return False


def _make_environment() -> _Environment:
    environment = _Environment(undefined=_Strict, keep_trailing_newline=True, autoescape=False)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    return environment


_ENVIRONMENT = _make_environment()


@dataclass(frozen=True, slots=True)
class Uses:
    """What a template refers to.

    `names` are the top-level names; `params` those read as `params.x`; `registered` the results of the same
    server; `elsewhere` those of other servers as (server, name), with None where the server is worked out.
    """

    names: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    registered: frozenset[str] = frozenset()
    elsewhere: frozenset[tuple[str | None, str]] = frozenset()

    @property
    def results(self) -> bool:
        """True where it depends on what earlier tasks registered."""
        return bool(self.registered or self.elsewhere)

    @property
    def servers(self) -> bool:
        """True where it may differ from server to server."""
        return not self.names.isdisjoint({"server", "servers", "registered"})


class TextTemplate:
    """A text with `{{ }}` in it; everything renders to a string. `constant` text never meets Jinja2."""

    __slots__ = ("_template", "_text", "constant", "uses")

    def __init__(self, text: str) -> None:
        self._text = text
        self.constant = "{{" not in text and "{%" not in text and "{#" not in text
        self._template: Any = None
        self.uses = Uses()
        if not self.constant:
            tree = _parse(text)
            self.uses = _uses(tree)
            self._template = _compiled(lambda: _ENVIRONMENT.from_string(tree))

    def render(self, context: Mapping[str, Any]) -> str:
        """The text for a context. Raises TemplateFault."""
        if self._template is None:
            return self._text
        template = self._template
        pieces: list[str] = []
        size = 0
        try:
            for piece in template.root_render_func(template.new_context(dict(context))):
                size += len(piece)
                if size > MAX_RENDERED:
                    raise TemplateFault(f"it renders to more than {MAX_RENDERED} characters")
                pieces.append(piece)
        except TemplateFault:
            raise
        except Exception as error:
            raise _in_words(error) from error
        return "".join(pieces)


class Expression:
    """A value worked out from a context: `when`, and whole `{{ }}` values, which keep their type."""

    __slots__ = ("_evaluate", "uses")

    def __init__(self, text: str) -> None:
        self.uses = _uses(_parse("{{ (" + text + ") }}"))
        self._evaluate = _compiled(lambda: _ENVIRONMENT.compile_expression(text, undefined_to_none=False))

    def value(self, context: Mapping[str, Any]) -> Any:
        """The value, with its type. Raises TemplateFault."""
        try:
            value = self._evaluate(**context)
            if isinstance(value, Undefined):
                str(value)
        except Exception as error:
            raise _in_words(error) from error
        return value

    def holds(self, context: Mapping[str, Any]) -> bool:
        """Whether the value counts as true. Raises TemplateFault."""
        return bool(self.value(context))


@lru_cache(maxsize=4096)
def compile_text(text: str) -> TextTemplate:
    """A text template, compiled once. Raises TemplateFault for bad syntax."""
    return TextTemplate(text)


@lru_cache(maxsize=1024)
def compile_condition(text: str) -> Expression:
    """An expression without braces. Raises TemplateFault for bad syntax."""
    if "{{" in text or "{%" in text:
        raise TemplateFault("write the expression without braces")
    return Expression(text)


@lru_cache(maxsize=1024)
def compile_value(text: str) -> Expression | TextTemplate:
    """A value: one whole `{{ }}` keeps its type, everything else is text. Raises TemplateFault."""
    stripped = text.strip()
    if stripped.startswith("{{") and stripped.endswith("}}") and stripped.count("{{") == 1:
        return Expression(stripped[2:-2].strip())
    return compile_text(text)


def _parse(text: str) -> nodes.Template:
    if len(text) > MAX_TEMPLATE:
        raise TemplateFault(f"a template holds at most {MAX_TEMPLATE} characters")
    tree: nodes.Template = _compiled(lambda: _ENVIRONMENT.parse(text))
    return tree


def _compiled(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except TemplateSyntaxError as error:
        raise TemplateFault(f"template: {_one_line(error.message or '')}", error.lineno) from error
    except (TemplateError, RecursionError, SyntaxError, ValueError, OverflowError) as error:
        raise TemplateFault(f"template: {_one_line(str(error))}") from error


def _in_words(error: Exception) -> TemplateFault:
    if "not safely callable" in str(error):
        return TemplateFault(CALLS)
    if isinstance(error, TemplateError):
        return TemplateFault(_one_line(str(error)))
    return TemplateFault(f"template: {type(error).__name__}: {_one_line(str(error))}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _missing(around: Any, name: Any, message: str | None) -> str:
    if isinstance(around, Mapping):
        known = [str(key) for key in around]
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = (
            f"; did you mean {near[0]}?" if near else (f"; there is {', '.join(known[:8])}" if known else "")
        )
        return f"{name} is not defined here{hint}"
    if message:
        return message
    near = difflib.get_close_matches(str(name), NAMES, n=1)
    return f"{name} is not defined" + (f"; did you mean {near[0]}?" if near else "")


class _Finder(NodeVisitor):
    """Collects the references of a template."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.bound: set[str] = set()
        self.params: set[str] = set()
        self.registered: set[str] = set()
        self.elsewhere: set[tuple[str | None, str]] = set()

    def visit_Name(self, node: nodes.Name) -> None:
        (self.names if node.ctx == "load" else self.bound).add(node.name)

    def visit_Getattr(self, node: nodes.Getattr) -> None:
        self._member(node.node, node.attr)
        self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> None:
        self._member(node.node, node.arg.value if isinstance(node.arg, nodes.Const) else None)
        self.generic_visit(node)

    def _member(self, around: nodes.Node, member: Any) -> None:
        if not isinstance(member, str):
            return
        if isinstance(around, nodes.Name):
            if around.name == "params":
                self.params.add(member)
            elif around.name == "registered":
                self.registered.add(member)
        elif _member_name(around) == "registered":
            owner = getattr(around, "node", None)
            if (
                isinstance(owner, nodes.Getattr | nodes.Getitem)
                and isinstance(owner.node, nodes.Name)
                and owner.node.name == "servers"
            ):
                self.elsewhere.add((_member_name(owner), member))


def _member_name(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.arg, nodes.Const)
        and isinstance(node.arg.value, str)
    ):
        return node.arg.value
    return None


def _uses(tree: nodes.Template) -> Uses:
    finder = _Finder()
    finder.visit(tree)
    return Uses(
        frozenset(finder.names - finder.bound),
        frozenset(finder.params),
        frozenset(finder.registered),
        frozenset(finder.elsewhere),
    )
