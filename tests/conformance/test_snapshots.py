"""CreateSnapshot, DescribeSnapshots, DeleteSnapshot, OpenSnapshotService."""

import re

import pytest

from harness import blocks
from harness.ecs import REGION, Ecs
from harness.imports import held_open
from harness.reset import NO_DISK, NO_SNAPSHOT, ephemeral_disk, local_disk


def refused(ecs, status, code, disk, **more):
    ecs.refused(status, code, "CreateSnapshot", DiskId=disk, **more)


def test_a_snapshot(shared):
    _, disk = shared.machine(2)
    snapshot = shared.create_snapshot(
        disk,
        SnapshotName="a-name",
        Description="for the test",
        RetentionDays=30,
        params={"Tag.1.Key": "use", "Tag.1.Value": "test"},
    )
    assert re.fullmatch(r"s-[a-z0-9]{20}", snapshot)
    shown = shared.snapshot(snapshot)
    expected = {
        "SnapshotId": snapshot,
        "SnapshotName": "a-name",
        "Description": "for the test",
        "SourceDiskId": disk,
        "SourceDiskSize": "2",
        "SourceDiskType": "data",
        "SourceStorageType": "disk",
        "SnapshotType": "user",
        "Status": "accomplished",
        "Progress": "100%",
        "Available": True,
        "Encrypted": False,
        "Usage": "none",
        "RetentionDays": 30,
        "RegionId": REGION,
        "Tags": {"Tag": [{"TagKey": "use", "TagValue": "test"}]},
    }
    assert {name: shown.get(name) for name in expected} == expected
    assert shown["Category"].lower() == "standard"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["CreationTime"])


def test_what_is_written_after_the_call_is_not_in_it(shared):
    instance, disk = shared.machine()
    with blocks.export(shared.server, disk) as handle:
        handle.pwrite(b"1" * 4096, 0)
        snapshot = shared.call("CreateSnapshot", DiskId=disk)["SnapshotId"]
        handle.pwrite(b"2" * 4096, 0)
        handle.flush()
    shared.await_snapshot(snapshot)
    copy = shared.create_disk(SnapshotId=snapshot)
    shared.attach(copy, instance)
    assert blocks.read(shared.server, copy, 0, 4096) == b"1" * 4096


@pytest.mark.parametrize("state", ["Running", "Stopped", "detached"])
def test_in_every_state_of_the_disk(shared, state):
    instance, disk = shared.machine()
    if state == "Stopped":
        shared.stop_instance(instance)
    if state == "detached":
        shared.detach(disk, instance)
    shared.create_snapshot(disk)


def test_create_refuses(shared):
    _, disk = shared.machine()
    refused(shared, 404, "InvalidDiskId.NotFound", NO_DISK)
    refused(shared, 403, "IncorrectDiskStatus.NeverAttached", shared.create_disk())
    for name in ("1", "auto-name", "http://x", "a" * 129):
        refused(shared, 400, "InvalidSnapshotName.Malformed", disk, SnapshotName=name)
    refused(shared, 404, "InvalidDescription.Malformed", disk, Description="http://x")
    for days in (0, 65537, -1):
        refused(shared, 400, "InvalidRetentionDays.Malformed", disk, RetentionDays=days)
    refused(shared, 403, "InvalidSnapshotCategory.Malformed", disk, Category="Gold")
    twice = {"Tag.1.Key": "a", "Tag.2.Key": "a"}
    refused(shared, 400, "Duplicate.TagKey", disk, params=twice)


def test_categories_without_snapshots(shared):
    _, local = local_disk(shared, "local_ssd_pro")
    for disk in (local, ephemeral_disk(shared)):
        refused(shared, 400, "DiskCategory.OperationNotSupported", disk)


def test_one_at_a_time(shared):
    _, disk = shared.machine()
    with held_open(shared, disk):
        answer = shared.ask("CreateSnapshot", DiskId=disk)
        assert answer.status == 403
        codes = {"IncorrectDiskStatus.CreatingSnapshot", "DISK_HAS_CREATING_SNAPSHOT"}
        assert answer.tree["Code"] in codes
    shared.create_snapshot(disk)


def test_a_client_token_makes_one_snapshot(shared):
    _, disk = shared.machine()
    given = {"DiskId": disk, "ClientToken": "snapshot-token", "SnapshotName": "a-name"}
    first = shared.call("CreateSnapshot", given)["SnapshotId"]
    shared.await_snapshot(first)
    assert shared.call("CreateSnapshot", given)["SnapshotId"] == first
    other = given | {"SnapshotName": "another-name"}
    shared.refused(403, "IdempotentParameterMismatch", "CreateSnapshot", other)


def test_the_service_closed_and_opened(ecs):
    _, disk = ecs.machine()
    ecs.server.admin("account", "set", "--snapshot-service", "closed")
    refused(ecs, 403, "InvalidAccountStatus.SnapshotServiceUnavailable", disk)
    ecs.call("OpenSnapshotService")
    ecs.create_snapshot(disk)
    ecs.server.admin("account", "set", "--balance", "-1")
    refused(ecs, 403, "InvalidAccountStatus.NotEnoughBalance", disk)


def test_a_locked_instance(shared):
    instance, disk = shared.machine()
    shared.server.admin("instance", "lock", instance, "--reason", "security")
    refused(shared, 403, "InstanceLockedForSecurity", disk)
    shared.server.admin("instance", "unlock", instance)
    shared.create_snapshot(disk)


