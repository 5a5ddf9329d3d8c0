"""Sealed text: what everybody sees in place of a value, and who can open it."""

from __future__ import annotations

import pytest

from core.secrets.sealed import Sealed, render
from core.template import TemplateFault, compile_condition, compile_text

VALUES = {"db/password": "s3cr3t-pa55", "env:TOKEN": "t0ken"}


def test_a_secret_renders_to_words_and_opens_to_its_value() -> None:
    template = compile_text(
        "postgres://{{ params.user }}:{{ secret('db/password') }}@db?{{ secret('env:TOKEN') }}"
    )
    assert template.uses.secrets == {"db/password", "env:TOKEN"} and template.uses.names == {"params"}
    text = render(template, {"params": {"user": "me"}})
    assert isinstance(text, Sealed)
    assert text == "postgres://me:{{ secret('db/password') }}@db?{{ secret('env:TOKEN') }}"
    assert repr(text) == repr(str(text))
    assert text.open(VALUES.__getitem__) == "postgres://me:s3cr3t-pa55@db?t0ken"


def test_text_that_looks_like_a_reference_stays_text() -> None:
    hostile = "{{ secret('db/password') }}"
    text = render(
        compile_text("{{ params.x }}{{ secret('env:TOKEN') }}{{ params.x }}"), {"params": {"x": hostile}}
    )
    assert isinstance(text, Sealed)
    assert text.open(VALUES.__getitem__) == f"{hostile}t0ken{hostile}"
    assert not isinstance(render(compile_text("{{ params.x }}"), {"params": {"x": hostile}}), Sealed)


def test_conditions_may_stand_around_it() -> None:
    template = compile_text("{% if params.x %}{{ secret('env:TOKEN') }}{% else %}none{% endif %}")
    assert render(template, {"params": {"x": False}}) == "none"
    opened = render(template, {"params": {"x": True}})
    assert isinstance(opened, Sealed) and opened.open(VALUES.__getitem__) == "t0ken"


@pytest.mark.parametrize(
    "text",
    [
        "{{ secret('x') | upper }}",
        "{{ secret('x') ~ 'y' }}",
        "{{ secret(params.x) }}",
        "{{ secret() }}",
        "{{ secret('x', 'y') }}",
        "{{ secret(name='x') }}",
        "{{ secret(*['x']) }}",
        "{{ secret('x') if true else 'y' }}",
        "{% if secret('x') %}y{% endif %}",
        "{% set y = secret('x') %}{{ y }}",
        "{% for c in secret('x') %}{{ c }}{% endfor %}",
    ],
)
def test_it_stands_by_itself(text: str) -> None:
    with pytest.raises(TemplateFault, match="stands by itself"):
        compile_text(text)


def test_a_condition_cannot_look_at_it() -> None:
    with pytest.raises(TemplateFault, match="stands by itself"):
        compile_condition("secret('x') == 'y'")


def test_elsewhere_it_is_not_defined() -> None:
    for text in ("{{ secret('x') }}", "{{ secret['x'] }}", "{{ secret }}"):
        with pytest.raises(TemplateFault, match="secret is not defined"):
            compile_text(text).render({"params": {}})
