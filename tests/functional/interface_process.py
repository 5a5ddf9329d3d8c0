"""The interface as a process of its own, for tests that need a real terminal: what happens is told on stdout.

Lines: `tick N` while the event loop lives, `drained`, `dropped` while the terminal took too little, `drawn anew`, and
`status N` at the end.
"""

from __future__ import annotations

import asyncio
import os
import sys

from core.model.ids import TaskKey
from tests.functional import lab
from tui import app as app_module


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # not print: the interface keeps that from the terminal


class ToldApp(app_module.WindlassApp):
    """Tells when it draws everything anew."""

    def _repaint(self, *what: object) -> None:
        tell("drawn anew")
        super()._repaint()

    def _check_terminal(self) -> None:
        if getattr(self._driver, "dropped", False):
            tell("dropped")
        super()._check_terminal()


async def main() -> None:
    app_module.WindlassApp = ToldApp  # type: ignore[misc]
    engine = lab.lab() if "live" in sys.argv else lab.fresh_lab()

    if "busy" in sys.argv:
        engine.run_list = {44: lab.live_run()}

    async def ticks() -> None:
        number = 0
        while True:
            number += 1
            tell(f"tick {number}")
            if "busy" in sys.argv:  # something to draw, all the time
                for server in lab.SERVERS:
                    await engine.set_task(
                        44, TaskKey("build", server), last_line=f"{number} " + chr(97 + number % 26) * 200
                    )
            await asyncio.sleep(0.02)

    async def drained() -> None:
        await engine.drained.wait()
        tell("drained")

    others = [asyncio.create_task(ticks()), asyncio.create_task(drained())]
    status = await app_module.run_app(engine, actor="ada", started_notice="welcome")
    await asyncio.sleep(0.05)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    tell(f"status {status}")


if __name__ == "__main__":
    asyncio.run(main())
