"""Encrypted disks of instances, images and clones, and the keys that they need."""

import json

import pytest

from harness import blocks
from harness.clients import ClientError
from harness.ecs import IMAGE, INSTANCE_TYPE, REGION, ZONE, Ecs
from harness.official import Official, kms
from harness.waiting import until

TAG = json.dumps([{"TagKey": "acs:ecs:disk-encryption", "TagValue": "true"}])
KEY = "InvalidParameter.KMSKeyId"
RUN = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}
CLONE = {"DiskCategory": "cloud_essd", "Size": 20, "MultiAttach": "Disabled"}
SECRET = b"what nobody else may read: " + bytes(range(256)) * 15


@pytest.fixture
def keys(server):
    return kms(server)


def new_key(keys, tags=TAG) -> str:
    return keys("CreateKey", Tags=tags)["KeyMetadata"]["KeyId"]


def sealed(prefix, key=None) -> dict:
    named = {f"{prefix}KMSKeyId": key} if key else {}
    return {f"{prefix}Encrypted": True} | named


def everything_in(folder) -> bytes:
    files = (path for path in folder.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in sorted(files))


def finished(ecs, **filters) -> dict:
    """The one task there is of these, once it is finished."""

    def look():
        [task] = ecs.call("DescribeTasks", **filters)["TaskSet"]["Task"]
        assert task["TaskStatus"] != "Failed", task
        return task if task["TaskStatus"] == "Finished" else None

    return until(look, "the task is finished")


def data_disk(ecs, instance) -> dict:
    [disk] = ecs.disks(InstanceId=instance, DiskType="data")
    return disk


def system_disk(ecs, instance) -> dict:
    [disk] = ecs.disks(InstanceId=instance, DiskType="system")
    return disk


def copied_image(ecs, image, **more) -> str:
    copy = ecs.call("CopyImage", {"ImageId": image} | more)["ImageId"]
    finished(ecs, TaskAction="CopyImage", **{"ResourceIds.1": copy})
    return copy


def test_disks_of_an_instance_are_encrypted_each_by_its_key(ecs, keys):
    for_system, for_data = new_key(keys), new_key(keys)
    wanted = sealed("SystemDisk.", for_system) | sealed("DataDisk.1.", for_data)
    wanted |= {"DataDisk.1.Size": 20, "DataDisk.2.Size": 20} | sealed("DataDisk.2.")
    wanted |= {"DataDisk.3.Size": 20}
    service = ecs.call("DescribeDiskDefaultKMSKeyId")["KMSKeyId"]
    for instance in ecs.run_instances(RUN | wanted, Amount=2):
        shown = {disk["Device"]: disk["KMSKeyId"] for disk in ecs.disks(InstanceId=instance)}
        expected = {"/dev/xvda": for_system, "/dev/xvdb": for_data, "/dev/xvdc": service}
        assert shown == expected | {"/dev/xvdd": ""}
    disks = [disk["DiskId"] for disk in ecs.disks(InstanceId=instance, Encrypted=True)]
    assert len(disks) == 3
    for disk in disks:
        blocks.write(ecs.server, disk, 0, SECRET)
    ecs.server.kill()
    ecs.server.start()
    for disk in disks:
        assert blocks.read(ecs.server, disk, 0, len(SECRET)) == SECRET
    ecs.server.stop()
    assert SECRET[:27] not in everything_in(ecs.server.data_dir)
    ecs.server.start()


def test_the_official_client_asks_for_it(server, keys):
    key, client = new_key(keys), Official(server, "alibabacloud_ecs20140526")
    where = {"RegionId": REGION} | RUN
    disk = {"Size": 20, "Encrypted": "true", "KMSKeyId": key}
    system = {"Encrypted": "true", "KMSKeyId": key}
    made = client("RunInstances", **where, DataDisk=[disk], **{"SystemDisk": system})
    [instance] = made["InstanceIdSets"]["InstanceIdSet"]
    ecs = Ecs(server)
    ecs.await_instance(instance, "Running")
    assert [disk["KMSKeyId"] for disk in ecs.disks(InstanceId=instance)] == [key, key]
    disk = {"Size": 20, "Encrypted": True, "KMSKeyId": key}
    made = client("CreateInstance", **where, DataDisk=[disk])["InstanceId"]
    ecs.await_instance(made, "Stopped")
    assert data_disk(ecs, made)["KMSKeyId"] == key
    replace = {"InstanceId": made, "ImageId": IMAGE, "Encrypted": True, "KMSKeyId": key}
    new = client("ReplaceSystemDisk", **replace)["DiskId"]
    assert ecs.disk(new)["KMSKeyId"] == key
    image = client("CreateImage", RegionId=REGION, InstanceId=made)["ImageId"]
    other = new_key(keys)
    copy = {"RegionId": REGION, "ImageId": image, "Encrypted": True, "KMSKeyId": other}
    copy = client("CopyImage", DestinationRegionId=REGION, **copy)["ImageId"]
    finished(ecs, **{"ResourceIds.1": copy})
    instance = ecs.run_instance(ImageId=copy)
    assert [disk["KMSKeyId"] for disk in ecs.disks(InstanceId=instance)] == [other, other]
    with pytest.raises(ClientError) as error:
        client("RunInstances", **where, DataDisk=[disk | {"KMSKeyId": "no-such-key"}])
    assert (error.value.status, error.value.code) == (404, f"{KEY}.NotFound")


