"""Makes the picture of the README: the run screen, exported by the program itself in the middle of a real run.

`make picture` runs it. A copy of the demo workspace is made in a temporary folder, its servers are
started, the batch `rollout` is run by the real engine, and the interface's own screenshot is saved when the long
step prints. Names and times differ from one picture to the next; the rest does not.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from core.engine.api import Engine
from core.engine.open import open_engine
from core.workspace.template import create_workspace
from themes.load import DEFAULT_THEME
from tui.app import WindlassApp
from tui.screens.run import RunScreen
from tui.screens.start import StartSheet

TARGET = Path(__file__).parent / "pictures" / "run.svg"
SIZE = (120, 36)
ACTOR = "you@laptop"
BATCH = "rollout"
LONG_STEP = "migrate"
LINES_BEFORE_PICTURE = 18


async def main() -> None:
    """Runs the demo in memory of a terminal and saves its run screen."""
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory(prefix="windlass-") as folder:
        workspace = Path(folder) / "demo"
        create_workspace(workspace, "demo")
        engine = await open_engine(workspace, actor=ACTOR)
        try:
            await engine.start_servers()
            await _picture(engine)
        finally:
            await engine.close()
            await _stop(workspace)


async def _picture(engine: Engine) -> None:
    app = WindlassApp(engine, actor=ACTOR, batch=BATCH, ascii_only=False)
    async with app.run_test(size=SIZE) as pilot:
        app.theme = DEFAULT_THEME  # whatever the terminal can show that this is made in
        while not isinstance(app.screen, StartSheet):
            await pilot.pause(0.1)
        await app.screen.planned.wait()
        await pilot.press("s")
        while not isinstance(app.screen, RunScreen):
            await pilot.pause(0.1)
        number = app.screen.number
        await _printed(engine, number)
        await pilot.pause(0.5)
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(app.export_screenshot(title="windlass"), "utf-8")
        await engine.wait(number)


async def _printed(engine: Engine, run: int) -> None:
    """Returns when the long step has printed some lines."""
    seen = 0
    async for event in engine.follow(0, run=run):
        seen += event.type == "task.output" and event.step == LONG_STEP
        if seen >= LINES_BEFORE_PICTURE:
            return


async def _stop(workspace: Path) -> None:
    engine = await open_engine(workspace, actor=ACTOR)
    try:
        await engine.stop_servers()
    finally:
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main())
