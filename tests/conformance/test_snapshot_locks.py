"""LockSnapshot, UnlockSnapshot and DescribeLockedSnapshots."""

from datetime import datetime, timedelta

import pytest

from harness.imports import broken
from harness.reset import NO_SNAPSHOT

TIME = "%Y-%m-%dT%H:%M:%SZ"


def lock(ecs, snapshot, days=2, hours=3, **more):
    given = {"LockMode": "compliance", "LockDuration": days, "CoolOffPeriod": hours} | more
    reply = ecs.call("LockSnapshot", SnapshotId=snapshot, **given)
    return reply["LockedSnapshotInfo"]


def lock_refused(ecs, status, code, snapshot, **more):
    given = {"LockMode": "compliance", "LockDuration": 2, "CoolOffPeriod": 0} | more
    ecs.refused(status, code, "LockSnapshot", SnapshotId=snapshot, **given)


def locks(ecs, snapshots, **more):
    params = {f"SnapshotIds.{n}": id_ for n, id_ in enumerate(snapshots, 1)}
    return ecs.call("DescribeLockedSnapshots", params, **more)["LockedSnapshotsInfo"]


@pytest.fixture
def snapshot(shared):
    _, disk = shared.machine()
    return shared.create_snapshot(disk)


def test_a_lock_as_it_is_told(shared, snapshot):
    told = lock(shared, snapshot)
    assert locks(shared, [snapshot]) == [told]
    began = datetime.strptime(told["LockCreationTime"], TIME)
    after = {
        "CoolOffPeriodExpiredTime": timedelta(hours=3),
        "LockDurationStartTime": timedelta(),
        "LockExpiredTime": timedelta(days=2),
    }
    for field, expected in after.items():
        assert datetime.strptime(told[field], TIME) - began == expected, field
    assert (told["LockDuration"], told["CoolOffPeriod"]) == (2, 3)
    assert (told["LockMode"], told["LockStatus"]) == ("compliance", "compliance-cooloff")
    assert told["SnapshotId"] == snapshot


def test_a_locked_snapshot_stays(shared, snapshot):
    lock(shared, snapshot, hours=0)
    for force in (False, True):
        shared.refused(
            403, "Operation.Conflict", "DeleteSnapshot", SnapshotId=snapshot, Force=force
        )
    code = "OperationDenied.SnapshotLocked"
    shared.refused(403, code, "UnlockSnapshot", SnapshotId=snapshot)
    source = shared.snapshot(snapshot)["SourceDiskId"]
    assert shared.snapshot(snapshot)["Status"] == "accomplished"
    # It is as good as any: the disk goes back to it.
    instance = shared.disk(source)["InstanceId"]
    shared.stop_instance(instance)
    shared.reset(source, snapshot)


def test_it_outlives_its_disk(shared, snapshot):
    lock(shared, snapshot, hours=0)
    disk = shared.disk(shared.snapshot(snapshot)["SourceDiskId"])
    shared.detach(disk["DiskId"], disk["InstanceId"])
    shared.call("DeleteDisk", DiskId=disk["DiskId"])
    assert shared.snapshot(snapshot)["Status"] == "accomplished"
    shared.refused(403, "Operation.Conflict", "DeleteSnapshot", SnapshotId=snapshot)


def test_it_is_taken_back_while_it_cools_off(shared, snapshot):
    lock(shared, snapshot)
    shared.call("UnlockSnapshot", SnapshotId=snapshot)
    assert locks(shared, [snapshot]) == []
    code = "InvalidSnapshotLock.NotFound"
    shared.refused(404, code, "UnlockSnapshot", SnapshotId=snapshot)
    shared.call("DeleteSnapshot", SnapshotId=snapshot)


def test_it_is_set_anew_and_made_longer(shared, snapshot):
    lock(shared, snapshot, days=3, hours=3)
    told = lock(shared, snapshot, days=2, hours=0)
    assert (told["LockDuration"], told["LockStatus"]) == (2, "compliance")
    code = "InvalidOperation.DecreaseLockDurationUnsupported"
    lock_refused(shared, 403, code, snapshot, LockDuration=1)
    lock_refused(shared, 403, code, snapshot, LockDuration=2)
    lock_refused(shared, 403, code, snapshot, LockDuration=3, CoolOffPeriod=1)
    longer = lock(shared, snapshot, days=3, hours=0)
    assert longer["LockCreationTime"] == told["LockCreationTime"]
    assert longer["LockDuration"] == 3


