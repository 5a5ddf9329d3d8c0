"""The JSON Schema: the committed one is current, it takes what people write and refuses common mistakes.

The checker below knows the words of JSON Schema that the schema uses, and fails at any other.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.batch import model
from core.batch.schema import batch_schema
from core.batch.yaml_source import parse

SCHEMA = batch_schema()
KNOWN_WORDS = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "enum", "const", "anyOf", "oneOf", "required",
    "properties", "additionalProperties", "propertyNames", "items", "pattern", "minLength", "maxLength", "minimum",
    "maximum", "minItems", "minProperties",
}  # fmt: skip
TYPES: dict[str, Any] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None),
}  # fmt: skip


def fits(value: Any, schema: Any) -> bool:
    """Whether a value is valid by a schema; only for the words in KNOWN_WORDS."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KNOWN_WORDS, set(schema) - KNOWN_WORDS
    if "$ref" in schema and not fits(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]):
        return False
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(
        isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in types
    ):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "anyOf" in schema and not any(fits(value, option) for option in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(fits(value, option) for option in schema["oneOf"]) != 1:
        return False
    if isinstance(value, str) and (
        len(value) < schema.get("minLength", 0) or not re.search(schema.get("pattern", ""), value)
    ):
        return False
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(
            fits(item, schema.get("items", True)) for item in value
        )
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        return (
            len(value) >= schema.get("minProperties", 0)
            and set(schema.get("required", ())) <= set(value)
            and all(fits(key, schema.get("propertyNames", True)) for key in value)
            and all(fits(item, properties.get(key, others)) for key, item in value.items())
        )
    return True


def valid(text: str) -> bool:
    return fits(parse(text, "x.yaml").data(), SCHEMA)


def test_the_committed_schema_is_current(repository: Path) -> None:
    path = repository / "docs" / "schema" / "batch.schema.json"
    current = json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"
    assert path.read_text() == current, (
        f"make it anew: windlass schema batch > {path.relative_to(repository)}"
    )


def test_it_is_a_schema_of_2020_12_without_loose_ends() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    text = json.dumps(SCHEMA)
    referenced = set(re.findall(r'"#/\$defs/(\w+)"', text))
    assert referenced == set(SCHEMA["$defs"])


def test_every_key_of_the_models_is_in_it_and_no_other() -> None:
    def written(kind: type[Any]) -> set[str]:
        internal = {("Step", "name"), ("Param", "required")}
        return {
            field.alias or name
            for name, field in kind.model_fields.items()
            if (kind.__name__, name) not in internal
        }

    def properties(name: str) -> set[str]:
        definition = SCHEMA["$defs"][name]
        options = [definition, *definition.get("anyOf", ())]
        return {key for option in options for key in option.get("properties", ())}

    assert set(SCHEMA["properties"]) == written(model.Batch)
    for kind in (
        model.Step, model.Strategy, model.Param, model.Retries, model.Guard, model.Undo,
        model.Need, model.Register, model.UploadSpec, model.WaitSpec, model.HttpSpec,
    ):  # fmt: skip
        assert properties(kind.__name__) == written(kind)


def test_the_batches_that_are_shipped_are_valid(repository: Path) -> None:
    batches = sorted(repository.glob("workspaces/*/batches/*.yaml"))
    assert batches
    for path in batches:
        assert valid(path.read_text()), path


def test_the_examples_of_the_guide_are_valid(repository: Path) -> None:
    guide = (repository / "docs" / "guides" / "batch-documents.md").read_text()
    examples = [
        match[2]
        for match in re.finditer(r"(<!-- faulty: .*? -->\n)?```yaml\n(.*?)```", guide, re.DOTALL)
        if not match[1]
    ]
    assert len(examples) > 10
    for example in examples:
        assert valid(example), example


@pytest.mark.parametrize(
    "step",
    [
        "{run: x}", "{run: x, needs: a}", "{run: x, needs: []}", "{run: x, needs: [a, {step: b, scope: server}]}",
        "{run: x, check: y, verify: {run: y, timeout: 5}, undo: {run: z, retries: 2}}", "{run: x, retries: 3}",
        "{run: x, retries: {attempts: 3, delay: 500ms, backoff: 1.5, max_delay: 1m, jitter: 0}}", "{run: x, timeout: 1h30m}",
        "{run: x, sudo: true}", "{run: x, sudo: deploy}", "{run: x, register: a}", "{run: x, register: {name: a, sensitive: true}}",
        "{run: x, ok_exit: 3}", "{run: x, ok_exit: [0, 3]}", "{run: x, max_failures: 1}", "{run: x, max_failures: '5%'}",
        "{upload: {from: a, to: b, mode: '0644', template: true}}", "{wait: {port: 80, host: h, every: 1s}}",
        "{wait: {http: 'http://x/'}}", "{wait: {http: {url: 'http://x/', status: 200}}}", "{wait: {command: x}}",
    ],
)  # fmt: skip
def test_what_it_takes(step: str) -> None:
    assert valid(f"steps: {{one: {step}}}")


@pytest.mark.parametrize(
    "text",
    [
        "{}", "steps: {}", "steps: []", "steps: {a: x}", "steps: {a: {}}", "steps: {a: {run: x, upload: {from: a, to: b}}}",
        "steps: {a: {rnu: x}}", "steps: {a: {run: 5}}", "steps: {a: {run: ''}}", "steps: {a: {run: x, retries: 0}}",
        "steps: {a: {run: x, retries: {atempts: 2}}}", "steps: {a: {run: x, timeout: soon}}", "steps: {a: {run: x, parallel: 0}}",
        "steps: {a: {upload: {from: a}}}", "steps: {a: {upload: {from: a, to: b, mode: 644}}}",
        "steps: {a: {upload: {from: a, to: b, source: c}}}", "steps: {a: {wait: {port: 70000}}}",
        "steps: {a: {run: x, register: 1a}}", "steps: {a: {run: x, needs: {step: b, scope: each}}}",
        "steps: {a: {run: x, name: b}}", "steps: {a: {run: x, timeout_s: 3}}", "strategy: {order: x}\nsteps: {a: {run: x}}",
        "strategy: {max_failures: ten}\nsteps: {a: {run: x}}", "params: {p: {type: text}}\nsteps: {a: {run: x}}",
        "env: {A: [x]}\nsteps: {a: {run: x}}", "stepz: {a: {run: x}}",
    ],
)  # fmt: skip
def test_what_it_refuses(text: str) -> None:
    assert not valid(text)
