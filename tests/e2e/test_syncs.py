"""An answer waits for its sync: counted on the system calls of the server process."""

import collections

import pytest

from harness import blocks
from harness.ecs import ZONE
from harness.syncs import parse, traced

WAL = "ebbtide.db-wal"
POOL = "pool.dat"


@pytest.fixture
def server(make_server):
    return make_server(args=["--region", "cn-hangzhou", "--region", "cn-beijing"]).start()


@pytest.fixture
def tracer(server):
    with traced(server) as tracer:
        yield tracer


def test_the_counter_reads_strace():
    """Whole lines, and lines that another thread cut in two."""
    text = (
        "12 1.000000 fdatasync(5</d/a>)  = 0 <0.500000>\n"
        "13 1.200000 fsync(6</d/b> <unfinished ...>\n"
        "12 1.300000 fdatasync(5</d/a>)  = -1 EIO (Input/output error) <0.1>\n"
        "13 1.400000 <... fsync resumed>) = 0 <0.200000>\n"
        "14 1.500000 fsync(7</d/c> <unfinished ...>\n"
    )
    found = [(sync.path, sync.start, sync.end) for sync in parse(text)]
    assert found == [("/d/a", 1.0, 1.5), ("/d/b", 1.2, 1.4)]


def test_answered_calls_were_synced(ecs, tracer):
    instance, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, b"x" * 65536)
    other = ecs.create_disk()
    snapshot = ecs.create_snapshot(disk)
    tags = {"ResourceType": "disk", "ResourceId.1": disk, "Tag.1.Key": "k"}
    lock = {"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 1}
    policy = {"timePoints": '["1"]', "repeatWeekdays": '["1"]', "retentionDays": 1}
    far = {"DestinationRegionId": "cn-beijing", "SnapshotId": snapshot}
    calls = [
        ("CreateDisk", {"Size": 20, "ZoneId": ZONE}, {WAL}),
        ("AttachDisk", {"DiskId": other, "InstanceId": instance}, {WAL}),
        ("CreateSnapshot", {"DiskId": disk}, {WAL, POOL}),
        ("TagResources", tags, {WAL}),
        ("ModifyDiskAttribute", {"DiskId": disk, "DiskName": "a-name"}, {WAL}),
        ("ModifySnapshotAttribute", {"SnapshotId": snapshot, "SnapshotName": "a-name"}, {WAL}),
        ("LockSnapshot", {"SnapshotId": snapshot} | lock, {WAL}),
        ("UnlockSnapshot", {"SnapshotId": snapshot}, {WAL}),
        ("CopySnapshot", far, {WAL, POOL}),
        ("CreateSnapshotGroup", {"InstanceId": instance}, {WAL, POOL}),
        ("CreateAutoSnapshotPolicy", policy, {WAL}),
        ("ModifyDiskSpec", {"DiskId": disk, "DiskCategory": "cloud_auto"}, {WAL}),
        ("ResizeDisk", {"DiskId": disk, "NewSize": 2}, {WAL, POOL}),
        ("DetachDisk", {"DiskId": other, "InstanceId": instance}, {WAL}),
        ("StopInstance", {"InstanceId": instance}, {WAL}),
        ("ResetDisk", {"DiskId": disk, "SnapshotId": snapshot}, {POOL}),
        ("ReInitDisk", {"DiskId": disk}, {POOL}),
        ("DeleteSnapshot", {"SnapshotId": snapshot}, {WAL}),
    ]
    unsynced = []
    for action, params, files in calls:
        counts = collections.Counter(tracer.during(lambda: ecs.call(action, params)))
        print(f"{action}: {dict(counts)}")
        unsynced += [f"{action}: no sync of {name}" for name in files if not counts[name]]
        ecs.await_disk(disk, "In_use")
        if action == "StopInstance":
            ecs.await_instance(instance, "Stopped")
        if action == "CreateSnapshot":
            ecs.await_snapshot(ecs.snapshots(DiskId=disk)[0]["SnapshotId"])
    assert not unsynced


def test_calls_that_only_look_sync_nothing(ecs, tracer):
    """A checkpoint in the background may fall into one call; what a call syncs, it syncs always."""
    ecs.machine()
    for action in ("DescribeDisks", "DescribeInstances", "DescribeRegions"):
        assert [] in (tracer.during(lambda: ecs.call(action)) for _ in range(5))


def test_an_answered_flush_was_synced(ecs, tracer):
    _, disk = ecs.machine()
    with blocks.export(ecs.server, disk) as handle:
        handle.pwrite(b"x" * 4096, 0)
        assert POOL in tracer.during(handle.flush)
        fua = blocks.nbd.CMD_FLAG_FUA
        assert POOL in tracer.during(lambda: handle.pwrite(b"y" * 4096, 4096, fua))
