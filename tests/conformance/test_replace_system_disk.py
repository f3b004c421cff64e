"""ReplaceSystemDisk: an instance gets another system disk, and the old one goes."""

import pytest

from harness import blocks
from harness.ecs import IMAGE

ACTION = "ReplaceSystemDisk"


def system_disk(ecs, instance) -> dict:
    (disk,) = ecs.disks(InstanceId=instance, DiskType="system")
    return disk


def test_it_starts_from_the_image(ecs):
    instance, data = ecs.machine()
    old = system_disk(ecs, instance)["DiskId"]
    blocks.write(ecs.server, old, 0, b"1" * 4096)
    blocks.write(ecs.server, data, 0, b"d" * 4096)
    image = ecs.call("CreateImage", InstanceId=instance)["ImageId"]
    blocks.write(ecs.server, old, 0, b"2" * 4096)
    kept = ecs.create_snapshot(old)
    ecs.stop_instance(instance)
    given = {"InstanceId": instance, "ImageId": image, "SystemDisk.Size": 60}
    new = ecs.call(ACTION, given)["DiskId"]
    shown = system_disk(ecs, instance)
    assert (shown["DiskId"], shown["Size"], shown["Status"]) == (new, 60, "In_use")
    assert (shown["ImageId"], shown["Device"]) == (image, "/dev/xvda")
    assert shown["Category"] == "cloud_essd" and new != old
    assert ecs.instance(instance)["ImageId"] == image
    assert ecs.disk(old) is None and ecs.snapshot(kept)["Status"] == "accomplished"
    ecs.start_instance(instance)
    assert blocks.read(ecs.server, new, 0, 4096) == b"1" * 4096
    assert blocks.read(ecs.server, data, 0, 4096) == b"d" * 4096
    # The old disk's snapshots do not fit the new one.
    ecs.stop_instance(instance)
    ecs.refused(403, "InvalidParameter.Mismatch", "ResetDisk", DiskId=new, SnapshotId=kept)


def test_the_size_is_the_old_ones(ecs):
    instance = ecs.run_instance({"SystemDisk.Size": 50})
    ecs.stop_instance(instance)
    token = {"InstanceId": instance, "ImageId": IMAGE, "ClientToken": "once"}
    first = ecs.call(ACTION, token)["DiskId"]
    assert system_disk(ecs, instance)["Size"] == 50
    assert ecs.call(ACTION, token)["DiskId"] == first
    assert system_disk(ecs, instance)["DiskId"] == first


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"InstanceId": "i-none"}, 404, "InvalidInstanceId.NotFound"),
        ({"ImageId": "m-none"}, 404, "InvalidImageId.NotFound"),
        ({"ImageId": None}, 400, "MissingParameter"),
        ({"SystemDisk.Size": 10}, 404, "InvalidSystemDiskSize.LessThanImageSize"),
        ({"SystemDisk.Size": 2049}, 400, "InvalidSystemDiskSize.ValueNotSupported"),
    ],
)
def test_what_is_refused(shared, params, status, code):
    instance = shared.run_instance()
    shared.stop_instance(instance)
    before = system_disk(shared, instance)
    shared.refused(status, code, ACTION, {"InstanceId": instance, "ImageId": IMAGE} | params)
    assert system_disk(shared, instance) == before


def test_a_running_instance_keeps_its_disk(shared):
    instance = shared.run_instance()
    given = {"InstanceId": instance, "ImageId": IMAGE}
    shared.refused(403, "IncorrectInstanceStatus", ACTION, given)


def test_an_expired_instance_keeps_its_disk(shared):
    instance = shared.run_instance()
    shared.stop_instance(instance)
    shared.server.admin("instance", "expire", instance)
    given = {"InstanceId": instance, "ImageId": IMAGE}
    shared.refused(403, "InstanceExpiredOrInArrears", ACTION, given)
