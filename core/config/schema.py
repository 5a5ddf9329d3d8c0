"""The workspace's own rules for its values: a JSON Schema in `config/schema.yaml`, checked on the values worked out.

The dialect is JSON Schema 2020-12, or the one that `$schema` names. References lead within the file only: nothing
is fetched. A value that holds a secret is not looked at, since only what stands for the secret is known.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from core.batch.yaml_source import Document
from core.batch.yaml_source import parse as parse_yaml
from core.config import paths
from core.config.check import SCHEMA
from core.config.resolve import Resolver
from core.config.settings import SECTION
from core.config.sources import LIMITS, read_text, says_nothing
from core.config.tree import Entry
from core.errors import Fault, InputError

MESSAGE_CHARS = 300


def schema_faults(resolver: Resolver, workspace: FilePath) -> list[Fault]:
    """Where the values do not fit the schema, each at the value; the faults of the schema itself otherwise.

    What cannot be worked out is passed over, with what is wrong with the mappings and lists around it. Without a
    schema there is nothing wrong.
    """
    try:
        document = _document(workspace)
    except InputError as error:
        return list(error.faults) or [Fault(SCHEMA, 0, 0, error.message, error.hint)]
    if document is None:
        return []
    schema = document.data()
    kind = validator_for(schema, default=Draft202012Validator)
    gaps: list[paths.Path] = []
    values = _values(resolver, gaps)
    try:
        kind.check_schema(schema)
        # The registry is empty, so that a reference to elsewhere is a fault and not a request.
        errors = list(kind(schema, registry=Registry()).iter_errors(values))
    except SchemaError as error:
        line, column = document.at(*error.absolute_path)
        return [Fault(SCHEMA, line, column, f"this is no JSON Schema: {_cut(error.message)}")]
    except Unresolvable as error:
        return [Fault(SCHEMA, 0, 0, f"the reference {error.ref} leads nowhere in this file")]
    except RecursionError:
        return [Fault(SCHEMA, 0, 0, "the schema refers to itself without end")]
    found = [
        _fault(resolver, error)
        for error in errors
        if not _secret(resolver, error) and not _around_gap(error, gaps)
    ]
    return sorted(set(found), key=lambda fault: (fault.file, fault.line, fault.column, fault.message))


def schema_data(workspace: FilePath) -> dict[str, Any]:
    """The schema as plain data, {} where there is none that can be read."""
    try:
        document = _document(workspace)
    except InputError:
        return {}
    return {} if document is None else dict(document.data())


def _document(workspace: FilePath) -> Document | None:
    file = workspace / SCHEMA
    if not file.resolve().is_relative_to(workspace.resolve()):
        raise InputError(f"{SCHEMA} is a link that leads out of the workspace")
    text = read_text(file, SCHEMA)
    if text is None or says_nothing(text):
        return None
    document = parse_yaml(text, SCHEMA, LIMITS, merge_keys=True)
    if document.root.kind != "mapping":
        why = "a schema is a mapping, such as `type: object`"
        raise InputError(SCHEMA, faults=[Fault(SCHEMA, document.root.line, document.root.column, why)])
    return document


def _values(resolver: Resolver, gaps: list[paths.Path]) -> dict[str, Any]:
    """The values but for the application's own; `gaps` gets the paths of those that cannot be worked out."""

    def build(path: paths.Path, entry: Entry) -> Any:
        if entry.kind == "mapping":
            return {key: build((*path, key), child) for key, child in entry.items.items()}
        if entry.kind == "sequence":
            return [build((*path, index), child) for index, child in enumerate(entry.entries)]
        try:
            return resolver.value(path)
        except InputError:
            gaps.append(path)
            return None

    return {key: build((key,), entry) for key, entry in resolver.config.root.items.items() if key != SECTION}


def _around_gap(error: ValidationError, gaps: list[paths.Path]) -> bool:
    """True where an unknown value may be what makes the rule fail."""
    path = tuple(error.absolute_path)
    return error.validator not in ("required", "additionalProperties") and any(
        gap[: len(path)] == path for gap in gaps
    )


def _fault(resolver: Resolver, error: ValidationError) -> Fault:
    path = tuple(error.absolute_path)
    entry = resolver.config.root
    for part in path:
        entry = entry.child(part) or entry
    if error.validator == "additionalProperties" and entry.kind == "mapping":
        entry = _first_extra(entry, error)
    origin = entry.origin
    told = f"{paths.show(path)}: {_cut(error.message)}" if path else _cut(error.message)
    return Fault(origin.file, origin.line, origin.column, told, f"by {SCHEMA}")


def _first_extra(entry: Entry, error: ValidationError) -> Entry:
    """The first key of a mapping that its schema does not list."""
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    extra = (entry.child(key) for key in error.instance if key not in known)
    return next((child for child in extra if child is not None), entry)


def _secret(resolver: Resolver, error: ValidationError) -> bool:
    """True for what is wrong with a single value that holds a secret."""
    return isinstance(error.instance, str) and bool(resolver.secrets(tuple(error.absolute_path)))


def _cut(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_CHARS else f"{line[: MESSAGE_CHARS - 1]}…"
