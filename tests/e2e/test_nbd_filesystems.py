"""This machine's file systems on a disk, by way of nbdfuse and a loop device."""

import contextlib
import json

import pytest

from harness import blocks
from harness.fuse import loop_device, mounted
from harness.tools import tool
from harness.waiting import until

MIB = blocks.MIB
DATA_BYTES = 48 * MIB

# How each is made, and how it is checked without a change.
KINDS = {
    "ext4": (["mkfs.ext4", "-q", "-m", "0"], ["e2fsck", "-fn"]),
    "xfs": (["mkfs.xfs", "-q"], ["xfs_repair", "-n"]),
}


def stored_bytes(uri: str) -> int:
    """What the disk says that it stores."""
    extents = json.loads(tool("nbdinfo", "--map", "--json", uri).stdout)
    return sum(each["length"] for each in extents if each["type"] == 0)


@contextlib.contextmanager
def open_disk(server, disk, kind, folder):
    """The file system, mounted; after it was unmounted it is checked."""
    with loop_device(server.nbd_uri(disk), folder) as device:
        with mounted(device, folder) as place:
            yield place
        tool(*KINDS[kind][1], device)


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_and_go_and_come_back(server, ecs, folder, kind):
    instance, disk = ecs.machine()
    uri = server.nbd_uri(disk)
    with loop_device(uri, folder) as device:
        tool(*KINDS[kind][0], device)
    empty = stored_bytes(uri)

    first, second = blocks.noise("first", 5 * MIB + 7), blocks.noise("second", 3 * MIB)
    with open_disk(server, disk, kind, folder) as place:
        (place / "file").write_bytes(first)
        (place / "large").write_bytes(blocks.noise("large", DATA_BYTES))
        tool("sync", "--file-system", place)
        full = stored_bytes(uri)
        assert full >= empty + DATA_BYTES + len(first)

        (place / "large").unlink()

        def trimmed():
            tool("sync", "--file-system", place)
            tool("fstrim", place)
            # The file system's own records of it may take a little.
            return stored_bytes(uri) < full - DATA_BYTES + MIB

        # XFS frees what was unlinked in the background.
        until(trimmed, "the disk gives back what a deleted file took")

        # Frozen, so that what the snapshot holds is clean by itself.
        tool("fsfreeze", "--freeze", place)
        try:
            snapshot = ecs.create_snapshot(disk)
        finally:
            tool("fsfreeze", "--unfreeze", place)
        (place / "file").write_bytes(second)
        (place / "other").write_bytes(second)

    with open_disk(server, disk, kind, folder) as place:
        assert (place / "file").read_bytes() == second
        assert (place / "other").read_bytes() == second

    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    with open_disk(server, disk, kind, folder) as place:
        assert (place / "file").read_bytes() == first
        assert not (place / "other").exists()
        assert not (place / "large").exists()