def test_it_ends_before_its_snapshot(shared):
    _, disk = shared.machine()
    snapshot = shared.create_snapshot(disk, RetentionDays=2)
    code = "InvalidOperation.LockExceedsRetention"
    lock_refused(shared, 403, code, snapshot, LockDuration=3)
    shared.call("ModifySnapshotAttribute", SnapshotId=snapshot, RetentionDays=4)
    lock(shared, snapshot, days=3, hours=0)


def test_lock_refuses(shared, snapshot):
    lock_refused(shared, 404, "InvalidSnapshotId.NotFound", NO_SNAPSHOT)
    lock_refused(shared, 404, "InvalidRegionId.NotFound", snapshot, RegionId="nowhere")
    shared.refused(404, "InvalidSnapshotId.NotFound", "UnlockSnapshot", SnapshotId=NO_SNAPSHOT)
    for wrong in (
        {"LockMode": "governance"},
        {"LockDuration": 0},
        {"LockDuration": 36501},
        {"CoolOffPeriod": -1},
        {"CoolOffPeriod": 73},
    ):
        lock_refused(shared, 400, "InvalidParameter", snapshot, **wrong)
    for missing in ("LockMode", "LockDuration", "CoolOffPeriod"):
        lock_refused(shared, 400, "MissingParameter", snapshot, **{missing: None})
    _, disk = shared.machine()
    lock_refused(shared, 403, "InvalidSnapshotId.NotReady", broken(shared, disk))
    assert locks(shared, [snapshot]) == []


def test_a_dry_run(shared, snapshot):
    lock_refused(shared, 400, "DryRunOperation", snapshot, DryRun=True)
    lock_refused(shared, 404, "InvalidSnapshotId.NotFound", NO_SNAPSHOT, DryRun=True)
    assert locks(shared, [snapshot]) == []
    lock(shared, snapshot)
    shared.refused(400, "DryRunOperation", "UnlockSnapshot", SnapshotId=snapshot, DryRun=True)
    shared.refused(400, "DryRunOperation", "DescribeLockedSnapshots", DryRun=True)
    assert len(locks(shared, [snapshot])) == 1


def test_the_same_request_again(shared, snapshot):
    first = lock(shared, snapshot, ClientToken="lock-1")
    assert lock(shared, snapshot, ClientToken="lock-1") == first
    lock_refused(
        shared, 400, "IdempotentParameterMismatch", snapshot, LockDuration=3, ClientToken="lock-1"
    )
    for _ in range(2):
        shared.call("UnlockSnapshot", SnapshotId=snapshot, ClientToken="unlock-1")
    assert locks(shared, [snapshot]) == []


def test_the_list(ecs):
    _, disk = ecs.machine()
    made = [ecs.create_snapshot(disk) for _ in range(12)]
    for number, each in enumerate(made[:11]):
        lock(ecs, each, hours=number % 2)
    all_of_them = {each["SnapshotId"] for each in locks(ecs, [], MaxResults=100)}
    assert all_of_them == set(made[:11])
    for status, every_second in (("compliance", 0), ("compliance-cooloff", 1)):
        found = {each["SnapshotId"] for each in locks(ecs, [], LockStatus=status)}
        assert found == set(made[every_second:11:2])
    assert locks(ecs, [], LockStatus="expired") == []
    assert [each["SnapshotId"] for each in locks(ecs, [made[3], made[11]])] == [made[3]]
    # Fewer than ten a page there are not.
    first = ecs.call("DescribeLockedSnapshots", MaxResults=1)
    assert len(first["LockedSnapshotsInfo"]) == 10
    second = ecs.call("DescribeLockedSnapshots", NextToken=first["NextToken"])
    assert second["NextToken"] == ""
    pages = first["LockedSnapshotsInfo"] + second["LockedSnapshotsInfo"]
    assert {each["SnapshotId"] for each in pages} == all_of_them


def test_the_list_refuses(shared):
    many = {f"SnapshotIds.{n}": f"s-{n}" for n in range(1, 102)}
    shared.refused(403, "InvalidSnapshotIds.Malformed", "DescribeLockedSnapshots", many)
    shared.refused(400, "InvalidParameter", "DescribeLockedSnapshots", LockStatus="open")
    shared.refused(400, "InvalidNextToken", "DescribeLockedSnapshots", NextToken="00")
