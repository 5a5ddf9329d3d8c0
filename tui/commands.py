"""The command bar's language: `servers web`, `run 41`. Names with their shapes, and what begins with what is typed.

Pure: what a command does is up to the app, which has a method for each name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from core.errors import InputError

RUN_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `takes` is what it is given ("" nothing), `must` whether it has to be; `also` are other names."""

    name: str
    told: str
    takes: str = ""
    must: bool = False
    also: tuple[str, ...] = ()

    @property
    def shape(self) -> str:
        """How it is typed: "run NUMBER", "servers [FILTER]"."""
        taken = self.takes if self.must else f"[{self.takes}]"
        return f"{self.name} {taken}" if self.takes else self.name


COMMANDS: Sequence[Command] = (
    Command("dashboard", "What needs you, what runs, what ran", also=("home",)),
    Command("runs", "Every run, newest first", "FILTER"),
    Command("run", "A run: live, or as it ended", "NUMBER", must=True),
    Command("batches", "The batches and their documents", "FILTER"),
    Command("start", "The plan of a batch, to be started", "BATCH", also=("batch",)),
    Command("servers", "The inventory", "FILTER", also=("inventory",)),
    Command("server", "One server: what is known of it, what runs did there", "NAME", must=True),
    Command("providers", "Who lists the servers, and how that went", "FILTER", also=("provider",)),
    Command("config", "The configuration and where its values come from", also=("configuration",)),
    Command("events", "What happened in the workspace", "FILTER"),
    Command("audit", "Who decided and changed what", "FILTER"),
    Command("log", "The log of the background engine", "FILTER", also=("logs",)),
    Command("workspaces", "The registered workspaces; open another one", also=("workspace",)),
    Command("theme", "Change the colours", "NAME"),
    Command("low", "Draw less often, for a slow link; again for as before", also=("low-bandwidth",)),
    Command("mouse", "Leave the mouse to the terminal, to select text; again for as before"),
    Command("help", "Every key of this screen", also=("keys",)),
    Command("quit", "Leave Windlass; runs go on", also=("q", "leave")),
)

BY_NAME: Mapping[str, Command] = {
    name: command for command in COMMANDS for name in (command.name, *command.also)
}


def parse(line: str) -> tuple[Command, str]:
    """The command of a line and what it is given. Raises InputError with the nearest name."""
    name, _, given = line.strip().lstrip(":").strip().partition(" ")
    given = given.strip()
    if not given and name.isdecimal():
        name, given = "run", name
    command = BY_NAME.get(name.lower())
    if command is None:
        begun = [one.name for one in COMMANDS if name and one.name.startswith(name.lower())]
        if len(begun) == 1:
            command = BY_NAME[begun[0]]
        else:
            near = begun or get_close_matches(name.lower(), BY_NAME, n=1)
            hint = f"did you mean {' or '.join(near)}?" if near else "tab lists what there is"
            raise InputError(f"there is no command {name!r}", hint=hint)
    if command.must and not given:
        raise InputError(f"{command.name} needs {command.takes}", hint=f":{command.shape}")
    if given and not command.takes:
        raise InputError(f"{command.name} takes nothing", hint=f":{command.name}")
    if command.name == "run" and not (given.isdecimal() and len(given) <= RUN_DIGITS):
        raise InputError(f"{given[:40]!r} is no number of a run", hint="such as :run 41")
    return command, given


@dataclass(frozen=True, slots=True)
class Offer:
    """What a line could become, and what that is."""

    line: str
    told: str


def offers(line: str, words: Mapping[str, Sequence[tuple[str, str]]], most: int = 8) -> list[Offer]:
    """What begins with a line. `words` are those that a command may be given, by its name, each with what it is."""
    typed = line.lstrip(":").lstrip()
    name, space, given = typed.partition(" ")
    if not space:
        known = [
            one for one in COMMANDS if any(each.startswith(name.lower()) for each in (one.name, *one.also))
        ]
        return [Offer(one.name + (" " if one.takes else ""), f"{one.shape:<18} {one.told}") for one in known][
            :most
        ]
    command = BY_NAME.get(name.lower())
    if command is None:
        return []
    given = given.lower()
    found = [(word, told) for word, told in words.get(command.name, ()) if word.lower().startswith(given)]
    found += [
        (word, told)
        for word, told in words.get(command.name, ())
        if given in word.lower() and (word, told) not in found
    ]
    return [Offer(f"{command.name} {word}", f"{word:<18} {told}") for word, told in found][:most]
