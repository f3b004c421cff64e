"""Images: made of instances and snapshots, started from, listed, changed and deleted."""

import re

import pytest

from harness import blocks
from harness.ecs import IMAGE, INSTANCE_TYPE, REGION, ZONE, Ecs
from harness.waiting import until


def system_disk(ecs, instance) -> str:
    (disk,) = ecs.disks(InstanceId=instance, DiskType="system")
    return disk["DiskId"]


def images(ecs, **filters) -> list[dict]:
    return ecs.call("DescribeImages", **filters)["Images"]["Image"]


def image(ecs, image_id, **filters) -> dict | None:
    return next(iter(images(ecs, ImageId=image_id, **filters)), None)


@pytest.fixture
def machine(ecs):
    """An instance whose system disk and data disk hold something."""
    instance, data = ecs.machine()
    system = system_disk(ecs, instance)
    blocks.write(ecs.server, system, 4096, b"S" * 4096)
    blocks.write(ecs.server, data, 8192, b"D" * 4096)
    return instance, system, data


def test_an_image_of_an_instance(ecs, machine):
    instance, system, data = machine
    made = ecs.call("CreateImage", InstanceId=instance, ImageName="golden", Description="for all")
    assert re.fullmatch(r"m-[a-z0-9]{20}", made["ImageId"])
    shown = image(ecs, made["ImageId"])
    expected = {
        "ImageName": "golden",
        "Description": "for all",
        "Status": "Available",
        "Progress": "100%",
        "ImageOwnerAlias": "self",
        "IsPublic": False,
        "Size": 40,
        "Architecture": "x86_64",
    }
    assert {name: shown[name] for name in expected} == expected
    mappings = shown["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert [(each["Type"], each["Device"]) for each in mappings] == [
        ("system", "/dev/xvda"),
        ("data", "/dev/xvdb"),
    ]
    sources = [ecs.snapshot(each["SnapshotId"])["SourceDiskId"] for each in mappings]
    assert sources == [system, data]
    # What is written after it is not in it.
    blocks.write(ecs.server, system, 4096, b"?" * 4096)
    copy = ecs.run_instance(ImageId=made["ImageId"])
    disks = {disk["Device"]: disk for disk in ecs.disks(InstanceId=copy)}
    assert set(disks) == {"/dev/xvda", "/dev/xvdb"}
    assert disks["/dev/xvda"]["ImageId"] == made["ImageId"]
    read = {device: disk["DiskId"] for device, disk in disks.items()}
    assert blocks.read(ecs.server, read["/dev/xvda"], 4096, 4096) == b"S" * 4096
    assert blocks.read(ecs.server, read["/dev/xvdb"], 8192, 4096) == b"D" * 4096
    assert ecs.instance(copy)["ImageId"] == made["ImageId"]


def test_an_image_of_a_snapshot(ecs, machine):
    _, system, _ = machine
    snapshot = ecs.create_snapshot(system)
    made = ecs.call("CreateImage", SnapshotId=snapshot)["ImageId"]
    assert image(ecs, made)["ImageName"] == made
    assert [each["ImageId"] for each in images(ecs, SnapshotId=snapshot)] == [made]
    ecs.refused(403, "SnapshotCreatedImage", "DeleteSnapshot", SnapshotId=snapshot, Force=True)
    copy = ecs.call(
        "CreateInstance", ImageId=made, InstanceType=INSTANCE_TYPE, **{"SystemDisk.Size": 50}
    )["InstanceId"]
    ecs.await_instance(copy, "Stopped")
    ecs.refused(403, "ImageUsingByInstance", "DeleteImage", ImageId=made)
    ecs.call("DeleteImage", ImageId=made, Force=True)
    assert image(ecs, made, Status="all") is None
    # The snapshot may go now, and the disk that was made from it stays whole.
    ecs.call("DeleteSnapshot", SnapshotId=snapshot, Force=True)
    ecs.start_instance(copy)
    assert blocks.read(ecs.server, system_disk(ecs, copy), 4096, 4096) == b"S" * 4096


def test_an_image_of_several_snapshots(ecs, machine):
    _, system, data = machine
    first, second = ecs.create_snapshot(system), ecs.create_snapshot(data)
    given = {
        "DiskDeviceMapping.1.SnapshotId": second,
        "DiskDeviceMapping.1.Device": "/dev/xvdc",
        "DiskDeviceMapping.2.SnapshotId": first,
    }
    made = ecs.call("CreateImage", given)["ImageId"]
    mappings = image(ecs, made)["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert [(each["SnapshotId"], each["Device"]) for each in mappings] == [
        (first, "/dev/xvda"),
        (second, "/dev/xvdc"),
    ]
    # A disk of the image is as it is asked for, with the image's bytes.
    asked = {"DataDisk.1.Device": "/dev/xvdc", "DataDisk.1.Size": 60, "DataDisk.1.DiskName": "big"}
    copy = ecs.run_instance(asked, ImageId=made)
    (big,) = ecs.disks(InstanceId=copy, DiskType="data")
    assert (big["Size"], big["DiskName"]) == (60, "big")
    assert blocks.read(ecs.server, big["DiskId"], 8192, 4096) == b"D" * 4096
    data_only = {"DiskDeviceMapping.1.SnapshotId": second}
    ecs.refused(400, "InvalidInstance.NotFoundSystemDisk", "CreateImage", data_only)
    ecs.refused(
        400,
        "InvalidDevice.InUse",
        "CreateImage",
        given
        | {
            "DiskDeviceMapping.3.SnapshotId": second,
            "DiskDeviceMapping.3.Device": "/dev/xvdc",
        },
    )
    ecs.refused(
        400,
        "InvalidSize.ValueNotSupported",
        "CreateImage",
        given
        | {
            "DiskDeviceMapping.2.Size": 1,
        },
    )


