"""What snapshots take: links, usage, and usage over time."""

import datetime

from harness import blocks
from harness.ecs import Ecs
from harness.errors import check_error
from harness.objects import finished
from harness.reset import NO_DISK, import_snapshot
from harness.waiting import until

BLOCK = 4096
MIB = 1 << 20
FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def links(ecs, **filters) -> list[dict]:
    return ecs.call("DescribeSnapshotLinks", **filters)["SnapshotLinks"]["SnapshotLink"]


def link(ecs, disk) -> dict:
    [found] = links(ecs, DiskIds=[disk])
    return found


def usage(ecs, **more) -> tuple[int, int]:
    told = ecs.call("DescribeSnapshotsUsage", **more)
    return told["SnapshotCount"], told["SnapshotSize"]


def noise(count: int, seed: int) -> bytes:
    """Blocks that no compression and no look for zeros would make smaller."""
    return b"".join(bytes([(seed + n) % 255 + 1]) * BLOCK for n in range(count))


def test_each_block_counts_once(ecs):
    instance, disk = ecs.machine(20)
    assert (links(ecs), usage(ecs)) == ([], (0, 0))
    blocks.write(ecs.server, disk, 0, noise(256, 1))
    first = ecs.create_snapshot(disk)
    assert usage(ecs) == (1, MIB)
    # Nothing new: nothing more.
    second = ecs.create_snapshot(disk)
    assert usage(ecs) == (2, MIB)
    # One block over, one beside, and what only the disk has does not count.
    blocks.write(ecs.server, disk, 0, noise(1, 9))
    blocks.write(ecs.server, disk, 5 * MIB, noise(1, 9))
    third = ecs.create_snapshot(disk)
    blocks.write(ecs.server, disk, 6 * MIB, noise(256, 3))
    expected = MIB + 2 * BLOCK
    assert usage(ecs) == (3, expected)
    shown = link(ecs, disk)
    assert (shown["TotalCount"], shown["TotalSize"]) == (3, expected)
    assert (shown["SourceDiskId"], shown["SourceDiskSize"]) == (disk, 20)
    assert shown["SnapshotLinkId"] == ecs.snapshot(first)["SnapshotLinkId"]
    assert (shown["InstanceId"], shown["Category"]) == (instance, "standard")
    # Back to the first: what is taken then is there already.
    ecs.stop_instance(instance)
    ecs.reset(disk, first)
    fourth = ecs.create_snapshot(disk)
    assert usage(ecs) == (4, expected)
    # What one of several has goes when the last goes.
    ecs.call("DeleteSnapshot", SnapshotId=third)
    assert usage(ecs) == (3, MIB)
    for snapshot in (first, second):
        ecs.call("DeleteSnapshot", SnapshotId=snapshot)
    assert usage(ecs) == (1, MIB)
    # The disk goes, its snapshot stays, and so does the link.
    ecs.detach(disk, instance)
    ecs.call("DeleteDisk", DiskId=disk)
    shown = link(ecs, disk)
    assert (shown["TotalSize"], shown["InstanceId"], shown["SourceDiskName"]) == (MIB, "", "")
    ecs.server.kill()
    ecs.server.start()
    assert (link(ecs, disk), usage(ecs)) == (shown, (1, MIB))
    ecs.call("DeleteSnapshot", SnapshotId=fourth)
    assert (links(ecs), usage(ecs)) == ([], (0, 0))


def test_what_is_in_the_archive_counts_there(ecs):
    _, disk = ecs.machine()
    snapshot = import_snapshot(ecs, disk, b"a" * (4 * MIB))
    assert usage(ecs) == (1, 4 * MIB)
    task = ecs.call("ModifySnapshotCategory", SnapshotId=snapshot)["TaskId"]
    finished(ecs, task)
    kept = ecs.server.data_dir / "archive" / snapshot
    stored = sum(path.stat().st_size for path in kept.iterdir())
    assert 0 < stored < 4 * MIB
    assert usage(ecs) == (1, stored)
    shown = link(ecs, disk)
    assert (shown["TotalSize"], shown["Category"]) == (stored, "archive")


def test_filters_and_pages_of_links(ecs):
    machines = dict(ecs.machine() for _ in range(3))
    disks = sorted(machines.values())
    for disk in disks:
        ecs.create_snapshot(disk)
    assert [each["SourceDiskId"] for each in links(ecs)] == disks
    for instance, disk in machines.items():
        assert [each["SourceDiskId"] for each in links(ecs, InstanceId=instance)] == [disk]
    ids = [each["SnapshotLinkId"] for each in links(ecs)]
    named = links(ecs, SnapshotLinkIds=[ids[0], ids[2], "sl-none"])
    assert [each["SnapshotLinkId"] for each in named] == [ids[0], ids[2]]
    assert links(ecs, DiskIds=[disks[0]], SnapshotLinkIds=[ids[1]]) == []
    page = ecs.call("DescribeSnapshotLinks", PageSize=2, PageNumber=2)
    assert (page["TotalCount"], page["PageNumber"], page["NextToken"]) == (3, 2, "")
    assert [each["SourceDiskId"] for each in page["SnapshotLinks"]["SnapshotLink"]] == disks[2:]
    found, token = [], ""
    while token is not None:
        page = ecs.call("DescribeSnapshotLinks", MaxResults=2, NextToken=token)
        found += page["SnapshotLinks"]["SnapshotLink"]
        token = page["NextToken"] or None
    assert [each["SourceDiskId"] for each in found] == disks


