"""Words in events that readers look for: what is said of a running task whose server went away."""

from __future__ import annotations

SERVER_LOST = "its server is lost"
"""What the `why` of a `task.phase` begins with while nothing is heard of a running task."""
SERVER_BACK = "its server is back"
"""That `why` when it is heard of again."""
