"""The `local` provider: real SSH servers on loopback, made of nothing but Python.

They are for trying Windlass out and for tests. Commands on them run with the rights of whoever started
them: it is not a sandbox. One supervising process serves them all; it outlives whoever started it and is
found again by its lock. Listing needs no SSH library and no connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import InputError, ProviderContext, ProviderError, Server, ServerState, SshTarget
from providers.local.layout import Layout, ServerRecord, is_served, read_state
from providers.local.settings import LocalServer, read_settings
from providers.settings import did_you_mean

ADDRESS = "127.0.0.1"
NOTE = "commands run with your own rights; not a sandbox"
NO_PORT = 1
"""The port of a server that never ran: nothing listens there, and it is never that of a real SSH server."""


class LocalProvider:
    """The local servers of one settings file."""

    name = "local"
    starts_servers = True

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._layout = Layout(context.state_dir)

    async def list(self) -> Sequence[Server]:
        """Every server in document order. Raises InputError with every fault of the settings."""
        wanted = read_settings(self._context)
        state = read_state(self._layout)
        lives = is_served(self._layout)
        return [self._server(entry, state.servers.get(entry.name), lives) for entry in wanted]

    async def start(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Starts the named servers (all when empty); the names of its servers that run now."""
        from providers.local import control

        wanted = read_settings(self._context)
        chosen = self._choose(wanted, names)
        if not chosen:
            return []
        self._refuse_links()
        running, notes = await control.start(
            self._layout, [{"name": entry.name, "user": entry.user} for entry in chosen]
        )
        missing = [entry.name for entry in chosen if entry.name not in running]
        if missing:
            raise ProviderError(f"not started: {', '.join(missing)}", hint="\n".join(notes))
        known = {entry.name for entry in wanted}
        return [name for name in running if name in known]

    async def stop(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Stops the named servers with everything started on them.

        Without names every local server of the workspace, those no longer written down too.
        """
        from providers.local import control

        if names:
            self._choose(read_settings(self._context), names)
        return await control.stop(self._layout, list(names) or None)

    async def close(self) -> None:
        """Nothing is held here; the servers go on."""

    def _refuse_links(self) -> None:
        """The state folder may not lead out of the workspace, which somebody else may have put together."""
        workspace, root = self._context.workspace, self._layout.root
        if not root.resolve().is_relative_to(workspace.resolve()):
            raise ProviderError(f"{root} is refused: it leads to {root.resolve()}, out of the workspace")

    def _choose(self, wanted: Sequence[LocalServer], names: Sequence[str]) -> Sequence[LocalServer]:
        known = {entry.name: entry for entry in wanted}
        for name in names:
            if name not in known:
                raise InputError(f"{self._context.file} has no server '{name}'{did_you_mean(name, known)}")
        return [known[name] for name in dict.fromkeys(names)] if names else wanted

    def _server(self, entry: LocalServer, record: ServerRecord | None, lives: bool) -> Server:
        record = record or ServerRecord()
        target = SshTarget(
            address=ADDRESS,
            port=record.port or NO_PORT,
            user=entry.user,
            identity_files=(self._layout.user_key,),
            host_keys=(record.host_key,) if record.host_key else (),
            use_ssh_config=False,
        )
        return Server(
            name=entry.name,
            provider=self.name,
            ssh=target,
            groups=entry.groups,
            labels=entry.labels,
            state=ServerState.STARTED if lives and record.running else ServerState.STOPPED,
            source=entry.source,
            note=NOTE,
        )


def create(context: ProviderContext) -> LocalProvider:
    """The provider of one settings file."""
    return LocalProvider(context)
