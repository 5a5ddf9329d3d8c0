"""Everything wrong with the values of a configuration: in themselves, and by the workspace's own schema."""

from __future__ import annotations

from pathlib import Path

from core.config.load import leaves
from core.config.paths import Path as ConfigPath
from core.config.paths import show
from core.config.resolve import Resolver
from core.errors import Fault, InputError
from core.workspace.folder import Workspace

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


def secret_faults(resolver: Resolver, workspace: Workspace, path: ConfigPath = ()) -> list[Fault]:
    """The secrets named in the values at or below a path that cannot be there; none is read, no command is run."""
    found: list[Fault] = []
    for leaf, _ in leaves(resolver.config, path):
        for name in sorted(resolver.secrets(leaf)):
            from core.secrets.sources import Sources  # a configuration without secrets needs no cryptography

            try:
                Sources.of(workspace).check(name, trust=False)
            except InputError as error:
                at = resolver.origin(leaf)
                told = f"{show(leaf)}: {error.message}"
                found.append(Fault(at.file, at.line, at.column, told, error.hint))
    return found
