"""Templates that would be large or slow, what may be put into text, loops, and the lines of faults."""

from __future__ import annotations

from typing import Any

import pytest

from core.template import TemplateFault, compile_condition, compile_text

CONTEXT: dict[str, Any] = {
    "params": {"flag": True, "off": False, "names": ["a", "b"], "none": None, "map": {"k": 1}},
    "server": {"name": "web-1", "registered": {}},
    "servers": {f"s{number}": {"name": f"s{number}"} for number in range(1000)},
}


def render(text: str) -> str:
    return compile_text(text).render(CONTEXT)


def fault(text: str) -> TemplateFault:
    with pytest.raises(TemplateFault) as raised:
        compile_text(text).render(CONTEXT)
    return raised.value


DOUBLING = {
    "~": "{% set a = 'xxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a | length }}",
    "~ of three": "{% set a = 'xxxxxxxx' %}" + "{% set a = a ~ (a ~ a) %}" * 60 + "{{ a | length }}",
    "+": "{% set a = 'xxxxxxxx' %}" + "{% set a = a + a %}" * 60 + "{{ a | length }}",
    "+ of lists": "{% set a = [1] %}" + "{% set a = a + a %}" * 60 + "{{ a | length }}",
    "join": "{% set a = 'xx' %}" + "{% set a = [a, a] | join(a) %}" * 60 + "{{ a | length }}",
    "replace": "{% set a = 'xx' %}" + "{% set a = a | replace('x', 'xx') %}" * 60 + "{{ a | length }}",
    "replace by nothing": "{% set a = 'xx' %}" + "{% set a = a | replace('', a) %}" * 60 + "{{ a | length }}",
    "squares": "{% set a = 99999999 %}" + "{% set a = a * a %}" * 60 + "{{ a > 1 }}",
    "sums": "{% set a = 99999999 %}" + "{% set a = a + a %}" * 5000 + "{{ a > 1 }}",
    "places": "{{ 2 | round(1000000000) }}",
    "loops": "{% for a in servers %}" * 4 + "{% endfor %}" * 4,
}


@pytest.mark.parametrize("name", DOUBLING)
def test_a_small_template_makes_nothing_large_and_ends(name: str) -> None:
    fault(DOUBLING[name])


def test_loops_of_a_usual_size_are_allowed() -> None:
    assert render("{% for a in servers %}{% for b in params.names %}{% endfor %}{% endfor %}") == ""
    assert render("{% for a in servers %}{% if loop.last %}{{ loop.index }}{% endif %}{% endfor %}") == "1000"


def test_the_bounds_are_those_of_one_rendering() -> None:
    text = "{% for a in servers %}{{ 'x' ~ a }}{% endfor %}"
    assert all(len(render(text)) > 1000 for _ in range(50))


@pytest.mark.parametrize(
    "text",
    ["{% set a %}x{% endset %}", "{% filter upper %}x{% endfilter %}", "{% macro f() %}{% endmacro %}", "{% block a %}{% endblock %}",
     "{% include 'a' %}", "{% import 'a' as b %}", "{% extends 'a' %}", "{% for a in [] recursive %}{% endfor %}"],
)  # fmt: skip
def test_statements_that_templates_do_not_have_are_told_when_read(text: str) -> None:
    with pytest.raises(TemplateFault) as raised:
        compile_text("line one\n" + text)
    assert raised.value.line == 2


def test_an_unknown_filter_gets_a_near_name() -> None:
    with pytest.raises(TemplateFault, match=r"there is no filter 'uper'; did you mean upper\?"):
        compile_text("{{ x | uper }}")


# ---------------------------------------------------------------- what stands in text


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ params.flag }}", "true"), ("{{ params.off }}", "false"), ("{{ params.flag ~ 1 }}", "true1"), ("{{ 1 == 1 }}", "true"),
        ("{{ [true, 1, 'a'] | join(',') }}", "true,1,a"), ("{{ params.none | default('d', true) }}", "d"),
        ("{{ params.names | tojson }}", '["a", "b"]'), ("{{ ('a' ~ 1) ~ ('b' ~ (1 ~ 2)) }}", "a1b12"),
    ],
)  # fmt: skip
def test_values_in_text(text: str, rendered: str) -> None:
    assert render(text) == rendered


@pytest.mark.parametrize(
    "text",
    [
        "{{ params.names }}",
        "{{ params.map }}",
        "{{ params.none }}",
        "{{ 'x' ~ params.names }}",
        "{{ params.names | quote }}",
    ],
)
def test_what_has_no_form_is_not_put_into_text(text: str) -> None:
    assert "put into text" in fault(text).message


def test_loops_know_where_they_are() -> None:
    assert render("{% for n in params.names %}{{ n }}{{ ', ' if not loop.last }}{% endfor %}") == "a, b"
    assert compile_text("{% for n in params.names %}{{ loop.index }}{% endfor %}").uses.names == {"params"}


# ---------------------------------------------------------------- faults and uses


def test_a_fault_while_rendering_has_its_line() -> None:
    assert fault("one\ntwo\n{{ params.nope }}\nfour").line == 3
    assert fault("one\n{% for n in params.names %}\n{{ n }}\n{{ n.x }}{% endfor %}").line == 4


def test_a_missing_name_gets_a_near_one() -> None:
    assert fault("{{ sever.name }}").message == "sever is not defined; did you mean server?"


def test_a_condition_is_one_expression() -> None:
    for text in ("1) or (2", "a) ~ (b", "params.flag }} {{ 1"):
        with pytest.raises(TemplateFault):
            compile_condition(text)
    with pytest.raises(TemplateFault, match="'b' is out of place"):
        compile_condition("a b")


def test_a_name_of_the_context_counts_although_the_template_sets_it() -> None:
    assert compile_text("{% set server = server.name %}{{ server }}").uses.servers


def test_results_by_way_of_the_server_count() -> None:
    assert compile_text("{{ server.registered['x'].output }}").uses.registered == {"x"}
