"""Workspaces with a configuration, written to real files."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.config import paths
from core.config.facts import Facts
from core.config.load import Config, Given, load_config
from core.config.resolve import Resolver

NOW = datetime(2026, 3, 1, 14, 2, 11, tzinfo=UTC)


class Files:
    """A workspace folder with configuration files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "config" / "environments").mkdir(parents=True)

    def base(self, text: str) -> Files:
        (self.path / "config" / "base.yaml").write_text(textwrap.dedent(text))
        return self

    def environment(self, name: str, text: str) -> Files:
        (self.path / "config" / "environments" / f"{name}.yaml").write_text(textwrap.dedent(text))
        return self

    def user(self, text: str) -> Path:
        file = self.path / "user.yaml"
        file.write_text(textwrap.dedent(text))
        return file

    def load(
        self,
        environment: str = "",
        *settings: str,
        texts: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
        user: Path | None = None,
    ) -> Config:
        return load_config(self.path, Given(environment, settings, texts, environ or {}, user))

    def resolver(self, environment: str = "", *settings: str, **facts: Any) -> Resolver:
        return Resolver(self.load(environment, *settings), Facts("shop", now=NOW, **facts))

    def value(self, path: str, **facts: Any) -> Any:
        return self.resolver(**facts).value(paths.parse(path))
