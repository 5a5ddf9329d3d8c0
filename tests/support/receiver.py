"""A receiver of webhooks: a real HTTP server that checks each signature and answers as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + "c2VjcmV0IG9mIGEgcmVjZWl2ZXIgaW4gYSB0ZXN0"
WAIT_S = 30.0

Answer = Callable[[dict[str, Any]], int]
"""The status for an event; 0 hangs up without one, a negative number hangs for so many seconds."""


def taken(event: dict[str, Any]) -> int:
    """Everything is taken."""
    return 204


class Receiver:
    """Listens on 127.0.0.1. `seen` are all requests with their status, `got` the events that were taken, `faults` what
    was wrong with a request. With `refuses` a wrong signature is answered with 401 and counted, else it is a fault.
    """

    def __init__(self, answer: Answer = taken, port: int = 0) -> None:
        self.answer = answer
        self.seen: list[tuple[dict[str, Any], int]] = []
        self.faults: list[Exception] = []
        self.refuses = False
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                try:
                    receiver._take(self)
                except Exception as error:
                    receiver.faults.append(error)
                    self.send_error(500)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def got(self) -> list[dict[str, Any]]:
        """Events that were taken, in the order they came."""
        return [event for event, status in self.seen if 200 <= status < 300]

    @property
    def seqs(self) -> list[int]:
        """The numbers of those."""
        return [int(event["sequence"]) for event in self.got]

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError:
            if not self.refuses:
                raise
            self.refused += 1
            request.send_error(401)
            return
        parsed = from_structured_event(HTTPMessage(headers, body), JSONFormat())
        event: dict[str, Any] = json.loads(body)
        assert parsed.get_id() == headers["webhook-id"] == event["id"]
        status = self.answer(event)
        self.seen.append((event, status))
        if status < 0:
            time.sleep(-status)
        elif status:
            request.send_response(status)
            request.send_header("content-length", "0")
            request.end_headers()

    def end(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT_S)
