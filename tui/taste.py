"""How a person wants the interface: the themes there are, and what was chosen last, kept in the user's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import Fault, InputError
from core.workspace.userfiles import UserFile
from themes.load import DEFAULT_THEME, MONOCHROME, SIXTEEN, ThemeData, load_themes
from themes.user import user_themes

KEYS = "keys.toml"
"""A user's own keys, in the configuration folder."""
THEMES = "themes"
"""The folder of a user's own themes, below the configuration folder."""
CHOSEN = UserFile("interface.json", "how the interface is to look")


@dataclass(frozen=True, slots=True)
class Taste:
    """`themes` are all that can be chosen, `faults` what is wrong with those that are left out.

    `wrap` lets long lines of output go on in the next row; `mouse` False leaves the mouse to the terminal.
    """

    themes: Sequence[ThemeData]
    faults: Sequence[Fault] = ()
    theme: str = ""
    low_bandwidth: bool = False
    wrap: bool = False
    mouse: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)

    def first_theme(self, colours: str | None, *, plain: bool) -> str:
        """The theme to begin with: the chosen one, else what a terminal can show (`colours` as rich calls it)."""
        if self.theme in {theme.name for theme in self.themes}:
            return self.theme
        if plain:
            return MONOCHROME
        return SIXTEEN if colours == "standard" else DEFAULT_THEME


def read_taste(folder: Path | None) -> Taste:
    """The taste of the user whose configuration lies in `folder`; None for nobody's."""
    ours = load_themes()
    if folder is None:
        return Taste(ours)
    own, faults = user_themes(folder / THEMES, {theme.name: theme for theme in ours})
    keys: Mapping[str, str] = {}
    if (folder / KEYS).exists():
        from tui.keymap import read_keys  # it imports every screen, which the first frame goes without

        keys, wrong = read_keys(folder)
        faults += wrong
    try:
        chosen = CHOSEN.read()
    except InputError as error:
        faults.append(Fault(str(CHOSEN.path), 0, 0, error.message))
        chosen = {}
    theme = chosen.get("theme")
    return Taste(
        [*ours, *own],
        faults,
        theme if isinstance(theme, str) else "",
        chosen.get("low_bandwidth") is True,
        chosen.get("wrap") is True,
        chosen.get("mouse") is not False,
        keys,
    )


def remember(**chosen: str | bool) -> None:
    """Keeps what was chosen. Blocks; raises InputError."""
    with CHOSEN.changing() as data:
        data.update(chosen)
