"""Encryption by default: only CreateDisk makes an encrypted disk of nothing, the rest refuses."""

from harness.ecs import IMAGE, INSTANCE_TYPE, ZONE, Ecs

NEW = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0", "Size": 1}
RUN = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}
NO_KMS = "InvalidParameter.KmsNotEnabled"
DEFAULT = "InvalidEncrypted.DefaultEncryptionUnsupported"


def is_on(ecs, **more) -> bool:
    return ecs.call("DescribeDiskEncryptionByDefaultStatus", **more)["Encrypted"]


def test_no_plain_disk_is_made_where_all_are_to_be_encrypted(ecs):
    instance, disk = ecs.machine(20)
    assert not is_on(ecs)
    ecs.call("EnableDiskEncryptionByDefault")
    ecs.call("EnableDiskEncryptionByDefault")
    assert is_on(ecs)
    assert ecs.disk(ecs.call("CreateDisk", NEW)["DiskId"])["Encrypted"]
    ecs.refused(403, DEFAULT, "CreateDisk", NEW | {"Encrypted": False})
    ecs.refused(400, NO_KMS, "RunInstances", RUN)
    ecs.refused(400, NO_KMS, "CreateInstance", RUN)
    clone = {"DiskCategory": "cloud_essd", "Size": 20, "MultiAttach": "Disabled"}
    ecs.refused(400, NO_KMS, "CloneDisks", clone | {"SourceDiskId": disk})
    ecs.stop_instance(instance)
    ecs.refused(403, NO_KMS, "ReplaceSystemDisk", InstanceId=instance, ImageId=IMAGE)
    # What is there goes on, and so it is after a crash.
    ecs.start_instance(instance)
    ecs.server.kill()
    ecs.server.start()
    assert is_on(ecs)
    ecs.call("DisableDiskEncryptionByDefault")
    assert not is_on(ecs)
    ecs.create_disk()


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
