"""`windlass audit list, verify, export`: who decided and changed what, and whether the log of it is whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.exits import Exit
from cli.lazy import Lazy, LazyGroup
from cli.options import json_option, workspace_folder, workspace_option
from cli.terminal import Cell, clean, emit, note, out, table
from cli.words import plural, stamp
from core.model.actors import place

if TYPE_CHECKING:
    from core.store.audit import AuditLog, Entry

TABLE = {
    "list": Lazy("cli.audit:list_entries", "List decisions and changes, oldest first.", "Audit"),
    "verify": Lazy("cli.audit:verify", "Follow the chain of hashes to its end.", "Audit"),
    "export": Lazy("cli.audit:export", "Print the whole log, as JSON lines or CSV.", "Audit"),
}
COLUMNS = ("number", "time", "actor", "action", "details", "previous", "hash")


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def audit() -> None:
    """Look at the audit log: who decided and changed what."""


@click.command("list")
@click.option("--run", type=click.IntRange(min=1), help="Only what is about this run.")
@click.option("--actor", "who", default="", metavar="TEXT", help="Only where the actor has this text in it.")
@click.option("--action", default="", metavar="NAME", help="Only actions that begin so: run, config.edit.")
@click.option(
    "-n", "--newest", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most."
)
@json_option
@workspace_option
def list_entries(run: int | None, who: str, action: str, newest: int, as_json: bool) -> Exit:
    """List decisions and changes, oldest first."""
    found = [
        entry
        for entry in _log().entries()
        if (run is None or entry.details.get("run") == run)
        and who in entry.actor
        and entry.action.startswith(action)
    ]
    if as_json:
        for entry in found[-newest:]:
            emit(jsonforms.audit_entry(entry))
        return Exit.OK
    rows: list[list[Cell]] = [
        [
            str(entry.number),
            stamp(entry.time),
            clean(place(entry.actor), 40),
            clean(entry.action, 40),
            _told(entry),
        ]
        for entry in found[-newest:]
    ]
    if not rows:
        note("the audit log has no such entry")
        return Exit.OK
    for line in table(("ENTRY", "WHEN", "WHO", "DID", "WHAT"), rows, right=("ENTRY",), max_chars=100):
        out(line)
    if len(found) > newest:
        note(f"{len(found) - newest} older ones: -n shows more")
    return Exit.OK


@click.command()
@click.option(
    "--head",
    default="",
    metavar="HASH",
    help="A hash kept elsewhere: its entry must still be there.",
)
@json_option
@workspace_option
def verify(head: str, as_json: bool) -> Exit:
    """Follow the chain of hashes to its end.

    An entry that was changed, removed or moved is named by its line (status 2). What was cut off the end is seen only
    with --head: keep the hash that this command prints where nobody who writes here can.
    """
    found = _log().verify(head)
    if as_json:
        emit(jsonforms.audit_verified(found.entries, found.head))
    else:
        out(found.head)
        note(
            f"{plural(found.entries, 'entry', 'entries')}, each following the one before it; above the hash of the last"
        )
    return Exit.OK


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="A JSON object a line, or a table for spreadsheets.",
)
@workspace_option
def export(form: str) -> Exit:
    """Print the whole log, as JSON lines or CSV.

    The chain is verified first; one that does not hold is not exported.
    """
    log = _log()
    log.verify()
    lines = _csv(log.entries()) if form == "csv" else _jsonl(log.entries())
    for line in lines:
        out(line)
    return Exit.OK


def _log() -> AuditLog:
    from core.store.audit import AuditLog
    from core.workspace.folder import Workspace

    return AuditLog(Workspace.open(workspace_folder()).state_dir)


def _told(entry: Entry) -> str:
    return clean(", ".join(f"{name} {value}" for name, value in entry.details.items()), 200)


def _jsonl(entries: Iterable[Entry]) -> Iterable[str]:
    for entry in entries:
        yield json.dumps(jsonforms.audit_entry(entry))


def _csv(entries: Iterable[Entry]) -> Iterable[str]:
    for row in (COLUMNS, *(_row(entry) for entry in entries)):
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(map(_harmless, row))
        yield text.getvalue()


def _row(entry: Entry) -> tuple[str, ...]:
    told = jsonforms.audit_entry(entry)
    details = json.dumps(told["details"])
    return (
        str(entry.number),
        str(told["time"]),
        entry.actor,
        entry.action,
        details,
        entry.previous,
        entry.hash,
    )


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    cell = clean(cell)
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell
