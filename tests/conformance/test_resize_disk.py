"""ResizeDisk."""

import nbd
import pytest

from harness import blocks
from harness.imports import held_open
from harness.reset import NO_DISK, local_disk

GIB = 1 << 30


def resize(ecs, disk, size, **more):
    ecs.call("ResizeDisk", DiskId=disk, NewSize=size, **more)


def refused(ecs, status, code, disk, size, **more):
    ecs.refused(status, code, "ResizeDisk", DiskId=disk, NewSize=size, **more)


@pytest.mark.parametrize("state", ["Running", "Stopped", "detached"])
def test_a_disk_grows(shared, state):
    instance, disk = shared.machine(1)
    blocks.write(shared.server, disk, GIB - 4096, b"e" * 4096)
    if state == "Stopped":
        shared.stop_instance(instance)
    if state == "detached":
        shared.detach(disk, instance)
    before = shared.disk(disk)
    resize(shared, disk, 3)
    assert shared.disk(disk) == before | {"Size": 3}
    if state == "Stopped":
        shared.start_instance(instance)
    if state == "detached":
        shared.attach(disk, instance)
    with blocks.export(shared.server, disk) as handle:
        assert handle.get_size() == 3 * GIB
        assert handle.pread(8192, GIB - 4096) == b"e" * 4096 + bytes(4096)
        handle.pwrite(b"n" * 4096, 3 * GIB - 4096)
        assert handle.pread(4096, 3 * GIB - 4096) == b"n" * 4096


def test_online(shared):
    _, disk = shared.machine(1)
    resize(shared, disk, 2, Type="online")
    assert shared.disk(disk)["Size"] == 2


def test_a_client_that_stays_connected_may_use_the_new_part(shared):
    _, disk = shared.machine(1)
    with blocks.export(shared.server, disk) as handle:
        # It was told the former size, and would not ask.
        handle.set_strict_mode(handle.get_strict_mode() & ~nbd.STRICT_BOUNDS)
        with pytest.raises(nbd.Error):
            handle.pwrite(b"n" * 4096, GIB)
        resize(shared, disk, 2, Type="online")
        handle.pwrite(b"n" * 4096, GIB)
        assert handle.pread(4096, GIB) == b"n" * 4096


def test_a_snapshot_from_before(shared):
    instance, disk = shared.machine(1)
    blocks.write(shared.server, disk, 0, b"b" * 4096)
    snapshot = shared.create_snapshot(disk)
    resize(shared, disk, 2)
    blocks.write(shared.server, disk, GIB, b"n" * 4096)
    shared.stop_instance(instance)
    shared.reset(disk, snapshot)
    shared.start_instance(instance)
    assert shared.disk(disk)["Size"] == 2
    assert shared.snapshot(snapshot)["SourceDiskSize"] == "1"
    assert blocks.read(shared.server, disk, 0, 4096) == b"b" * 4096
    assert blocks.read(shared.server, disk, GIB, 4096) == bytes(4096)
    assert shared.snapshot(shared.create_snapshot(disk))["SourceDiskSize"] == "2"


def test_a_client_token_grows_once(shared):
    _, disk = shared.machine(1)
    given = {"DiskId": disk, "NewSize": 2, "ClientToken": "resize-token"}
    shared.call("ResizeDisk", given)
    shared.call("ResizeDisk", given)
    assert shared.disk(disk)["Size"] == 2
    shared.refused(400, "IdempotentParameterMismatch", "ResizeDisk", given | {"NewSize": 3})
    refused(shared, 403, "InvalidDiskSize", disk, 2, ClientToken="another-token")


def test_sizes_that_will_not_do(shared):
    _, disk = shared.machine(2)
    for size in (1, 0, -1):
        refused(shared, 403, "InvalidDiskSize.TooSmall", disk, size)
    refused(shared, 403, "InvalidDiskSize", disk, 2)
    for size in (65537, 131073, 1 << 40):
        refused(shared, 403, "InvalidDiskSize.TooLarge", disk, size)
    assert shared.disk(disk)["Size"] == 2


def test_resize_refuses(shared):
    instance, disk = shared.machine(1)
    refused(shared, 404, "InvalidDiskId.NotFound", NO_DISK, 2)
    refused(shared, 400, "InvalidParam.Type", disk, 2, Type="sideways")
    _, local = local_disk(shared, "local_ssd_pro")
    refused(shared, 403, "OperationDenied", local, 60_000)
    with held_open(shared, disk):
        refused(shared, 403, "DiskCreatingSnapshot", disk, 2)
    shared.server.admin("instance", "lock", instance, "--reason", "security")
    refused(shared, 403, "InstanceLockedForSecurity", disk, 2)
    shared.server.admin("instance", "unlock", instance)
    shared.stop_instance(instance)
    refused(shared, 403, "InvalidInstanceStatus.NotRunning", disk, 2, Type="online")
    shared.detach(disk, instance)
    refused(shared, 403, "InvalidInstanceStatus.NotRunning", disk, 2, Type="online")
    assert shared.disk(disk)["Size"] == 1


def test_a_shared_disk_does_not_grow_under_its_instances(shared):
    disk = shared.create_disk(MultiAttach="Enabled")
    shared.attach(disk, shared.run_instance())
    code = "InvalidOperation.MultiAttachDiskNotSupportResizeOnline"
    refused(shared, 403, code, disk, 1000, Type="online")
    resize(shared, disk, 1000)
    assert shared.disk(disk)["Size"] == 1000
