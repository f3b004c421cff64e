"""RunInstances: what it makes, and what it refuses."""

import re

import pytest

from harness import blocks
from harness.ecs import GIB, IMAGE, INSTANCE_TYPE, OTHER_ZONE, REGION, ZONE
from harness.errors import check_documented

GIVEN = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}


def refused(ecs, status, code, params=None, **more):
    ecs.refused(status, code, "RunInstances", GIVEN | (params or {}), **more)


def test_one_instance(shared):
    instance = shared.run_instance(
        {"Tag.1.Key": "use", "Tag.1.Value": "test"},
        InstanceName="a-name",
        Description="for the test",
        HostName="a-host",
        VSwitchId="vsw-1",
        SecurityGroupId="sg-1",
    )
    assert re.fullmatch(r"i-[a-z0-9]{20}", instance)
    shown = shared.instance(instance)
    expected = {
        "InstanceId": instance,
        "InstanceName": "a-name",
        "Description": "for the test",
        "HostName": "a-host",
        "Status": "Running",
        "ImageId": IMAGE,
        "InstanceType": INSTANCE_TYPE,
        "RegionId": REGION,
        "ZoneId": ZONE,
        "InstanceChargeType": "PostPaid",
        "OperationLocks": {"LockReason": []},
        "SecurityGroupIds": {"SecurityGroupId": ["sg-1"]},
        "Tags": {"Tag": [{"TagKey": "use", "TagValue": "test"}]},
    }
    assert {name: shown.get(name) for name in expected} == expected
    assert shown["VpcAttributes"]["VSwitchId"] == "vsw-1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", shown["CreationTime"])
    assert isinstance(shown["IoOptimized"], bool)


def test_a_name_is_not_needed(shared):
    instance = shared.run_instance()
    assert shared.instance(instance)["InstanceName"]


def test_it_has_a_system_disk(shared):
    instance = shared.run_instance()
    (disk,) = shared.disks(InstanceId=instance)
    assert (disk["Type"], disk["Status"], disk["ImageId"]) == ("system", "In_use", IMAGE)
    assert disk["Size"] >= 20 and disk["DeleteWithInstance"] is True
    assert blocks.size_of(shared.server, disk["DiskId"]) == disk["Size"] * GIB
    assert blocks.read(shared.server, disk["DiskId"], 0, 4096) == bytes(4096)


def test_the_system_disk_as_asked_for(shared):
    instance = shared.run_instance(
        {
            "SystemDisk.Size": 60,
            "SystemDisk.Category": "cloud_essd",
            "SystemDisk.PerformanceLevel": "PL1",
            "SystemDisk.DiskName": "the-system",
            "SystemDisk.Description": "system disk",
        }
    )
    (disk,) = shared.disks(InstanceId=instance)
    assert (disk["Size"], disk["Category"], disk["PerformanceLevel"]) == (60, "cloud_essd", "PL1")
    assert (disk["DiskName"], disk["Description"]) == ("the-system", "system disk")


def test_data_disks(shared):
    source_instance, source = shared.machine(2)
    blocks.write(shared.server, source, 0, b"source" * 1000)
    snapshot = shared.create_snapshot(source)
    instance = shared.run_instance(
        {
            "DataDisk.1.Size": 20,
            "DataDisk.1.Category": "cloud_essd",
            "DataDisk.1.DiskName": "first-disk",
            "DataDisk.1.DeleteWithInstance": False,
            "DataDisk.2.SnapshotId": snapshot,
            "DataDisk.2.Category": "cloud_essd",
            "DataDisk.2.PerformanceLevel": "PL0",
        }
    )
    disks = {
        disk["SourceSnapshotId"]: disk
        for disk in shared.disks(InstanceId=instance)
        if disk["Type"] == "data"
    }
    first, second = disks[""], disks[snapshot]
    assert (first["Size"], first["DiskName"], first["DeleteWithInstance"]) == (
        20,
        "first-disk",
        False,
    )
    assert (second["Size"], second["DeleteWithInstance"]) == (2, True)
    assert blocks.read(shared.server, second["DiskId"], 0, 6000) == b"source" * 1000
    assert source_instance != instance