def test_the_same_token_is_the_same_image(ecs, machine):
    given = {"InstanceId": machine[0], "ClientToken": "once"}
    first = ecs.call("CreateImage", given)["ImageId"]
    assert ecs.call("CreateImage", given)["ImageId"] == first
    ecs.refused(403, "InvalidParamter.Conflict", "CreateImage", given | {"ImageName": "another"})


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 400, "MissingParameter"),
        ({"SnapshotId": "s-none"}, 404, "InvalidSnapshotId.NotFound"),
        ({"InstanceId": "i-none"}, 404, "InvalidInstanceId.NotFound"),
        ({"SnapshotId": "s-none", "ImageName": "1"}, 400, "InvalidImageName.Malformed"),
        ({"SnapshotId": "s-none", "ImageName": "acs:x"}, 400, "InvalidImageName.Malformed"),
        ({"SnapshotId": "s-none", "Description": "http://"}, 400, "InvalidDescription.Malformed"),
        ({"SnapshotId": "s-none", "Tag.1.Key": "aliyun"}, 400, "InvalidTagKey.Malformed"),
    ],
)
def test_what_create_image_refuses(shared, params, status, code):
    shared.refused(status, code, "CreateImage", params)


def test_a_dry_run_makes_nothing(ecs, machine):
    ecs.refused(400, "DryRunOperation", "CreateImage", InstanceId=machine[0], DryRun=True)
    assert images(ecs, ImageOwnerAlias="self", Status="all") == []
    assert ecs.snapshots() == []


def test_what_is_said_of_an_image(ecs, machine):
    instance = machine[0]
    given = {"InstanceId": instance, "ImageFamily": "base", "Tag.1.Key": "use", "Tag.1.Value": "t"}
    made = ecs.call("CreateImage", given)["ImageId"]
    ecs.call("ModifyImageAttribute", ImageId=made, ImageName="新名字", Description="said anew")
    shown = image(ecs, made)
    assert (shown["ImageName"], shown["Description"]) == ("新名字", "said anew")
    assert (shown["ImageFamily"], shown["Tags"]["Tag"]) == (
        "base",
        [{"TagKey": "use", "TagValue": "t"}],
    )
    ecs.call("ModifyImageAttribute", ImageId=made, Status="Deprecated")
    assert image(ecs, made) is None
    assert image(ecs, made, Status="Deprecated")["Status"] == "Deprecated"
    ecs.refused(
        403, "ImageStatus.NotAvailable", "ModifyImageAttribute", ImageId=made, Status="Deprecated"
    )
    # It can still be started from.
    ecs.run_instance(ImageId=made)
    ecs.call("ModifyImageAttribute", ImageId=made, Status="Available")
    ecs.refused(404, "InvalidImageId.NotFound", "ModifyImageAttribute", ImageId="m-none")
    ecs.refused(
        400, "InvalidImageName.Malformed", "ModifyImageAttribute", ImageId=made, ImageName="x"
    )


def test_lists_of_images(ecs, machine):
    instance = machine[0]
    made = [ecs.call("CreateImage", InstanceId=instance, ImageName=f"im-{n}") for n in range(3)]
    ids = [each["ImageId"] for each in made]
    every = [each["ImageId"] for each in images(ecs)]
    assert set(every[:-1]) == set(ids) and every[-1] == IMAGE
    paged = [
        each["ImageId"] for page in (1, 2, 3) for each in images(ecs, PageSize=2, PageNumber=page)
    ]
    assert paged == every
    assert {each["ImageId"] for each in images(ecs, ImageOwnerAlias="self")} == set(ids)
    assert [each["ImageId"] for each in images(ecs, ImageOwnerAlias="system")] == [IMAGE]
    assert [each["ImageId"] for each in images(ecs, IsPublic=True)] == [IMAGE]
    assert images(ecs, ImageOwnerAlias="others") == []
    assert [each["ImageName"] for each in images(ecs, ImageName="im-1*")] == ["im-1"]
    assert images(ecs, Architecture="arm64") == [] and images(ecs, OSType="windows") == []
    assert ecs.call("DescribeImages", PageSize=1)["TotalCount"] == 4


