"""What the interface imports before it draws anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LATER = ("asyncssh", "core.config", "core.secrets", "core.template", "jinja2", "ruamel")
"""Parts that a screen or a run needs, and the dashboard does not."""


def test_nothing_is_imported_for_the_first_frame_that_a_later_screen_needs() -> None:
    code = f"import sys, tui.app; print([name for name in {LATER!r} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "[]\n"


DASHBOARD = """
import asyncio, sys
from pathlib import Path
from daemon.on_demand import OnDemandEngine

async def look():
    engine = await OnDemandEngine.open(Path(sys.argv[1]), actor="ada", version="0")
    servers, batches = await engine.servers(), await engine.batches()
    await engine.close()
    return len(servers), len(batches)

found = asyncio.run(look())
print(*found, [name for name in ("asyncssh", "cryptography", "httpx", "fastapi") if name in sys.modules])
"""


def test_looking_at_servers_and_batches_loads_nothing_that_connects(tmp_path: Path) -> None:
    for name, text in (
        ("workspace.yaml", "format: 1\nname: lab\n"),
        ("servers/static.yaml", "provider: static\nservers:\n  web-1: {address: 127.0.0.1}\n"),
        ("batches/one.yaml", "steps: {one: {run: x}}\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = subprocess.run(
        [sys.executable, "-c", DASHBOARD, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert found.stdout == "1 1 []\n"
