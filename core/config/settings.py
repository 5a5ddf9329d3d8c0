"""The application's own settings: the section `app`. They alone have defaults that no file holds.

Whatever describes infrastructure has no default: a missing value is an error.
"""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.config.tree import Entry, Layer, Origin
from core.errors import Fault

SECTION = "app"
DEFAULTS = Origin(Layer.DEFAULTS, "built in")


class AppSettings(BaseModel):
    """Settings of Windlass itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    history: int = Field(default=100, ge=0, le=10_000)
    """How many edits of the configuration are kept for `config revert`."""


def application_defaults() -> Entry:
    """The lowest layer."""
    values = AppSettings().model_dump()
    items = {key: Entry("scalar", DEFAULTS, value) for key, value in values.items()}
    return Entry("mapping", DEFAULTS, items={SECTION: Entry("mapping", DEFAULTS, items=items)})


def settings_faults(root: Entry) -> list[Fault]:
    """What is wrong with the section of the application."""
    section = root.items[SECTION]
    try:
        read_settings(root)
    except ValidationError as error:
        return [_fault(section, dict(found)) for found in error.errors(include_url=False)]
    return []


def read_settings(root: Entry) -> AppSettings:
    """The settings of a merged configuration. Raises pydantic's ValidationError."""
    return AppSettings.model_validate(root.items[SECTION].data())


def _fault(section: Entry, found: dict[str, Any]) -> Fault:
    place = section
    for part in found["loc"]:
        place = place.child(part) or place
    name = ".".join(map(str, (SECTION, *found["loc"])))
    if found["type"] == "extra_forbidden":
        known = list(AppSettings.model_fields)
        close = difflib.get_close_matches(str(found["loc"][-1]), known, n=1)
        hint = f"did you mean {SECTION}.{close[0]}?" if close else f"there is: {', '.join(known)}"
        told = f"Windlass has no setting {name}"
    else:
        told, hint = f"{name}: {found['msg'][:1].lower()}{found['msg'][1:]}", ""
    return Fault(place.origin.file, place.origin.line, place.origin.column, told, hint)