def test_a_public_image_stays(shared):
    shared.refused(403, "ImageIsPublic", "DeleteImage", ImageId=IMAGE)
    shared.refused(404, "InvalidImageId.NotFound", "DeleteImage", ImageId="m-none")


def test_an_image_is_where_it_was_made(make_server):
    from harness.ecs import Ecs

    server = make_server(args=["--region", REGION, "--region", "cn-beijing"]).start()
    ecs = Ecs(server)
    instance = ecs.run_instance(ZoneId=ZONE)
    made = ecs.call("CreateImage", InstanceId=instance)["ImageId"]
    elsewhere = {"RegionId": "cn-beijing", "ImageId": made}
    assert ecs.call("DescribeImages", elsewhere)["Images"]["Image"] == []
    ecs.refused(404, "InvalidImageId.NotFound", "DeleteImage", elsewhere)
    run = elsewhere | {"InstanceType": INSTANCE_TYPE}
    ecs.refused(404, "InvalidImageId.NotFound", "RunInstances", run)


def test_images_outlive_a_restart(ecs, machine):
    made = ecs.call("CreateImage", InstanceId=machine[0])["ImageId"]
    ecs.server.kill()
    ecs.server.start()
    copy = ecs.run_instance(ImageId=made)
    assert blocks.read(ecs.server, system_disk(ecs, copy), 4096, 4096) == b"S" * 4096


def test_an_image_is_copied_to_another_region(make_server):
    here, there = "cn-hangzhou", "cn-beijing"
    ecs = Ecs(make_server(args=["--region", here, "--region", there]).start())
    instance, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, b"s" * 4096)
    source = ecs.call("CreateImage", InstanceId=instance, ImageName="golden")["ImageId"]
    given = {"ImageId": source, "DestinationRegionId": there, "ClientToken": "once"}
    named = {"DestinationImageName": "copied", "DestinationDescription": "of golden"}
    ecs.refused(400, "DryRunOperation", "CopyImage", given | named, DryRun=True)
    made = ecs.call("CopyImage", given | named)["ImageId"]
    assert ecs.call("CopyImage", given | named)["ImageId"] == made
    shown = ecs.call("DescribeImages", RegionId=there, ImageOwnerAlias="self")["Images"]["Image"]
    [copy] = shown
    assert (copy["ImageId"], copy["ImageName"], copy["Status"]) == (made, "copied", "Available")
    # Its snapshots are its own: those of the source can go.
    snapshots = ecs.snapshots(RegionId=there)
    assert {each["SourceRegionId"] for each in snapshots} == {here}
    ecs.call("DeleteImage", ImageId=source)
    for each in ecs.snapshots():
        ecs.call("DeleteSnapshot", SnapshotId=each["SnapshotId"])
    run = {"ImageId": made, "InstanceType": INSTANCE_TYPE, "RegionId": there}
    [instance] = ecs.call("RunInstances", run)["InstanceIdSets"]["InstanceIdSet"]

    def data() -> dict | None:
        disks = ecs.disks(RegionId=there, InstanceId=instance, DiskType="data")
        running = ecs.instances(RegionId=there, InstanceIds=[instance])
        return disks[0] if running[0]["Status"] == "Running" else None

    found = until(data, "the instance runs")
    assert blocks.read(ecs.server, found["DiskId"], 0, 4096) == b"s" * 4096


def test_copy_image_refuses(make_server):
    here, there = "cn-hangzhou", "cn-beijing"
    ecs = Ecs(make_server(args=["--region", here, "--region", there]).start())
    instance, _ = ecs.machine()
    made = ecs.call("CreateImage", InstanceId=instance)["ImageId"]
    given = {"ImageId": made, "DestinationRegionId": there}
    copy = "CopyImage"
    ecs.refused(404, "InvalidImageId.NotFound", copy, given | {"ImageId": "m-none"})
    ecs.refused(404, "InvalidImageId.NotFound", copy, given | {"RegionId": there})
    ecs.refused(400, "SourceRegion.NotFound", copy, given | {"RegionId": "nowhere"})
    ecs.refused(400, "DestinationRegion.NotFound", copy, given | {"DestinationRegionId": "x"})
    ecs.refused(403, "RegionNotSupportCopy", copy, given | {"DestinationRegionId": here})
    ecs.refused(403, "RegionNotSupportCopy", copy, ImageId=made)
    named = {"Encrypted": True, "KMSKeyId": "no-such-key"}
    ecs.refused(404, "InvalidParameter.KMSKeyId.NotFound", copy, given | named)
    ecs.refused(400, "InvalidEncrypted.NotMatchKmsKeyId", copy, given | {"KMSKeyId": "k"})
    ecs.refused(400, "InvalidImageName.Malformed", copy, given, DestinationImageName="acs:x")
    tags = {"Tag.1.Key": "a", "Tag.2.Key": "a"}
    ecs.refused(400, "InvalidParameter", copy, given | tags)
    assert ecs.snapshots(RegionId=there) == []
