"""`python -m cli` is `windlass`."""

from __future__ import annotations

from cli.main import main

main()
