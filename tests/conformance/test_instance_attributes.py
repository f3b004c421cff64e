"""CreateInstance, RebootInstances, and what is said and read around an instance."""

import base64

import pytest

from harness import blocks
from harness.ecs import IMAGE, INSTANCE_TYPE, REGION, ZONE

GIVEN = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}
USER_DATA = base64.b64encode("#!/bin/sh\necho 你好\n".encode()).decode()


def attribute(ecs, instance) -> dict:
    return ecs.call("DescribeInstanceAttribute", InstanceId=instance)


def test_an_instance_that_is_made_waits_to_be_started(ecs):
    more = {"DataDisk.1.Size": 20, "SystemDisk.Size": 40}
    instance = ecs.call("CreateInstance", GIVEN | more)["InstanceId"]
    ecs.await_instance(instance, "Stopped")
    disks = ecs.disks(InstanceId=instance)
    assert [disk["Status"] for disk in disks] == ["In_use", "In_use"]
    (data,) = (disk["DiskId"] for disk in disks if disk["Type"] == "data")
    blocks.is_refused(ecs.server, data)
    ecs.call("StartInstance", InstanceId=instance)
    ecs.await_instance(instance, "Running")
    blocks.write(ecs.server, data, 0, b"x" * 4096)


def test_the_same_token_is_the_same_instance(shared):
    token = GIVEN | {"ClientToken": "made-once"}
    first = shared.call("CreateInstance", token)["InstanceId"]
    assert shared.call("CreateInstance", token)["InstanceId"] == first
    shared.refused(
        400, "IdempotentParameterMismatch", "CreateInstance", token | {"HostName": "other"}
    )


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"ImageId": "m-none"}, 404, "InvalidImageId.NotFound"),
        ({"InstanceType": "ecs.none"}, 400, "InvalidInstanceType.ValueNotSupported"),
        ({"HostName": "a..b"}, 400, "InvalidHostName.Malformed"),
        ({"UserData": "not base64"}, 403, "InvalidUserData.Base64FormatInvalid"),
        ({"UserData": "YWJj" * 11000}, 400, "InvalidUserData.SizeExceeded"),
        ({"DataDisk.1.SnapshotId": "s-none"}, 404, "InvalidDataDiskSnapshotId.NotFound"),
        ({"SystemDisk.Size": 10}, 404, "InvalidSystemDiskSize.LessThanImageSize"),
        ({"DryRun": True}, 400, "DryRunOperation"),
    ],
)
def test_what_create_instance_refuses(shared, params, status, code):
    shared.refused(status, code, "CreateInstance", GIVEN | params)


def test_what_is_said_of_an_instance_is_told_of_it(shared):
    instance = shared.run_instance(
        {"SecurityGroupIds.1": "sg-1", "SecurityGroupIds.2": "sg-2"},
        InstanceName="a-name",
        Description="what it is for",
        HostName="web-1.example",
        VSwitchId="vsw-1",
        PrivateIpAddress="10.0.0.7",
        InternetMaxBandwidthOut=5,
        UserData=USER_DATA,
    )
    told, listed = attribute(shared, instance), shared.instance(instance)
    same = (
        "InstanceId InstanceName Description HostName Status RegionId ZoneId ImageId InstanceType "
        "Cpu Memory SerialNumber CreationTime InstanceChargeType InstanceNetworkType "
        "InternetMaxBandwidthOut SecurityGroupIds VpcAttributes"
    ).split()
    assert {name: told[name] for name in same} == {name: listed[name] for name in same}
    assert (told["HostName"], told["IoOptimized"]) == ("web-1.example", "optimized")
    answer = shared.call("DescribeUserData", InstanceId=instance)
    assert answer["UserData"] == USER_DATA


def test_what_is_said_can_be_said_anew(shared):
    instance = shared.run_instance(InstanceName="before", Description="before", UserData=USER_DATA)
    shared.call(
        "ModifyInstanceAttribute",
        {"SecurityGroupIds.1": "sg-3"},
        InstanceId=instance,
        InstanceName="实例-1",
        HostName="after",
    )
    told = attribute(shared, instance)
    assert (told["InstanceName"], told["HostName"]) == ("实例-1", "after")
    assert told["Description"] == "before"
    assert told["SecurityGroupIds"]["SecurityGroupId"] == ["sg-3"]
    shared.call("ModifyInstanceAttribute", InstanceId=instance, Description="", UserData="")
    assert attribute(shared, instance)["Description"] == ""
    assert shared.call("DescribeUserData", InstanceId=instance)["UserData"] == ""
    assert attribute(shared, instance)["InstanceName"] == "实例-1"


