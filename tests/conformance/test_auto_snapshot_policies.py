"""Automatic snapshot policies: what is said of them. What they do is tested with a clock of its own
(`crates/ebb-control/tests/control/auto.rs`)."""

import json
import re

import pytest

from harness.ecs import Ecs
from harness.official import kms
from harness.reset import NO_DISK, local_disk

TAG = json.dumps([{"TagKey": "acs:ecs:disk-encryption", "TagValue": "true"}])
NO_POLICY = "sp-bp1nosuchpolicy0000"
DEFINED = {"timePoints": ["0", "12"], "repeatWeekdays": ["1", "7"], "retentionDays": 7}


def create(ecs, **more) -> str:
    reply = ecs.call("CreateAutoSnapshotPolicy", spelled(more))
    return reply["AutoSnapshotPolicyId"]


def spelled(more) -> dict:
    """Lists are JSON in one value."""
    given = DEFINED | more
    return {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in given.items()
    }


def policies(ecs, params=None, **more) -> list[dict]:
    reply = ecs.call("DescribeAutoSnapshotPolicyEx", params, **more)
    return reply["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]


def policy(ecs, id_) -> dict | None:
    found = policies(ecs, AutoSnapshotPolicyId=id_)
    return found[0] if found else None


def apply(ecs, id_, *disks):
    given = {"autoSnapshotPolicyId": id_, "diskIds": json.dumps(disks)}
    ecs.call("ApplyAutoSnapshotPolicy", given)


def associations(ecs, **more) -> list[tuple]:
    reply = ecs.call("DescribeAutoSnapshotPolicyAssociations", **more)
    found = reply["AutoSnapshotPolicyAssociations"]["AutoSnapshotPolicyAssociation"]
    return [(each["AutoSnapshotPolicyId"], each["DiskId"]) for each in found]


def refused(ecs, status, code, **more):
    ecs.refused(status, code, "CreateAutoSnapshotPolicy", spelled(more))


def test_a_policy_as_it_is_shown(shared):
    tag = {"Tag.1.Key": "k", "Tag.1.Value": "v"}
    id_ = create(shared, autoSnapshotPolicyName="nightly", ResourceGroupId="rg-1", **tag)
    shown = policy(shared, id_)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", shown.pop("CreationTime"))
    assert shown == {
        "AutoSnapshotPolicyId": id_,
        "AutoSnapshotPolicyName": "nightly",
        "RegionId": "cn-hangzhou",
        "Status": "Normal",
        "Type": "Custom",
        "TimePoints": '["0","12"]',
        "RepeatWeekdays": '["1","7"]',
        "RetentionDays": 7,
        "EnableCrossRegionCopy": False,
        "TargetCopyRegions": "[]",
        "CopiedSnapshotsRetentionDays": 0,
        "CopyEncryptionConfiguration": {"Encrypted": False, "KMSKeyId": ""},
        "DiskNums": 0,
        "VolumeNums": 0,
        "ResourceGroupId": "rg-1",
        "Tags": {"Tag": [{"TagKey": "k", "TagValue": "v"}]},
    }


def test_modify(shared):
    id_ = create(shared, autoSnapshotPolicyName="before")
    before = policy(shared, id_)
    wanted = {
        "autoSnapshotPolicyName": ("after", "AutoSnapshotPolicyName", "after"),
        "timePoints": ('["23"]', "TimePoints", '["23"]'),
        "repeatWeekdays": ('["3"]', "RepeatWeekdays", '["3"]'),
        "retentionDays": (-1, "RetentionDays", -1),
    }
    for name, (value, shown, expected) in wanted.items():
        given = {"autoSnapshotPolicyId": id_, name: value}
        shared.call("ModifyAutoSnapshotPolicyEx", given)
        before |= {shown: expected}
        assert policy(shared, id_) == before


def test_disks_have_one_policy(shared):
    first, second = create(shared), create(shared)
    one, other = shared.create_disk(), shared.create_disk()
    apply(shared, first, one, other)
    assert policy(shared, first)["DiskNums"] == 2
    apply(shared, second, one)
    assert policy(shared, first)["DiskNums"] == 1
    shown = shared.disk(one)
    assert shown["AutoSnapshotPolicyId"] == second
    assert shown["EnableAutomatedSnapshotPolicy"] is True
    assert [each["DiskId"] for each in shared.disks(AutoSnapshotPolicyId=first)] == [other]
    # As Terraform's provider spells it.
    found = shared.disks({"autoSnapshotPolicyId": second})
    assert [each["DiskId"] for each in found] == [one]
    assert associations(shared, DiskId=one) == [(second, one)]
    assert associations(shared, AutoSnapshotPolicyId=first) == [(first, other)]
    cancelled = {"diskIds": json.dumps([one, other]), "autoSnapshotPolicyId": first}
    shared.call("CancelAutoSnapshotPolicy", cancelled)
    assert associations(shared, DiskId=other) == []
    assert associations(shared, DiskId=one) == [(second, one)], "another's stays"
    shared.call("CancelAutoSnapshotPolicy", {"diskIds": json.dumps([one])})
    assert shared.disk(one)["EnableAutomatedSnapshotPolicy"] is False


def test_delete(shared):
    id_ = create(shared)
    disk = shared.create_disk()
    apply(shared, id_, disk)
    shared.call("DeleteAutoSnapshotPolicy", {"autoSnapshotPolicyId": id_})
    assert policy(shared, id_) is None
    assert shared.disk(disk)["AutoSnapshotPolicyId"] == ""
    given = {"autoSnapshotPolicyId": id_}
    shared.refused(404, "ParameterInvalid", "DeleteAutoSnapshotPolicy", given)


def test_the_list(ecs):
    made = [create(ecs, autoSnapshotPolicyName=f"policy-{n}") for n in range(3)]
    assert {each["AutoSnapshotPolicyId"] for each in policies(ecs)} == set(made)
    found = policies(ecs, AutoSnapshotPolicyName="*-1")
    assert [each["AutoSnapshotPolicyId"] for each in found] == [made[1]]
    page = ecs.call("DescribeAutoSnapshotPolicyEx", PageSize=2, PageNumber=2)
    assert page["TotalCount"] == 3
    assert len(page["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]) == 1
    disks = [ecs.create_disk() for _ in range(3)]
    apply(ecs, made[0], *disks)
    first = ecs.call("DescribeAutoSnapshotPolicyAssociations", MaxResults=2)
    second = ecs.call("DescribeAutoSnapshotPolicyAssociations", NextToken=first["NextToken"])
    pages = [each["AutoSnapshotPolicyAssociations"] for each in (first, second)]
    shown = [one["DiskId"] for page in pages for one in page["AutoSnapshotPolicyAssociation"]]
    assert sorted(shown) == sorted(disks)
    ecs.refused(400, "InvalidRegionId.NotFound", "DescribeAutoSnapshotPolicyEx", RegionId="no")
    name = "DescribeAutoSnapshotPolicyAssociations"
    ecs.refused(404, "InvalidRegionId.NotFound", name, RegionId="no")
    ecs.refused(400, "InvalidNextToken", name, NextToken="00")


def test_copies(make_server):
    args = ["--region", "cn-hangzhou", "--region", "cn-beijing"]
    ecs = Ecs(make_server(args=args).start())
    id_ = create(
        ecs,
        EnableCrossRegionCopy=True,
        TargetCopyRegions=["cn-beijing"],
        CopiedSnapshotsRetentionDays=3,
    )
    shown = policy(ecs, id_)
    assert shown["EnableCrossRegionCopy"] is True
    assert shown["TargetCopyRegions"] == '["cn-beijing"]'
    assert shown["CopiedSnapshotsRetentionDays"] == 3
    given = {"autoSnapshotPolicyId": id_, "EnableCrossRegionCopy": False}
    ecs.call("ModifyAutoSnapshotPolicyEx", given)
    assert policy(ecs, id_)["TargetCopyRegions"] == "[]"


def test_copies_may_be_encrypted(ecs):
    keys = kms(ecs.server)
    key = keys("CreateKey", Tags=TAG)["KeyMetadata"]["KeyId"]
    keys("CreateAlias", KeyId=key, AliasName="alias/copies")
    config = "CopyEncryptionConfiguration"
    on = {f"{config}.Encrypted": True}
    id_ = create(ecs, **on, **{f"{config}.KMSKeyId": "alias/copies"})
    assert policy(ecs, id_)[config] == {"Encrypted": True, "KMSKeyId": key}
    modify = ("ModifyAutoSnapshotPolicyEx", {"autoSnapshotPolicyId": id_})
    ecs.call(*modify, **on)
    assert policy(ecs, id_)[config] == {"Encrypted": True, "KMSKeyId": ""}
    ecs.call(*modify, retentionDays=3)
    assert policy(ecs, id_)[config]["Encrypted"]
    ecs.call(*modify, **{f"{config}.Encrypted": False})
    assert policy(ecs, id_)[config] == {"Encrypted": False, "KMSKeyId": ""}
    named = {f"{config}.KMSKeyId": key}
    create_, code = "CreateAutoSnapshotPolicy", "InvalidParameter"
    before = policies(ecs)

    def both_refuse(status, code, given, create_status=None, create_code=None):
        ecs.refused(status, code, *modify, **given)
        ecs.refused(create_status or status, create_code or code, create_, spelled(given))
        assert policies(ecs) == before

    both_refuse(400, f"{code}.EncryptedIllegal", named)
    none = on | {f"{config}.KMSKeyId": "no-such-key"}
    none_code = "InvalidOperation.KMSKeyIdNotFound"
    both_refuse(404, f"{code}.KMSKeyId.NotFound", none, 403, none_code)
    ecs.server.admin("kms", "revoke-service")
    both_refuse(403, f"{code}.KMSKeyId.KMSUnauthorized", on | named)
    keys("UntagResource", KeyId=key, TagKeys='["acs:ecs:disk-encryption"]')
    both_refuse(403, f"{code}.KMSKeyId.CMKUnauthorized", on | named)
    keys("DisableKey", KeyId=key)
    both_refuse(400, f"{code}.KMSKeyId.CMKNotEnabled", on | named)


def test_create_refuses(shared):
    for wrong in (
        {"timePoints": ["24"]},
        {"timePoints": []},
        {"repeatWeekdays": ["0"]},
        {"repeatWeekdays": ["8"]},
        {"retentionDays": 0},
        {"retentionDays": 65537},
        {"regionId": "nowhere", "RegionId": None},
    ):
        refused(shared, 403, "ParameterInvalid", **wrong)
    code = "InvalidSnapshotPolicyName.Malformed"
    refused(shared, 400, code, autoSnapshotPolicyName="auto-x")
    more = {"EnableCrossRegionCopy": True}
    code = "InvalidParameter.TargetCopyRegions"
    for regions in (["nowhere"], ["cn-hangzhou"]):
        refused(shared, 403, code, TargetCopyRegions=regions, **more)
    code = "InvalidParameter.CopiedSnapshotsRetentionDays"
    refused(shared, 403, code, CopiedSnapshotsRetentionDays=0)
    for missing in DEFINED:
        refused(shared, 400, "MissingParameter", **{missing: None})


def test_apply_refuses(shared):
    id_ = create(shared)
    disk = shared.create_disk()

    def no(action, status, code, **more):
        given = {"autoSnapshotPolicyId": id_, "diskIds": json.dumps([disk])} | more
        shared.refused(status, code, action, given)

    no("ApplyAutoSnapshotPolicy", 404, "ParameterInvalid", autoSnapshotPolicyId=NO_POLICY)
    nowhere = {"RegionId": None, "regionId": "nowhere"}
    no("ApplyAutoSnapshotPolicy", 403, "ParameterInvalid", **nowhere)
    no("CancelAutoSnapshotPolicy", 403, "ParameterInvalid", **nowhere)
    for action in ("ApplyAutoSnapshotPolicy", "CancelAutoSnapshotPolicy"):
        no(action, 404, "InvalidDiskId.NotFound", diskIds=json.dumps([disk, NO_DISK]))
    _, local = local_disk(shared, "local_ssd_pro")
    code = "DiskCategory.OperationNotSupported"
    no("ApplyAutoSnapshotPolicy", 400, code, diskIds=json.dumps([disk, local]))
    assert shared.disk(disk)["AutoSnapshotPolicyId"] == ""
    given = {"autoSnapshotPolicyId": NO_POLICY, "retentionDays": 1}
    shared.refused(404, "ParameterInvalid", "ModifyAutoSnapshotPolicyEx", given)
    given = {"autoSnapshotPolicyId": id_, "autoSnapshotPolicyName": "1"}
    shared.refused(403, "ParameterInvalid", "ModifyAutoSnapshotPolicyEx", given)


@pytest.mark.parametrize("kind", ["auto", "timer"])
def test_people_s_snapshots_are_not_automatic(shared, kind):
    _, disk = shared.machine()
    snapshot = shared.create_snapshot(disk)
    assert shared.snapshot(snapshot)["SnapshotType"] == "user"
    assert shared.snapshots(DiskId=disk, SnapshotType=kind) == []
    assert len(shared.snapshots(DiskId=disk, SnapshotType="user")) == 1
