"""Which file system a folder is on, and whether SQLite's locks and shared memory can be trusted there.

Network file systems are refused. What may be one, or passes another machine's file system through, is
warned of; so is a machine that does not tell.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from core.errors import StoreError

# fmt: off
NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "afpfs", "webdav", "ceph",
        "glusterfs", "lustre", "beegfs", "gpfs", "ncpfs", "coda", "davfs", "fuse.sshfs",
        "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs", "fuse.davfs2", "fuse.s3fs",
        "fuse.rclone", "fuse.gcsfuse", "fuse.goofys", "fuse.curlftpfs", "fuse.smbnetfs", "fuse.juicefs",
        "fuse.mfs", "fuse.moosefs",
    }
)
PASSED_THROUGH = frozenset(
    {
        "9p", "virtiofs", "vboxsf", "drvfs", "prl_fs", "vmhgfs", "ocfs2", "gfs2",
    }
)
LOCAL_FUSE = frozenset(
    {
        "fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs",
        "fuse.lxcfs", "fuse.bindfs",
    }
)
# fmt: on
MAC_MOUNT = re.compile(r"^.+ on (?P<where>/.*) \((?P<kind>[\w.]+)[,)]")


def refuse_network(folder: Path) -> str:
    """A warning for a person, "" where all is well. Raises StoreError on a network file system."""
    kind = file_system(folder.resolve())
    if kind in NETWORK:
        raise StoreError(
            f"{folder} is on a network file system ({kind}): SQLite's locks cannot be trusted there",
            hint="put the workspace on a local disk; nothing was changed",
        )
    if not kind:
        return (
            f"it cannot be told what file system {folder} is on: "
            "on a network file system the state of this workspace is not safe"
        )
    if kind in PASSED_THROUGH or (kind.startswith("fuse") and kind not in LOCAL_FUSE):
        return (
            f"{folder} is on {kind}, which may be another machine's disk: "
            "open the workspace from one machine only, better keep it on a local disk"
        )
    return ""


def file_system(folder: Path) -> str:
    """The kind of the file system that a resolved folder is on; "" where it cannot be told."""
    best, kind = -1, ""
    for where, what in _mounts():
        mount = Path(where)
        if folder.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), what
    return kind


def _mounts() -> list[tuple[str, str]]:
    """Where something is mounted, and its kind, later ones on top of earlier ones."""
    try:
        if sys.platform == "darwin":
            told = subprocess.run(
                ["/sbin/mount"],
                capture_output=True,
                text=True,
                timeout=5,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            found = map(MAC_MOUNT.match, told.stdout.splitlines())
            return [(match["where"], match["kind"]) for match in found if match]
        text = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except (OSError, subprocess.SubprocessError):
        return []
    return [mount for line in text.splitlines() if (mount := _mountinfo(line))]


def _mountinfo(line: str) -> tuple[str, str] | None:
    before, _, after = line.partition(" - ")
    fields = before.split(" ")
    if len(fields) < 5 or not after:
        return None
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]), after.split(" ")[0]
