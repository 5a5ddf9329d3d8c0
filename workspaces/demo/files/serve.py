"""Serves the folder `site` on a free port of 127.0.0.1, in the background.

serve.py start      starts it unless it runs; returns when it takes requests, its port in `site.port`
serve.py running    exit status 0 when it answers, else 1
serve.py stop       ends it
"""

from __future__ import annotations

import functools
import http.client
import http.server
import os
import signal
import socketserver
import sys
import time
from pathlib import Path

PORT_FILE = Path("site.port")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the site; each answer names the process, so that no other one is taken for it."""

    def end_headers(self) -> None:
        self.send_header("X-Process", str(os.getpid()))
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Says nothing: there is nobody to read it."""


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def running() -> int:
    """The pid of the server that answers on the port last noted; 0 when none does."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(PORT_FILE.read_text()), timeout=3)
        connection.request("HEAD", "/")
        return int(connection.getresponse().getheader("X-Process") or 0)
    except (OSError, ValueError, http.client.HTTPException):
        return 0


def start() -> None:
    if running():
        return
    server = Server(("127.0.0.1", 0), functools.partial(Handler, directory="site"))
    port = server.server_address[1]
    new = PORT_FILE.with_suffix(".new")
    new.write_text(str(port))
    new.replace(PORT_FILE)
    if os.fork():
        sys.stdout.write(f"serving on port {port}\n")
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    server.serve_forever()


def stop() -> None:
    pid = running()
    if pid:
        os.kill(pid, signal.SIGTERM)
        while running() == pid:
            time.sleep(0.05)


if __name__ == "__main__":
    action = sys.argv[1] if len(sys.argv) == 2 else ""
    if action == "start":
        start()
    elif action == "running":
        sys.exit(0 if running() else 1)
    elif action == "stop":
        stop()
    else:
        sys.exit(__doc__)
