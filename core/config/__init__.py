"""The configuration of a workspace: layers that override each other, templates in values, edits in place."""

from __future__ import annotations
