"""`--qos on`: a disk does what ECS documents for it, and no more."""

import threading
import time

import pytest

from harness import blocks
from harness.ecs import Ecs

pytestmark = pytest.mark.alone

# cloud_essd, PL0, 1 GiB: min(1,800 + 12 x 1, 10,000) requests, min(100 + 0.25, 180) MB a second.
IOPS = 1812
BYTES = 100.25 * (1 << 20)
BURST_SECONDS = 0.05
SECONDS = 2.0
KIND = {"DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}


def ecs_with(make_server, qos: str) -> Ecs:
    return Ecs(make_server(f"qos-{qos}", args=["--qos", qos]).start())


def writes(server, disk, size: int, seconds=SECONDS, count=None) -> float:
    """Writes one by one for some time. How many a second."""
    data, done = b"x" * size, 0
    with blocks.export(server, disk) as handle:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            handle.pwrite(data, done * size % (512 << 20))
            done += 1
            if count is not None:
                count[0] = done
        return done / (time.monotonic() - begun)


def most(limit: float, size_of_one=1) -> float:
    return limit * (SECONDS + BURST_SECONDS) / SECONDS + size_of_one


def test_requests_and_bytes_are_kept_to(make_server):
    ecs = ecs_with(make_server, "on")
    disk = ecs.machine(**KIND)[1]
    rate = writes(ecs.server, disk, 4096)
    assert 0.7 * IOPS < rate <= most(IOPS)
    rate = writes(ecs.server, disk, 1 << 20)
    assert 0.7 * BYTES < rate * (1 << 20) <= most(BYTES, 1 << 20)


def test_a_disk_that_grows_does_more(make_server):
    ecs = ecs_with(make_server, "on")
    disk = ecs.machine(**KIND)[1]
    with blocks.export(ecs.server, disk):
        # 1,800 + 12 x 300 requests.
        ecs.call("ResizeDisk", DiskId=disk, NewSize=300, Type="online")
        rate = writes(ecs.server, disk, 4096)
    assert 1.5 * IOPS < rate <= most(5400)


def test_connections_of_a_disk_share_it(make_server):
    ecs = ecs_with(make_server, "on")
    disk = ecs.machine(**KIND)[1]
    counts = [[0], [0], [0]]
    threads = [
        threading.Thread(target=writes, args=(ecs.server, disk, 4096, SECONDS, count))
        for count in counts
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    done = [count[0] for count in counts]
    assert sum(done) <= most(IOPS) * SECONDS + 100
    assert min(done) > 0.7 * max(done)


def test_flushes_and_other_disks_do_not_wait(make_server):
    ecs = ecs_with(make_server, "on")
    slow, other = ecs.machine(**KIND)[1], ecs.machine(**KIND)[1]
    thread = threading.Thread(target=writes, args=(ecs.server, slow, 8 << 20))
    thread.start()
    with blocks.export(ecs.server, other) as handle, blocks.export(ecs.server, slow) as flusher:
        for _ in range(20):
            begun = time.monotonic()
            handle.pread(4096, 0)
            flusher.flush()
            assert time.monotonic() - begun < 0.5
    thread.join()


def test_a_disk_that_waits_is_detached(make_server):
    ecs = ecs_with(make_server, "on")
    instance, disk = ecs.machine(**KIND)

    def write():
        with pytest.raises(Exception, match="pwrite|shutdown|connection"):
            writes(ecs.server, disk, 16 << 20, 60)

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    ecs.stop_instance(instance)
    assert time.monotonic() - begun < 4
    thread.join()


def test_an_elastic_ephemeral_disk_reads_and_writes_apart(make_server):
    ecs = ecs_with(make_server, "on")
    disk = ecs.machine(64, DiskCategory="elastic_ephemeral_disk_standard")[1]
    # min(20 x 64, 160,000) writes, and min(100 x 64, 820,000) reads.
    assert 0.7 * 1280 < writes(ecs.server, disk, 4096) <= most(1280)
    with blocks.export(ecs.server, disk) as handle:
        begun, done = time.monotonic(), 0
        while time.monotonic() - begun < SECONDS:
            handle.pread(4096, done * 4096 % (512 << 20))
            done += 1
        assert 1.5 * 1280 < done / (time.monotonic() - begun) <= most(6400)


def test_off_is_the_default(ecs):
    disk = ecs.machine(**KIND)[1]
    assert writes(ecs.server, disk, 4096, 0.5) > 1.5 * IOPS
