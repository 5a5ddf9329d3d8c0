"""What screen tests share: one time zone, no animation, and an app on the scripted engine with a frozen clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functional.scripted_engine import NOW, ScriptedEngine
from tui.app import WindlassApp

MakeApp = Callable[..., WindlassApp]


@pytest.fixture(autouse=True)
def _one_time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    time.tzset()


@pytest.fixture
def make_app() -> MakeApp:
    """Builds an app: `make_app(engine, batch=…, ascii_only=…)`."""

    def make(engine: ScriptedEngine, **options: Any) -> WindlassApp:
        options.setdefault("ascii_only", False)
        app = WindlassApp(engine, actor="ada", clock=lambda: NOW, interval_s=0.01, **options)
        app.animation_level = "none"
        return app

    return make
