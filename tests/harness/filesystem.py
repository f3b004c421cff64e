"""A small ext4 of a test's own, in a file, mounted over a loop device."""

import contextlib
import os
import pathlib
import subprocess

from .needs import need, need_program, need_root
from .tools import tool


@contextlib.contextmanager
def small_ext4(folder: pathlib.Path, size_bytes: int):
    """Where it is mounted. The loop device goes with the mount."""
    need_root()
    need_program("mke2fs")
    need_program("mount")
    image, mounted = folder / "image", folder / "mounted"
    with image.open("wb") as handle:
        handle.truncate(size_bytes)
    # No blocks kept for root: the server may run as root, and would have them.
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", image)
    mounted.mkdir()
    done = tool("mount", "-t", "ext4", "-o", "loop", image, mounted, check=False)
    why = f"loop devices and ext4 to mount ({done.stderr.strip()})"
    need(done.returncode == 0, why)
    try:
        yield mounted
    finally:
        _unmount(mounted)


def _unmount(mounted: pathlib.Path):
    if subprocess.run(["umount", mounted], capture_output=True).returncode != 0:
        # What still uses it, after a failure, does not keep it mounted for others.
        tool("umount", "--lazy", mounted)


def free_bytes(path: pathlib.Path) -> int:
    """What the file system has for anybody."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def allocated_bytes(path: pathlib.Path) -> int:
    """What a file takes of its file system."""
    return path.stat().st_blocks * 512