@pytest.mark.parametrize("category", ["local_ssd_pro", "local_hdd_pro", "ephemeral_ssd"])
def test_local_disks_hold_data(shared, category):
    instance = shared.run_instance({"DataDisk.1.Category": category, "DataDisk.1.Size": 20})
    (disk,) = shared.disks(InstanceId=instance, DiskType="data")
    assert (disk["Category"], disk["Portable"]) == (category, False)
    blocks.write(shared.server, disk["DiskId"], 0, b"local" * 1000)
    assert blocks.read(shared.server, disk["DiskId"], 0, 5000) == b"local" * 1000


def test_several_at_once(shared):
    instances = shared.run_instances(Amount=5, InstanceName="many")
    assert len(set(instances)) == 5
    shown = shared.instances(InstanceIds=instances)
    assert {each["Status"] for each in shown} == {"Running"}


def test_a_client_token_runs_once(shared):
    given = GIVEN | {"ClientToken": "run-once", "Amount": 2}
    first = shared.call("RunInstances", given)["InstanceIdSets"]["InstanceIdSet"]
    again = shared.call("RunInstances", given)["InstanceIdSets"]["InstanceIdSet"]
    assert sorted(again) == sorted(first) and len(first) == 2
    answer = shared.ask("RunInstances", given | {"Amount": 3})
    assert answer.tree["Code"] == "IdempotentParameterMismatch", answer.body


def test_a_dry_run_runs_nothing(shared):
    before = shared.call("DescribeInstances")["TotalCount"]
    refused(shared, 400, "DryRunOperation", DryRun=True)
    refused(shared, 404, "InvalidImageId.NotFound", DryRun=True, ImageId="m-nothing")
    assert shared.call("DescribeInstances")["TotalCount"] == before


def test_what_it_refuses(shared):
    before = shared.call("DescribeInstances")["TotalCount"]
    disks = shared.call("DescribeDisks")["TotalCount"]
    refused(shared, 404, "InvalidImageId.NotFound", ImageId="m-nothing")
    refused(shared, 404, "InvalidRegionId.NotFound", RegionId="cn-nowhere")
    refused(shared, 404, "InvalidZoneId.NotFound", ZoneId="cn-hangzhou-z")
    answer = shared.ask("RunInstances", GIVEN, InstanceType="ecs.none.such")
    assert answer.status in (400, 403)
    assert answer.tree["Code"] == "InvalidInstanceType.ValueNotSupported"
    for amount in (0, 101, -1):
        answer = shared.ask("RunInstances", GIVEN, Amount=amount)
        assert answer.status in (400, 403), (amount, answer.body)
    refused(shared, 400, "InvalidInstanceName.Malformed", InstanceName="1")
    answer = shared.ask("RunInstances", GIVEN | {"SystemDisk.Size": 10})
    check_documented("RunInstances", answer)
    assert answer.tree["Code"].startswith("InvalidSystemDiskSize.")
    refused(
        shared,
        400,
        "InvalidDataDiskCategory.ValueNotSupported",
        {"DataDisk.1.Category": "tape", "DataDisk.1.Size": 20},
    )
    refused(
        shared,
        400,
        "InvalidDataDiskSize.ValueNotSupported",
        {"DataDisk.1.Category": "cloud_ssd", "DataDisk.1.Size": 1},
    )
    assert shared.call("DescribeInstances")["TotalCount"] == before
    assert shared.call("DescribeDisks")["TotalCount"] == disks


@pytest.mark.parametrize("missing", ["ImageId", "InstanceType"])
def test_what_it_needs(shared, missing):
    answer = shared.ask("RunInstances", GIVEN | {missing: None})
    assert answer.status == 400
    assert answer.tree["Code"].startswith(("MissingParam", "Invalid")), answer.body


def test_the_other_zone(shared):
    instance = shared.run_instance(ZoneId=OTHER_ZONE)
    assert shared.instance(instance)["ZoneId"] == OTHER_ZONE
    (disk,) = shared.disks(InstanceId=instance)
    assert disk["ZoneId"] == OTHER_ZONE


def test_without_a_zone(shared):
    instance = shared.run_instance(ZoneId=None)
    assert shared.instance(instance)["ZoneId"] in (ZONE, OTHER_ZONE)