@pytest.fixture(scope="module")
def many(module_server):
    """Twelve snapshots of one disk, and one of a system disk, by name."""
    ecs = Ecs(module_server)
    instance, disk = ecs.machine()
    (system,) = ecs.disks(InstanceId=instance, DiskType="system")
    made = {f"many-{n}": ecs.create_snapshot(disk, SnapshotName=f"many-{n}") for n in range(12)}
    made["of-the-system"] = ecs.create_snapshot(
        system["DiskId"],
        SnapshotName="of-the-system",
        params={"Tag.1.Key": "which", "Tag.1.Value": "system"},
    )
    return made | {"disk": disk, "instance": instance}


NAMES = {f"many-{n}" for n in range(12)} | {"of-the-system"}


def found(ecs, many, params=None, **filters):
    shown = ecs.snapshots(
        {"InstanceId": many["instance"]} | (params or {}), PageSize=100, **filters
    )
    return {snapshot["SnapshotName"] for snapshot in shown}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, NAMES),
        ({"SnapshotName": "many-3"}, {"many-3"}),
        ({"SourceDiskType": "system"}, {"of-the-system"}),
        ({"SourceDiskType": "data"}, NAMES - {"of-the-system"}),
        ({"Status": "accomplished"}, NAMES),
        ({"Status": "progressing"}, set()),
        ({"Status": "all"}, NAMES),
        ({"SnapshotType": "user"}, NAMES),
        ({"SnapshotType": "auto"}, set()),
        ({"SnapshotType": "all"}, NAMES),
        ({"Usage": "none"}, NAMES),
        ({"Usage": "disk"}, set()),
        ({"Encrypted": True}, set()),
        ({"Category": "standard"}, NAMES),
        ({"Category": "archive"}, set()),
        ({"Tag.1.Key": "which", "Tag.1.Value": "system"}, {"of-the-system"}),
        ({"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "2999-01-01T00:00Z"}, set()),
        ({"Filter.2.Key": "CreationEndTime", "Filter.2.Value": "2999-01-01T00:00Z"}, NAMES),
    ],
)
def test_filters(shared, many, filters, names):
    assert found(shared, many, filters) == names


def test_filters_that_name_other_things(shared, many):
    assert found(shared, many, DiskId=many["disk"]) == NAMES - {"of-the-system"}
    ids = [many["many-1"], NO_SNAPSHOT, "nonsense"]
    assert found(shared, many, SnapshotIds=ids) == {"many-1"}


@pytest.mark.parametrize(
    ("status", "code", "filters"),
    [
        (403, "InvalidSnapshotIds.Malformed", {"SnapshotIds": [f"s-{n}" for n in range(101)]}),
        (404, "InvalidStatus.NotFound", {"Status": "broken"}),
        (404, "InvalidSnapshotType.NotFound", {"SnapshotType": "weekly"}),
        (404, "InvalidUsage", {"Usage": "paperweight"}),
        (404, "InvalidSourceDiskType", {"SourceDiskType": "tape"}),
        (404, "InvalidFilterKey.NotFound", {"Filter.1.Key": "Colour", "Filter.1.Value": "x"}),
        (400, "InvalidTag.Mismatch", {"Tag.1.Value": "value without a key"}),
    ],
)
def test_filters_that_will_not_do(shared, status, code, filters):
    shared.refused(status, code, "DescribeSnapshots", filters)


def test_pages(shared, many):
    by_number, by_token, token = [], [], ""
    for number in (1, 2, 3):
        reply = shared.call("DescribeSnapshots", DiskId=many["disk"], PageNumber=number, PageSize=5)
        assert reply["TotalCount"] == 12
        by_number += [each["SnapshotId"] for each in reply["Snapshots"]["Snapshot"]]
    while True:
        reply = shared.call(
            "DescribeSnapshots", DiskId=many["disk"], MaxResults=10, NextToken=token or None
        )
        by_token += [each["SnapshotId"] for each in reply["Snapshots"]["Snapshot"]]
        token = reply["NextToken"]
        if not token:
            break
    assert by_number == by_token and len(set(by_number)) == 12
    times = [each["CreationTime"] for each in shared.snapshots(PageSize=100)]
    assert times == sorted(times, reverse=True)


def test_delete(shared):
    _, disk = shared.machine()
    snapshot = shared.create_snapshot(disk)
    shared.call("DeleteSnapshot", SnapshotId=snapshot)
    assert shared.snapshot(snapshot) is None
    shared.refused(404, "InvalidSnapshotId.NotFound", "DeleteSnapshot", SnapshotId=snapshot)
    shared.refused(404, "InvalidSnapshotId.NotFound", "DeleteSnapshot", SnapshotId="nonsense")


def test_delete_one_that_disks_were_made_from(shared):
    instance, disk = shared.machine()
    blocks.write(shared.server, disk, 0, b"shared" * 1000)
    snapshot = shared.create_snapshot(disk)
    copy = shared.create_disk(SnapshotId=snapshot)
    assert shared.snapshot(snapshot)["Usage"] == "disk"
    shared.refused(403, "SnapshotCreatedDisk", "DeleteSnapshot", SnapshotId=snapshot)
    shared.call("DeleteSnapshot", SnapshotId=snapshot, Force=True)
    shared.attach(copy, instance)
    for each in (disk, copy):
        assert blocks.read(shared.server, each, 0, 6000) == b"shared" * 1000
