"""A small fleet, and how to make one of any size."""

from __future__ import annotations

from typing import Any

from core.model.views import ServerInfo


def server(name: str, **more: Any) -> ServerInfo:
    """One server; what is not given is as it mostly is."""
    values: dict[str, Any] = {
        "provider": "static",
        "address": "10.0.0.1",
        "port": 22,
        "user": "ops",
        "groups": (),
        "labels": {},
        "state": "unknown",
        "source": "servers/static.yaml:3",
        **more,
    }
    return ServerInfo(name=name, **values)


FLEET = (
    server("web-1", groups=("web",), labels={"zone": "a"}, state="started", address="10.0.1.1"),
    server("web-2", groups=("web",), labels={"zone": "b"}, state="stopped", address="10.0.1.2"),
    server("web-13", groups=("web", "canary"), labels={"zone": "a"}, state="started", address="10.0.1.13"),
    server("db-1", groups=("db",), labels={"role": "primary"}, held_by=44, address="fe80::1"),
    server("lb", provider="local", groups=("lb-eu",), user="root", last_run=7, note="unknown host key"),
)
