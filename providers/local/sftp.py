"""SFTP on a local server: starts in the server's home and reaches the real file system from there.

File operations run on the event loop; only regular files and directories are opened, so that a named
pipe cannot stop every server.
"""

from __future__ import annotations

import os
import posixpath
import stat

import asyncssh


class HomeSftp(asyncssh.SFTPServer):
    """Relative paths start in `home`; absolute ones are the machine's own."""

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes], home: bytes) -> None:
        super().__init__(chan)
        self._home = home

    def map_path(self, path: bytes) -> bytes:
        """A path as the machine knows it."""
        return path if posixpath.isabs(path) else posixpath.join(self._home, path)

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Opens a regular file."""
        self._refuse_special(path)
        return super().open(path, pflags, attrs)

    def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Opens a regular file (protocol version 5 and later)."""
        self._refuse_special(path)
        return super().open56(path, desired_access, flags, attrs)

    def exit(self) -> None:
        """Ends the session with status 0; OpenSSH's scp takes a missing one for a failure."""
        self.channel.exit(0)

    def _refuse_special(self, path: bytes) -> None:
        try:
            mode = os.stat(self.map_path(path)).st_mode
        except OSError:
            return  # opening it says what is wrong
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise asyncssh.SFTPFailure("not a regular file")
