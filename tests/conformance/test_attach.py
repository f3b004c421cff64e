"""AttachDisk and DetachDisk."""

import pytest

from harness import blocks
from harness.ecs import OTHER_ZONE
from harness.errors import check_documented
from harness.reset import NO_DISK, ephemeral_disk

NO_INSTANCE = "i-bp1nosuchinstance000"


def attach_refused(ecs, status, code, disk, instance, **more):
    ecs.refused(status, code, "AttachDisk", DiskId=disk, InstanceId=instance, **more)


def detach_refused(ecs, status, code, disk, instance):
    ecs.refused(status, code, "DetachDisk", DiskId=disk, InstanceId=instance)


def test_attach_and_detach(shared):
    instance, disk = shared.run_instance(), shared.create_disk()
    shared.attach(disk, instance)
    shown = shared.disk(disk)
    assert (shown["Status"], shown["InstanceId"]) == ("In_use", instance)
    assert shown["Device"].startswith("/dev/") and shown["AttachedTime"]
    assert shown["DeleteWithInstance"] is False
    shared.detach(disk, instance)
    shown = shared.disk(disk)
    assert (shown["Status"], shown["InstanceId"], shown["Device"]) == ("Available", "", "")
    assert shown["DetachedTime"]
    assert shown["Attachments"] == {"Attachment": []}


def test_to_an_instance_that_is_stopped(shared):
    instance, disk = shared.run_instance(), shared.create_disk()
    shared.stop_instance(instance)
    shared.attach(disk, instance)
    blocks.is_refused(shared.server, disk)
    shared.start_instance(instance)
    assert blocks.read(shared.server, disk, 0, 4096) == bytes(4096)
    shared.stop_instance(instance)
    shared.detach(disk, instance)


def test_a_disk_that_answers_says_where(shared):
    """Of ours: with several servers one cannot know. Nothing is said of one that does not."""
    instance, disk = shared.run_instance(), shared.create_disk()
    assert "ExportUrl" not in shared.disk(disk)
    shared.attach(disk, instance)
    url = shared.disk(disk)["ExportUrl"]
    assert url == shared.server.nbd_uri(disk)
    shared.stop_instance(instance)
    assert "ExportUrl" not in shared.disk(disk)


def test_delete_with_instance(shared):
    instance, disk = shared.run_instance(), shared.create_disk()
    shared.attach(disk, instance, DeleteWithInstance=True)
    assert shared.disk(disk)["DeleteWithInstance"] is True


def test_each_disk_has_a_device_of_its_own(shared):
    instance = shared.run_instance()
    for _ in range(4):
        shared.attach(shared.create_disk(), instance)
    devices = [disk["Device"] for disk in shared.disks(InstanceId=instance)]
    assert len(set(devices)) == 5


def test_data_goes_with_the_disk(shared):
    first, disk = shared.machine()
    blocks.write(shared.server, disk, 0, b"carried" * 1000)
    shared.detach(disk, first)
    shared.attach(disk, shared.run_instance())
    assert blocks.read(shared.server, disk, 0, 7000) == b"carried" * 1000


def test_attach_refuses(shared):
    instance, attached = shared.machine()
    free = shared.create_disk()
    far = shared.create_disk(ZoneId=OTHER_ZONE)
    attach_refused(shared, 404, "InvalidDiskId.NotFound", NO_DISK, instance)
    attach_refused(shared, 404, "InvalidInstanceId.NotFound", free, NO_INSTANCE)
    attach_refused(shared, 403, "ResourcesNotInSameZone", far, instance)
    answer = shared.ask("AttachDisk", DiskId=attached, InstanceId=instance)
    told = (answer.status, answer.tree["Code"])
    assert told in [(403, "IncorrectDiskStatus"), (404, "InvalidDisk.InUse")], answer.body
    attach_refused(shared, 400, "InvalidRegionId.MalFormed", free, instance, RegionId="cn-nowhere")


def test_too_many_disks(shared):
    instance = shared.run_instance()
    for _ in range(100):
        disk = shared.create_disk()
        answer = shared.ask("AttachDisk", DiskId=disk, InstanceId=instance)
        if answer.status != 200:
            assert (answer.status, answer.tree["Code"]) == (403, "InstanceDiskLimitExceeded")
            break
        shared.await_disk(disk, "In_use")
    else:
        raise AssertionError("an instance took a hundred disks")
    assert shared.disk(disk)["Status"] == "Available"


def test_detach_refuses(shared):
    instance, disk = shared.machine()
    other = shared.run_instance()
    (system,) = shared.disks(InstanceId=instance, DiskType="system")
    detach_refused(shared, 404, "InvalidDiskId.NotFound", NO_DISK, instance)
    detach_refused(shared, 404, "InvalidInstanceId.NotFound", disk, NO_INSTANCE)
    detach_refused(shared, 403, "DependencyViolation", disk, other)
    free = shared.create_disk()
    detach_refused(shared, 404, "InvalidDisk.AlreadyDetached", free, instance)
    answer = shared.ask("DetachDisk", DiskId=system["DiskId"], InstanceId=instance)
    check_documented("DetachDisk", answer)
    assert answer.tree["Code"] in ("DiskTypeViolation", "IncorrectInstanceStatus")
    shared.detach(disk, instance)
    detach_refused(shared, 404, "InvalidDisk.AlreadyDetached", disk, instance)


def test_elastic_ephemeral_disks_stay(shared):
    instance, disk = shared.run_instance(), ephemeral_disk(shared)
    shared.attach(disk, instance, DeleteWithInstance=True)
    detach_refused(shared, 403, "InvalidOperation.DiskCategoryUnsupported", disk, instance)


@pytest.mark.parametrize("operation", ["AttachDisk", "DetachDisk"])
def test_an_instance_locked_for_security(shared, operation):
    instance, attached = shared.machine()
    disk = attached if operation == "DetachDisk" else shared.create_disk()
    shared.server.admin("instance", "lock", instance, "--reason", "security")
    shared.refused(403, "InstanceLockedForSecurity", operation, DiskId=disk, InstanceId=instance)
    shared.server.admin("instance", "unlock", instance)


def test_detach_from_an_instance_that_is_gone(shared):
    instance, disk = shared.machine()
    blocks.write(shared.server, disk, 0, b"survives" * 512)
    shared.server.admin("instance", "forget", instance)
    blocks.is_refused(shared.server, disk)
    shown = shared.disk(disk)
    assert (shown["Status"], shown["InstanceId"]) == ("In_use", instance)
    detach_refused(shared, 404, "InvalidInstanceId.NotFound", disk, NO_INSTANCE)
    shared.detach(disk, instance)
    shared.attach(disk, shared.run_instance())
    assert blocks.read(shared.server, disk, 0, 4096) == b"survives" * 512
