"""Which disks are served when, and how their connections end."""

import nbd
import pytest

from harness import blocks
from harness.ecs import GIB
from harness.reset import NO_DISK
from harness.tools import nbdinfo, tool
from harness.waiting import until


def test_an_export_is_named_by_its_disk(shared):
    _, disk = shared.machine(2)
    export = nbdinfo(shared.server.nbd_uri(disk))
    assert (export["export-name"], export["export-size"]) == (disk, 2 * GIB)
    assert export["is_read_only"] is False
    able = [name for name in export if name.startswith("can_") and export[name] is True]
    wanted = {"can_flush", "can_fua", "can_trim", "can_zero", "can_multi_conn"}
    assert wanted <= set(able), export


def test_block_sizes(shared):
    _, disk = shared.machine()
    export = nbdinfo(shared.server.nbd_uri(disk))
    assert export["block_size_minimum"] in (1, 512)
    assert export["block_size_preferred"] == 4096
    assert export["block_size_maximum"] == 32 * blocks.MIB


def test_the_unix_socket_serves_the_same(shared):
    _, disk = shared.machine()
    server = shared.server
    blocks.write(server, disk, 0, b"tcp!" * 1024)
    with blocks.export(server, disk, server.nbd_unix_uri(disk)) as handle:
        assert handle.pread(4096, 0) == b"tcp!" * 1024
        handle.pwrite(b"unix" * 1024, 0)
    assert blocks.read(server, disk, 0, 4096) == b"unix" * 1024
    assert nbdinfo(server.nbd_unix_uri(disk))["export-name"] == disk


def test_a_disk_that_is_not_served(shared):
    server = shared.server
    free = shared.create_disk()
    for name in (free, NO_DISK, "", "nonsense", "d" * 4000):
        blocks.is_refused(server, name)
    blocks.is_refused(server, free, server.nbd_unix_uri(free))


def test_only_while_the_instance_runs(shared):
    instance, disk = shared.machine()
    assert blocks.size_of(shared.server, disk) == GIB
    shared.stop_instance(instance)
    blocks.is_refused(shared.server, disk)
    shared.start_instance(instance)
    assert blocks.size_of(shared.server, disk) == GIB
    shared.detach(disk, instance)
    blocks.is_refused(shared.server, disk)


def ends(handle):
    """The connection is over: what is asked next fails, and soon."""

    def over():
        try:
            handle.pread(512, 0)
        except nbd.Error:
            return True
        return False

    until(over, "the connection ends")


@pytest.mark.parametrize("how", ["StopInstance", "DetachDisk", "DeleteInstance", "forget"])
def test_what_ends_a_connection(shared, how):
    """Before it ends, everything that was answered is safe."""
    instance, disk = shared.machine()
    with blocks.export(shared.server, disk) as first, blocks.export(shared.server, disk) as second:
        first.pwrite(b"answered" * 512, 0)
        if how == "StopInstance":
            shared.call(how, InstanceId=instance)
        elif how == "DetachDisk":
            shared.call(how, InstanceId=instance, DiskId=disk)
        elif how == "DeleteInstance":
            shared.call(how, InstanceId=instance, Force=True)
        else:
            shared.server.admin("instance", "forget", instance)
        ends(first)
        ends(second)
    if how == "StopInstance":
        shared.await_instance(instance, "Stopped")
        shared.start_instance(instance)
    else:
        if how == "forget":
            shared.call("DetachDisk", InstanceId=instance, DiskId=disk)
        shared.await_disk(disk, "Available")
        shared.attach(disk, shared.run_instance())
    assert blocks.read(shared.server, disk, 0, 4096) == b"answered" * 512


def test_a_client_from_before_a_reset_can_not_write_after_it(shared):
    instance, disk = shared.machine()
    snapshot = shared.create_snapshot(disk)
    with blocks.export(shared.server, disk) as handle:
        handle.pwrite(b"x" * 4096, 0)
        shared.stop_instance(instance)
        shared.reset(disk, snapshot)
        shared.start_instance(instance)
        with pytest.raises(nbd.Error):
            handle.pwrite(b"y" * 4096, 0)
    assert blocks.read(shared.server, disk, 0, 4096) == bytes(4096)


def test_an_idle_connection_does_not_hold_a_stop(server, ecs):
    _, disk = ecs.machine()
    with blocks.export(server, disk) as handle:
        assert handle.pread(512, 0) == bytes(512)
        server.stop()


def test_the_list_of_exports(shared):
    """Names that are served may be listed, or the list may be refused; never others."""
    _, disk = shared.machine()
    free = shared.create_disk()
    listed = tool("nbdinfo", "--list", shared.server.nbd_uri(""), check=False)
    if listed.returncode == 0:
        assert disk in listed.stdout
    assert free not in listed.stdout
