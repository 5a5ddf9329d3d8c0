"""Loads a batch document whole: text → positions → model → references, with every fault at once.

A batch without faults is remembered by its text for as long as it is among the newest: planning it, starting
it and explaining a task of it read the same text, and reading takes some 0.2 ms a step.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.batch import model
from core.batch.model import Batch, Step
from core.batch.references import reference_faults
from core.batch.values import Misread
from core.batch.yaml_source import Document, Limits, read, walk_scalars
from core.errors import Fault, InputError
from core.model.ids import ENGINE_SERVER
from core.model.names import refuse_batch_name

LIMITS = Limits()
REMEMBERED_CHARACTERS = 4 * 1024 * 1024
"""How much text the batches that are remembered may have together."""


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """A valid batch with its text (for the snapshot), its digest (sha256) and its positions."""

    batch: Batch
    text: str
    file: str
    digest: str
    document: Document

    def at(self, *path: str | int) -> tuple[int, int]:
        """Line and column (1-based) of a part of the document, such as ("steps", "page", "upload")."""
        return self.document.at(*path)


Look = Callable[[LoadedBatch], Iterable[Fault]]
"""A further look at the healthy part of a faulty batch, for faults that a document alone does not show."""


def load_batch_file(path: Path, look: Look | None = None) -> LoadedBatch:
    """Loads a batch from a file. Raises InputError with every fault, those of `look` among them."""
    file = str(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{file} is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(LIMITS.max_bytes + 1)
    if len(content) > LIMITS.max_bytes:
        raise InputError(f"{file} has more than {LIMITS.max_bytes} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        fault = Fault(file, line, column, f"byte {content[error.start]:#04x} is not UTF-8")
        raise InputError(f"{file} cannot be read", faults=[fault]) from error
    return load_batch(text, file, look)


def load_batch(text: str, file: str, look: Look | None = None) -> LoadedBatch:
    """Loads a batch from its text. Raises InputError with every fault, in source order."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    known = _REMEMBERED.get(file, digest)
    if known is None:
        known = _load(text, file, digest, look)
        _REMEMBERED.keep(known)
    return known


class _Remembered:
    """The newest loaded batches, by file and digest. They are never changed, so callers may share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: OrderedDict[tuple[str, str], LoadedBatch] = OrderedDict()
        self._characters = 0

    def get(self, file: str, digest: str) -> LoadedBatch | None:
        with self._lock:
            found = self._batches.get((file, digest))
            if found is not None:
                self._batches.move_to_end((file, digest))
            return found

    def keep(self, loaded: LoadedBatch) -> None:
        with self._lock:
            if (loaded.file, loaded.digest) in self._batches or len(loaded.text) > REMEMBERED_CHARACTERS:
                return
            self._batches[loaded.file, loaded.digest] = loaded
            self._characters += len(loaded.text)
            while self._characters > REMEMBERED_CHARACTERS:
                _, oldest = self._batches.popitem(last=False)
                self._characters -= len(oldest.text)


_REMEMBERED = _Remembered()


def _load(text: str, file: str, digest: str, look: Look | None) -> LoadedBatch:
    document = read(text, file, LIMITS)
    faults = list(document.faults)
    data = document.data()
    if not isinstance(data, dict):
        faults.append(Fault(file, 1, 1, "a batch is a mapping with steps"))
        raise InputError(f"{file} is no batch", faults=faults)
    faults += _take_nulls(document, data)
    batch = _read(document, data, faults)
    faults += _name_faults(document, data)
    if batch is not None:
        faults += reference_faults(batch, document)
    if faults and batch is not None and look is not None:
        faults += look(LoadedBatch(batch, text, file, digest, document))
    if faults:
        ordered = sorted(set(faults), key=lambda fault: (fault.line, fault.column, fault.message))
        count = f"{len(ordered)} fault{'s' if len(ordered) > 1 else ''}"
        raise InputError(f"{file}: {count}", faults=ordered)
    assert batch is not None  # without a batch there is a fault
    return LoadedBatch(batch, text, file, digest, document)


def _read(document: Document, data: dict[str, Any], faults: list[Fault]) -> Batch | None:
    """The model; of a faulty document, the healthy part of it, so that its references are checked too."""
    batch: Batch | None
    try:
        batch = Batch.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults += [fault for detail in details for fault in _faults_of(document, detail)]
        batch = _healthy_part(data)
    if batch is None:
        return None
    # Steps know their names; a document without a name is called after its file.
    steps = {name: step.called(name) for name, step in batch.steps.items()}
    name = batch.name or Path(document.file).stem
    return batch.model_copy(update={"steps": steps, "name": name})


def _healthy_part(data: dict[str, Any]) -> Batch | None:
    """The batch without its faulty parts. Faulty steps stay, as steps that do nothing, so that needs on
    them are no further faults.
    """
    steps: dict[str, Step] = {}
    given = data.get("steps")
    for name, entry in given.items() if isinstance(given, dict) else ():
        step = _valid(Step, entry)
        if step is None and isinstance(entry, dict):
            kept = {key: value for key, value in entry.items() if _field_is_valid(key, value)}
            step = _valid(Step, kept) or _valid(Step, {**_without_work(kept), "run": "true"})
        steps[name] = step if isinstance(step, Step) else Step(run="true")
    if not steps:
        return None
    params = data.get("params")
    read = {
        name: _valid(model.Param, entry) or model.Param()
        for name, entry in (params.items() if isinstance(params, dict) else ())
    }
    strategy = _valid(model.Strategy, data.get("strategy", {})) or model.Strategy()
    env = data.get("env")
    batch = Batch.model_construct(
        name=str(data.get("name") or ""),
        description="",
        params=read,
        strategy=strategy,
        env={key: value for key, value in env.items() if isinstance(value, str)}
        if isinstance(env, dict)
        else {},
        steps=steps,
    )
    return batch


def _valid(kind: type[BaseModel], value: Any) -> Any:
    try:
        return kind.model_validate(value)
    except ValidationError:
        return None


def _field_is_valid(key: str, value: Any) -> bool:
    """Whether one key of a step is right by itself."""
    if key in ("run", "upload", "wait"):
        probe = {key: value}
    else:
        probe = {"run": "true", key: value}
    return _valid(Step, probe) is not None


def _without_work(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("run", "upload", "wait")}


def _name_faults(document: Document, data: dict[str, Any]) -> list[Fault]:
    faults = []
    named = data.get("name")
    why = refuse_batch_name(named) if isinstance(named, str) else ""
    if why:
        faults.append(Fault(document.file, *document.at("name"), why))
    for section, pattern, rule in (
        (
            "steps",
            model.NAME,
            "letters, digits, . _ - and at most 64 of them, beginning with a letter or digit",
        ),
        ("params", model.IDENTIFIER, "letters, digits and _, not beginning with a digit"),
    ):
        entries = data.get(section)
        for name in entries if isinstance(entries, dict) else ():
            if not pattern.match(name):
                line, column = document.key_at(section, name)
                faults.append(Fault(document.file, line, column, f"{name[:80]!r} is no name: {rule}"))
            elif section == "steps" and name == ENGINE_SERVER:
                told = f"{name!r} is reserved: it stands for the engine itself"
                faults.append(Fault(document.file, *document.key_at(section, name), told))
    return faults


MAY_BE_EMPTY = (("params",), ("strategy",), ("env",))
"""Sections of which the key may be left standing, with nothing under it."""


def _take_nulls(document: Document, data: dict[str, Any]) -> list[Fault]:
    """Takes keys without a value out of the data, and tells of them: an empty `check:` is no check."""
    faults = []
    empty = [path for path, node in walk_scalars(document.root) if node.value is None and not node.quoted]
    for path in reversed(empty):  # from the end, so that the places of list entries hold
        around: Any = data
        for part in path[:-1]:
            around = around[part]
        if path[0] == "steps" and len(path) <= 2:
            continue  # told as a step that is none
        del around[path[-1]]
        if path not in MAY_BE_EMPTY:
            name = f"{path[-1]}" if isinstance(path[-1], str) else "this entry"
            faults.append(Fault(document.file, *document.at(*path), f"{name[:80]} has no value"))
    return faults


# ---------------------------------------------------------------- pydantic's findings in our words

KNOWN_KEYS: dict[str, Sequence[str]] = {}


def _keys_of(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


MODELS = (
    model.Batch,
    model.Step,
    model.Strategy,
    model.Param,
    model.Retries,
    model.Guard,
    model.Undo,
    model.Need,
    model.Register,
    model.UploadSpec,
    model.WaitSpec,
    model.HttpSpec,
)
BY_KEY: dict[str, type[BaseModel]] = {
    "strategy": model.Strategy,
    "retries": model.Retries,
    "check": model.Guard,
    "verify": model.Guard,
    "undo": model.Undo,
    "register": model.Register,
    "upload": model.UploadSpec,
    "wait": model.WaitSpec,
    "http": model.HttpSpec,
}


def _model_at(path: Sequence[str | int]) -> type[BaseModel]:
    """The model that the mapping at a path is read by."""
    if not path:
        return model.Batch
    if len(path) == 2 and path[0] == "steps":
        return model.Step
    if len(path) == 2 and path[0] == "params":
        return model.Param
    if isinstance(path[-1], int):
        return model.Need
    return BY_KEY.get(str(path[-1]), model.Batch)


def _faults_of(document: Document, detail: ErrorDetails) -> list[Fault]:
    """One finding of pydantic as faults, mostly one."""
    error = detail["ctx"].get("error") if "ctx" in detail else None
    if not isinstance(error, Misread):
        return [_fault(document, detail)]
    faults = []
    for below, at_key, message in error.found:
        path = _existing(document, (*detail["loc"], *below))
        place = document.key_at(*path) if at_key else document.at(*path)
        faults.append(Fault(document.file, *place, message))
    return faults


def _fault(document: Document, detail: ErrorDetails) -> Fault:
    path = _existing(document, detail["loc"])
    kind = detail["type"]
    value = detail.get("input")
    shown = _named(value)
    hint = ""
    line, column = document.at(*path)
    match kind:
        case "extra_forbidden":
            line, column = document.key_at(*path)
            known = _keys_of(_model_at(path[:-1]))
            near = difflib.get_close_matches(str(path[-1]), known, n=1)
            message = f"unknown key {str(path[-1])[:80]!r}"
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        case "missing":
            message = f"{detail['loc'][-1]} is missing"
        case "value_error":
            message = str(detail["ctx"]["error"]) if "ctx" in detail else detail["msg"]
        case "literal_error":
            message = (
                f"{shown} is none of {detail['ctx']['expected'].replace(chr(39), '')}"
                if "ctx" in detail
                else ""
            )
            options = [
                part.strip(" '")
                for part in str(detail.get("ctx", {}).get("expected", "")).replace(" or ", ",").split(",")
            ]
            near = difflib.get_close_matches(str(value), options, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
        case "bool_type" | "bool_parsing":
            message = f"{_key(path)} is true or false, not {shown}"
            if str(value).lower() in ("yes", "no", "on", "off"):
                hint = "YAML 1.2 reads yes and no as text; write true or false"
        case "string_type":
            message = f"{_key(path)} is text, not {_named(value)}"
            if isinstance(value, int | float | bool):
                hint = f'quote it: "{document_text(document, path, value)}"'
        case "string_too_short":
            message = f"{_key(path)} is empty"
        case "int_type" | "int_parsing" | "int_from_float":
            message = f"{_key(path)} is a whole number, not {_named(value)}"
        case "float_type" | "float_parsing":
            message = f"{_key(path)} is a number, not {_named(value)}"
        case "greater_than_equal" | "less_than_equal":
            bound = detail["ctx"].get("ge", detail["ctx"].get("le"))
            message = (
                f"{_key(path)} is {value}; {'at least' if kind[0] == 'g' else 'at most'} {bound:g} is allowed"
            )
        case "dict_type" | "model_type" | "model_attributes_type":
            message = f"{_key(path) or 'this'} is a mapping, not {_named(value)}"
        case "tuple_type" | "list_type":
            message = f"{_key(path)} is a list, not {_named(value)}"
        case "too_short":
            message = f"{_key(path)} is empty: a batch has at least one step"
        case _:
            message = f"{_key(path)}: {detail['msg']}"
    return Fault(document.file, line, column, message, hint)


def document_text(document: Document, path: Sequence[str | int], value: Any) -> str:
    """A scalar as it stands in the source, where that is short."""
    line, column = document.at(*path)
    source = re.split(r" #|[,}\]]", document.text.split("\n")[line - 1][column - 1 :], maxsplit=1)[0].strip()
    return source if 0 < len(source) <= 40 else str(value)


def _existing(document: Document, location: Sequence[str | int]) -> tuple[str | int, ...]:
    """A pydantic location without the parts that shorthands and models add."""
    path: list[str | int] = []
    for part in location:
        if document.node(*path, part) is not None:
            path.append(part)
    return tuple(path)


def _key(path: Sequence[str | int]) -> str:
    names = [part for part in path if isinstance(part, str)]
    return names[-1] if names else ""


def _named(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return repr(value)[:80]