def test_one_region_is_not_the_other(make_server):
    here, there = "cn-hangzhou", "cn-beijing"
    ecs = Ecs(make_server(args=["--region", here, "--region", there]).start())
    _, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, noise(16, 1))
    snapshot = ecs.create_snapshot(disk)
    copy = {"DestinationRegionId": there, "DestinationSnapshotName": "there"}
    ecs.call("CopySnapshot", copy, SnapshotId=snapshot, DestinationSnapshotDescription="copy")
    assert usage(ecs) == (1, 16 * BLOCK)
    assert usage(ecs, RegionId=there) == (1, 16 * BLOCK)
    [shown] = links(ecs, RegionId=there)
    assert (shown["RegionId"], shown["SourceDiskId"], shown["InstanceId"]) == (there, disk, "")


def moment(minutes: float) -> str:
    now = datetime.datetime.now(datetime.UTC)
    return (now + datetime.timedelta(minutes=minutes)).strftime(FORMAT)


def past(ecs, **more) -> list[dict]:
    times = {"StartTime": moment(-30), "EndTime": moment(2)}
    answer = ecs.call("DescribeSnapshotMonitorData", times | more)
    return answer["MonitorData"]["DataPoint"]


def test_what_snapshots_took(ecs):
    """Takes until the end of a minute."""
    _, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, noise(16, 1))
    ecs.create_snapshot(disk)

    def told():
        points = past(ecs)
        return points if points and points[-1]["Size"] else None

    points = until(told, "the minute's point", 130)
    assert points[-1]["Size"] == 16 * BLOCK
    at = datetime.datetime.strptime(points[-1]["TimeStamp"], FORMAT)
    assert at.second == 0
    assert [each["Size"] for each in past(ecs, Category="Archive")][-1] == 0


def test_monitor_data_refuses(shared):
    action, times = "DescribeSnapshotMonitorData", {"StartTime": moment(-30), "EndTime": moment(0)}
    shared.refused(400, "InvalidStartTime.Malformed", action, times | {"StartTime": "noon"})
    shared.refused(400, "InvalidEndTime.Malformed", action, times | {"EndTime": "noon"})
    shared.refused(400, "InvalidEndTime.Malformed", action, times | {"EndTime": moment(-60)})
    shared.refused(400, "InvalidStartTime.TooEarly", action, times | {"StartTime": moment(-50_000)})
    shared.refused(400, "InvalidPeriod.ValueNotSupported", action, times | {"Period": 61})
    long_ago = times | {"StartTime": moment(-600)}
    shared.refused(400, "InvalidParameter.TooManyDataQueried", action, long_ago)
    shared.call(action, long_ago, Period=600)


def test_links_refuse(shared):
    links = "DescribeSnapshotLinks"
    shared.refused(400, "InvalidRegionId", links, RegionId="nowhere")
    shared.refused(400, "InvalidInstanceId.NotFound", links, InstanceId="i-none")
    shared.refused(400, "InvalidDiskIds", links, DiskIds="d-1")
    shared.refused(400, "InvalidDiskIds", links, DiskIds=[NO_DISK] * 101)
    shared.refused(400, "InvalidSnapshotLinkIds", links, SnapshotLinkIds="{}")
    # No list of it has a code for this.
    check_error(shared.ask(links, NextToken="x"), 400, "InvalidNextToken")
    shared.refused(403, "InvalidParam.RegionId", "DescribeSnapshotsUsage", RegionId="nowhere")


def test_what_a_snapshot_is_used_for(ecs):
    instance, disk = ecs.machine()
    [system] = ecs.disks(InstanceId=instance, DiskType="system")
    plain, used = ecs.create_snapshot(disk), ecs.create_snapshot(system["DiskId"])
    made = ecs.call("CreateImage", SnapshotId=used)["ImageId"]
    assert (ecs.snapshot(plain)["Usage"], ecs.snapshot(used)["Usage"]) == ("none", "image")

    def named(usage):
        return {each["SnapshotId"] for each in ecs.snapshots(Usage=usage)}

    assert (named("none"), named("image"), named("disk")) == ({plain}, {used}, set())
    ecs.run_instances(ImageId=made)
    assert ecs.snapshot(used)["Usage"] == "image_disk"
    assert (named("image"), named("image_disk")) == (set(), {used})
