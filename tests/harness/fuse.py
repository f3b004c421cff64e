"""Exports as block devices of this machine, without the kernel's NBD client."""

import contextlib
import os
import pathlib
import subprocess

from .needs import need, need_program, need_root
from .tools import tool
from .waiting import until


@contextlib.contextmanager
def loop_device(uri: str, folder: pathlib.Path):
    """A loop device over nbdfuse; both are gone afterwards, and everything is written."""
    need_root()
    need_program("nbdfuse")
    need_program("fusermount3")
    need(os.path.exists("/dev/fuse"), "FUSE")
    with _fuse(uri, folder) as file:
        done = tool("losetup", "--find", "--show", file, check=False)
        need(done.returncode == 0, f"loop devices ({done.stderr.strip()})")
        device = done.stdout.strip()
        try:
            yield device
            tool("blockdev", "--flushbufs", device)
        finally:
            tool("losetup", "--detach", device)


@contextlib.contextmanager
def _fuse(uri: str, folder: pathlib.Path):
    """The export as a file."""
    file, pid = folder / "nbd", folder / "nbdfuse.pid"
    file.touch()
    pid.unlink(missing_ok=True)
    process = subprocess.Popen(["nbdfuse", "--pidfile", pid, file, uri])
    try:
        until(lambda: pid.exists() or process.poll() is not None, "nbdfuse has mounted")
        assert process.poll() is None, "nbdfuse ended at once"
        yield file
    finally:
        if process.poll() is None:
            unmount(file)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@contextlib.contextmanager
def mounted(device: str, folder: pathlib.Path):
    """Where the device's file system is mounted."""
    place = folder / "mounted"
    place.mkdir(exist_ok=True)
    tool("mount", device, place)
    try:
        yield place
    finally:
        unmount(place)


def unmount(place: pathlib.Path):
    if subprocess.run(["umount", place], capture_output=True).returncode != 0:
        # What still uses it, after a failure, does not keep it mounted for others.
        tool("umount", "--lazy", place)