def test_an_instance_can_be_protected_later(shared):
    instance = shared.run_instance()
    shared.call("ModifyInstanceAttribute", InstanceId=instance, DeletionProtection=True)
    shared.refused(
        403,
        "InvalidOperation.DeletionProtection",
        "DeleteInstance",
        InstanceId=instance,
        Force=True,
    )
    shared.call("ModifyInstanceAttribute", InstanceId=instance, DeletionProtection=False)
    shared.call("DeleteInstance", InstanceId=instance, Force=True)


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"InstanceId": "i-none"}, 404, "InvalidInstanceId.NotFound"),
        ({"InstanceName": "1"}, 400, "InvalidInstanceName.Malformed"),
        ({"HostName": "-a"}, 400, "InvalidHostName.Malformed"),
        ({"Description": "http://a"}, 400, "InvalidDescription.Malformed"),
        ({"UserData": "a"}, 403, "InvalidUserData.Base64FormatInvalid"),
        ({"UserData": "YWJj" * 11000}, 400, "InvalidUserData.SizeExceeded"),
    ],
)
def test_what_a_change_refuses(shared, params, status, code):
    given = {"InstanceId": shared.run_instance()} | params
    shared.refused(status, code, "ModifyInstanceAttribute", given)


def test_a_locked_instance_does_not_change(ecs):
    instance = ecs.run_instance()
    ecs.server.admin("instance", "lock", instance, "--reason", "security")
    ecs.refused(
        403,
        "InstanceLockedForSecurity",
        "ModifyInstanceAttribute",
        InstanceId=instance,
        InstanceName="another",
    )
    assert attribute(ecs, instance)["OperationLocks"] == {
        "LockReason": [{"LockReason": "security"}]
    }


def test_several_instances_reboot(shared):
    running, stopped = shared.run_instance(), shared.run_instance()
    shared.call("StopInstance", InstanceId=stopped)
    shared.await_instance(stopped, "Stopped")
    both = {"InstanceId.1": running, "InstanceId.2": stopped}
    shared.refused(403, "IncorrectInstanceStatus", "RebootInstances", both)
    answer = shared.call("RebootInstances", both | {"BatchOptimization": "SuccessFirst"})
    outcomes = {
        each["InstanceId"]: (each["Code"], each["PreviousStatus"], each["CurrentStatus"])
        for each in answer["InstanceResponses"]["InstanceResponse"]
    }
    assert outcomes[running] == ("200", "Running", "Stopping")
    assert outcomes[stopped][0] == "IncorrectInstanceStatus"
    shared.await_instance(running, "Running")
    shared.refused(
        400, "DRYRUN.SUCCESS", "RebootInstances", {"InstanceId.1": running, "DryRun": True}
    )


def test_what_is_read_beside_an_instance(shared):
    instance = shared.run_instance()
    ids = {"InstanceIds": [instance, "i-none"]}
    roles = shared.call("DescribeInstanceRamRole", ids)
    assert roles["InstanceRamRoleSets"]["InstanceRamRoleSet"] == [
        {"InstanceId": instance, "RamRoleName": ""}
    ]
    upkeep = shared.call("DescribeInstanceMaintenanceAttributes", {"InstanceId.1": instance})
    (one,) = upkeep["MaintenanceAttributes"]["MaintenanceAttribute"]
    assert one["ActionOnMaintenance"]["Value"] == "AutoRecover"
    pools = shared.call("DescribeInstanceAttachmentAttributes", ids)
    assert [each["InstanceId"] for each in pools["Instances"]["Instance"]] == [instance]
    events = shared.call("DescribeInstanceHistoryEvents", InstanceId=instance)
    assert events["InstanceSystemEventSet"]["InstanceSystemEventType"] == []
    renewed = shared.call("DescribeInstanceAutoRenewAttribute", RenewalStatus="AutoRenewal")
    assert (renewed["TotalCount"], renewed["PageSize"]) == (0, 10)
    action, code = "DescribeInstanceAutoRenewAttribute", "ChargeTypeViolation"
    for ids in (instance, f"{instance},{instance}"):
        shared.refused(403, code, action, InstanceId=ids)
    code = "InvalidParameter.InvalidInstanceId"
    shared.refused(403, code, action, InstanceId=f"{instance},i-none")