def test_a_disk_of_a_snapshot_is_as_the_snapshot_is(ecs, keys):
    key, other = new_key(keys), new_key(keys)
    keys("CreateAlias", KeyId=key, AliasName="alias/disks")
    instance, disk = ecs.machine(20, Encrypted=True, KMSKeyId=key)
    blocks.write(ecs.server, disk, 0, SECRET)
    snapshot = ecs.create_snapshot(disk)
    plain = ecs.create_snapshot(system_disk_as_data(ecs, instance))
    of = {"DataDisk.1.SnapshotId": snapshot}
    for more in ({}, sealed("DataDisk.1."), sealed("DataDisk.1.", "alias/disks")):
        made = data_disk(ecs, ecs.run_instance(RUN | of | more))
        assert made["KMSKeyId"] == key
        assert blocks.read(ecs.server, made["DiskId"], 0, len(SECRET)) == SECRET
    for action in ("RunInstances", "CreateInstance"):
        code = "InvalidEncrypted.NotMatchSnapshot"
        ecs.refused(400, code, action, RUN | of | {"DataDisk.1.Encrypted": False})
        ecs.refused(400, code, action, RUN | of | sealed("DataDisk.1.", other))
        of_plain = {"DataDisk.1.SnapshotId": plain}
        ecs.refused(400, code, action, RUN | of_plain | sealed("DataDisk.1."))
        code = "InvalidEncrypted.NotMatchKmsKeyId"
        ecs.refused(400, code, action, RUN | of | {"DataDisk.1.KMSKeyId": key})
        ecs.refused(400, code, action, RUN | {"SystemDisk.KMSKeyId": key})


def system_disk_as_data(ecs, instance) -> str:
    """A plain data disk that was written to."""
    disk = ecs.create_disk(20)
    ecs.attach(disk, instance)
    blocks.write(ecs.server, disk, 0, b"plain" * 100)
    return disk


def test_an_image_is_copied_to_an_encrypted_one(ecs, keys):
    key, other = new_key(keys), new_key(keys)
    instance, disk = ecs.machine(20)
    system = system_disk(ecs, instance)["DiskId"]
    blocks.write(ecs.server, system, 4096, SECRET)
    blocks.write(ecs.server, disk, 0, SECRET[::-1])
    image = ecs.call("CreateImage", InstanceId=instance)["ImageId"]
    code = "InvalidParameter.EncryptedNotSupported"
    ecs.refused(400, code, "RunInstances", RUN | {"ImageId": image} | sealed("SystemDisk."))
    once = {"Encrypted": True, "KMSKeyId": key, "ClientToken": "once"}
    copy = copied_image(ecs, image, **once)
    assert ecs.call("CopyImage", {"ImageId": image} | once)["ImageId"] == copy
    rekeyed = copied_image(ecs, copy, Encrypted=True, KMSKeyId=other)
    for made, by in ((image, ""), (copy, key), (rekeyed, other)):
        [shown] = ecs.call("DescribeImages", ImageId=made)["Images"]["Image"]
        mappings = shown["DiskDeviceMappings"]["DiskDeviceMapping"]
        assert [each["Encrypted"] for each in mappings] == [by != ""] * 2
        copied = ecs.run_instance(ImageId=made)
        disks = ecs.disks(InstanceId=copied)
        assert [one["KMSKeyId"] for one in disks] == [by, by]
        found = system_disk(ecs, copied)["DiskId"], data_disk(ecs, copied)["DiskId"]
        assert blocks.read(ecs.server, found[0], 4096, len(SECRET)) == SECRET
        assert blocks.read(ecs.server, found[1], 0, len(SECRET)) == SECRET[::-1]
    ecs.stop_instance(instance)
    replace = {"InstanceId": instance, "ImageId": copy}
    for wrong in ({"Encrypted": False}, {"Encrypted": True, "KMSKeyId": other}):
        code = "OperationDenied.ImageNotValid"
        ecs.refused(403, code, "ReplaceSystemDisk", replace | wrong)
    new = ecs.call("ReplaceSystemDisk", replace)["DiskId"]
    assert ecs.disk(new)["KMSKeyId"] == key


