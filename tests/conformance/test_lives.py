"""Every operation of ECS, called by every official client of Python and Node, unmodified: a life of
each family, from its first call to its last. Those of Go and Java are in `clients/`.
"""

import datetime
import json
import subprocess

import pytest

from harness.clients import CLIENTS, ClientError
from harness.ecs import IMAGE, INSTANCE_TYPE, REGION, ZONE
from harness.paths import server_binary
from harness.waiting import until

THERE = "cn-beijing"
BUCKET = "a-bucket"

# Parameters that begin with a small letter, the region's too.
SMALL = {
    "CreateAutoSnapshotPolicy",
    "ModifyAutoSnapshotPolicyEx",
    "ApplyAutoSnapshotPolicy",
    "CancelAutoSnapshotPolicy",
    "DeleteAutoSnapshotPolicy",
}


@pytest.fixture(params=CLIENTS)
def life(request, make_server):
    server = make_server(args=["--region", REGION, "--region", THERE]).start()
    client = CLIENTS[request.param](server)
    yield Life(server, client)
    client.close()


class Life:
    """A client, and the few things that most families need."""

    def __init__(self, server, client):
        self.server, self.client = server, client
        self.called = set()
        self.instance = self.disk = self.snapshot = ""

    def __call__(self, action, **params) -> dict:
        self.called.add(action)
        region = "regionId" if action in SMALL else "RegionId"
        return self.client.call(action, {region: REGION} | params)

    def refused(self, status, code, action, **params):
        with pytest.raises(ClientError) as caught:
            self(action, **params)
        assert (caught.value.status, caught.value.code) == (status, code)

    def there_is(self, kind, id_, status):
        """Waits until a disk, an instance, a snapshot or an image has come so far."""
        if kind == "Image":
            given = {"ImageId": id_, "Status": status}
        else:
            given = {f"{kind}Ids": json.dumps([id_])}

        def found():
            entries = self(f"Describe{kind}s", **given)[f"{kind}s"][kind]
            return next((each for each in entries if each["Status"] == status), None)

        return until(found, f"{id_} is {status}")

    def over(self, task_id):
        def ended():
            return self("DescribeTaskAttribute", TaskId=task_id)["TaskStatus"] == "Finished"

        until(ended, f"{task_id} is over", seconds=60)

    def stop(self):
        self("StopInstance", InstanceId=self.instance)
        self.there_is("Instance", self.instance, "Stopped")

    def start(self):
        self("StartInstance", InstanceId=self.instance)
        self.there_is("Instance", self.instance, "Running")


def test_a_life_of_every_family(life):
    for family in FAMILIES:
        family(life)
    listed = [server_binary(), "operations", "--json"]
    listed = json.loads(subprocess.run(listed, capture_output=True, check=True).stdout)
    ecs = {each["name"] for each in listed if each["version"] == "2014-05-26"}
    assert ecs - life.called == set()


def catalogue(life):
    regions = life("DescribeRegions")["Regions"]["Region"]
    assert {each["RegionId"] for each in regions} == {REGION, THERE}
    assert len(life("DescribeZones")["Zones"]["Zone"]) == 2
    (found,) = life("DescribeInstanceTypes", InstanceTypes=[INSTANCE_TYPE])["InstanceTypes"][
        "InstanceType"
    ]
    families = life("DescribeInstanceTypeFamilies")["InstanceTypeFamilies"]["InstanceTypeFamily"]
    assert found["InstanceTypeFamily"] in {each["InstanceTypeFamilyId"] for each in families}
    offered = life("DescribeAvailableResource", DestinationResource="SystemDisk")
    assert len(offered["AvailableZones"]["AvailableZone"]) == 2
    limits = life("DescribeAccountAttributes")["AccountAttributeItems"]["AccountAttributeItem"]
    assert "used-postpaid-yundisk-capacity" in {each["AttributeName"] for each in limits}
    life("OpenSnapshotService")
    assert life("DescribeSnapshotPackage")["TotalCount"] == 0


