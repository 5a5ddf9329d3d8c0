"""The workspace's JSON Schema: what does not fit is told where it is written; a bad schema where it is bad."""

from __future__ import annotations

import pytest

from core.config.check import SCHEMA, all_faults
from tests.unit.config.support import Files

RULES = """\
type: object
required: [web, owner]
additionalProperties: false
properties:
  owner: {type: string}
  web:
    type: object
    properties:
      port: {$ref: "#/$defs/port"}
      password: {type: string, pattern: "^[a-z]+$"}
      hosts: {type: array, items: {type: string}, minItems: 1}
$defs:
  port: {type: integer, minimum: 1, maximum: 65535}
"""


def told(files: Files, base: str, rules: str = RULES, environment: str = "") -> list[str]:
    (files.path / SCHEMA).write_text(rules)
    return [str(fault) for fault in all_faults(files.base(base).resolver(environment), files.path)]


GOOD = "owner: me\nweb:\n  port: '{{ 80 + 1 }}'\n  password: \"{{ secret('x') }}\"\n  hosts: [a]\n"


def test_values_are_checked_as_they_are_worked_out(files: Files) -> None:
    assert told(files, GOOD) == []
    assert told(files, GOOD.replace("80 + 1", "80 - 80")) == [
        "config/base.yaml:3:9: web.port: 0 is less than the minimum of 1 (by config/schema.yaml)"
    ]


def test_each_misfit_is_told_at_its_value(files: Files) -> None:
    files.environment("prod", "web: {port: many, hosts: [1]}\nextra: 1\n")
    assert told(files, "web: {port: 1}\n", environment="prod") == [
        "config/environments/prod.yaml:1:1: 'owner' is a required property (by config/schema.yaml)",
        "config/environments/prod.yaml:1:13: web.port: 'many' is not of type 'integer' (by config/schema.yaml)",
        "config/environments/prod.yaml:1:27: web.hosts[0]: 1 is not of type 'string' (by config/schema.yaml)",
        "config/environments/prod.yaml:2:8: Additional properties are not allowed ('extra' was unexpected) (by config/schema.yaml)",
    ]


def test_what_is_required_is_missing_from_the_base(files: Files) -> None:
    assert (
        told(files, "")[0] == "config/base.yaml:1:1: 'owner' is a required property (by config/schema.yaml)"
    )


def test_values_that_cannot_be_worked_out_come_first(files: Files) -> None:
    (fault,) = told(files, "web: {port: '{{ config.nope }}'}\n")
    assert "there is no value for nope" in fault


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ("", ""),
        ("# nothing\n", ""),
        ("type: objekt\n", "config/schema.yaml:1:7: this is no JSON Schema: 'objekt' is not valid under any"),
        ("properties:\n  web: {type: 5}\n", "config/schema.yaml:2:15: this is no JSON Schema"),
        ("[]\n", "config/schema.yaml:1:1: a schema is a mapping"),
        ("a: [\n", "config/schema.yaml:2:1: not YAML"),
        (
            "$ref: 'https://example.org/schema.json'\n",
            "the reference https://example.org/schema.json leads nowhere",
        ),
        ("$ref: '#/$defs/none'\n", "the reference /$defs/none leads nowhere"),
        ("$ref: '#'\n", "the schema refers to itself without end"),
        ("patternProperties: {'[': {type: string}}\n", "config/schema.yaml:"),
    ],
)
def test_the_schema_itself(files: Files, rules: str, fault: str) -> None:
    found = told(files, "web: {port: 1}\n", rules)
    assert len(found) == (1 if fault else 0)
    assert all(fault in line for line in found)


def test_no_schema_is_no_rule(files: Files) -> None:
    assert all_faults(files.base("a: 1\n").resolver(), files.path) == []


def test_a_schema_outside_is_not_read(files: Files) -> None:
    outside = files.path.parent / "outside.yaml"
    outside.write_text("type: array\n")
    (files.path / SCHEMA).symlink_to(outside)
    (fault,) = all_faults(files.base("a: 1\n").resolver(), files.path)
    assert "leads out of the workspace" in fault.message
