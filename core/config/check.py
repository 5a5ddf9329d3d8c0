"""Everything wrong with the values of a configuration: in themselves, and by the workspace's own schema."""

from __future__ import annotations

from pathlib import Path

from core.config.resolve import Resolver
from core.errors import Fault

SCHEMA = "config/schema.yaml"


def all_faults(resolver: Resolver, workspace: Path) -> list[Fault]:
    """The faults of the values; where they can be worked out, what does not fit the schema, if there is one."""
    return resolver.faults() or rule_faults(resolver, workspace)


def rule_faults(resolver: Resolver, workspace: Path) -> list[Fault]:
    """What does not fit the schema, if there is one. A value that cannot be worked out is passed over."""
    file = workspace / SCHEMA
    if not (file.exists() or file.is_symlink()):
        return []
    from core.config.schema import schema_faults  # a checker of schemas is slow to load

    return schema_faults(resolver, workspace)
