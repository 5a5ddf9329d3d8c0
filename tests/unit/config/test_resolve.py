"""Interpolation: types, laziness, circles, bounds, and every fact that a value may refer to."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from core.config import paths
from core.config.facts import git_commit
from core.config.load import BASE
from core.config.references import NO_REFERENCES
from core.config.resolve import Resolver
from core.config.settings import BUILT_IN
from core.errors import InputError
from tests.unit.config.support import Files


def test_a_value_that_is_one_template_keeps_its_type(files: Files) -> None:
    files.base(
        """\
        web: {port: 8080, hosts: [a, b], on: true, nothing: null, ratio: 1.5}
        port: "{{ config.web.port }}"
        next: "{{ config.web.port + 1 }}"
        text: "port {{ config.web.port }}"
        hosts: "{{ config.web.hosts }}"
        first: "{{ config.web.hosts[0] }}"
        on: "{{ config.web.on }}"
        nothing: "{{ config.web.nothing }}"
        ratio: "{{ config.web.ratio }}"
        all: "{{ config.web }}"
        list: ["{{ config.port }}", {x: "{{ config.text }}"}]
        json: "{{ config.web | tojson }}"
        """
    )
    whole = files.resolver().value()
    assert whole["port"] == 8080 and whole["next"] == 8081 and whole["text"] == "port 8080"
    assert whole["hosts"] == ["a", "b"] and whole["first"] == "a" and whole["ratio"] == 1.5
    assert whole["on"] is True and whole["nothing"] is None
    assert whole["all"] == {"port": 8080, "hosts": ["a", "b"], "on": True, "nothing": None, "ratio": 1.5}
    assert whole["list"] == [8080, {"x": "port 8080"}]
    assert whole["json"] == '{"hosts": ["a", "b"], "nothing": null, "on": true, "port": 8080, "ratio": 1.5}'
    assert files.value("all.hosts[1]") == "b"


def test_overridden_values_are_what_templates_see(files: Files) -> None:
    files.base("host: a\nurl: 'http://{{ config.host }}/'\n").environment("prod", "host: b\n")
    assert files.resolver("prod").value(("url",)) == "http://b/"
    assert files.resolver("prod", "host='{{ config.name }}'", "name=c").value(("url",)) == "http://c/"


def test_the_facts(files: Files) -> None:
    files.base(
        """\
        name: "{{ workspace.name }}"
        home: "{{ env.HOME }}"
        address: "{{ servers['web-1'].address }}"
        now: "{{ now }}"
        commit: "{{ git.commit }}"
        """
    )
    asked: list[str] = []

    def servers() -> dict[str, Any]:
        asked.append("servers")
        return {"web-1": {"address": "10.0.0.1"}}

    resolver = files.resolver(
        environ={"HOME": "/home/me", "SECRET": "no"},
        allowed=frozenset({"HOME"}),
        servers=servers,
        commit=lambda: asked.append("git") or "abc",  # type: ignore[func-returns-value]
    )
    assert resolver.value(("name",)) == "shop"
    assert asked == []  # nothing is asked that no value needs
    assert resolver.value() == {
        "name": "shop",
        "home": "/home/me",
        "address": "10.0.0.1",
        "now": "2026-03-01T14:02:11Z",
        "commit": "abc",
        "app": BUILT_IN,
    }
    assert resolver.value(("commit",)) == "abc"
    assert asked == ["servers", "git"]


def test_secrets_are_markers_and_are_followed(files: Files) -> None:
    files.base(
        """\
        db:
          password: "{{ secret('db/password') }}"
          url: "postgres://app:{{ config.db.password }}@h"
          host: h
        copy: "{{ config.db }}"
        """
    )
    resolver = files.resolver()
    assert resolver.value(("db", "url")) == "postgres://app:<secret db/password>@h"
    for path, found in [
        ("db.url", {"db/password"}),
        ("db.host", set()),
        ("db", {"db/password"}),
        ("copy.host", {"db/password"}),
    ]:
        assert resolver.secrets(paths.parse(path)) == found

    def missing(name: str) -> str:
        raise InputError(f"there is no secret {name}", hint="windlass secrets set")

    faults = files.resolver(secret=missing).faults()
    assert [str(fault) for fault in faults] == [
        f"{BASE}:2:13: db.password: there is no secret db/password (windlass secrets set)"
    ]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{{ config.web.prot }}", "there is no value for web.prot; looked at --set, variables WINDLASS__…, config/base.yaml; did you mean web.port?"),
        ("{{ config['web'].port.x }}", "has no attribute 'x'"),
        ("{{ config.hosts[7] }}", "7"),
        ("{{ env.HOME }}", "does not allow"),
        ("{{ env.NOPE }}", "this variable is not set"),
        ("{{ servers['web-2'].address }}", "there is no server 'web-2'; did you mean 'web-1'?"),
        ("{{ git.branch }}", "there is git.commit"),
        ("{{ params.x }}", "params is not defined in the configuration (there is config, env"),
        ("{{ confg.web }}", "did you mean config?"),
        ("{{ secret(config.web.port) }}", "secret() takes one name in quotes"),
        ("{{ secret('a', 'b') }}", "secret() takes one name in quotes"),
        ("{{ foo() }}", "foo is not defined"),
        ("{{ config.web.items() }}", "call no functions"),
        ("{{ config.web.port", "template:"),
        ("x {% set y = 1 %}{{ config.web }}", "a mapping cannot be put into text"),
        ("{{ " + "1 + " * 2000 + "1 }}", "nested too deep"),
        ("{{ 1e308 * 10 }}", "no finite number"),
        ("{{ config.hosts | map('upper') }}", "no plain value"),
        ("{{ 'x' * 100000000 }}", "not allowed"),
        ("{{ ''.__class__ }}", "has no attribute"),
        ("{{ config.__class__ }}", "no value for __class__"),
        ("{{ config.big | replace('x', config.big) | replace('x', config.big) }}", "1048576"),
        ("{{ config.broken }}", "y: there is no value for nope"),
    ],
)  # fmt: skip
def test_faults_with_their_place(files: Files, value: str, told: str) -> None:
    big = "x" * 1000
    files.base(
        f"x: {value!r}\nweb: {{port: 1}}\nhosts: [a]\nbig: {big}\nbroken: '{{{{ config.y }}}}'\ny: '{{{{ config.nope }}}}'\n"
        if "'" not in value
        else f'x: "{value}"\nbig: {big}\n'
        if "config.big" in value
        else f'x: "{value}"\nweb: {{port: 1}}\nhosts: [a]\n'
    )
    resolver = files.resolver(allowed=frozenset({"NOPE"}), servers=lambda: {"web-1": {}})
    with pytest.raises(InputError) as caught:
        resolver.value(("x",))
    (fault,) = caught.value.faults
    assert told in str(fault)
    assert (fault.file, fault.line) == (BASE, 6 if "broken" in value else 1)


def test_a_fault_in_a_block_is_told_at_its_line(files: Files) -> None:
    files.base("a: |\n  one\n  {{ config.nope }}\n")
    (fault,) = files.resolver().faults()
    assert (fault.line, fault.column) == (3, 1)


def test_circles_are_told_as_a_chain(files: Files) -> None:
    files.base("a: '{{ config.b }}'\nb:\n  c: 'x{{ config.a }}'\nd: '{{ config.d }}'\ne: '{{ config.a }}'\n")
    told = [str(fault) for fault in files.resolver().faults()]
    assert told == [
        f"{BASE}:1:4: values refer to each other in a circle: a ({BASE}:1:4) → b.c ({BASE}:3:6) → a",
        f"{BASE}:4:4: values refer to each other in a circle: d ({BASE}:4:4) → d",
    ]


def test_depth_is_limited(files: Files) -> None:
    for count, sound in ((25, True), (200, False)):
        files.base("v0: end\n" + "".join(f"v{n}: '{{{{ config.v{n - 1} }}}}'\n" for n in range(1, count + 1)))
        resolver = files.resolver()
        if sound:
            assert resolver.value((f"v{count}",)) == "end"
        else:
            with pytest.raises(InputError, match="more than 30 deep"):
                resolver.value((f"v{count}",))


def test_what_all_templates_make_is_limited(files: Files) -> None:
    lines = ["v0: " + "x" * 1000]
    lines += [f"v{n}: '{{{{ config.v{n - 1} }}}}{{{{ config.v{n - 1} }}}}'" for n in range(1, 11)]
    lines += [f"w{n}: '{{{{ config.v9 }}}}'" for n in range(60)]
    faults = files.base("\n".join(lines)).resolver().faults()
    assert any("characters in all" in fault.message for fault in faults)


def test_what_a_template_gives_is_no_template_again(files: Files) -> None:
    files.base("""a: "{{ '{{' }} config.b }}"\nb: 1\nc: "{{ config.a }}"\n""")
    assert files.value("c") == "{{ config.b }}"


def test_a_missing_value_names_where_was_looked(files: Files) -> None:
    with pytest.raises(InputError) as caught:
        files.base("web: {port: 1}\n").value("web.prot")
    assert str(caught.value).splitlines() == [
        f"there is no value for web.prot; looked at --set, variables WINDLASS__…, {BASE}",
        "did you mean web.port?",
    ]


def test_the_commit_of_a_folder(files: Files) -> None:
    with pytest.raises(InputError, match="has no commit"):
        git_commit(files.path)
    for command in (
        ["init", "-q"],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(files.path), *command], check=True, capture_output=True)
    assert len(git_commit(files.path)) in (40, 64)


@pytest.mark.parametrize(
    "text",
    [
        "{{ config.s }}", " {{ config.s }} ", "{{config.i}}", "a{{ config.b }}b", "{{ config.f }}-{{ config.i }}",
        "{{ config.n }}", "x{{ config.n }}", "{{ config.l }}", "x{{ config.l }}", "{{ config.m }}", "{{ config.m.k }}",
        "{{ config.made.x }}", "{{ config.nope }}", "{{ config.s.x }}", "{{ config.long }}{{ config.long }}",
        "{{ config.s }}\n", "{ {{ config.s }}", "{{ config.s }}}", "{{{ config.s }}", "{{- config.s }}", "{# x #}{{ config.s }}",
        "{{ config.s }}{% if true %}y{% endif %}", "{{ config.secret }}", "x{{ config.secret }}", "{{ config.true }}",
        "{{ config.bad }}", "{{ config.round1 }}", "{{ config . s }}", "{{ config.s }} {{ config['s'] }}", "{{ config.class }}",
        "{{ config.s | upper }}", "x{{ config.i + 1 }}y{{ config.f * 2 }}", "{{ config.nope | default(1) }}", "{{ config.l[0] }}",
        "{{ config.nope.x | default(1) }}", "{{ config.m.k ~ config.m['k'] }}", "{{ config.m | length }}", "{{ config.m }}{{ 1 }}",
        "{{ config.made.x + 1 }}", "{{ 'config.s' ~ config.s }}", "config.s {{ config.s | lower }}", "{{ config.s | uper }}",
        "{{ config.s if config.b else config.bad }}", "{{ config.s if not config.b else config.bad | upper }}",
        "{{ config.secret | upper }}", "{{ config.s if config.b else config.secret }}", "{{ xconfig.s | lower }}",
        "{{ workspace.config.s | default('x') }}", "{{ config.round1 ~ 'x' }}", "{{ config.asked ~ 'x' }}", "{{ config.i / 0 }}",
        "{{ config.s.x | default(1) }}", "{{ config.l | join(config.s) }}", "{{ config.m.items() }}", "{{ config.r0 | default(2) }}",
        "{{ {'a': config.i} }}", "{{ config.long | replace('y', config.long) | replace('y', config.long) }}", "{{ config.l.0 + 1 }}",
        "{{ config is mapping }}", "{{ config.s in config }}", "{{ config.m.k in config.m }}", "{{ config | length > config.i }}",
        "{{ (config | list)[0] ~ config.s }}", "{{ config.sé | default(1) }}", "{{ servers. config.s | default(1) }}", "{{ config.i +config.f }}",
        "{{ éconfig.s | default(1) }}", "{{ config.s |default(config.bad) }}", "{{ config.s == 'text' and config.b }}",
    ],
)  # fmt: skip
def test_plain_references_give_what_templates_give(files: Files, monkeypatch, text: str) -> None:
    """The short way of plain references and the templates' own come to the same, faults included."""
    base = {
        "s": "text", "i": 1, "f": 1.5, "b": True, "n": None, "l": [1], "m": {"k": "v"}, "made": "{{ {'x': 2} }}",
        "long": "y" * 3000, "secret": "{{ secret('db') }}", "true": "t", "class": "c", "bad": "{{ config.nope }}",
        "round1": "{{ config.round2 }}", "round2": "{{ config.round1 }}", "asked": text,
    }  # fmt: skip
    files.base(json.dumps(base))

    def outcome() -> object:
        resolver = files.resolver()
        try:
            value = resolver.value(("asked",))
            return type(value), value, resolver.secrets(("asked",))
        except InputError as error:
            return str(error), resolver.faults()

    short = outcome()
    monkeypatch.setattr(Resolver, "_references", lambda self, text: NO_REFERENCES)
    monkeypatch.setattr(Resolver, "_by_shape", lambda self, text: NO_REFERENCES)
    assert short == outcome()
