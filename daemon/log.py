"""The engine's own log: a file in the workspace's state folder, rotated, for this account alone."""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.files import private_folder

NAME = "engine.log"
FILE_BYTES = 1024 * 1024
FILES = 5
LOGGER = logging.getLogger("windlass")


class _Private(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), "utf-8", "backslashreplace")


def log_path(state_dir: Path) -> Path:
    """Where the engine of a workspace writes its log."""
    return state_dir / "logs" / NAME


def write_log(state_dir: Path) -> None:
    """Lets everything that is logged in this process go to the file."""
    path = log_path(state_dir)
    private_folder(path.parent)
    handler = _Private(path, maxBytes=FILE_BYTES, backupCount=FILES - 1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    for logger, level in ((LOGGER, logging.INFO), (logging.getLogger("uvicorn"), logging.WARNING)):
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
