"""The JSON Schema (2020-12) of batch documents, made from the models, for editors and checkers.

It describes what a person may write, shorthands included.
"""

from __future__ import annotations

import re
from typing import Any

from core.batch.model import IDENTIFIER, NAME, Batch

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
    step["properties"]["ok_exit"] = _one_or_list(
        "exit statuses that count as success", {"type": "integer", "minimum": 0, "maximum": 255}
    )
    http = definitions["HttpSpec"]["anyOf"][1]
    http["properties"]["status"] = _one_or_list("statuses that count", {"type": "integer"})
    wait = definitions["WaitSpec"]
    wait["oneOf"] = [{"required": [what]} for what in ("port", "command", "http")]
    upload = definitions["UploadSpec"]
    upload["properties"]["mode"]["default"] = "0644"
    definitions["Strategy"]["properties"]["max_failures"]["default"] = 0
    schema["properties"]["steps"]["propertyNames"] = {"pattern": _as_schema(NAME)}
    schema["properties"]["params"]["propertyNames"] = {"pattern": _as_schema(IDENTIFIER)}
    _clean(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Windlass batch",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _one_or_list(description: str, item: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "anyOf": [item, {"type": "array", "items": item}]}


def _as_schema(pattern: re.Pattern[str]) -> str:
    return "^" + pattern.pattern.removesuffix(r"\Z") + "$"


def _clean(definition: dict[str, Any]) -> None:
    """Takes away what only the program knows: internal fields, generated titles, null defaults."""
    properties = definition.get("properties")
    if isinstance(properties, dict):
        for name in [key for key, value in properties.items() if value.get("windlass") == "internal"]:
            del properties[name]
        for value in properties.values():
            value.pop("title", None)
            if value.get("default", ...) is None or isinstance(value.get("default"), dict):
                value.pop("default")  # what a model fills in is no form that a person would write
            options = value.get("anyOf")
            if isinstance(options, list):
                value["anyOf"] = [option for option in options if option != {"type": "null"}]
                if len(value["anyOf"]) == 1:
                    value.update(value.pop("anyOf")[0])
    definition.pop("title", None)
    for option in definition.get("anyOf", ()):
        if isinstance(option, dict) and "properties" in option:
            _clean(option)