def test_a_copy_goes_to_another_region_and_over_a_crash(make_server):
    regions = ["--region", REGION, "--region", "cn-beijing"]
    ecs = Ecs(make_server(args=regions).start())
    instance, disk = ecs.machine(20)
    for place in range(0, 64 << 20, 1 << 20):
        blocks.write(ecs.server, disk, place, SECRET)
    image = ecs.call("CreateImage", InstanceId=instance)["ImageId"]
    to = {"ImageId": image, "DestinationRegionId": "cn-beijing", "Encrypted": True}
    ecs.refused(400, "DryRunOperation", "CopyImage", to, DryRun=True)
    copy = ecs.call("CopyImage", to)["ImageId"]
    ecs.server.kill()
    ecs.server.start()
    there = Ecs(ecs.server)
    finished(there, RegionId="cn-beijing", **{"ResourceIds.1": copy})
    shown = ecs.call("DescribeImages", RegionId="cn-beijing", ImageId=copy)["Images"]["Image"]
    mappings = shown[0]["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert (shown[0]["Status"], len(mappings)) == ("Available", 2)
    snapshots = ecs.snapshots(RegionId="cn-beijing")
    assert [one["Encrypted"] for one in snapshots] == [True, True]


def test_clones_are_encrypted_and_keep_the_key_of_their_source(ecs, keys):
    key, other = new_key(keys), new_key(keys)
    instance, disk = ecs.machine(20)
    blocks.write(ecs.server, disk, 0, SECRET)
    first = clone(ecs, disk, Encrypted=True, KmsKeyId=key)
    # What is written after the call is not in it.
    second = clone(ecs, first["DiskId"])
    for made in (first, second):
        assert made["KMSKeyId"] == key
        ecs.attach(made["DiskId"], instance)
        assert blocks.read(ecs.server, made["DiskId"], 0, len(SECRET)) == SECRET
    of = CLONE | {"SourceDiskId": first["DiskId"]}
    for wrong in ({"Encrypted": False}, {"Encrypted": True, "KmsKeyId": other}):
        ecs.refused(400, "InvalidEncrypted.NotMatchSnapshot", "CloneDisks", of | wrong)
    keys("DisableKey", KeyId=key)
    ecs.refused(403, f"{KEY}.CMKNotEnabled", "CloneDisks", of)


def clone(ecs, disk, **more) -> dict:
    group = ecs.call("CloneDisks", CLONE | {"SourceDiskId": disk} | more)["TaskGroupId"]
    return ecs.disk(finished(ecs, TaskGroupId=group)["ResourceId"])


def test_each_call_asks_for_its_key(ecs, keys):
    key = new_key(keys)
    instance, disk = ecs.machine(20)
    image = ecs.call("CreateImage", InstanceId=instance)["ImageId"]
    of_key = copied_image(ecs, image, Encrypted=True, KMSKeyId=key)
    ecs.stop_instance(instance)
    replace = {"InstanceId": instance, "ImageId": IMAGE}
    named = {"Encrypted": True, "KMSKeyId": key}
    # Each call, the status of a missing key and of a key without the tag.
    calls = [
        ("RunInstances", RUN | sealed("SystemDisk.", key), 404, 400),
        ("RunInstances", RUN | {"DataDisk.1.Size": 20} | sealed("DataDisk.1.", key), 404, 400),
        ("RunInstances", RUN | sealed("SystemDisk.", key) | {"DryRun": True}, 404, 400),
        ("RunInstances", RUN | {"ImageId": of_key}, 404, 400),
        ("CreateInstance", RUN | {"DataDisk.1.Size": 20} | sealed("DataDisk.1.", key), 404, 400),
        ("ReplaceSystemDisk", replace | named, 403, 403),
        ("ReplaceSystemDisk", replace | {"ImageId": of_key}, 403, 403),
        ("CopyImage", {"ImageId": image} | named, 404, 403),
        ("CopyImage", {"ImageId": of_key, "Encrypted": True}, 404, 403),
        (
            "CloneDisks",
            CLONE | {"SourceDiskId": disk, "Encrypted": True, "KmsKeyId": key},
            404,
            403,
        ),
    ]
    before = ecs.disks(), ecs.snapshots(), ecs.instances(), data_keys(ecs.server)

    def all_refuse(code, status=None):
        for action, params, missing, untagged in calls:
            told = {"NotFound": missing, "CMKUnauthorized": untagged}.get(code, 403)
            # CopyImage has no code of its own for a key without the tag.
            named = (
                "KMSUnauthorized" if (action, code) == ("CopyImage", "CMKUnauthorized") else code
            )
            ecs.refused(told, f"{KEY}.{named}", action, params)
        assert (ecs.disks(), ecs.snapshots(), ecs.instances(), data_keys(ecs.server)) == before

    ecs.server.admin("kms", "revoke-service")
    all_refuse("KMSUnauthorized")
    keys("UntagResource", KeyId=key, TagKeys='["acs:ecs:disk-encryption"]')
    all_refuse("CMKUnauthorized")
    keys("DisableKey", KeyId=key)
    all_refuse("CMKNotEnabled")
    ecs.server.admin("kms", "destroy-key", key)
    all_refuse("NotFound")


def data_keys(server) -> list[bytes]:
    import sqlite3

    with sqlite3.connect(f"file:{server.data_dir / 'ebbtide.db'}?mode=ro", uri=True) as database:
        return [row[0] for row in database.execute("SELECT wrapped FROM data_keys ORDER BY id")]
