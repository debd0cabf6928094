"""What kind of disk a file lies on: whether SQLite may use it, and whether it outlives the process."""

from __future__ import annotations

from pathlib import Path

NETWORK = frozenset({
    "nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.mount-s3",
})  # fmt: skip
"""Filesystems that several hosts share. SQLite: "WAL does not work over a network filesystem", https://sqlite.org/wal.html"""
MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
CONTAINER = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs"})


def filesystem(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the filesystem that `path` lies on, there or not; "" where the system does not tell."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    place, found, depth = path.resolve(), "", -1
    for line in lines:
        fields = line.split()
        mount = Path(fields[4].encode().decode("unicode_escape"))  # a blank is \040
        if place.is_relative_to(mount) and len(mount.parts) >= depth:  # of two on one place the later hides the other
            depth, found = len(mount.parts), fields[fields.index("-") + 1]
    return found


def refusal(kind: str) -> str:
    """Why SQLite cannot work on such a disk; "" when it can."""
    if kind not in NETWORK:
        return ""
    return f"it lies on a network disk ({kind}), where SQLite loses data; put it on a local one, or keep jobs in Redis"


def warning(kind: str) -> str:
    """Why what is written there may be gone one day; "" when all is well."""
    if kind in MEMORY:
        return f"it lies in memory ({kind}): all jobs are lost when the machine or the container ends; put it on a disk"
    if kind in CONTAINER:
        return f"it lies in the container's own layer ({kind}): all jobs are lost with the container; mount a volume for it"
    return ""
