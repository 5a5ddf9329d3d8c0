"""Reads themes, which are data: one TOML file for each, validated whole before any of it is used.

A theme file has `name`, `title`, `dark` and a table `[colors]` with exactly the keys of `COLOR_KEYS`, each
`#rrggbb`. Every role is legible: text and state colours reach a contrast of `MIN_CONTRAST` against the background,
and of `MIN_CONTRAST_CHOSEN` on the chosen row. With `ansi = true` the colours are the terminal's own, by their names
(`ansi_red`, `ansi_default`), and how legible they are is up to the terminal. With `based_on` a file holds only what is
other than in a theme of ours. Nothing here imports Textual.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from core.errors import Fault, InputError

COLOR_KEYS = (
    "background",
    "surface",
    "panel",
    "foreground",
    "muted",
    "faint",
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
    "line",
    "line_focus",
    "mark",
    "mark_blur",
    "production",
)
TEXT_ROLES = ("foreground", "muted", "primary", "accent", "success", "warning", "error")
MIN_CONTRAST = 4.5
MIN_CONTRAST_CHOSEN = 3.0
"""On the chosen row bright colours may come nearer to the ground: a sign or a word always goes with them."""
DEFAULT_THEME = "windlass-dark"
SIXTEEN, MONOCHROME = "sixteen", "monochrome"
"""What a terminal with sixteen colours gets, and one with none."""

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_ANSI = re.compile(r"ansi_(default|(bright_)?(black|red|green|yellow|blue|magenta|cyan|white))")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclass(frozen=True, slots=True)
class ThemeData:
    """One theme: colours by role, as `#rrggbb`, with `ansi` as names of the terminal's own."""

    name: str
    title: str
    dark: bool
    colors: Mapping[str, str]
    ansi: bool = False


def contrast(one: str, other: str) -> float:
    """The contrast of two `#rrggbb` colours, 1.0 to 21.0, after WCAG 2.1."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def parse_theme(text: str, file: str, ours: Mapping[str, ThemeData] | None = None) -> ThemeData:
    """Reads one theme; `ours` are those that it may be based on, and whose names it may not have.

    Raises InputError with every fault of it.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = (int(where[1]), int(where[2])) if where else (0, 0)
        fault = Fault(file, line, column, f"no valid TOML: {error}")
        raise InputError(f"the theme {file} cannot be read", faults=[fault]) from None
    found = _derive(data, ours) if ours is not None else []
    found += _faults(data)
    faults = [Fault(file, _line_of(text, key), 1, message) for key, message in found]
    if faults:
        raise InputError(f"the theme {file} has {len(faults)} fault(s)", faults=faults)
    colors = {key: data["colors"][key].lower() for key in COLOR_KEYS}
    return ThemeData(data["name"], data["title"], data["dark"], colors, data.get("ansi", False))


def _derive(data: dict[str, Any], ours: Mapping[str, ThemeData]) -> list[tuple[str, str]]:
    """Puts in what a theme takes from the one that it is based on; what is wrong with that."""
    found: list[tuple[str, str]] = []
    if isinstance(data.get("name"), str) and data["name"] in ours:
        found.append(("name", f"'{data['name']}' is a theme of Windlass: take another name"))
    if "based_on" not in data:
        return found
    base = ours.get(data["based_on"]) if isinstance(data["based_on"], str) else None
    if base is None:
        return [*found, ("based_on", f"'based_on' must be one of {', '.join(sorted(ours))}")]
    del data["based_on"]
    data.setdefault("title", data.get("name"))
    data.setdefault("dark", base.dark)
    data.setdefault("ansi", base.ansi)
    given = data.setdefault("colors", {})
    if isinstance(given, dict):
        data["colors"] = {**base.colors, **given}
    return found


def _faults(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Each fault as (the key it is about, what is wrong)."""
    found: list[tuple[str, str]] = []
    known = {"name", "title", "dark", "ansi", "colors"}
    found += [(key, f"unknown key '{key}'") for key in data if key not in known]
    if not isinstance(data.get("ansi", False), bool):
        found.append(("ansi", "'ansi' must be true or false"))
    name = data.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        found.append(("name", "'name' must be lower-case letters, digits and hyphens"))
    if not isinstance(data.get("title"), str):
        found.append(("title", "'title' must be a text"))
    if not isinstance(data.get("dark"), bool):
        found.append(("dark", "'dark' must be true or false"))
    colors = data.get("colors")
    if not isinstance(colors, dict):
        return [*found, ("colors", "the table [colors] is missing")]
    found += [(key, f"unknown colour '{key}'") for key in colors if key not in COLOR_KEYS]
    ansi = data.get("ansi") is True
    shape = _ANSI if ansi else _COLOR
    good: dict[str, str] = {}
    for key in COLOR_KEYS:
        value = colors.get(key)
        if isinstance(value, str) and shape.fullmatch(value):
            good[key] = value
        else:
            how = "as ansi_red, ansi_bright_red, ... or ansi_default" if ansi else "as #rrggbb"
            found.append((key, f"the colour '{key}' must be given {how}"))
    return found if ansi else [*found, *_illegible(good)]


def _illegible(good: Mapping[str, str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for role in TEXT_ROLES:
        for ground in ("background", "surface", "mark", "mark_blur"):
            if role in good and ground in good:
                ratio = contrast(good[role], good[ground])
                least = MIN_CONTRAST if ground in {"background", "surface"} else MIN_CONTRAST_CHOSEN
                if ratio < least:
                    found.append(
                        (role, f"'{role}' on '{ground}' has a contrast of {ratio:.1f}, below {least}")
                    )
    return found


def _line_of(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\[?{re.escape(key)}\b", line):
            return number
    return 0


def load_themes() -> list[ThemeData]:
    """Every theme that ships with Windlass, the default one first. Raises InputError for a broken one."""
    files = [entry for entry in resources.files("themes").iterdir() if entry.name.endswith(".toml")]
    themes = [parse_theme(entry.read_text(encoding="utf-8"), entry.name) for entry in files]
    return sorted(themes, key=lambda theme: (theme.name != DEFAULT_THEME, theme.name))
