"""CopySnapshot."""

import pytest

from harness import blocks
from harness.ecs import Ecs
from harness.imports import broken
from harness.reset import NO_SNAPSHOT, import_snapshot
from harness.waiting import until

HERE, THERE = "cn-hangzhou", "cn-beijing"
SOME = b"s" * 4096
OTHER = b"o" * 4096


@pytest.fixture
def ecs(make_server):
    server = make_server(args=["--region", HERE, "--region", THERE]).start()
    return Ecs(server)


@pytest.fixture
def machine(ecs):
    """An instance, its disk with something on it, and a snapshot of that."""
    instance, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, SOME)
    return instance, disk, ecs.create_snapshot(disk, SnapshotName="before")


def copy(ecs, snapshot, **more) -> str:
    given = {"DestinationRegionId": THERE, "DestinationSnapshotName": "a-copy"} | more
    reply = ecs.call("CopySnapshot", SnapshotId=snapshot, **given)
    return reply["SnapshotId"]


def refused(ecs, status, code, snapshot, **more):
    given = {"DestinationRegionId": THERE} | more
    ecs.refused(status, code, "CopySnapshot", SnapshotId=snapshot, **given)


def there(ecs, snapshot) -> dict | None:
    found = ecs.snapshots(RegionId=THERE, SnapshotIds=f'["{snapshot}"]')
    return found[0] if found else None


def test_a_copy_as_it_is_shown(ecs, machine):
    _, disk, snapshot = machine
    made = copy(ecs, snapshot, DestinationSnapshotDescription="of it", RetentionDays=5)
    assert made != snapshot
    assert ecs.snapshot(made) is None
    shown = there(ecs, made)
    assert (shown["SnapshotName"], shown["Description"]) == ("a-copy", "of it")
    assert (shown["Status"], shown["Progress"], shown["RetentionDays"]) == (
        "accomplished",
        "100%",
        5,
    )
    assert (shown["SourceSnapshotId"], shown["SourceRegionId"]) == (snapshot, HERE)
    assert (shown["RegionId"], shown["SourceDiskId"]) == (THERE, disk)
    assert "SourceSnapshotId" not in ecs.snapshot(snapshot)


def test_a_disk_is_made_from_it_where_it_is(ecs, machine):
    _, disk, snapshot = machine
    made = copy(ecs, snapshot)
    blocks.write(ecs.server, disk, 0, OTHER)
    ecs.call("DeleteSnapshot", SnapshotId=snapshot)
    far = {"RegionId": THERE, "ZoneId": f"{THERE}-a"}
    made_of_it = ecs.call(
        "CreateDisk", SnapshotId=made, DiskCategory="cloud_essd", PerformanceLevel="PL0", **far
    )["DiskId"]
    image = ecs.call("DescribeImages", RegionId=THERE)["Images"]["Image"][0]["ImageId"]
    run = ecs.call("RunInstances", ImageId=image, InstanceType="ecs.g7.large", **far)
    [instance] = run["InstanceIdSets"]["InstanceIdSet"]

    def runs():
        [shown] = ecs.instances(RegionId=THERE, InstanceIds=f'["{instance}"]')
        return shown["Status"] == "Running"

    until(runs, "the instance runs")
    ecs.call("AttachDisk", DiskId=made_of_it, InstanceId=instance)
    assert blocks.read(ecs.server, made_of_it, 0, 4096) == SOME


def test_the_disk_does_not_go_back_to_it(ecs, machine):
    instance, disk, snapshot = machine
    made = copy(ecs, snapshot)
    ecs.stop_instance(instance)
    ecs.refused(403, "InvalidParameter.Mismatch", "ResetDisk", DiskId=disk, SnapshotId=made)
    ecs.reset(disk, snapshot)


def test_the_same_request_again(ecs, machine):
    _, _, snapshot = machine
    made = copy(ecs, snapshot, ClientToken="copy-1")
    assert copy(ecs, snapshot, ClientToken="copy-1") == made
    given = {"ClientToken": "copy-1", "DestinationSnapshotName": "another"}
    refused(ecs, 400, "IdempotentParameterMismatch", snapshot, **given)


def test_copy_refuses(ecs, machine):
    _, disk, snapshot = machine
    refused(ecs, 403, "InvalidSnapshotId.NotFound", NO_SNAPSHOT)
    refused(ecs, 403, "InvalidSnapshotId.NotFound", snapshot, RegionId=THERE)
    refused(ecs, 400, "InvalidRegionId.MalFormed", snapshot, RegionId="nowhere")
    refused(ecs, 403, "InvalidRegionId.NotExists", snapshot, DestinationRegionId="nowhere")
    code = "InvalidOperation.NotSupportCopyInSameRegion"
    refused(ecs, 403, code, snapshot, DestinationRegionId=HERE)
    refused(ecs, 403, "InvalidSnapshotName.Malformed", snapshot, DestinationSnapshotName="1")
    code = "InvalidDescription.Malformed"
    refused(ecs, 403, code, snapshot, DestinationSnapshotDescription="http://x")
    refused(ecs, 403, "InvalidRetentionDays.Malformed", snapshot, RetentionDays=0)
    refused(ecs, 403, "InvalidEncrypted.NotMatchKmsKeyId", snapshot, KMSKeyId="key")
    code = "InvalidParameter.KMSKeyId.NotFound"
    refused(ecs, 403, code, snapshot, Encrypted=True, KMSKeyId="no-such-key")
    archived = import_snapshot(ecs, disk, category="archive")
    refused(ecs, 403, "InvalidSnapshotCategory.NotSupportCopy", archived)
    refused(ecs, 403, "InvalidSnapshotId.NotReady", broken(ecs, disk))
    ecs.server.admin("account", "set", "--balance", "-1")
    refused(ecs, 403, "InvalidAccountStatus.NotEnoughBalance", snapshot)
    ecs.server.admin("account", "set", "--balance", "0")
    assert ecs.snapshots(RegionId=THERE) == []