@pytest.mark.parametrize(
    ("action", "params", "status", "code"),
    [
        ("DescribeInstanceAttribute", {"InstanceId": "i-no"}, 404, "InvalidInstanceId.NotFound"),
        ("DescribeUserData", {"InstanceId": "i-no"}, 404, "InvalidInstanceId.NotFound"),
        ("DescribeInstanceRamRole", {}, 403, "InvalidParameter.AllEmpty"),
        (
            "DescribeInstanceAutoRenewAttribute",
            {},
            403,
            "InvalidParameter.RenewalStatusInstanceId",
        ),
        (
            "DescribeInstanceAutoRenewAttribute",
            {"InstanceId": "i-1"},
            403,
            "InvalidParameter.InvalidInstanceId",
        ),
        (
            "DescribeInstanceAutoRenewAttribute",
            {"InstanceId": ",".join(f"i-{n}" for n in range(101))},
            403,
            "InvalidParameter.ToManyInstanceIds",
        ),
        (
            "DescribeInstanceAutoRenewAttribute",
            {"RenewalStatus": "never"},
            403,
            "InvalidParameter.RenewalStatus",
        ),
        (
            "DescribeInstanceAttachmentAttributes",
            {"InstanceIds": [f"i-{n}" for n in range(101)]},
            403,
            "InvalidParameter.TooManyInstanceIds",
        ),
        (
            "DescribeAvailableResource",
            {"DestinationResource": "Moon"},
            404,
            "Invalid.DestinationResource",
        ),
        ("DescribeAvailableResource", {}, 400, "Invalid.Param"),
        (
            "DescribeAvailableResource",
            {"DestinationResource": "InstanceType", "InstanceType": INSTANCE_TYPE, "Cores": 2},
            403,
            "InvalidParam.TypeAndCpuMem.Conflict",
        ),
    ],
)
def test_what_is_refused_beside_an_instance(shared, action, params, status, code):
    shared.refused(status, code, action, params)


def test_instance_types(shared):
    def ids(**filters):
        found = shared.call("DescribeInstanceTypes", **filters)["InstanceTypes"]["InstanceType"]
        return [each["InstanceTypeId"] for each in found]

    assert INSTANCE_TYPE in ids()
    (one,) = shared.call("DescribeInstanceTypes", {"InstanceTypes.1": INSTANCE_TYPE})[
        "InstanceTypes"
    ]["InstanceType"]
    assert (one["CpuCoreCount"], one["MemorySize"], one["DiskQuantity"]) == (2, 8.0, 17)
    assert set(ids(InstanceTypeFamily="ecs.g7", MinimumCpuCoreCount=8)) == {
        "ecs.g7.2xlarge",
        "ecs.g7.4xlarge",
    }
    assert ids(CpuArchitecture="ARM") == []
    families = shared.call("DescribeInstanceTypeFamilies", Generation="ecs-7")
    found = families["InstanceTypeFamilies"]["InstanceTypeFamily"]
    assert {"InstanceTypeFamilyId": "ecs.g7", "Generation": "ecs-7"} in found
    assert all(each["Generation"] == "ecs-7" for each in found)


def test_what_can_be_had(shared):
    def had(destination, **more):
        answer = shared.call("DescribeAvailableResource", DestinationResource=destination, **more)
        return answer["AvailableZones"]["AvailableZone"]

    zones = had("DataDisk", ResourceType="disk", Scope="region")
    assert [zone["ZoneId"] for zone in zones] == [f"{REGION}-a", f"{REGION}-b"]
    (resource,) = zones[0]["AvailableResources"]["AvailableResource"]
    disks = {each["Value"]: each for each in resource["SupportedResources"]["SupportedResource"]}
    essd = disks["cloud_essd"]
    assert (essd["Min"], essd["Max"], essd["Unit"]) == (1, 65536, "GiB")
    assert (essd["Status"], essd["StatusCategory"]) == ("Available", "WithStock")
    (zone,) = had("InstanceType", ZoneId=ZONE, InstanceType=INSTANCE_TYPE)
    (types,) = zone["AvailableResources"]["AvailableResource"]
    assert [each["Value"] for each in types["SupportedResources"]["SupportedResource"]] == [
        INSTANCE_TYPE
    ]
    assert had("Zone")[0]["Status"] == "Available"
