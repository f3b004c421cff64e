"""ReInitDisk."""

import pytest

from harness import blocks
from harness.imports import held_open
from harness.reset import NO_DISK, local_disk

GIB = 1 << 30
SOME = b"s" * 4096
OTHER = b"o" * 4096


def reinit(ecs, disk, **more):
    ecs.call("ReInitDisk", DiskId=disk, **more)


def refused(ecs, status, code, disk, **more):
    ecs.refused(status, code, "ReInitDisk", DiskId=disk, **more)


def written(ecs, disk, data, offset=0):
    blocks.write(ecs.server, disk, offset, data)
    return disk


@pytest.fixture
def machine(shared):
    """An instance, and its disk with something on it."""
    instance, disk = shared.machine()
    return instance, written(shared, disk, SOME)


def test_an_empty_disk_is_empty_again(shared, machine):
    instance, disk = machine
    snapshot = shared.create_snapshot(disk)
    shared.stop_instance(instance)
    before = shared.disk(disk)
    reinit(shared, disk)
    assert shared.disk(disk) == before
    shared.start_instance(instance)
    assert blocks.fingerprint(shared.server, disk) == blocks.fingerprint(
        shared.server, shared.machine()[1]
    )
    # Its snapshots are as good as they were.
    shared.stop_instance(instance)
    shared.reset(disk, snapshot)
    shared.start_instance(instance)
    assert blocks.read(shared.server, disk, 0, 4096) == SOME


def test_a_disk_made_from_a_snapshot_is_that_again(shared, machine):
    instance, disk = machine
    snapshot = shared.create_snapshot(disk)
    copy = shared.create_disk(SnapshotId=snapshot, size=2)
    shared.attach(copy, instance)
    written(shared, copy, OTHER)
    written(shared, copy, OTHER, 2 * GIB - 4096)
    shared.stop_instance(instance)
    reinit(shared, copy)
    shared.start_instance(instance)
    assert blocks.read(shared.server, copy, 0, 8192) == SOME + bytes(4096)
    assert blocks.read(shared.server, copy, 2 * GIB - 4096, 4096) == bytes(4096)
    assert blocks.size_of(shared.server, copy) == 2 * GIB


def test_without_the_snapshot_it_was_made_from(shared, machine):
    instance, disk = machine
    snapshot = shared.create_snapshot(disk)
    copy = shared.create_disk(SnapshotId=snapshot)
    shared.attach(copy, instance)
    shared.call("DeleteSnapshot", SnapshotId=snapshot, Force=True)
    shared.stop_instance(instance)
    refused(shared, 403, "InvalidSourceSnapshot", copy)
    shared.start_instance(instance)
    assert blocks.read(shared.server, copy, 0, 4096) == SOME


def test_the_instance_is_started_again_if_asked(shared, machine):
    instance, disk = machine
    shared.stop_instance(instance)
    reinit(shared, disk, AutoStartInstance=True)
    shared.await_instance(instance, "Running")
    assert blocks.read(shared.server, disk, 0, 4096) == bytes(4096)


def test_a_system_disk(shared):
    instance, _ = shared.machine()
    [system] = shared.disks(InstanceId=instance, DiskType="system")
    written(shared, system["DiskId"], SOME)
    shared.stop_instance(instance)
    reinit(shared, system["DiskId"], Password="Secret-word-1")
    shared.start_instance(instance)
    assert blocks.read(shared.server, system["DiskId"], 0, 4096) == bytes(4096)


def test_reinit_refuses(shared, machine):
    instance, disk = machine
    refused(shared, 404, "InvalidDiskId.NotFound", NO_DISK)
    refused(shared, 400, "InvalidRegionId.MalFormed", disk, RegionId="nowhere")
    refused(shared, 403, "IncorrectInstanceStatus", disk)
    shared.detach(disk, instance)
    refused(shared, 403, "IncorrectDiskStatus", disk)
    _, local = local_disk(shared, "local_ssd_pro")
    refused(shared, 400, "DiskCategory.OperationNotSupported", local)
    many = shared.create_disk(MultiAttach="Enabled", DiskCategory="cloud_essd")
    shared.attach(many, instance)
    refused(shared, 403, "InvalidOperation.MultiAttachDisk", many)


def test_an_instance_that_may_not(ecs):
    instance, disk = ecs.machine()
    written(ecs, disk, SOME)
    ecs.stop_instance(instance)
    ecs.server.admin("instance", "lock", instance, "--reason", "security")
    refused(ecs, 403, "InstanceLockedForSecurity", disk)
    ecs.server.admin("instance", "unlock", instance)
    ecs.server.admin("account", "set", "--arrears", "on")
    refused(ecs, 403, "InstanceExpiredOrInArrears", disk)
    ecs.server.admin("account", "set", "--arrears", "off")
    ecs.server.admin("category", "restrict", "cloud_essd", "--allow", "1234567890123456")
    refused(ecs, 403, "UserNotInTheWhiteList", disk)
    ecs.server.admin("category", "unrestrict", "cloud_essd")
    ecs.start_instance(instance)
    assert blocks.read(ecs.server, disk, 0, 4096) == SOME


def test_while_a_snapshot_is_made(shared, machine):
    instance, disk = machine
    shared.stop_instance(instance)
    with held_open(shared, disk):
        refused(shared, 403, "DiskCreatingSnapshot", disk)
