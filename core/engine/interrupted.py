"""What a new engine does with runs that an ended one left: it looks for what was in flight, and starts nothing by
itself unless the settings say `engine.resume: auto`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from core.config.settings import EngineSettings
from core.engine.local import LocalEngine
from core.errors import CredentialsNeeded, WindlassError
from core.model.states import Asked
from core.model.views import RunInfo

ACTOR = "engine (resume: auto)"


async def go_on(
    engine: LocalEngine, interrupted: Mapping[int, float], settings: EngineSettings
) -> Mapping[int, str]:
    """Follows what is in flight of each run to its end, or carries the run on; returns what was done, in words.

    `interrupted` holds the time of each run's last event, in seconds since the epoch.
    """
    done: dict[int, str] = {}
    for number, last in interrupted.items():
        info = await engine.run(number)
        if not info.state.open:
            continue
        kept = _why_not(info, time.time() - last, settings)
        if not kept:
            try:
                await engine.resume(number, actor=ACTOR)
                done[number] = "goes on by itself (app.engine.resume: auto)"
            except CredentialsNeeded as error:
                kept = error.message
                await engine.wait_for_credentials(number, error)
            except WindlassError as error:  # a secret that is gone, a full disk: nothing that ends an engine
                kept = error.message
        if kept:
            looks = await engine.look(number)
            done[number] = f"waits to be resumed ({kept})" + (
                "; what is in flight is looked for" if looks else ""
            )
    return done


def _why_not(info: RunInfo, age_s: float, settings: EngineSettings) -> str:
    """Why a run is not carried on by itself; "" where it is."""
    if info.asked is Asked.PAUSE:
        return "somebody has paused it"
    if settings.resume != "auto":
        return "app.engine.resume: manual"
    if info.protection == "production":
        return "never by itself in production"
    if age_s > settings.resume_max_age_s:
        return f"its last event is {age_s:.0f} s old, app.engine.resume_max_age is {settings.resume_max_age_s:g} s"
    return ""