def networks(life):
    vpc = life("CreateVpc", CidrBlock="10.0.0.0/16")["VpcId"]
    assert life("DescribeVpcs", VpcId=vpc)["TotalCount"] == 1
    made = life("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="10.0.1.0/24")["VSwitchId"]
    assert life("DescribeVSwitches", VSwitchId=made)["TotalCount"] == 1
    group = life("CreateSecurityGroup", VpcId=vpc, SecurityGroupName="家园")["SecurityGroupId"]
    assert life("DescribeSecurityGroups", SecurityGroupId=group)["TotalCount"] == 1
    told = life("DescribeSecurityGroupAttribute", SecurityGroupId=group)
    assert told["SecurityGroupName"] == "家园"
    assert life("DescribeNetworkInterfaces")["TotalCount"] == 0
    life("DeleteSecurityGroup", SecurityGroupId=group)
    life("DeleteVSwitch", VSwitchId=made)
    life("DeleteVpc", VpcId=vpc)


def instances(life):
    run = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE, "UserData": "dGV4dA=="}
    reply = life("RunInstances", **run, Tag=[{"Key": "von", "Value": "früher"}])
    (life.instance,) = reply["InstanceIdSets"]["InstanceIdSet"]
    shown = life.there_is("Instance", life.instance, "Running")
    assert shown["Tags"]["Tag"] == [{"TagKey": "von", "TagValue": "früher"}]
    one = {"InstanceId": life.instance}
    life("ModifyInstanceAttribute", **one, InstanceName="一台", Description="a life")
    told = life("DescribeInstanceAttribute", **one)
    assert (told["InstanceName"], told["Description"]) == ("一台", "a life")
    assert life("DescribeUserData", **one)["UserData"] == "dGV4dA=="
    several = {"InstanceId": [life.instance]}
    life("RebootInstance", **one)
    life.there_is("Instance", life.instance, "Running")
    life("RebootInstances", **several)
    life.there_is("Instance", life.instance, "Running")
    life("StopInstances", **several)
    life.there_is("Instance", life.instance, "Stopped")
    life("StartInstances", **several)
    life.there_is("Instance", life.instance, "Running")
    assert life("DescribeInstanceStatus")["TotalCount"] == 1
    ids = json.dumps([life.instance])
    roles = life("DescribeInstanceRamRole", InstanceIds=ids)
    assert roles["InstanceRamRoleSets"]["InstanceRamRoleSet"][0]["RamRoleName"] == ""
    assert life("DescribeInstanceMaintenanceAttributes", InstanceId=[life.instance])["TotalCount"]
    assert life("DescribeInstanceAttachmentAttributes", InstanceIds=ids)["TotalCount"] == 1
    assert life("DescribeInstanceHistoryEvents", **one)["TotalCount"] == 0
    life("DescribeInstanceAutoRenewAttribute", RenewalStatus="AutoRenewal")
    made = life("CreateInstance", ImageId=IMAGE, InstanceType=INSTANCE_TYPE)["InstanceId"]
    life.there_is("Instance", made, "Stopped")
    life("DeleteInstance", InstanceId=made)
    life.refused(404, "InvalidInstanceId.NotFound", "StopInstance", InstanceId="i-none")


def disks(life):
    new = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}
    life.disk = life("CreateDisk", **new, Size=20, DiskName="磁盘")["DiskId"]
    one = {"DiskId": life.disk}
    life.there_is("Disk", life.disk, "Available")
    life("AttachDisk", **one, InstanceId=life.instance)
    life("ModifyDiskAttribute", **one, Description="of a life")
    life("ResizeDisk", **one, NewSize=500, Type="online")
    life.over(life("ModifyDiskSpec", **one, PerformanceLevel="PL1")["TaskId"])
    moved = {"DiskCategory": "cloud_essd", "PerformanceLevel": "PL2"}
    life.over(life("ModifyDiskDeployment", **one, **moved)["TaskId"])
    shown = life.there_is("Disk", life.disk, "In_use")
    assert (shown["DiskName"], shown["Description"]) == ("磁盘", "of a life")
    assert (shown["Size"], shown["PerformanceLevel"]) == (500, "PL2")
    ids = json.dumps([life.disk])
    paid = {"InstanceId": life.instance, "DiskIds": ids}
    life.refused(400, "ChargeTypeViolation", "ModifyDiskChargeType", **paid)
    (well,) = life("DescribeDisksFullStatus", DiskId=[life.disk])["DiskFullStatusSet"][
        "DiskFullStatusType"
    ]
    assert well["HealthStatus"]["Name"] == "Ok"
    now = datetime.datetime.now(datetime.UTC)
    life("DescribeDiskMonitorData", **one, StartTime=moment(now, -5), EndTime=moment(now, 0))
    clone = {"SourceDiskId": life.disk, "DiskCategory": "cloud_essd", "Size": 500}
    group = life("CloneDisks", **clone, MultiAttach="Disabled")["TaskGroupId"]
    (task,) = life("DescribeTasks", TaskGroupId=group)["TaskSet"]["Task"]
    made = task["ResourceId"]
    life("AttachDisk", DiskId=made, InstanceId=life.instance)
    life("DetachDisk", DiskId=made, InstanceId=life.instance)
    life.there_is("Disk", made, "Available")
    life("DeleteDisk", DiskId=made)
    life.refused(404, "InvalidDiskId.NotFound", "DeleteDisk", DiskId=made)


