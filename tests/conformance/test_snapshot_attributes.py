"""ModifySnapshotAttribute."""

import re

import pytest

from harness.imports import broken, held_open
from harness.reset import NO_SNAPSHOT


def modify(ecs, snapshot, **more):
    ecs.call("ModifySnapshotAttribute", SnapshotId=snapshot, **more)


def refused(ecs, status, code, snapshot, **more):
    ecs.refused(status, code, "ModifySnapshotAttribute", SnapshotId=snapshot, **more)


@pytest.fixture
def snapshot(shared):
    _, disk = shared.machine()
    return shared.create_snapshot(disk, SnapshotName="before", RetentionDays=3)


def test_each_attribute(shared, snapshot):
    before = shared.snapshot(snapshot)
    assert "LastModifiedTime" not in before
    wanted = {"SnapshotName": "数据快照", "Description": "a new description", "RetentionDays": 4}
    for name, value in wanted.items():
        modify(shared, snapshot, **{name: value})
    after = shared.snapshot(snapshot)
    changed = after.pop("LastModifiedTime")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", changed)
    assert changed >= before["CreationTime"]
    assert after == before | wanted


def test_empty_clears(shared, snapshot):
    shared.call("ModifySnapshotAttribute", {"SnapshotId": snapshot, "SnapshotName": ""})
    assert shared.snapshot(snapshot)["SnapshotName"] == ""


def test_what_has_no_meaning_here_is_taken(shared, snapshot):
    before = shared.snapshot(snapshot)["SnapshotName"]
    modify(shared, snapshot, DisableInstantAccess=True)
    assert shared.snapshot(snapshot)["SnapshotName"] == before


def test_modify_refuses(shared, snapshot):
    refused(shared, 400, "NoAttributeToModify", snapshot)
    refused(shared, 404, "InvalidSnapshotId.NotFound", NO_SNAPSHOT, SnapshotName="a-name")
    for name in ("1", "auto-name", "http://x", "a" * 129):
        refused(shared, 400, "InvalidSnapshotName.Malformed", snapshot, SnapshotName=name)
    refused(shared, 404, "InvalidDescription.Malformed", snapshot, Description="http://x")
    for days in (0, 65537, -1):
        refused(shared, 400, "InvalidRetentionDays.Malformed", snapshot, RetentionDays=days)


def test_a_snapshot_is_kept_for_no_less(shared, snapshot):
    code = "InvalidOperation.DecreaseRetentionDaysUnsupported"
    refused(shared, 400, code, snapshot, RetentionDays=2, SnapshotName="after")
    assert shared.snapshot(snapshot)["SnapshotName"] == "before"
    modify(shared, snapshot, RetentionDays=3)
    _, disk = shared.machine()
    refused(shared, 400, code, shared.create_snapshot(disk), RetentionDays=65536)


def test_one_that_is_not_there_yet(shared):
    _, disk = shared.machine()
    with held_open(shared, disk) as progressing:
        refused(shared, 400, "InvalidSnapshotId.NotReady", progressing, SnapshotName="a-name")
    failed = broken(shared, disk)
    refused(shared, 400, "InvalidSnapshotId.NotReady", failed, SnapshotName="a-name")
