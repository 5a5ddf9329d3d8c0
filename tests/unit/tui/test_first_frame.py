"""What the interface imports before it draws anything."""

from __future__ import annotations

import subprocess
import sys

LATER = ("asyncssh", "core.config", "core.secrets", "core.template", "jinja2", "ruamel")
"""Parts that a screen or a run needs, and the dashboard does not."""


def test_nothing_is_imported_for_the_first_frame_that_a_later_screen_needs() -> None:
    code = f"import sys, tui.app; print([name for name in {LATER!r} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "[]\n"
