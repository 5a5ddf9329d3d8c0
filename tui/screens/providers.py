"""Who lists the servers: one row for each settings file, with how its last listing went."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual.binding import Binding

from core.model.views import ProviderInfo
from tui import tiles, words
from tui.bridge import Changes
from tui.look import look
from tui.paint import Span, Spans
from tui.screens.listing import Listing, entry
from tui.screens.servers import ServersScreen
from tui.screens.sheets import FaultsSheet
from tui.session import Session
from tui.widgets.table import Column


class ProvidersScreen(Listing[ProviderInfo]):
    """The settings files in `servers/`, by name."""

    WHAT = "providers"
    HINT = "static, a file, failed"
    COLUMNS = (
        Column("provider", 10),
        Column("written in", 24),
        Column("servers", 7, right=True),
        Column("states"),
        Column("listed", 14),
        Column("can start", 9, min_table=90),
    )
    FOOTER = ("open", "update", "find", "copy", "back")
    BINDINGS = [
        Binding("u", "update", "update", id="providers.update", tooltip="Ask the providers again"),
    ]

    def __init__(self, session: Session, find: str = "") -> None:
        super().__init__(session, find)
        self.all_read = True
        self._refresh_next = False

    async def reload(self, changes: Changes) -> None:
        if changes.servers or self._refresh_next:
            refresh, self._refresh_next = self._refresh_next, False
            self.rows = list(await self.session.engine.providers(refresh=refresh))
            self.show()

    def show(self) -> None:
        super().show()
        title, _ = self._titles["#panel"]
        faulty = any(item.faults for item in self.rows)
        self.entitle("#panel", title, "no server is known before every fault is mended" if faulty else "")

    def tick(self) -> None:
        super().tick()
        for at in range(*self.table.visible_range()):
            self.table.refresh_row(at)

    def key_of(self, item: ProviderInfo) -> Hashable:
        return item.file

    def cells(self, item: ProviderInfo) -> Sequence[Spans]:
        clean = look(self).text
        place = f"{item.file}:{item.line}" if item.line else item.file
        return [
            [(clean(item.kind), "bold") if item.kind else ("unknown", "error")],
            [(clean(place), "muted")],
            [(str(item.servers) if item.listed and not item.why else "", "")],
            tiles.state_spans(item.states, look(self), self.table.column_width(3)),
            [self._listed(item)],
            [("yes" if item.starts_servers else "no", "" if item.starts_servers else "muted")]
            if item.kind and item.listed
            else [],
        ]

    def _listed(self, item: ProviderInfo) -> Span:
        style = look(self)
        if item.faults:
            return f"{style.mark(tiles.FAULTY)} {words.plural(len(item.faults), 'fault')}", "error"
        if item.why:
            return style.signed(tiles.FAULTY)
        return f"{style.mark(tiles.VALID)} {words.ago(item.listed, style.clock())}", "success"

    def text_of(self, item: ProviderInfo) -> str:
        failed = "failed" if item.why or item.faults else ""
        faults = " ".join(str(fault) for fault in item.faults)
        return f"{item.kind} {item.file} {' '.join(item.states)} {failed} {item.why} {faults}"

    def detail(self, item: ProviderInfo) -> list[Spans]:
        clean = look(self).text
        lines: list[Spans] = []
        if item.faults:
            first = item.faults[0]
            place = f"{first.file}:{first.line}:{first.column}  " if first.line else f"{first.file}  "
            more = f"  and {len(item.faults) - 1} more: enter" if len(item.faults) > 1 else ""
            lines.append(
                entry("fault", [(clean(place), "accent"), (clean(first.message), ""), (more, "muted")])
            )
            if first.hint:
                lines.append(entry("", [(clean(first.hint), "muted")]))
        elif item.why:
            lines.append(entry("failed", [(clean(item.why), "error")]))
        if item.listed:
            took = f", in {words.milliseconds(item.took_s)}"
            lines.append(entry("asked", [(words.stamp(item.listed), ""), (took, "muted")]))
            told = (
                "Windlass starts and stops them"
                if item.starts_servers
                else "not started or stopped by Windlass"
            )
            lines.append(entry("servers", [(str(item.servers), "bold"), (f", {told}", "")]))
        else:
            lines.append(entry("servers", [("it is not asked before its faults are mended", "warning")]))
        lines.append(entry("file", [(clean(item.file), "")]))
        return lines

    def nothing(self) -> list[Spans]:
        return [
            [("A provider lists the servers that batches work on.", "muted")],
            [("servers/NAME.yaml", "accent"), (" makes one; its first line says which:", "muted")],
            [("provider: static", "bold"), ("  servers that exist already, by their addresses", "muted")],
            [("provider: local", "bold"), ("   servers on this machine, to try things out", "muted")],
            [("u", "bold accent"), (" reads the files again", "muted")],
        ]

    def opened(self, item: ProviderInfo) -> None:
        if item.faults:
            title = f"Faults of {item.file}"
            self.app.push_screen(FaultsSheet(self.session, title, item.faults))
        else:
            self.app.push_screen(ServersScreen(self.session, find=f"provider:{item.kind}"))

    def label(self, action: str) -> str:
        item = self.table.chosen
        if action == "open" and item is not None:
            return "its faults" if item.faults else "its servers"
        return super().label(action)

    def command(self) -> Sequence[str]:
        item = self.table.chosen
        wanted = (f"provider:{item.kind}",) if item is not None and item.kind else ()
        return ("servers", "list", *wanted)

    def action_update(self) -> None:
        self._refresh_next = True
        self.needs_reload(Changes(servers=True))
