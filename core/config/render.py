"""Values as text: whole, as YAML, and in one line."""

from __future__ import annotations

import io
import json
from typing import Any

from ruamel.yaml import YAML


def yaml_lines(value: Any) -> list[str]:
    """A value as lines of YAML; a text as it is."""
    if isinstance(value, str):
        return value.removesuffix("\n").split("\n")
    if value is None or isinstance(value, bool | int | float) or not value:
        return [json.dumps(value)]
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 1_000_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue().removesuffix("\n").split("\n")


def one_line(value: Any) -> str:
    """A value in one line: text as it is where it cannot be taken for anything else, else JSON."""
    if isinstance(value, str) and value and value.isprintable() and value.strip() == value:
        return (
            value
            if value[0] not in "\"'[{&*!|>%@`#" and not _other(value)
            else json.dumps(value, ensure_ascii=False)
        )
    return json.dumps(value, ensure_ascii=False)


def _other(text: str) -> bool:
    """True where a text looks like a number, true, false or null."""
    try:
        float(text)
    except ValueError:
        return text.lower() in {"true", "false", "null", "~"}
    return True
