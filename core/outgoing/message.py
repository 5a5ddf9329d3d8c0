"""An event as others get it: a CloudEvent in JSON, and the signature of a webhook's request.

CloudEvents 1.0 (github.com/cloudevents/spec, "structured content mode"), and the Standard Webhooks specification
(github.com/standard-webhooks/standard-webhooks): HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from core.errors import InputError
from core.model.events import Event

MEDIA_TYPE = "application/cloudevents+json"
TYPE_PREFIX = "windlass."
SECRET_PREFIX = "whsec_"
SECRET_BYTES = 24
"""The least that the Standard Webhooks specification lets a key have."""


def message_id(event: Event, incarnation: str) -> str:
    """The same for every delivery of one event, and for no other event of any database."""
    return f"{incarnation}:{event.seq}"


def cloud_event(event: Event, workspace: str, incarnation: str) -> bytes:
    """An event as the JSON of a CloudEvent."""
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": message_id(event, incarnation),
        "source": f"/windlass/{quote(workspace, safe='')}",
        "type": TYPE_PREFIX + event.type,
        "time": datetime.fromtimestamp(event.time, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": f"{event.seq:020d}",
        "data": _data(event),
    }
    if subject := _subject(event):
        document["subject"] = subject
    return to_json(document)


def _data(event: Event) -> Mapping[str, Any]:
    about = {
        "run": event.run,
        "step": event.step,
        "server": event.server,
        "attempt": event.attempt,
        "actor": event.actor or None,
        "version": event.version,
    }
    return {
        **{name: value for name, value in about.items() if value is not None},
        "details": dict(event.data),
    }


def _subject(event: Event) -> str:
    if event.run is None:
        return event.server or ""
    return f"runs/{event.run}" + (f"/{event.step}@{event.server}" if event.step else "")


def signing_key(secret: bytes) -> bytes:
    """The key that a secret stands for: base64 behind `whsec_`, or the bytes themselves. Raises InputError."""
    key = secret
    if secret.startswith(SECRET_PREFIX.encode()):
        try:
            key = base64.b64decode(secret.removeprefix(SECRET_PREFIX.encode()), validate=True)
        except binascii.Error:
            raise InputError(
                f"the signing secret begins with {SECRET_PREFIX} and goes on with no base64"
            ) from None
    if len(key) < SECRET_BYTES:
        raise InputError(
            f"the signing secret has less than {SECRET_BYTES} bytes",
            hint=f"`{SECRET_PREFIX}` and the base64 of 24 to 64 random bytes make one",
        )
    return key


def signed_headers(key: bytes, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one try to deliver."""
    content = b"%s.%d.%s" % (id_.encode(), timestamp, body)
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "content-type": MEDIA_TYPE,
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
