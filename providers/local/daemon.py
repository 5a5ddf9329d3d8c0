"""Entry point of the supervising process: `python -m providers.local.daemon STATE_DIR READY_FD`.

It detaches first (own session, no terminal, parent gone) and imports the rest then, so that whoever
starts it waits for a small process only. Standard streams go to the log file. READY_FD is a pipe on which
"ready" is written once orders are taken; its end without that means failure, told in the log.
"""

from __future__ import annotations

import os
import sys

MAX_DESCRIPTORS = 16384


def main(arguments: list[str]) -> int:
    """Detaches and serves until the last server is stopped."""
    folder, ready = arguments[0], int(arguments[1])
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir(folder)
    os.umask(0o022)
    _redirect(ready)
    _reset()
    return _serve(folder, ready)


def _redirect(ready: int) -> None:
    """Standard input from nowhere, output to the log; no other descriptor stays open."""
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open("daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if ready < 3:
        raise ValueError("READY_FD is a standard stream")
    os.closerange(3, ready)
    os.closerange(ready + 1, 4096)
    os.set_inheritable(ready, False)


def _reset() -> None:
    """Default signals, which commands inherit whatever the starter had ignored, and room for descriptors."""
    import resource
    import signal

    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in ("QUIT", "TSTP", "TTIN", "TTOU", "USR1", "USR2", "ALRM", "CHLD"):
        signal.signal(getattr(signal, f"SIG{number}"), signal.SIG_DFL)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _serve(folder: str, ready: int) -> int:
    import asyncio
    import logging
    import time
    from pathlib import Path

    from providers.local.layout import Layout, try_lock
    from providers.local.logfile import BoundedLog
    from providers.local.processes import adopt_orphans

    logging.basicConfig(
        level=logging.INFO,
        handlers=[BoundedLog("daemon.log")],
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    log = logging.getLogger("providers.local.daemon")
    layout = Layout(Path(folder))
    lock = None
    for _ in range(500):  # whoever only asks whether the lock is held keeps it for an instant
        lock = try_lock(layout.daemon_lock)
        if lock is not None:
            break
        time.sleep(0.01)
    if lock is None:
        log.error("another process serves %s", folder)
        return 1
    adopt_orphans()
    try:
        from providers.local.supervisor import Supervisor

        asyncio.run(Supervisor(layout).run(ready))
    except Exception:
        log.exception("the supervising process failed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
