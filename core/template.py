"""Templates: Jinja2 in a sandbox, over plain data, rendered once.

Names are strict: what is missing is a fault, with a near name where there is one. What has no form that a person
would expect (a list, a mapping, nothing) is not put into text; true and false are written so. What a template
may do and how much it may make is bounded by `core.sandbox`. What servers print is only ever a value, never a
template.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from jinja2 import Template, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.parser import Parser
from jinja2.visitor import NodeVisitor

from core.sandbox import BUDGET, ENVIRONMENT, FILTERS, MAX_RENDERED, NAMES, guarded

__all__ = [
    "FILTERS",
    "NAMES",
    "Expression",
    "TemplateFault",
    "TextTemplate",
    "Uses",
    "compile_condition",
    "compile_text",
    "compile_value",
]

MAX_TEMPLATE = 1024 * 1024
MAX_DEPTH = 60
REFUSED: dict[type[nodes.Node], str] = {
    nodes.AssignBlock: "{% set %} takes a value, not a block",
    nodes.Block: "a template has no blocks",
    nodes.CallBlock: "a template has no macros",
    nodes.Extends: "a template cannot extend another one",
    nodes.FilterBlock: "there is no {% filter %}; write | and the filter behind a value",
    nodes.FromImport: "a template cannot import anything",
    nodes.Import: "a template cannot import anything",
    nodes.Include: "a template cannot include files",
    nodes.Macro: "a template has no macros",
}
SECRET = "secret"
SECRET_ALONE = (
    "secret() takes one name in quotes and stands by itself, without a filter or a condition: "
    "{{ secret('db/password') }}"
)
CALLS = "templates call no functions or methods; use a filter, such as {{ name | upper }}"


class TemplateFault(Exception):
    """What is wrong with a template; line and column count from 1 within its text."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Uses:
    """What a template refers to.

    `names` are the top-level names; `params` those read as `params.x`, `env` as `env.X`; `registered` the results
    of the same server; `elsewhere` those of other servers as (server, name), with None where the server is worked out;
    `config` the paths below `config`, each as far as it is written out and not worked out. `secrets` are the
    references in `{{ secret('…') }}`: of a batch only an env may have them (`core.secrets.sealed`).
    """

    names: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    registered: frozenset[str] = frozenset()
    elsewhere: frozenset[tuple[str | None, str]] = frozenset()
    secrets: frozenset[str] = frozenset()
    config: frozenset[tuple[str | int, ...]] = frozenset()
    env: frozenset[str] = frozenset()

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

    __slots__ = ("_render", "_text", "constant", "uses")

    def __init__(self, text: str) -> None:
        self._text = text
        self.constant = "{{" not in text and "{%" not in text and "{#" not in text
        self._render: Template | None = None  # compiled when it is first rendered
        self.uses = Uses() if self.constant else _uses(_parse(text))

    def render(self, context: Mapping[str, Any]) -> str:
        """The text for a context. Raises TemplateFault."""
        if self.constant:
            return self._text
        if self._render is None:
            tree = guarded(_with_secrets_named(_parse(self._text)))
            self._render = cast(Template, _compiled(lambda: ENVIRONMENT.from_string(tree)))
        template = self._render
        pieces: list[str] = []
        size = 0
        BUDGET.open()
        try:
            for piece in template.root_render_func(template.new_context(dict(context))):
                size += len(piece)
                if size > MAX_RENDERED:
                    raise TemplateFault(f"it renders to more than {MAX_RENDERED} characters")
                pieces.append(piece)
        except TemplateFault:
            raise
        except Exception as error:
            raise _in_words(error, _line_of(error, template)) from error
        return "".join(pieces)


class Expression:
    """A value worked out from a context: `when`, and whole `{{ }}` values, which keep their type."""

    __slots__ = ("_template", "uses")

    def __init__(self, text: str) -> None:
        tree = cast(nodes.Template, _compiled(lambda: _parse_expression(text)))
        _check(tree, whole_value=True)
        self.uses = _uses(tree)
        _with_secrets_named(tree)
        guarded(tree)
        self._template = cast(Template, _compiled(lambda: ENVIRONMENT.from_string(tree)))

    def value(self, context: Mapping[str, Any]) -> Any:
        """The value, with its type. Raises TemplateFault."""
        BUDGET.open()
        try:
            inner = self._template.new_context(dict(context))
            for _ in self._template.root_render_func(inner):
                pass  # it puts nothing out, it only works its value out
            value = inner.vars[VALUE]
            if isinstance(value, Undefined):
                str(value)
        except Exception as error:
            raise _in_words(error, _line_of(error, self._template)) from error
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
    made = Expression(text)
    if made.uses.secrets:
        raise TemplateFault(SECRET_ALONE)
    return made


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
    tree: nodes.Template = _compiled(lambda: ENVIRONMENT.parse(text))
    _check(tree)
    return tree


VALUE = "result"
"""Under which an expression's value is kept; an expression itself can set no name."""


