"""The settings of a workspace as they are now: `workspace.yaml` is read again when it has changed on disk.

An engine may be open for days. What a person writes into the file meanwhile (`read_only: true`, another protection)
holds from the next request on, and not from the next start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.errors import InputError
from core.workspace.folder import Workspace
from core.workspace.settings import Protection, legible_read_only

Stamp = tuple[int, int, int, int]


class PresentWorkspace:
    """Follows one `workspace.yaml`; `changed` is called with each newer reading of it.

    A file that has become faulty counts as the strictest one that it may have been: production, nothing new planned,
    and read-only where it legibly says so.
    """

    def __init__(self, workspace: Workspace, changed: Callable[[Workspace], None] = lambda _: None) -> None:
        self._workspace = workspace
        self._changed = changed
        self._stamp = self._stamp_now()

    def now(self) -> Workspace:
        """The settings by the file as it is; where nothing has changed that costs one look at its times."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            self._workspace = self._read()
            self._changed(self._workspace)
        return self._workspace

    def _stamp_now(self) -> Stamp | None:
        try:
            found = self._workspace.settings_file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def _read(self) -> Workspace:
        try:
            return Workspace.load(self._workspace.path)
        except InputError as error:
            return replace(
                self._workspace,
                protection=Protection.PRODUCTION,
                environments=tuple(replace(each, protection=None) for each in self._workspace.environments),
                read_only=self._workspace.read_only or legible_read_only(self._workspace.path),
                broken=error,
            )
