"""ModifyDiskAttribute and DeleteDisk."""

import pytest

from harness.imports import held_open
from harness.reset import NO_DISK


def modify(ecs, disk, **more):
    ecs.call("ModifyDiskAttribute", DiskId=disk, **more)


def modify_refused(ecs, status, code, params=None, **more):
    ecs.refused(status, code, "ModifyDiskAttribute", params, **more)


def test_each_attribute(shared):
    disk = shared.create_disk()
    wanted = {
        "DiskName": "new-name",
        "Description": "a new description",
        "DeleteAutoSnapshot": False,
        "EnableAutoSnapshot": False,
    }
    for name, value in wanted.items():
        modify(shared, disk, **{name: value})
    shown = shared.disk(disk)
    assert {name: shown[name] for name in wanted} == wanted


def test_delete_with_instance(shared):
    _, disk = shared.machine()
    modify(shared, disk, DeleteWithInstance=True)
    assert shared.disk(disk)["DeleteWithInstance"] is True
    modify(shared, disk, DeleteWithInstance=False)
    assert shared.disk(disk)["DeleteWithInstance"] is False


def test_several_disks_at_once(shared):
    first, second = shared.create_disk(), shared.create_disk()
    given = {"DiskIds.1": first, "DiskIds.2": second, "DiskName": "both-of-them"}
    shared.call("ModifyDiskAttribute", given)
    assert {shared.disk(disk)["DiskName"] for disk in (first, second)} == {"both-of-them"}


def test_several_disks_or_none(shared):
    disk = shared.create_disk(DiskName="one-of-two")
    given = {"DiskIds.1": disk, "DiskIds.2": NO_DISK, "DiskName": "changed"}
    modify_refused(shared, 404, "InvalidDiskId.NotFound", given)
    assert shared.disk(disk)["DiskName"] == "one-of-two"


def test_modify_refuses(shared):
    disk = shared.create_disk()
    modify_refused(shared, 400, "MissingParameter.DiskIdOrDiskIds", DiskName="a-name")
    both = {"DiskId": disk, "DiskIds.1": disk, "DiskName": "a-name"}
    modify_refused(shared, 400, "ParameterConflict.DiskIdAndDiskIds", both)
    modify_refused(shared, 400, "NoAttributeToModify", DiskId=disk)
    modify_refused(shared, 404, "InvalidDiskId.NotFound", DiskId=NO_DISK, DiskName="a-name")
    modify_refused(shared, 400, "InvalidDiskName.Malformed", DiskId=disk, DiskName="1")
    modify_refused(shared, 404, "InvalidDescription.Malformed", DiskId=disk, Description="http://x")


def test_delete(shared):
    disk = shared.create_disk()
    shared.call("DeleteDisk", DiskId=disk)
    assert shared.disk(disk) is None
    shared.refused(404, "InvalidDiskId.NotFound", "DeleteDisk", DiskId=disk)
    shared.refused(404, "InvalidDiskId.NotFound", "DeleteDisk", DiskId=NO_DISK)


def test_manual_snapshots_outlive_the_disk(shared):
    instance, disk = shared.machine()
    snapshot = shared.create_snapshot(disk)
    shared.detach(disk, instance)
    shared.call("DeleteDisk", DiskId=disk)
    assert shared.snapshot(snapshot)["Status"] == "accomplished"
    copy = shared.create_disk(None, SnapshotId=snapshot)
    assert shared.disk(copy)["SourceSnapshotId"] == snapshot


def test_delete_refuses(shared):
    instance, disk = shared.machine()
    (system,) = shared.disks(InstanceId=instance, DiskType="system")
    answer = shared.ask("DeleteDisk", DiskId=disk)
    told = (answer.status, answer.tree["Code"])
    assert told in [(403, "IncorrectDiskStatus"), (403, "DiskStillAttached")]
    answer = shared.ask("DeleteDisk", DiskId=system["DiskId"])
    assert answer.status == 403
    codes = {"IncorrectDiskStatus", "DiskTypeViolation", "DiskStillAttached"}
    assert answer.tree["Code"] in codes
    assert shared.disk(disk)["Status"] == "In_use"


def test_delete_during_a_snapshot(shared):
    disk = shared.create_disk()
    with held_open(shared, disk):
        shared.refused(403, "DiskCreatingSnapshot", "DeleteDisk", DiskId=disk)
    shared.call("DeleteDisk", DiskId=disk)


@pytest.mark.parametrize("operation", ["DeleteDisk", "ModifyDiskAttribute"])
def test_a_restricted_category(ecs, operation):
    disk = ecs.create_disk()
    ecs.server.admin("category", "restrict", "cloud_essd")
    given = {"DiskName": "a-name"} if operation == "ModifyDiskAttribute" else {}
    ecs.refused(403, "UserNotInTheWhiteList", operation, given, DiskId=disk)
    ecs.server.admin("category", "unrestrict", "cloud_essd")
    ecs.call(operation, given, DiskId=disk)
