"""After an end, good or bad, everything is what it was."""

import pytest

from harness import blocks
from harness.ecs import REGION
from harness.imports import started


def everything(ecs) -> dict:
    """All that the API shows."""
    return {**ecs.shown(), "regions": ecs.call("DescribeRegions")["Regions"]}


def again(server, how):
    server.stop() if how == "SIGTERM" else server.kill()
    server.start()


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_everything_is_as_it_was(server, ecs, how):
    instance, disk = ecs.machine(3, DiskName="a-disk")
    stopped = ecs.run_instance(InstanceName="stopped")
    ecs.stop_instance(stopped)
    free = ecs.create_disk(20)
    tags = {"ResourceType": "disk", "ResourceId.1": free, "Tag.1.Key": "k", "Tag.1.Value": "v"}
    ecs.call("TagResources", tags)
    blocks.write(server, disk, 5 * blocks.MIB, blocks.noise("kept", 2 * blocks.MIB))
    snapshot = ecs.create_snapshot(disk, SnapshotName="a-snapshot")
    blocks.write(server, disk, 5 * blocks.MIB, blocks.noise("newer", blocks.MIB))
    content, before, key = blocks.fingerprint(server, disk), everything(ecs), server.key

    again(server, how)
    assert everything(ecs) == before
    assert server.key == key
    assert ecs.instance(instance)["Status"] == "Running"
    assert blocks.fingerprint(server, disk) == content
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    again(server, how)
    ecs.start_instance(instance)
    kept = blocks.read(server, disk, 5 * blocks.MIB, 2 * blocks.MIB)
    assert kept == blocks.noise("kept", 2 * blocks.MIB)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_what_the_operator_set_stays(server, ecs, how):
    instance, disk = ecs.machine()
    snapshot = ecs.create_snapshot(disk)
    ecs.stop_instance(instance)
    reset = {"DiskId": disk, "SnapshotId": snapshot}
    server.admin("instance", "lock", instance, "--reason", "security")
    again(server, how)
    ecs.refused(403, "InstanceLockedForSecurity", "ResetDisk", reset)
    server.admin("instance", "unlock", instance)
    server.admin("instance", "expire", instance)
    again(server, how)
    ecs.refused(403, "InstanceExpiredOrInArrears", "ResetDisk", reset)
    server.admin("instance", "renew", instance)
    server.admin("category", "restrict", "cloud_essd")
    again(server, how)
    ecs.refused(403, "UserNotInTheWhiteList", "ResetDisk", reset)
    server.admin("category", "unrestrict", "cloud_essd")
    server.admin("account", "set", "--balance", "-1")
    again(server, how)
    ecs.refused(403, "InvalidAccountStatus.NotEnoughBalance", "ResetDisk", reset)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_client_token_still_names_its_disk(server, ecs, how):
    given = {"Size": 20, "ZoneId": "cn-hangzhou-a", "ClientToken": "a-token"}
    disk = ecs.call("CreateDisk", given)["DiskId"]
    again(server, how)
    assert ecs.call("CreateDisk", given)["DiskId"] == disk


def test_a_deleted_disk_is_remembered(server, ecs):
    instance, disk = ecs.machine()
    snapshot = ecs.create_snapshot(disk)
    gone = ecs.create_disk()
    ecs.call("DeleteDisk", DiskId=gone)
    again(server, "SIGKILL")
    given = {"DiskId": gone, "SnapshotId": snapshot}
    ecs.refused(404, "Disk.NotFound", "ResetDisk", given)
    assert ecs.instance(instance)["RegionId"] == REGION


def test_an_import_that_a_crash_cut_off_has_failed(server, ecs):
    disk = ecs.create_disk()
    server.log.expect("import")
    with started(ecs, disk) as (process, snapshot):
        server.kill()
        process.stdin.close()
        assert process.wait(30) != 0
    server.start()
    shown = ecs.snapshot(snapshot)
    assert shown is None or shown["Status"] == "failed"
    ecs.call("DeleteDisk", DiskId=disk)


def test_nothing_is_written_while_it_is_off(server, ecs):
    """A connection from before a crash is over; its disk is served again at once."""
    _, disk = ecs.machine()
    with blocks.export(server, disk) as handle:
        handle.pwrite(b"x" * 4096, 0)
        handle.flush()
        server.kill()
        with pytest.raises(blocks.nbd.Error):
            handle.pwrite(b"y" * 4096, 0)
            handle.flush()
    server.start()
    assert blocks.read(server, disk, 0, 4096) == b"x" * 4096