def moment(now, minutes) -> str:
    return (now + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:00Z")


def snapshots(life):
    life.snapshot = life("CreateSnapshot", DiskId=life.disk)["SnapshotId"]
    life.there_is("Snapshot", life.snapshot, "accomplished")
    one = {"SnapshotId": life.snapshot}
    life("ModifySnapshotAttribute", **one, SnapshotName="一个")
    assert life.there_is("Snapshot", life.snapshot, "accomplished")["SnapshotName"] == "一个"
    life("LockSnapshot", **one, LockMode="compliance", LockDuration=1, CoolOffPeriod=3)
    assert len(life("DescribeLockedSnapshots")["LockedSnapshotsInfo"]) == 1
    life.refused(403, "Operation.Conflict", "DeleteSnapshot", **one)
    life("UnlockSnapshot", **one)
    # It is too young for the archive.
    life.refused(403, "OperationDenied", "ModifySnapshotCategory", **one, Category="Archive")
    copied = life("CopySnapshot", **one, DestinationRegionId=THERE)["SnapshotId"]
    found = life("DescribeSnapshots", RegionId=THERE, SnapshotIds=json.dumps([copied]))
    assert found["TotalCount"] == 1
    (link,) = life("DescribeSnapshotLinks")["SnapshotLinks"]["SnapshotLink"]
    assert (link["SourceDiskId"], link["TotalCount"]) == (life.disk, 1)
    assert life("DescribeSnapshotsUsage")["SnapshotCount"] == 1
    now = datetime.datetime.now(datetime.UTC)
    times = {"StartTime": moment(now, -5), "EndTime": moment(now, 0)}
    life("DescribeSnapshotMonitorData", **times, Period=60)
    (life.server.data_dir / "oss" / BUCKET).mkdir()
    life.over(life("ExportSnapshot", **one, OssBucket=BUCKET)["TaskId"])


def going_back(life):
    to = {"DiskId": life.disk, "SnapshotId": life.snapshot}
    life.refused(403, "IncorrectInstanceStatus", "ResetDisk", **to)
    life.stop()
    life.refused(400, "DryRunOperation", "ResetDisk", **to, DryRun=True)
    life("ResetDisk", **to)
    life.there_is("Disk", life.disk, "In_use")
    (one,) = life("ResetDisks", Disk=[to])["OperationProgressSet"]["OperationProgress"]
    assert one["OperationStatus"] == "Success"
    life.there_is("Disk", life.disk, "In_use")
    # As it was made.
    life("ReInitDisk", DiskId=life.disk)
    life.there_is("Disk", life.disk, "In_use")
    life("ReplaceSystemDisk", InstanceId=life.instance, ImageId=IMAGE)
    life.start()


def groups(life):
    group = life("CreateSnapshotGroup", InstanceId=life.instance, Name="一组")["SnapshotGroupId"]
    life("ModifySnapshotGroup", SnapshotGroupId=group, Description="of a life")
    (shown,) = life("DescribeSnapshotGroups", SnapshotGroupId=[group])["SnapshotGroups"][
        "SnapshotGroup"
    ]
    assert (shown["Name"], shown["Description"]) == ("一组", "of a life")
    assert len(shown["Snapshots"]["Snapshot"]) == 2
    life("DeleteSnapshotGroup", SnapshotGroupId=group)


def policies(life):
    when = {"timePoints": '["1"]', "repeatWeekdays": '["1","7"]', "retentionDays": 30}
    policy = life("CreateAutoSnapshotPolicy", **when)["AutoSnapshotPolicyId"]
    one = {"autoSnapshotPolicyId": policy}
    life("ModifyAutoSnapshotPolicyEx", **one, autoSnapshotPolicyName="计划")
    found = life("DescribeAutoSnapshotPolicyEx", AutoSnapshotPolicyId=policy)
    (shown,) = found["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]
    assert shown["AutoSnapshotPolicyName"] == "计划"
    ids = json.dumps([life.disk])
    life("ApplyAutoSnapshotPolicy", **one, diskIds=ids)
    told = life("DescribeAutoSnapshotPolicyAssociations", AutoSnapshotPolicyId=policy)
    (pair,) = told["AutoSnapshotPolicyAssociations"]["AutoSnapshotPolicyAssociation"]
    assert pair["DiskId"] == life.disk
    life("CancelAutoSnapshotPolicy", diskIds=ids)
    life("DeleteAutoSnapshotPolicy", **one)


def images(life):
    made = life("CreateImage", InstanceId=life.instance, ImageName="镜像-1")["ImageId"]
    life.there_is("Image", made, "Available")
    life("ModifyImageAttribute", ImageId=made, Description="of a life")
    assert life.there_is("Image", made, "Available")["Description"] == "of a life"
    copy = {"DestinationRegionId": THERE, "DestinationImageName": "there"}
    copied = life("CopyImage", ImageId=made, **copy)["ImageId"]
    life("DeleteImage", RegionId=THERE, ImageId=copied)
    (life.server.data_dir / "oss" / BUCKET / "disk.raw").write_bytes(bytes(1 << 20))
    mapping = {"OSSBucket": BUCKET, "OSSObject": "disk.raw"}
    reply = life("ImportImage", DiskDeviceMapping=[mapping])
    life.over(reply["TaskId"])
    life.refused(403, "InvalidTaskId.IncorrectTaskStatus", "CancelTask", TaskId=reply["TaskId"])
    life.there_is("Image", reply["ImageId"], "Available")
    for image in (made, reply["ImageId"]):
        life("DeleteImage", ImageId=image, Force=True)


def tags(life):
    of_it = {"ResourceType": "disk", "ResourceId": [life.disk]}
    life("TagResources", **of_it, Tag=[{"Key": "use", "Value": "测试 +%~"}])
    (tag,) = life("ListTagResources", **of_it)["TagResources"]["TagResource"]
    assert (tag["TagKey"], tag["TagValue"]) == ("use", "测试 +%~")
    life("UntagResources", **of_it, All=True)
    older = {"ResourceType": "disk", "ResourceId": life.disk}
    life("AddTags", **older, Tag=[{"Key": "old", "Value": "er"}])
    (tag,) = life("DescribeTags", **older)["Tags"]["Tag"]
    assert (tag["TagKey"], tag["TagValue"]) == ("old", "er")
    life("RemoveTags", **older, Tag=[{"Key": "old", "Value": "er"}])
    life("JoinResourceGroup", **older, ResourceGroupId="rg-1")
    assert life("DescribeDisks", ResourceGroupId="rg-1")["TotalCount"] == 1


def encryption(life):
    life("EnableDiskEncryptionByDefault")
    assert life("DescribeDiskEncryptionByDefaultStatus")["Encrypted"] is True
    life("DisableDiskEncryptionByDefault")
    service = life("DescribeDiskDefaultKMSKeyId")["KMSKeyId"]
    code = "InvalidParameter.KMSKeyId.NotFound"
    life.refused(404, code, "ModifyDiskDefaultKMSKeyId", KMSKeyId="no-such-key")
    life("ModifyDiskDefaultKMSKeyId", KMSKeyId="alias/acs/ecs")
    life("ResetDiskDefaultKMSKeyId")
    assert life("DescribeDiskDefaultKMSKeyId")["KMSKeyId"] == service


def the_end(life):
    life("DetachDisk", DiskId=life.disk, InstanceId=life.instance)
    life.there_is("Disk", life.disk, "Available")
    life("DeleteDisk", DiskId=life.disk)
    life("DeleteSnapshot", SnapshotId=life.snapshot, Force=True)
    life("DeleteInstances", InstanceId=[life.instance], Force=True)
    assert life("DescribeInstances")["TotalCount"] == 0
    assert life("DescribeDisks")["TotalCount"] == 0


FAMILIES = (
    catalogue,
    networks,
    instances,
    disks,
    snapshots,
    going_back,
    groups,
    policies,
    images,
    tags,
    encryption,
    the_end,
)
