"""Whether something accepts TCP connections, seen from a server: a direct-tcpip channel, opened and closed."""

from __future__ import annotations

import asyncio

import asyncssh

from core.engine.executor import Ended, NotStarted, PortProbe
from core.ssh.failures import remote_text
from core.ssh.link import Link, LinkGone

PROBE_TIMEOUT_S = 10.0


async def probe_port(link: Link, work: PortProbe) -> Ended | NotStarted:
    """Probes once. Exit 0: it accepts; 1: it does not, or the server does not let us look, with why."""
    where = f"{work.host}:{work.port} on {link.resolved.name}"
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await link.connect_onward(work.host, work.port)
    except TimeoutError:
        return Ended(1, why=f"{where} did not answer within {PROBE_TIMEOUT_S:g} s", evidence="probe")
    except LinkGone as error:
        return NotStarted(f"the connection to {link.resolved.name} was lost: {error}")
    except asyncssh.ChannelOpenError as error:
        reason = remote_text(error.reason)
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return Ended(
                1,
                why=f"{link.resolved.name} does not allow looking at {work.host}:{work.port}: {reason} "
                "(AllowTcpForwarding and PermitOpen of its SSH server decide this; "
                "a wait for a command works without)",
                evidence="probe",
            )
        return Ended(1, why=f"nothing accepts connections at {where}: {reason}", evidence="probe")
    except (asyncssh.Error, OSError) as error:
        if link.gone:
            return NotStarted(f"the connection to {link.resolved.name} was lost: {link.lost_why}")
        return Ended(1, why=f"{where}: {remote_text(str(error))}", evidence="probe")
    return Ended(0, evidence="probe")
