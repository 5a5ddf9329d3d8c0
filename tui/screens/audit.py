"""The audit log: who decided and changed what, and whether the chain of entries holds."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Hashable, Sequence
from pathlib import Path

from textual.binding import Binding

from core.errors import InputError
from core.model.actors import place
from core.store.audit import AuditLog, Entry
from core.workspace.folder import Workspace
from tui import words
from tui.bridge import Changes
from tui.look import look
from tui.paint import Spans
from tui.screens.listing import Listing, entry
from tui.screens.run import RunScreen
from tui.session import Session
from tui.widgets.table import Column

PAGE = 1000


class AuditScreen(Listing[Entry]):
    """The newest entries, newest first."""

    WHAT = "audit"
    HINT = "an actor, an action such as run.cancel, a run, a path"
    COLUMNS = (
        Column("", 6, right=True),
        Column("when", 19),
        Column("who", 24),
        Column("did", 18),
        Column("details", min_table=80),
    )
    FOOTER = ("open", "find", "older", "verify", "copy", "back")
    BINDINGS = [
        Binding("v", "verify", "verify", id="audit.verify", tooltip="Follow the chain of entries to its end"),
    ]

    def __init__(self, session: Session, find: str = "") -> None:
        super().__init__(session, find)
        self._most = PAGE

    async def reload(self, changes: Changes) -> None:
        found, count = await asyncio.to_thread(self._read)
        self.rows, self.all_read = found, count <= len(found)
        self.show()

    async def read_older(self) -> None:
        """A page of older entries."""
        self._most += PAGE
        await self.reload(Changes())

    def _audit_log(self) -> AuditLog:
        workspace = self.session.workspace
        if workspace is None:
            raise InputError("the workspace is being read")
        return AuditLog(Workspace.open(Path(workspace.path)).state_dir)

    def _read(self) -> tuple[list[Entry], int]:
        """The newest entries, newest first, and how many there are."""
        kept: deque[Entry] = deque(maxlen=self._most)
        count = 0
        for found in self._audit_log().entries():
            kept.append(found)
            count += 1
        return list(reversed(kept)), count

    def key_of(self, item: Entry) -> Hashable:
        return item.number

    def cells(self, item: Entry) -> Sequence[Spans]:
        clean = look(self).text
        return [
            [(str(item.number), "muted")],
            [(words.stamp(item.time), "muted")],
            [(clean(place(item.actor)), "")],
            [(clean(item.action), "error" if item.action.endswith(".refused") else "bold")],
            [(clean(_details(item)), "")],
        ]

    def text_of(self, item: Entry) -> str:
        return f"{item.actor} {item.action} {_details(item)}"

    def detail(self, item: Entry) -> list[Spans]:
        clean = look(self).text
        return [
            entry(
                "entry",
                [
                    (f"{item.number}  ", "bold"),
                    (clean(item.action), ""),
                    (f"  {words.stamp(item.time)}", "muted"),
                ],
            ),
            entry("who", [(clean(item.actor), "")]),
            entry("details", [(clean(_details(item), max_chars=400), "")]),
            entry("hash", [(clean(item.hash), "muted")]),
        ]

    def nothing(self) -> list[Spans]:
        return [
            [("Every decision and change is written here, with who did it: starting a run ", "muted")],
            [("makes the first entry, ", "muted"), ("b", "bold accent"), (" on the dashboard.", "muted")],
        ]

    def opened(self, item: Entry) -> None:
        run = item.details.get("run")
        if isinstance(run, int):
            self.app.push_screen(RunScreen(self.session, run))
        else:
            self.say("this entry is about no run")

    def reason(self, action: str) -> str:
        chosen = self.table.chosen
        if action == "open" and chosen is not None and not isinstance(chosen.details.get("run"), int):
            return "this entry is about no run"
        return super().reason(action)

    def command(self) -> Sequence[str]:
        return ("audit", "list")

    def action_verify(self) -> None:
        async def verify() -> None:
            try:
                found = await asyncio.to_thread(lambda: self._audit_log().verify())
            except InputError as error:
                self.say_error(error)
                return
            self.say(
                f"the chain of {words.plural(found.entries, 'entry', 'entries')} holds; its head is {found.head}\n"
                "keep that elsewhere: windlass audit verify --head HASH"
            )

        self.undertake(verify, "verify")


def _details(item: Entry) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, str | int | float) else json.dumps(value, default=str)}"
        for name, value in item.details.items()
    )
