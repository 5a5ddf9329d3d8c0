"""The parameters of a run: what was given, read by the declared types, over the defaults."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from core.batch.model import Batch, Param, misfit
from core.errors import Fault, InputError


def resolve_params(batch: Batch, given: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Every parameter's value. Text is read by the declared type. Raises InputError with every fault."""
    faults: list[Fault] = []
    for name in given:
        if name not in batch.params:
            near = difflib.get_close_matches(name, batch.params, n=1)
            known = ", ".join(batch.params) or "none"
            hint = f"did you mean {near[0]}?" if near else f"this batch has {known}"
            faults.append(Fault(file, 0, 0, f"there is no parameter {name!r}", hint))
    values: dict[str, Any] = {}
    for name, param in batch.params.items():
        if name not in given:
            if param.default is None:
                told = f" ({param.description})" if param.description else ""
                faults.append(
                    Fault(file, 0, 0, f"parameter {name!r} must be given{told}", f"--param {name}=…")
                )
            values[name] = param.default
            continue
        value = _read(param, given[name])
        problem = misfit(param, value)
        if problem:
            faults.append(Fault(file, 0, 0, f"parameter {name!r}: {problem}"))
        values[name] = value
    if faults:
        raise InputError("the parameters do not fit the batch", faults=faults)
    return values


def _read(param: Param, value: Any) -> Any:
    """Text as the declared type; what cannot be read stays text, and does not fit."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    match param.type:
        case "integer":
            return int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else value
        case "number":
            try:
                number = float(text)
            except ValueError:
                return value
            return number if math.isfinite(number) else value
        case "boolean":
            return {"true": True, "false": False}.get(text.lower(), value)
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
    return value