def _parse_expression(text: str) -> nodes.Template:
    """A template that works an expression out and keeps its value under `VALUE`."""
    if len(text) > MAX_TEMPLATE:
        raise TemplateFault(f"a template holds at most {MAX_TEMPLATE} characters")
    parser = Parser(ENVIRONMENT, text, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        found = parser.stream.current
        raise TemplateSyntaxError(f"{found.value!r} is out of place", found.lineno)
    kept = nodes.Assign(nodes.Name(VALUE, "store"), expression, lineno=1)
    tree = nodes.Template([kept], lineno=1)
    tree.set_environment(ENVIRONMENT)
    return tree


def _compiled(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except TemplateSyntaxError as error:
        raise TemplateFault(f"template: {_one_line(error.message or '')}", error.lineno) from error
    except (TemplateError, RecursionError, SyntaxError, ValueError, OverflowError) as error:
        raise TemplateFault(f"template: {_one_line(str(error))}") from error


def _line_of(error: Exception, template: Template) -> int:
    """The line of the template that was being rendered."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__jinja_template__") is template:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def _in_words(error: Exception, line: int = 1) -> TemplateFault:
    if "not safely callable" in str(error):
        return TemplateFault(CALLS, line)
    if isinstance(error, TemplateError):
        return TemplateFault(_one_line(str(error)), line)
    return TemplateFault(f"template: {type(error).__name__}: {_one_line(str(error))}", line)


def _check(tree: nodes.Template, *, whole_value: bool = False) -> None:
    """Raises TemplateFault for what templates do not have, at the line where it stands.

    `whole_value` says that the tree only keeps an expression's value.
    """
    pending: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        told = REFUSED.get(type(node), "")
        if depth > MAX_DEPTH:
            told = "the template is nested too deep"
        elif isinstance(node, nodes.For) and node.recursive:
            told = "a loop cannot be recursive"
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == SECRET:
            told = SECRET_ALONE
        elif isinstance(node, nodes.Filter | nodes.Test):
            is_filter = isinstance(node, nodes.Filter)
            known = ENVIRONMENT.filters if is_filter else ENVIRONMENT.tests
            if node.name not in known:
                near = difflib.get_close_matches(node.name, known, n=1)
                told = f"there is no {'filter' if is_filter else 'test'} {node.name!r}"
                told += f"; did you mean {near[0]}?" if near else ""
        if told:
            raise TemplateFault(told, node.lineno)
        by_itself = isinstance(node, nodes.Output) or (whole_value and isinstance(node, nodes.Assign))
        pending.extend(
            (child, depth + 1)
            for child in node.iter_child_nodes()
            if not (by_itself and _secret_of(child) is not None)
        )


def _secret_of(node: nodes.Node) -> str | None:
    """The reference in `secret('…')`; None for everything else."""
    if (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == SECRET
        and len(node.args) == 1
        and isinstance(node.args[0], nodes.Const)
        and isinstance(node.args[0].value, str)
        and not (node.kwargs or node.dyn_args or node.dyn_kwargs)
    ):
        return node.args[0].value
    return None


def _with_secrets_named(tree: nodes.Template) -> nodes.Template:
    """The tree with `secret('…')` as a look-up in the context, since nothing can be called; changed in place."""
    for kept in tree.find_all(nodes.Assign):
        kept.node = _named(kept.node)
    for output in tree.find_all(nodes.Output):
        output.nodes[:] = [_named(child) for child in output.nodes]
    return tree


def _named(node: nodes.Node) -> Any:
    if (reference := _secret_of(node)) is None:
        return node
    name = nodes.Name(SECRET, "load", lineno=node.lineno)
    return nodes.Getitem(name, nodes.Const(reference, lineno=node.lineno), "load", lineno=node.lineno)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


class _Finder(NodeVisitor):
    """Collects the references of a template."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.bound: set[str] = set()
        self.params: set[str] = set()
        self.env: set[str] = set()
        self.registered: set[str] = set()
        self.elsewhere: set[tuple[str | None, str]] = set()
        self.secrets: set[str] = set()
        self.config: set[tuple[str | int, ...]] = set()

    def visit_Call(self, node: nodes.Call) -> None:
        if (reference := _secret_of(node)) is not None:
            self.secrets.add(reference)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: nodes.Name) -> None:
        (self.names if node.ctx == "load" else self.bound).add(node.name)
        if node.name == "config" and node.ctx == "load":
            self.config.add(())

    def visit_Getattr(self, node: nodes.Getattr) -> None:
        self._member(node.node, node.attr)
        if not self._configured(node):
            self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> None:
        self._member(node.node, node.arg.value if isinstance(node.arg, nodes.Const) else None)
        if not self._configured(node):
            self.generic_visit(node)

    def _configured(self, node: nodes.Getattr | nodes.Getitem) -> bool:
        """Notes a path below `config` that is written out to its end; True where it is one."""
        parts: list[str | int] = []
        around: nodes.Node = node
        while isinstance(around, nodes.Getattr | nodes.Getitem):
            if isinstance(around, nodes.Getattr):
                parts.append(around.attr)
            elif isinstance(around.arg, nodes.Const) and type(around.arg.value) in (str, int):
                parts.append(around.arg.value)
            else:
                return False
            around = around.node
        if not isinstance(around, nodes.Name) or around.name != "config":
            return False
        self.config.add(tuple(reversed(parts)))
        self.names.add("config")
        return True

    def _member(self, around: nodes.Node, member: Any) -> None:
        if not isinstance(member, str):
            return
        if isinstance(around, nodes.Name):
            if around.name == "params":
                self.params.add(member)
            elif around.name == "env":
                self.env.add(member)
            elif around.name == "registered":
                self.registered.add(member)
        elif _member_name(around) == "registered":
            owner = getattr(around, "node", None)
            if isinstance(owner, nodes.Name) and owner.name == "server":
                self.registered.add(member)
            elif (
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
    if any(True for _ in tree.find_all(nodes.For)):
        finder.bound.add("loop")
    # A name of the context counts although the template sets it as well: it may be read before.
    bound = finder.bound.difference(NAMES)
    return Uses(
        frozenset(finder.names - bound),
        frozenset(finder.params),
        frozenset(finder.registered),
        frozenset(finder.elsewhere),
        frozenset(finder.secrets),
        frozenset(finder.config),
        frozenset(finder.env),
    )
