"""What all screens of one interface share: the engine, who works here, and whether the picture is live."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from core.engine.api import Engine
from core.model.views import WorkspaceInfo
from tui.actions import STILL_POSSIBLE, why_not_owned


@dataclass(slots=True)
class Session:
    """`workspace` is what the engine last said; `lost` says since when and why nothing is live any more."""

    engine: Engine
    actor: str
    workspace: WorkspaceInfo | None = None
    lost: str = ""
    here: str = ""
    """What this interface is called among those who have the workspace open."""

    @property
    def read_only(self) -> str:
        """Why nothing can be changed from here; "" when it can."""
        return self.lost or why_not_owned(self.workspace)

    @property
    def others(self) -> tuple[str, ...]:
        """Who else has the workspace open, each once."""
        there = self.workspace.watchers if self.workspace is not None else ()
        return tuple(dict.fromkeys(one.actor for one in there if one.id != self.here))

    def refused(self, action: str) -> str:
        """Why an action that changes something is not possible from here at all; "" when it may be."""
        if self.read_only:
            return self.read_only
        if self.workspace is not None and self.workspace.read_only and action not in STILL_POSSIBLE:
            return "this workspace is read-only: runs can be paused and cancelled, nothing else is changed"
        return ""

    def command(self, *words: str) -> str:
        """A command line that does the same from any folder: `windlass runs show 41 -w /srv/lab`."""
        folder = ("-w", self.workspace.path) if self.workspace is not None else ()
        return shlex.join(("windlass", *words, *folder))
