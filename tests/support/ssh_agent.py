"""A real ssh-agent for tests; skips where OpenSSH's programs are not installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(slots=True)
class Agent:
    """A running agent."""

    socket: Path
    process: subprocess.Popen[bytes]

    def add(self, key: Path, *options: str) -> None:
        """Gives it a key that needs no passphrase."""
        environment = {**os.environ, "SSH_AUTH_SOCK": str(self.socket)}
        subprocess.run(
            ["ssh-add", "-q", *options, key], check=True, env=environment, stdin=subprocess.DEVNULL
        )

    def stop(self) -> None:
        """Ends it; its socket stays, as after a crash."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Agent]:
        """Runs an agent for the time of a test."""
        program = shutil.which("ssh-agent")
        if program is None:
            pytest.skip("ssh-agent is not installed")
        with tempfile.TemporaryDirectory(prefix="wl-agent-") as folder:
            socket = Path(folder) / "s"
            process = subprocess.Popen([program, "-D", "-a", socket], stdout=subprocess.PIPE)
            try:
                assert process.stdout is not None
                process.stdout.readline()  # it says where its socket is once that is there
                yield cls(socket, process)
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
