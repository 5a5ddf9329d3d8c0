"""Values with secrets in them as a run keeps them: `Sealed`, with the secrets named and not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.config import paths
from core.config.resolve import Resolver
from core.errors import Fault, InputError
from core.secrets.sealed import Marks, Reference, Sealed


def sealed_value(resolver: Resolver, path: paths.Path) -> Any:
    """The value at a path as plain data, each text that holds secrets `Sealed`.

    Raises InputError: there is no value, it has a fault, or something else than text was made of a secret.
    """
    one, other = Marks.pair()
    left = resolver.with_secrets(one).value(path)
    right = resolver.with_secrets(other).value(path)
    try:
        return _sealed(left, right, one, other)
    except ValueError:
        entry = resolver.config.find(path)
        message = f"{paths.show(path)}: a secret stands by itself: no filter or condition can look into it"
        hint = "put what the filter makes of it into the secret itself"
        if entry is None:
            raise InputError(message, hint=hint) from None
        origin = entry.origin
        fault = Fault(origin.file, origin.line, origin.column, message, hint)
        raise InputError(f"{paths.show(path)} cannot be worked out", faults=[fault]) from None


def _sealed(left: Any, right: Any, one: Marks, other: Marks) -> Any:
    """What two values have in common that differ in their marks alone. Raises ValueError where they differ in more."""
    if isinstance(left, Mapping) and isinstance(right, Mapping) and left.keys() == right.keys():
        return {key: _sealed(left[key], right[key], one, other) for key in left}
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [_sealed(first, second, one, other) for first, second in zip(left, right, strict=True)]
    if isinstance(left, str) and isinstance(right, str):
        parts = one.parts(left)
        if parts != other.parts(right):
            raise ValueError
        return Sealed(*parts) if any(isinstance(part, Reference) for part in parts) else left
    if type(left) is not type(right) or left != right:
        raise ValueError
    return left
