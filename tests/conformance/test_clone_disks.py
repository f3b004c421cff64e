"""CloneDisks: a new disk that reads as another does now."""

import pytest

from harness import blocks
from harness.ecs import ZONE
from harness.reset import NO_DISK, local_disk

SOME = b"s" * 4096
OTHER = b"o" * 4096
NEW = {"DiskCategory": "cloud_essd", "Size": 20, "MultiAttach": "Disabled"}


def clone(ecs, disk, **more) -> dict:
    """The new disk, found as a client finds it: by the task that the call answers with."""
    reply = ecs.call("CloneDisks", SourceDiskId=disk, **(NEW | more))
    tasks = ecs.call("DescribeTasks", TaskGroupId=reply["TaskGroupId"])["TaskSet"]["Task"]
    [task] = tasks
    assert (task["TaskAction"], task["TaskStatus"]) == ("CloneDisks", "Finished")
    return ecs.disk(task["ResourceId"])


def refused(ecs, status, code, disk, **more):
    ecs.refused(status, code, "CloneDisks", SourceDiskId=disk, **(NEW | more))


def test_a_clone_reads_as_its_source(shared):
    instance, disk = shared.machine(20)
    blocks.write(shared.server, disk, 0, SOME)
    blocks.write(shared.server, disk, 7 << 20, OTHER)
    before = shared.disk(disk)
    made = clone(shared, disk, Size=30, DiskName="a-clone", PerformanceLevel="PL1")
    assert shared.disk(disk) == before
    assert (made["Status"], made["Size"], made["DiskName"]) == ("Available", 30, "a-clone")
    assert (made["ZoneId"], made["Type"], made["SourceSnapshotId"]) == (ZONE, "data", "")
    # Nothing is left that was not asked for.
    assert shared.snapshots(DiskId=disk) == []
    # The two are apart from then on.
    blocks.write(shared.server, disk, 0, OTHER)
    shared.attach(made["DiskId"], instance)
    assert blocks.read(shared.server, made["DiskId"], 0, 4096) == SOME
    assert blocks.read(shared.server, made["DiskId"], 7 << 20, 4096) == OTHER
    assert blocks.read(shared.server, made["DiskId"], 25 << 30, 4096) == bytes(4096)
    blocks.write(shared.server, made["DiskId"], 7 << 20, SOME)
    assert blocks.read(shared.server, disk, 7 << 20, 4096) == OTHER


def test_the_same_request_again_is_the_same_clone(ecs):
    _, disk = ecs.machine(20)
    first = clone(ecs, disk, ClientToken="once")
    assert clone(ecs, disk, ClientToken="once") == first
    refused(ecs, 400, "IdempotentParameterMismatch", disk, ClientToken="once", Size=21)
    assert len(ecs.disks(DiskType="data")) == 2
    # A restart changes nothing of it.
    ecs.server.kill()
    ecs.server.start()
    assert clone(ecs, disk, ClientToken="once") == first


def test_a_clone_outlives_its_source(ecs):
    instance, disk = ecs.machine(20)
    blocks.write(ecs.server, disk, 0, SOME)
    made = clone(ecs, disk)["DiskId"]
    ecs.detach(disk, instance)
    ecs.call("DeleteDisk", DiskId=disk)
    ecs.attach(made, instance)
    assert blocks.read(ecs.server, made, 0, 4096) == SOME


def test_clone_refuses(shared):
    instance, disk = shared.machine(30)
    refused(shared, 404, "InvalidDiskId.NotFound", NO_DISK)
    refused(shared, 403, "InvalidDiskSize.TooSmall", disk, Size=29)
    refused(shared, 400, "InvalidSize.ValueNotSupported", disk, Size=0)
    refused(shared, 400, "InvalidDiskSize.NotSupported", disk, Size=131_072)
    refused(shared, 400, "InvalidDiskCategory.ValueNotSupported", disk, DiskCategory="floppy")
    ephemeral = {"DiskCategory": "elastic_ephemeral_disk_standard", "Size": 64}
    refused(shared, 400, "InvalidDiskCategory.NotSupported", disk, **ephemeral)
    refused(shared, 403, "InvalidParameter.MultiAttach", disk, MultiAttach="Perhaps", Size=30)
    [system] = shared.disks(InstanceId=instance, DiskType="system")
    refused(shared, 403, "DiskTypeViolation", system["DiskId"], Size=40)
    _, local = local_disk(shared, "local_ssd_pro")
    refused(shared, 400, "DiskCategory.OperationNotSupported", local, Size=500)
    refused(shared, 400, "DryRunOperation", disk, Size=30, DryRun="true")
    assert [each["DiskId"] for each in shared.disks(InstanceId=instance, DiskType="data")] == [disk]


@pytest.mark.parametrize("left_out", ["SourceDiskId", "DiskCategory", "Size", "MultiAttach"])
def test_what_must_be_given(shared, left_out):
    given = NEW | {"SourceDiskId": NO_DISK}
    del given[left_out]
    shared.refused(400, "MissingParameter", "CloneDisks", given)
