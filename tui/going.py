"""Where a line of the command bar leads: one function for each command, and the words that a command may be given.

Screens are imported when they are opened: the first frame goes without them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from core.errors import InputError, WindlassError
from core.model.views import RunInfo
from themes.signs import run_sign
from tui import words
from tui.commands import parse

if TYPE_CHECKING:
    from tui.app import WindlassApp

RUNS_OFFERED = 100


def go(app: WindlassApp, line: str) -> None:
    """Does what a line says. Raises InputError."""
    command, given = parse(line)
    PLACES[command.name](app, given)


async def known_words(app: WindlassApp) -> Mapping[str, Sequence[tuple[str, str]]]:
    """What commands may be given, each word with what it is; what cannot be read is left out."""
    engine = app.session.engine
    found: dict[str, Sequence[tuple[str, str]]] = {
        "theme": [(name, "") for name in sorted(app.available_themes) if not name.startswith("textual")]
    }
    with contextlib.suppress(WindlassError):  # what cannot be read may be typed in full all the same
        found["run"] = [(str(run.number), _run_words(run)) for run in await engine.runs(limit=RUNS_OFFERED)]
    with contextlib.suppress(WindlassError):
        found["start"] = [(batch.name, batch.description) for batch in await engine.batches()]
    with contextlib.suppress(WindlassError):
        servers = await engine.servers()
        found["server"] = [(server.name, f"{server.provider}, {server.state}") for server in servers]
    return found


def _run_words(run: RunInfo) -> str:
    return f"{run.batch}, {run_sign(run.state, interrupted=run.interrupted).word}"


def _dashboard(app: WindlassApp, _given: str) -> None:
    while len(app.screen_stack) > 2:
        app.pop_screen()


def _runs(app: WindlassApp, given: str) -> None:
    from tui.screens.runs import RunsScreen

    app.push_screen(RunsScreen(app.session, given))


def _run(app: WindlassApp, given: str) -> None:
    from tui.screens.run import RunScreen

    app.push_screen(RunScreen(app.session, int(given)))


def _batches(app: WindlassApp, given: str) -> None:
    from tui.screens.batches import BatchesScreen

    app.push_screen(BatchesScreen(app.session, given))


def _start(app: WindlassApp, given: str) -> None:
    from tui.screens.start import StartSheet

    def started(number: int | None) -> None:
        if number is not None:
            _run(app, str(number))

    app.push_screen(StartSheet(app.session, given), started)


def _servers(app: WindlassApp, given: str) -> None:
    from tui.screens.servers import ServersScreen

    app.push_screen(ServersScreen(app.session, find=given))


def _providers(app: WindlassApp, given: str) -> None:
    from tui.screens.providers import ProvidersScreen

    app.push_screen(ProvidersScreen(app.session, given))


def _server(app: WindlassApp, given: str) -> None:
    from tui.screens.server import ServerScreen

    app.push_screen(ServerScreen(app.session, given))


def _config(app: WindlassApp, _given: str) -> None:
    from tui.screens.configuration import ConfigurationScreen

    app.push_screen(ConfigurationScreen(app.session))


def _events(app: WindlassApp, given: str) -> None:
    from tui.screens.events import EventsScreen

    app.push_screen(EventsScreen(app.session, given))


def _audit(app: WindlassApp, given: str) -> None:
    from tui.screens.audit import AuditScreen

    app.push_screen(AuditScreen(app.session, given))


def _log(app: WindlassApp, given: str) -> None:
    from tui.screens.engine_log import EngineLogScreen

    app.push_screen(EngineLogScreen(app.session, given))


def _workspaces(app: WindlassApp, _given: str) -> None:
    app.action_workspaces()


def _theme(app: WindlassApp, given: str) -> None:
    if not given:
        app.action_change_theme()
    elif given in app.available_themes:
        app.theme = given
    else:
        known = words.listed(sorted(name for name, _ in _theme_names(app)), 8)
        raise InputError(f"there is no theme {given!r}", hint=f"there are {known}")


def _theme_names(app: WindlassApp) -> Sequence[tuple[str, str]]:
    return [(name, "") for name in app.available_themes]


def _low(app: WindlassApp, _given: str) -> None:
    app.action_low_bandwidth()


def _mouse(app: WindlassApp, _given: str) -> None:
    app.action_mouse()


async def _help(app: WindlassApp) -> None:
    await app.screen.run_action("help")


def _keys(app: WindlassApp, _given: str) -> None:
    app.call_later(_help, app)


def _quit(app: WindlassApp, _given: str) -> None:
    app.call_later(app.action_leave)


PLACES: Mapping[str, Callable[[WindlassApp, str], None]] = {
    "dashboard": _dashboard,
    "runs": _runs,
    "run": _run,
    "batches": _batches,
    "start": _start,
    "servers": _servers,
    "server": _server,
    "providers": _providers,
    "config": _config,
    "events": _events,
    "audit": _audit,
    "log": _log,
    "workspaces": _workspaces,
    "theme": _theme,
    "low": _low,
    "mouse": _mouse,
    "help": _keys,
    "quit": _quit,
}
