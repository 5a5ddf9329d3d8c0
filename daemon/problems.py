"""Errors as problem documents (RFC 9457), and back: a client raises what the engine raised.

`type` is `urn:windlass:problem:NAME`, with the name of the error's class in kebab case; `title` is the class in
words, `detail` the message. Beside them stand `hint` (what to do next), `faults` (every one, with its place) and
what else the error carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core import errors
from core.errors import ConfirmationNeeded, CredentialsNeeded, Fault, InputError, WindlassError

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:windlass:problem:"

STATUS: Mapping[type[WindlassError], int] = {
    errors.InputError: 422,
    errors.WorkspaceOwned: 409,
    errors.NeedsPerson: 409,
    errors.ServersUnreachable: 502,
    errors.NotPossible: 409,
    errors.NotTrusted: 403,
    errors.NotAllowed: 403,
    errors.ReadOnlyWorkspace: 403,
    errors.CursorGone: 410,
    errors.NotFound: 404,
    errors.DiskFull: 507,
    errors.StoreError: 500,
    errors.ProviderError: 502,
}
"""The HTTP status of each error; one that is not named has its base's."""


def problem(error: WindlassError) -> dict[str, Any]:
    """The document of an error."""
    name = _kebab(_named(type(error)).__name__)
    document: dict[str, Any] = {
        "type": PREFIX + name,
        "title": name.replace("-", " "),
        "status": status_of(error),
        "detail": error.message,
        "hint": error.hint,
    }
    if isinstance(error, InputError):
        document["faults"] = [
            {
                "file": fault.file,
                "line": fault.line,
                "column": fault.column,
                "message": fault.message,
                "hint": fault.hint,
            }
            for fault in error.faults
        ]
    if isinstance(error, ConfirmationNeeded):
        document["name"] = error.name
    if isinstance(error, CredentialsNeeded):
        document["names"] = list(error.names)
    return document


def plain_problem(status: int, title: str, detail: str = "", hint: str = "") -> dict[str, Any]:
    """The document of what is no error of the engine: a route that is not there, a body that is no JSON."""
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "hint": hint,
    }


def status_of(error: WindlassError) -> int:
    """The HTTP status of an error."""
    return next((STATUS[base] for base in type(error).__mro__ if base in STATUS), 500)


def error_of(document: Mapping[str, Any]) -> WindlassError:
    """The error of a document; WindlassError itself where it is none that is known."""
    message = str(document.get("detail") or document.get("title") or "the engine refused it")
    hint = str(document.get("hint") or "")
    refused = document.get("status") in (401, 403, 429)
    unnamed = errors.NotAllowed if refused else WindlassError
    kind = _known().get(str(document.get("type", "")).removeprefix(PREFIX), unnamed)
    if issubclass(kind, InputError):
        return kind(message, hint=hint, faults=tuple(_faults(document.get("faults"))))
    if issubclass(kind, ConfirmationNeeded):
        return kind(message, name=str(document.get("name", "")), hint=hint)
    if issubclass(kind, CredentialsNeeded):
        names = document.get("names")
        return kind(
            message, names=[str(name) for name in names] if isinstance(names, list) else [], hint=hint
        )
    return kind(message, hint=hint)


def _faults(found: Any) -> Iterator[Fault]:
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            yield Fault(
                str(one.get("file", "")),
                int(one.get("line", 0)),
                int(one.get("column", 0)),
                str(one.get("message", "")),
                str(one.get("hint", "")),
            )


def _known() -> dict[str, type[WindlassError]]:
    found: dict[str, type[WindlassError]] = {}
    waiting: list[type[WindlassError]] = [WindlassError]
    while waiting:
        kind = waiting.pop()
        if _named(kind) is kind:
            found[_kebab(kind.__name__)] = kind
        waiting.extend(kind.__subclasses__())
    return found


def _named(kind: type[WindlassError]) -> type[WindlassError]:
    """The error as which a kind is told: itself, or the nearest above it that belongs to no module of its own."""
    return next(base for base in kind.__mro__ if base.__module__ == errors.__name__)


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
