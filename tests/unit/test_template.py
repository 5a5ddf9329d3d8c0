"""Templates: strict names, plain data only, one pass, bounded; and what a template says that it uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.template import TemplateFault, compile_condition, compile_text, compile_value

CONTEXT: dict[str, Any] = {
    "params": {
        "version": "1.4",
        "workers": 4,
        "debug": True,
        "names": ["a", "b"],
        "items": "an item",
        "empty": "",
    },
    "server": {
        "name": "web-1",
        "address": "192.0.2.1",
        "user": "deploy",
        "groups": ["web", "all"],
        "labels": {"role": "web", "items": "seven", "keys": "two", "cost-center": "42", "update": "never"},
    },
    "servers": {
        "web-1": {"name": "web-1", "registered": {}},
        "db-1": {"name": "db-1", "registered": {"x": {"output": "o"}}},
    },
    "registered": {"port": {"state": "done", "exit": 0, "output": "8080"}},
    "run": {"number": 7, "id": "ab" * 16, "batch": "rollout"},
    "step": {"name": "page", "attempt": 1},
}


def render(text: str, context: Mapping[str, Any] = CONTEXT) -> str:
    return compile_text(text).render(context)


def fault(text: str, context: Mapping[str, Any] = CONTEXT) -> TemplateFault:
    with pytest.raises(TemplateFault) as raised:
        compile_text(text).render(context)
    assert "\n" not in raised.value.message
    return raised.value


# ---------------------------------------------------------------- what is rendered


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("no braces", "no braces"),
        ("{ {not} } $%& }}", "{ {not} } $%& }}"),
        ("a {{ params.version }} b", "a 1.4 b"),
        ("{{ params['version'] }}", "1.4"),
        (
            "{{ params.workers + 1 }} {{ 3 * params.workers }} {{ 7 % 4 }} {{ 7 // 2 }} {{ 1 / 2 }}",
            "5 12 3 3 0.5",
        ),
        ("{{ server.name ~ '/' ~ run.number }}", "web-1/7"),
        ("{{ registered['port'].output }}", "8080"),
        ("{{ servers['db-1'].registered['x'].output }}", "o"),
        ("{% if 'web' in server.groups %}yes{% else %}no{% endif %}", "yes"),
        ("{% for name in params.names %}[{{ name }}]{% endfor %}", "[a][b]"),
        ("{% for name in servers | sort %}{{ name }} {% endfor %}", "db-1 web-1 "),
        (
            "{% for key, value in server.labels | items %}{% if key == 'role' %}{{ value }}{% endif %}{% endfor %}",
            "web",
        ),
        ("{% set port = 80 %}{{ port }}", "80"),
        ("{{ params.nope | default('d') }}", "d"),
        ("{{ params.empty | default('d', true) }}", "d"),
        ("{{ params.nope is defined }}", "False"),
        ("{# a comment #}x", "x"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("a\n{{ params.version }}\n", "a\n1.4\n"),
        ("{{ params.version }}\n\n", "1.4\n\n"),
        ("{{ params.names[0] }}{{ params.names[-1] }}{{ server.name[:3] }}", "abweb"),
        ("{{ (params.names | map('upper')) | join(',') }}", "A,B"),
        ("{{ params.names | select('eq', 'a') | list | length }}", "1"),
        ("{{ 'ä€' | upper }}", "Ä€"),
    ],
)
def test_texts(text: str, rendered: str) -> None:
    if rendered == "False":
        assert render(text) in ("False", "false")
    else:
        assert render(text) == rendered


@pytest.mark.parametrize(
    ("expression", "rendered"),
    [
        ("'a b' | quote", "'a b'"), ("\"it's\" | quote", "'it'\"'\"'s'"), ("'$(rm)' | quote", "'$(rm)'"), ("'' | quote", "''"),
        ("'x' | upper", "X"), ("'X' | lower", "x"), ("' x ' | trim", "x"), ("'aXb' | replace('X', '-')", "a-b"),
        ("params.names | join(' ')", "a b"), ("params.names | length", "2"), ("params.names | first", "a"),
        ("params.names | last", "b"), ("'7' | int + 1", "8"), ("'1.5' | float", "1.5"), ("[3, 1, 2] | sort | join", "123"),
        ("['a', 'a'] | unique | join", "a"), ("[1, 2] | sum", "3"), ("-3 | abs", "3"), ("2.5 | round | int", "2"),
        ("{'a': [1, 'x']} | tojson", '{"a": [1, "x"]}'), ("[1, 5, 3] | max", "5"), ("'ab cd' | title", "Ab Cd"),
    ],
)  # fmt: skip
def test_filters(expression: str, rendered: str) -> None:
    assert render("{{ " + expression + " }}") == rendered


def test_text_without_tags_never_meets_jinja() -> None:
    constant = compile_text("plain } text { % #")
    assert constant.constant and constant.render({}) == "plain } text { % #"
    assert not compile_text("{{ server.name }}").constant


def test_what_is_put_in_is_never_a_template() -> None:
    hostile = "{{ 1 + 1 }} {% for x in y %} {{ server.name }} {# #}"
    assert render("{{ registered['x'].output }}", {"registered": {"x": {"output": hostile}}}) == hostile
    assert render("{{ a ~ b }}", {"a": "{{", "b": " 1 }}"}) == "{{ 1 }}"


def test_any_mapping_is_data() -> None:
    assert render("{{ a.b }}{{ a.items }}", {"a": MappingProxyType({"b": 1, "items": 2})}) == "12"


def test_templates_are_compiled_once() -> None:
    assert compile_text("{{ a }}") is compile_text("{{ a }}")
    assert compile_condition("a") is compile_condition("a")


# ---------------------------------------------------------------- keys, never methods


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ server.labels.items }}", "seven"),
        ("{{ server.labels.keys }}", "two"),
        ("{{ server.labels.update }}", "never"),
        ("{{ params.items }}", "an item"),
        ("{{ server.labels['cost-center'] }}", "42"),
    ],
)
def test_a_key_is_a_key_whatever_its_name(text: str, rendered: str) -> None:
    assert render(text) == rendered


class Hostile:
    """Something that should never be in a context."""

    secret = "s3cret"

    def run(self) -> str:
        return "ran"


@pytest.mark.parametrize(
    "text",
    [
        "{{ server.labels.values() }}",
        "{{ server.labels.pop('role') }}",
        "{{ params.names.append('c') }}",
        "{{ params.version.upper() }}",
        "{{ params.version.format(1) }}",
        "{{ params.version.__class__ }}",
        "{{ params.version['__class__'] }}",
        "{{ ().__class__.__mro__ }}",
        "{{ params.__class__ }}",
        "{{ params | attr('__class__') }}",
        "{{ params.names | map(attribute='__class__') | join }}",
        "{{ hostile.secret }}",
        "{{ hostile.run() }}",
        "{{ hostile['secret'] }}",
        "{{ self.__init__ }}",
        "{{ range(3) }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ namespace() }}",
        "{{ dict(a=1) }}",
        "{% macro f() %}x{% endmacro %}{{ f() }}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
    ],
)
def test_nothing_can_be_called_or_reached(text: str) -> None:
    fault(text, {**CONTEXT, "hostile": Hostile()})


def test_a_context_is_not_changed() -> None:
    context = {"params": {"names": ["a"]}}
    assert render("{% set names = params.names %}{{ names | length }}", context) == "1"
    assert context == {"params": {"names": ["a"]}}


# ---------------------------------------------------------------- strictness


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ params.verison }}", "did you mean version?"),
        ("{{ server.labels.rol }}", "did you mean role?"),
        ("{{ servers['web-2'].name }}", "did you mean web-1?"),
        ("{{ nope }}", "nope"),
        ("{{ params.nope.deeper }}", "nope is not defined"),
        ("{{ params.nope ~ 'x' }}", "nope is not defined"),
        ("{{ params.nope | upper }}", "nope is not defined"),
        ("{% if params.nope %}x{% endif %}", "nope is not defined"),
        ("{% for x in params.nope %}x{% endfor %}", "nope is not defined"),
        ("{{ params.nope == 1 }}", "nope is not defined"),
        ("{{ params[params.nope] }}", "nope is not defined"),
    ],
)
def test_what_is_missing_is_a_fault_with_a_near_name(text: str, told: str) -> None:
    assert told in fault(text).message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{{ ", 1), ("a\n{{ x", 2), ("a\nb {{ x. }}\nc", 2), ("{% if x %}", 1), ("{% endif %}", 1), ("{{ }}", 1),
        ("a\n\n{% unknown %}", 3), ("{{ a b }}", 1), ("{{ 'x }}", 1), ("{{ a | }}", 1), ("{# open", 1), ("{{ 1 +* 2 }}", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(TemplateFault) as raised:
        compile_text(text)
    assert raised.value.line == line
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    "text", ["{{ 1 / 0 }}", "{{ params.names + 1 }}", "{{ params.version - 1 }}", "{{ 'a' < 1 }}"]
)
def test_what_cannot_be_worked_out_is_a_fault(text: str) -> None:
    fault(text)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 10**9 }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ [0] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
    ],
)
def test_small_templates_make_no_large_values(text: str) -> None:
    fault(text)


def test_the_text_is_bounded() -> None:
    many = {"rows": ["x" * 1000] * 2000}
    assert "1048576 characters" in fault("{% for row in rows %}{{ row }}{% endfor %}", many).message
    assert (
        len(render("{% for row in rows %}{{ row }}{% endfor %}", {"rows": ["x" * 1000] * 1000})) == 1_000_000
    )


def test_a_template_is_bounded() -> None:
    with pytest.raises(TemplateFault, match="at most"):
        compile_text("{{ x }}" + " " * (1024 * 1024))


@pytest.mark.parametrize(
    "text",
    ["{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{{ " + "not " * 5000 + "1 }}", "{% if x %}" * 3000],
)
def test_deep_nesting_is_a_fault(text: str) -> None:
    with pytest.raises(TemplateFault):
        compile_text(text).render({"x": 1})


# ---------------------------------------------------------------- values and conditions


def value(text: str) -> Any:
    compiled: Any = compile_value(text)
    return compiled.render(CONTEXT) if hasattr(compiled, "render") else compiled.value(CONTEXT)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ params.workers }}", 4), (" {{ params.debug }} ", True), ("{{ params.names }}", ["a", "b"]), ("{{ 1.5 }}", 1.5),
        ("x{{ params.workers }}", "x4"), ("{{ params.workers }}{{ params.workers }}", "44"), ("1e3", "1e3"), ("true", "true"),
        ("{{ '1e3' }}", "1e3"), ("{{ params.version }}", "1.4"),
    ],
)  # fmt: skip
def test_a_value_that_is_one_whole_tag_keeps_its_type(text: str, result: Any) -> None:
    found = value(text)
    assert found == result and type(found) is type(result)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("params.debug", True), ("not params.debug", False), ("params.version == '1.4'", True), ("server.name in servers", True),
        ("'db' in server.groups", False), ("params.workers > 3 and run.number == 7", True), ("params.empty", False),
        ("registered['port'].exit == 0", True), ("registered['nope'] is defined", False), ("params.names", True),
        ("true", True), ("0", False), ("params.nope | default(false)", False), ("step.attempt < 2", True),
    ],
)  # fmt: skip
def test_conditions(expression: str, holds: bool) -> None:
    assert compile_condition(expression).holds(CONTEXT) is holds


@pytest.mark.parametrize("expression", ["", " ", "a b", "a ==", "{{ a }}", "{% if a %}", "a | nofilter", "("])
def test_what_is_no_condition(expression: str) -> None:
    with pytest.raises(TemplateFault):
        compile_condition(expression)


@pytest.mark.parametrize("expression", ["params.nope", "params.nope == 1", "nope", "params.names()", "1 / 0"])
def test_a_condition_that_cannot_be_worked_out(expression: str) -> None:
    with pytest.raises(TemplateFault):
        compile_condition(expression).holds(CONTEXT)


# ---------------------------------------------------------------- what a template uses


@pytest.mark.parametrize(
    ("text", "names", "params", "registered", "elsewhere"),
    [
        ("plain", "", "", "", []),
        ("{{ params.a }} {{ params['b'] }}", "params", "a b", "", []),
        ("{{ server.labels.role }}", "server", "", "", []),
        ("{{ registered['x'].output }} {{ registered.y.exit }}", "registered", "", "x y", []),
        ("{{ servers['db-1'].registered['x'].output }}", "servers", "", "", [("db-1", "x")]),
        ("{{ servers[params.s].registered.x }}", "params servers", "s", "", [(None, "x")]),
        (
            "{% for s in servers %}{{ servers[s].registered['x'] }}{% endfor %}",
            "servers",
            "",
            "",
            [(None, "x")],
        ),
        ("{% set a = 1 %}{{ a }}", "", "", "", []),
        ("{% if step.attempt %}{{ run.id }}{% endif %}", "run step", "", "", []),
        ("{{ params.a | default(params.b) }}", "params", "a b", "", []),
        ("{{ 'params.x' }} {# params.y #} {% raw %}{{ params.z }}{% endraw %}", "", "", "", []),
        ("{{ foo.bar }}", "foo", "", "", []),
    ],
)
def test_what_a_template_uses_is_known_without_rendering(
    text: str, names: str, params: str, registered: str, elsewhere: list[tuple[str | None, str]]
) -> None:
    uses = compile_text(text).uses
    assert uses.names == set(names.split())
    assert uses.params == set(params.split())
    assert uses.registered == set(registered.split())
    assert uses.elsewhere == set(elsewhere)
    assert uses.results == bool(registered or elsewhere)


def test_what_may_differ_between_servers() -> None:
    for text, differs in (
        ("{{ params.a }}", False),
        ("{{ server.name }}", True),
        ("{{ servers | length }}", True),
    ):
        assert compile_text(text).uses.servers is differs
    assert compile_condition("server.name == 'x'").uses.servers
    assert compile_condition("params.a and registered['x'].exit").uses.registered == {"x"}


# ---------------------------------------------------------------- any text, any data


@given(st.text(alphabet="{}%# \n.'\"|()[]abcx01+*~-", max_size=80))
@example("{{ a }}{% for x in x %}{{ x }}{% endfor %}")
@settings(deadline=5000)
def test_any_text_renders_or_is_a_fault(text: str) -> None:
    try:
        rendered = compile_text(text).render({"a": "x", "x": ["1"], "b": {"c": 1}})
    except TemplateFault as error:
        told = error
    else:
        assert isinstance(rendered, str)
        return
    assert told.line >= 1 and told.message


@given(st.text(max_size=60))
def test_any_text_comes_through_as_it_is(text: str) -> None:
    assert render("{{ a }}", {"a": text}) == text
    assert render("<{{ a.b }}>", {"a": {"b": text}}) == f"<{text}>"
