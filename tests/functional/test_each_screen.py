"""Pictures of the screens that read files of the workspace, and of each screen as it is with nothing to show."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path

import pytest

import core.store.audit
from core.model.states import TaskState
from core.store.audit import AuditLog
from core.workspace import registry
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import NOW, ScriptedEngine, StoredRun, run_info, task
from tests.functional.steps import press, settle, until
from tests.functional.test_pictures import SIZES

Prepare = Callable[[Path], None]


def waiting_lab() -> ScriptedEngine:
    """A run in which nothing has started, that nobody did anything to, and that nobody looks at."""
    engine = lab.fresh_lab()
    live = lab.live_run()
    tasks = [task(each.index, each.step, each.server, TaskState.WAITING) for each in live.tasks]
    info = run_info(44, "deploy", live.info.state, began_s=2)
    engine.run_list = {44: StoredRun(info, live.steps, tasks)}
    return engine


def nothing(folder: Path) -> None:
    """Nothing beside the settings."""


def audited(folder: Path) -> None:
    log = AuditLog(folder / ".windlass")
    log.append("ada@desk (pts/1; pid 7)", "run.start", {"run": 44, "batch": "deploy"})
    log.append("ada@desk (pts/1; pid 7)", "config.set", {"file": "config/base.yaml", "path": "web.port"})
    log.append("token ci", "run.start.refused", {"why": "ReadOnlyWorkspace"})
    log.append("eve@desk (pts/9; pid 12)", "run.cancel", {"run": 44, "reason": "the release is wrong"})


def logged(folder: Path) -> None:
    logs = folder / ".windlass" / "logs"
    logs.mkdir(parents=True)
    (logs / "engine.log").write_text(
        "2026-03-01 13:58:02,104 4711 INFO the engine owns the workspace\n"
        "2026-03-01 14:00:35,771 4711 INFO run 44 (deploy) starts: 49 tasks on 12 servers\n"
        "2026-03-01 14:01:40,002 4711 WARNING the disk has 212 MB left\n"
        "2026-03-01 14:01:58,360 4711 ERROR a webhook is not answered: connection refused\n"
    )


def written(folder: Path) -> None:
    (folder / "batches").mkdir()
    (folder / "batches" / "deploy.yaml").write_text("# The deploy.\nsteps:\n  one: {run: make}\n")


def registered(folder: Path) -> None:
    for name, text in (("lab", lab.BARE["workspace.yaml"]), ("shop", "format: 1\nprotection: production\n")):
        place = folder.parent / name
        place.mkdir(exist_ok=True)
        (place / "workspace.yaml").write_text(text)
        registry.add(name, place)


PICTURES: dict[str, tuple[Callable[[], ScriptedEngine], Prepare, tuple[str, ...]]] = {
    "audit": (lab.lab, audited, ("a",)),
    "audit_empty": (lab.empty_lab, nothing, ("a",)),
    "engine_log": (lab.lab, logged, ("l", "k")),
    "engine_log_empty": (lab.empty_lab, nothing, ("l",)),
    "batches": (lab.lab, written, ("d", "j")),
    "batches_empty": (lab.empty_lab, nothing, ("d",)),
    "start_empty": (lab.empty_lab, nothing, ("b",)),
    "command_bar_empty": (lab.empty_lab, nothing, ("colon", "z", "enter")),
    "workspaces": (lab.fresh_lab, registered, ("w",)),
    "workspaces_empty": (lab.fresh_lab, nothing, ("w",)),
    "who_empty": (waiting_lab, nothing, ("enter", "w")),
    "timeline_empty": (waiting_lab, nothing, ("enter", "v")),
    "replay_empty": (waiting_lab, nothing, ("enter", "t")),
    "help": (lab.empty_lab, nothing, ("question_mark",)),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PICTURES)
def test_picture(
    name: str,
    size: tuple[int, int],
    snap_compare,
    make_app: MakeApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core.store.audit, "time", types.SimpleNamespace(time=lambda: NOW - 60))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    engine, prepare, keys = PICTURES[name]
    folder = tmp_path / "lab"
    folder.mkdir()
    app = make_app(lab.in_folder(engine(), folder, lab.BARE))
    prepare(folder)

    async def walk(pilot) -> None:
        await press(pilot, *keys)
        if keys[0] == "w":
            await (app.screen.asked if prepare is registered else app.screen.listed).wait()
            app.screen.query_one(
                "#workspace-detail"
            ).visible = False  # a path, which is another one each time
        if prepare is written:
            await until(pilot, lambda: "The deploy" in app.screen.text.text)
        for field in app.screen.query("Input"):
            field.cursor_blink = False
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=walk)
