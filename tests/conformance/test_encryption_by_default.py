"""Encryption by default: whatever makes a disk of nothing encrypts it, and nothing makes a plain
one."""

from harness import blocks
from harness.ecs import IMAGE, INSTANCE_TYPE, ZONE, Ecs
from harness.waiting import until

NEW = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0", "Size": 1}
RUN = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}
DATA = {"DataDisk.1.Size": 20, "DataDisk.2.Size": 20}
CLONE = {"DiskCategory": "cloud_essd", "Size": 20, "MultiAttach": "Disabled"}
DEFAULT = "InvalidEncrypted.DefaultEncryptionUnsupported"
PLAIN = b"what was there before all was to be encrypted" + bytes(4051)


def is_on(ecs, **more) -> bool:
    return ecs.call("DescribeDiskEncryptionByDefaultStatus", **more)["Encrypted"]


def keys_of(ecs, instance) -> list[str]:
    return [disk["KMSKeyId"] for disk in ecs.disks(InstanceId=instance)]


def test_no_plain_disk_is_made_where_all_are_to_be_encrypted(ecs):
    instance, disk = ecs.machine(20)
    blocks.write(ecs.server, disk, 0, PLAIN)
    snapshot = ecs.create_snapshot(disk)
    image = ecs.call("CreateImage", InstanceId=instance)["ImageId"]
    assert not is_on(ecs)
    ecs.call("EnableDiskEncryptionByDefault")
    ecs.call("EnableDiskEncryptionByDefault")
    assert is_on(ecs)
    service = ecs.call("DescribeDiskDefaultKMSKeyId")["KMSKeyId"]
    assert ecs.disk(ecs.call("CreateDisk", NEW)["DiskId"])["Encrypted"]
    for made in ecs.run_instances(RUN | DATA, Amount=2):
        assert keys_of(ecs, made) == [service] * 3
    made = ecs.call("CreateInstance", RUN | DATA)["InstanceId"]
    ecs.await_instance(made, "Stopped")
    assert keys_of(ecs, made) == [service] * 3
    # What is plain is not made of anything plain, nor because it is asked for.
    plain = {"Encrypted": False}
    ecs.refused(403, DEFAULT, "CreateDisk", NEW | plain)
    ecs.refused(403, DEFAULT, "CloneDisks", CLONE | {"SourceDiskId": disk} | plain)
    for action in ("RunInstances", "CreateInstance"):
        ecs.refused(403, DEFAULT, action, RUN | {"SystemDisk.Encrypted": False})
        ecs.refused(403, DEFAULT, action, RUN | DATA | {"DataDisk.1.Encrypted": False})
        code = "InvalidEncrypted.NotMatchSnapshot"
        ecs.refused(400, code, action, RUN | {"DataDisk.1.SnapshotId": snapshot})
        code = "InvalidParameter.EncryptedNotSupported"
        ecs.refused(400, code, action, RUN | {"ImageId": image})
    ecs.stop_instance(instance)
    replace = {"InstanceId": instance, "ImageId": IMAGE}
    ecs.refused(403, DEFAULT, "ReplaceSystemDisk", replace | plain)
    code = "OperationDenied.ImageNotValid"
    ecs.refused(403, code, "ReplaceSystemDisk", replace | {"ImageId": image})
    system = ecs.call("ReplaceSystemDisk", replace)["DiskId"]
    assert ecs.disk(system)["KMSKeyId"] == service
    # The clone of a plain disk is encrypted by its task.
    group = ecs.call("CloneDisks", CLONE | {"SourceDiskId": disk})["TaskGroupId"]
    clone = until(lambda: finished(ecs, group), "the clone is there")
    assert ecs.disk(clone)["KMSKeyId"] == service
    ecs.attach(clone, instance)
    # What is there goes on, and so it is after a crash.
    ecs.start_instance(instance)
    assert blocks.read(ecs.server, clone, 0, len(PLAIN)) == PLAIN
    ecs.server.kill()
    ecs.server.start()
    assert is_on(ecs)
    assert blocks.read(ecs.server, clone, 0, len(PLAIN)) == PLAIN
    ecs.call("DisableDiskEncryptionByDefault")
    assert not is_on(ecs)
    ecs.create_disk()
    assert keys_of(ecs, ecs.run_instance()) == [""]


def finished(ecs, group) -> str | None:
    """The disk that a clone's task made, once it did."""
    [task] = ecs.call("DescribeTasks", TaskGroupId=group)["TaskSet"]["Task"]
    return task["ResourceId"] if task["TaskStatus"] == "Finished" else None


def test_one_region_is_not_the_other(make_server):
    regions = ["--region", "cn-hangzhou", "--region", "cn-beijing"]
    ecs = Ecs(make_server(args=regions).start())
    ecs.call("EnableDiskEncryptionByDefault", RegionId="cn-beijing")
    assert is_on(ecs, RegionId="cn-beijing")
    assert not is_on(ecs)
    ecs.create_disk()
    ecs.refused(404, "InvalidRegionId.NotFound", "EnableDiskEncryptionByDefault", RegionId="x")


def test_the_default_key(shared):
    service = shared.call("DescribeDiskDefaultKMSKeyId")["KMSKeyId"]
    code = "InvalidParameter.KMSKeyId.NotFound"
    shared.refused(404, code, "ModifyDiskDefaultKMSKeyId", KMSKeyId="no-such-key")
    shared.call("ResetDiskDefaultKMSKeyId")
    assert shared.call("DescribeDiskDefaultKMSKeyId")["KMSKeyId"] == service
