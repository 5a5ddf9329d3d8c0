"""What a run needs that goes with the session of whoever starts it: told in the plan, before it matters."""

from __future__ import annotations

from core import logout
from core.engine.snapshot import Snapshot
from core.model.ids import ENGINE_SERVER
from core.model.views import OwnerInfo
from core.secrets.reference import parts_of
from core.ssh.agents import agent_socket, how_long, outlives_session


def going(snapshot: Snapshot, owner: OwnerInfo | None) -> list[str]:
    """Sentences about what does not outlive the session; key files, and secrets of files and commands, do.

    `owner` is the engine that is to execute the run, None where one is to be started for it.
    """
    told = []
    agent = owner.agent if owner is not None and owner.background else agent_socket()
    over_ssh = any(name != ENGINE_SERVER for name in snapshot.servers)
    if over_ssh and agent and not outlives_session(agent):
        told.append(f"keys of the SSH agent {agent}: {how_long(agent)}; keys in files stay")
    names = sorted(name for kind, name in map(parts_of, snapshot.secrets) if kind == "env")
    if names:
        told.append(
            f"secrets of this environment ({', '.join(names)}): kept in the engine's memory only; "
            "should it end, `windlass runs resume` gives them again"
        )
    if owner is None:
        stay = logout.next_stay()
        survives, why = stay.survives, stay.why
    else:
        survives, why = owner.stays, owner.logout
    if not survives:
        told.append(why)
    return told
