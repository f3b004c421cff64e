"""Space that disks no longer use goes back to the host."""

import time

import pytest

from harness import blocks
from harness.ecs import Ecs
from harness.filesystem import allocated_bytes, free_bytes, small_ext4
from harness.filling import Filler
from harness.health import stays_healthy
from harness.waiting import POLL_SECONDS, until

BACK_SECONDS = 30
SETTLED_SECONDS = 1.5
DATA = 96 * blocks.MIB


CASES = {
    "after a restart": {"restarts": True, "rate": "off"},
    "at once": {"restarts": False, "rate": "off"},
    # What reads the oldest versions and what takes them back meet.
    "while it is scrubbed": {"restarts": True, "rate": "64MiB"},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_deleted_is_given_back(make_server, case):
    """Disks and snapshots: in the end the pool takes hardly more than on its first day."""
    server = make_server(args=["--scrub-rate", case["rate"]]).start()
    ecs = Ecs(server)
    pool = server.data_dir / "pool.dat"
    instance, disk = ecs.machine()
    fresh = settled(pool)
    blocks.write(server, disk, 0, blocks.noise("first", DATA))
    snapshot = ecs.create_snapshot(disk)
    blocks.write(server, disk, 0, blocks.noise("second", DATA))
    if case["restarts"]:
        server.restart()
    assert allocated_bytes(pool) > fresh + DATA
    ecs.call("DeleteSnapshot", SnapshotId=snapshot)
    ecs.detach(disk, instance)
    ecs.call("DeleteDisk", DiskId=disk)

    # A fresh one has not one segment of a checkpoint; now there are those of the last, and perhaps
    # one that the log has just left.
    near = fresh + 48 * blocks.MIB
    until(lambda: allocated_bytes(pool) <= near, "the pool is as small as before", BACK_SECONDS)
    server.stop()
    assert server.check_result().returncode == 0


def settled(pool) -> int:
    """What the pool takes once the segments are there that it keeps written ahead."""
    since, size = time.monotonic(), allocated_bytes(pool)
    while time.monotonic() < since + SETTLED_SECONDS:
        time.sleep(POLL_SECONDS)
        if allocated_bytes(pool) != size:
            since, size = time.monotonic(), allocated_bytes(pool)
    return size


@pytest.fixture
def mounted(folder):
    with small_ext4(folder, 512 * blocks.MIB) as path:
        yield path


def test_a_full_file_system(mounted, make_server):
    """The database lives beside the pool: calls are answered, and DeleteDisk makes room."""
    server = make_server(args=["--pool-reserve", "64MiB"])
    server.data_dir = mounted / "data"
    server.start()
    ecs = Ecs(server)
    with stays_healthy(server):
        filler = Filler(ecs)
        before = free_bytes(mounted)
        written = filler.fill()
        full = free_bytes(mounted)
        assert written > 128 * blocks.MIB and full < before - written + 64 * blocks.MIB
        # What is kept for those beside the pool is there: an eighth of so small a file system.
        assert full > 32 * blocks.MIB

        other = ecs.create_disk(DiskName="made-when-it-was-full")
        ecs.attach(other, filler.instance)
        snapshot = ecs.create_snapshot(filler.disk)
        ecs.call("DeleteSnapshot", SnapshotId=snapshot)
        ecs.detach(filler.disk, filler.instance)
        ecs.call("DeleteDisk", DiskId=filler.disk)

        enough = full + written * 3 // 4
        until(lambda: free_bytes(mounted) > enough, "the host has its space again", BACK_SECONDS)
        blocks.write(server, other, 0, b"x" * 4096)
        assert blocks.read(server, other, 0, 4096) == b"x" * 4096
