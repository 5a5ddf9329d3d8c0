"""The application's own settings: the section `app`. They alone have defaults that no file holds.

Whatever describes infrastructure has no default: a missing value is an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.batch.values import seconds
from core.config.tree import Entry, Layer, Origin
from core.errors import Fault

SECTION = "app"
DEFAULTS = Origin(Layer.DEFAULTS, "built in")


Duration = Annotated[float, BeforeValidator(seconds)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

BUILT_IN: Mapping[str, Any] = {
    "history": 100,
    "engine": {"idle": "15m", "resume": "manual", "resume_max_age": "1h"},
}
"""The lowest layer, as a file would say it."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class EngineSettings(_Section):
    """How an engine in the background begins and ends."""

    idle_s: Duration = Field(alias="idle", ge=1)
    """After how long with nothing to do it ends."""
    resume: Literal["manual", "auto"]
    """What becomes of runs that an ended engine left: `auto` carries them on by itself, never in production."""
    resume_max_age_s: Duration = Field(alias="resume_max_age")
    """With `auto`: how long ago the last event of such a run may lie."""


class Outlet(_Section):
    """Where events go to, each of them at least once and in order."""

    types: list[str] = Field(default_factory=lambda: ["run.*"], min_length=1)
    """Only events of these types; a trailing * stands for any."""
    give_up_after_s: Duration = Field(default=86_400.0, alias="give_up_after")
    """An event that could not be told for so long is put aside, to be sent again by command."""


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.port == 0:  # reading it raises ValueError for one that is none
        raise ValueError("the port of an address lies between 1 and 65535")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address begins with https:// and names a host")
    if parts.username or parts.password:
        raise ValueError("an address holds no password: the request is signed with `secret`")
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ValueError("http:// goes in clear: only to this machine (127.0.0.1), elsewhere https://")
    return url


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its name or address alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Webhook(Outlet):
    """An address that is told by signed requests."""

    url: Annotated[str, AfterValidator(_address)]
    secret: str = Field(min_length=1)
    """The name of the secret that requests are signed with, as `secret('...')` would name it."""


class Notification(Outlet):
    """A program that is run for each event, with the event on its standard input."""

    command: list[str] = Field(min_length=1)
    timeout_s: Duration = Field(default=30.0, alias="timeout")


class AppSettings(_Section):
    """Settings of Windlass itself."""

    history: int = Field(ge=0, le=10_000)
    """How many edits of the configuration are kept for `config revert`."""
    engine: EngineSettings
    webhooks: dict[Annotated[str, Field(pattern=NAME)], Webhook] = Field(default_factory=dict)
    notify: dict[Annotated[str, Field(pattern=NAME)], Notification] = Field(default_factory=dict)


_MODELS: Mapping[tuple[str, ...], type[_Section]] = {
    (): AppSettings,
    ("engine",): EngineSettings,
    ("webhooks", "*"): Webhook,
    ("notify", "*"): Notification,
}


def built_in() -> AppSettings:
    """The settings that hold where no file says otherwise."""
    return AppSettings.model_validate(BUILT_IN)


def application_defaults() -> Entry:
    """The lowest layer."""
    return Entry("mapping", DEFAULTS, items={SECTION: _entry(BUILT_IN)})


def _entry(value: Any) -> Entry:
    if isinstance(value, Mapping):
        return Entry("mapping", DEFAULTS, items={key: _entry(item) for key, item in value.items()})
    return Entry("scalar", DEFAULTS, value)


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
        known = _known(tuple(map(str, found["loc"][:-1])))
        close = difflib.get_close_matches(str(found["loc"][-1]), known, n=1)
        inside = ".".join(map(str, (SECTION, *found["loc"][:-1])))
        hint = f"did you mean {inside}.{close[0]}?" if close else f"there is: {', '.join(known)}"
        told = f"Windlass has no setting {name}"
    else:
        words = found["msg"].removeprefix("Value error, ")
        told, hint = f"{name}: {words[:1].lower()}{words[1:]}", ""
    return Fault(place.origin.file, place.origin.line, place.origin.column, told, hint)


def _known(section: tuple[str, ...]) -> list[str]:
    """The names in a section."""
    model = _MODELS.get(section) or _MODELS.get((*section[:1], "*"))
    return [field.alias or name for name, field in model.model_fields.items()] if model is not None else []
