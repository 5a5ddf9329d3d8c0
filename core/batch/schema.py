"""The JSON Schema (2020-12) of batch documents, made from the models, for editors and checkers.

It describes what a person may write, shorthands included.
"""

from __future__ import annotations

from typing import Any

from core.batch.model import Batch

SHORTHANDS: dict[str, dict[str, Any]] = {
    "Guard": {"type": "string", "minLength": 1},
    "Undo": {"type": "string", "minLength": 1},
    "Retries": {"type": "integer", "minimum": 1, "maximum": 1000},
    "Register": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},
    "HttpSpec": {"type": "string", "minLength": 1},
    "Need": {"type": "string"},
    "Param": {"type": ["string", "number", "boolean", "array"]},
}


def batch_schema() -> dict[str, Any]:
    """The schema as data."""
    schema = Batch.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema.get("$defs", {})
    definitions.pop("Allowance", None)
    for name, shorthand in SHORTHANDS.items():
        if name in definitions:
            definitions[name] = {"anyOf": [shorthand, definitions[name]]}
    for definition in definitions.values():
        _clean(definition)
    step = definitions["Step"]
    step["oneOf"] = [{"required": [kind]} for kind in ("run", "upload", "wait")]
    step["properties"]["needs"] = {
        "description": "default: the step before, by strategy.order; [] for none",
        "anyOf": [{"$ref": "#/$defs/Need"}, {"type": "array", "items": {"$ref": "#/$defs/Need"}}],
    }
    step["properties"]["ok_exit"] = {
        "description": "exit statuses that count as success",
        "anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}],
    }
    http = definitions["HttpSpec"]["anyOf"][1]
    http["properties"]["status"] = step["properties"]["ok_exit"] | {"description": "statuses that count"}
    _clean(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Windlass batch",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _clean(definition: dict[str, Any]) -> None:
    """Takes away what only the program knows: internal fields, generated titles, null defaults."""
    properties = definition.get("properties")
    if isinstance(properties, dict):
        for name in [key for key, value in properties.items() if value.get("windlass") == "internal"]:
            del properties[name]
        for value in properties.values():
            value.pop("title", None)
            if value.get("default", ...) is None:
                value.pop("default")
            options = value.get("anyOf")
            if isinstance(options, list):
                value["anyOf"] = [option for option in options if option != {"type": "null"}]
                if len(value["anyOf"]) == 1:
                    value.update(value.pop("anyOf")[0])
    definition.pop("title", None)
    for option in definition.get("anyOf", ()):
        if isinstance(option, dict) and "properties" in option:
            _clean(option)
