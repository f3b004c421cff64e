"""DescribeDisks: every filter, and both ways of paging."""

import pytest

from harness.ecs import OTHER_ZONE, REGION, ZONE, Ecs
from harness.reset import NO_DISK


@pytest.fixture(scope="module")
def zoo(module_server):
    """Disks that differ in everything a filter looks at, by name."""
    ecs = Ecs(module_server)
    instance, attached = ecs.machine()
    ecs.call("ModifyDiskAttribute", DiskId=attached, DeleteWithInstance=True)
    snapshot = ecs.create_snapshot(attached)
    (system,) = ecs.disks(InstanceId=instance, DiskType="system")
    tagged = {"Tag.1.Key": "team", "Tag.1.Value": "blue", "Tag.2.Key": "stage"}
    return {
        "instance": instance,
        "snapshot": snapshot,
        "attached": attached,
        "system": system["DiskId"],
        "plain": ecs.create_disk(20, PerformanceLevel="PL1", DiskName="plain-disk"),
        "auto": ecs.create_disk(20, DiskCategory="cloud_auto", PerformanceLevel=None),
        "far": ecs.create_disk(20, ZoneId=OTHER_ZONE),
        "child": ecs.create_disk(20, SnapshotId=snapshot),
        "tagged": ecs.create_disk(20, params=tagged),
    }


DISKS = ("attached", "system", "plain", "auto", "far", "child", "tagged")


def found(ecs, zoo, params=None, **filters) -> set[str]:
    ids = {disk["DiskId"] for disk in ecs.disks(params, PageSize=100, **filters)}
    return {name for name in DISKS if zoo[name] in ids}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, set(DISKS)),
        ({"ZoneId": OTHER_ZONE}, {"far"}),
        ({"Category": "cloud_auto"}, {"auto"}),
        ({"Category": "all"}, set(DISKS)),
        ({"DiskType": "system"}, {"system"}),
        ({"DiskType": "data"}, set(DISKS) - {"system"}),
        ({"DiskType": "all"}, set(DISKS)),
        ({"Status": "In_use"}, {"attached", "system"}),
        ({"Status": "Available"}, set(DISKS) - {"attached", "system"}),
        ({"Status": "All"}, set(DISKS)),
        ({"Status": "ReIniting"}, set()),
        ({"DiskName": "plain-disk"}, {"plain"}),
        ({"PerformanceLevel": "PL1", "DiskType": "data"}, {"plain"}),
        ({"DiskChargeType": "PostPaid"}, set(DISKS)),
        ({"DiskChargeType": "PrePaid"}, set()),
        ({"Encrypted": True}, set()),
        ({"KMSKeyId": "key-1"}, set()),
        ({"autoSnapshotPolicyId": "sp-1"}, set()),
        ({"EnableAutomatedSnapshotPolicy": True}, set()),
        ({"EnableAutomatedSnapshotPolicy": False}, set(DISKS)),
        ({"Encrypted": False}, set(DISKS)),
        ({"MultiAttach": "Enabled"}, set()),
        ({"MultiAttach": "Disabled"}, set(DISKS)),
        ({"DeleteAutoSnapshot": False}, set()),
        ({"Tag.1.Key": "team", "Tag.1.Value": "blue"}, {"tagged"}),
        ({"Tag.1.Key": "team"}, {"tagged"}),
        ({"Tag.1.Key": "team", "Tag.1.Value": "red"}, set()),
        ({"Tag.1.Key": "team", "Tag.2.Key": "stage"}, {"tagged"}),
        ({"Tag.1.key": "team", "Tag.1.value": "blue"}, {"tagged"}),
        ({"ZoneId": ZONE, "Category": "cloud_auto", "Status": "Available"}, {"auto"}),
        ({"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "2999-01-01T00:00Z"}, set()),
        ({"Filter.2.Key": "CreationEndTime", "Filter.2.Value": "2999-01-01T00:00Z"}, set(DISKS)),
        ({"Filter.2.Key": "CreationEndTime", "Filter.2.Value": "2001-01-01T00:00Z"}, set()),
    ],
)
def test_filters(shared, zoo, filters, names):
    assert found(shared, zoo, filters) == names


def test_filters_that_name_other_things(shared, zoo):
    assert found(shared, zoo, InstanceId=zoo["instance"]) == {"attached", "system"}
    assert found(shared, zoo, SnapshotId=zoo["snapshot"]) == {"child"}
    ids = [zoo["plain"], NO_DISK, "nonsense", zoo["far"]]
    assert found(shared, zoo, DiskIds=ids) == {"plain", "far"}
    assert shared.disks(DiskIds=[NO_DISK]) == []
    assert found(shared, zoo, {"DeleteWithInstance": True}) >= {"attached"}
    assert found(shared, zoo, {"DeleteWithInstance": False}) & {"attached"} == set()
    assert "plain" in found(shared, zoo, {"Portable": True})


@pytest.mark.parametrize(
    ("status", "code", "filters"),
    [
        (400, "InvalidParameter.DiskIds", {"DiskIds": "d-1,d-2"}),
        (400, "InvalidParameter.DiskIds", {"DiskIds": '{"a": 1}'}),
        (403, "InvalidDiskIds.Malformed", {"DiskIds": [f"d-{n}" for n in range(101)]}),
        (400, "InvalidDiskType.ValueNotSupported", {"DiskType": "tape"}),
        (400, "InvalidStatus.ValueNotSupported", {"Status": "Broken"}),
        (400, "InvalidZoneId.NotFound", {"ZoneId": "cn-hangzhou-z"}),
        (400, "InvalidRegion.NotFound", {"RegionId": "cn-nowhere"}),
        (404, "InvalidDiskChargeType.NotFound", {"DiskChargeType": "Barter"}),
        (404, "InvalidFilterKey.NotFound", {"Filter.1.Key": "Colour", "Filter.1.Value": "x"}),
        (
            404,
            "InvalidFilterValue",
            {"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "yesterday"},
        ),
        (400, "InvalidTag.Mismatch", {"Tag.1.Value": "value without a key"}),
    ],
)
def test_filters_that_will_not_do(shared, status, code, filters):
    shared.refused(status, code, "DescribeDisks", filters)


def test_a_category_that_is_none(shared):
    answer = shared.ask("DescribeDisks", Category="tape")
    assert answer.status in (400, 403)
    assert answer.tree["Code"] == "InvalidCategory.ValueNotSupported"


def test_pages_by_number(shared, zoo):
    total = shared.call("DescribeDisks")["TotalCount"]
    seen = []
    for number in range(1, total // 3 + 3):
        reply = shared.call("DescribeDisks", PageNumber=number, PageSize=3)
        assert (reply["PageNumber"], reply["PageSize"], reply["TotalCount"]) == (number, 3, total)
        seen += [disk["DiskId"] for disk in reply["Disks"]["Disk"]]
    assert len(seen) == len(set(seen)) == total


def test_the_page_is_ten_when_none_is_asked_for(shared, zoo):
    for _ in range(5):
        shared.create_disk(20)
    reply = shared.call("DescribeDisks")
    assert (reply["PageNumber"], reply["PageSize"]) == (1, 10)
    assert len(reply["Disks"]["Disk"]) == 10 < reply["TotalCount"]


@pytest.mark.parametrize("page", [{"PageSize": 101}, {"PageSize": 0}, {"PageNumber": 0}])
def test_pages_that_are_none(shared, page):
    assert shared.ask("DescribeDisks", page).status == 400


def test_pages_by_token(shared, zoo):
    """A token goes on where the page before ended, whatever is made and deleted meanwhile."""
    for _ in range(6):
        shared.create_disk(20)
    everything = {disk["DiskId"] for disk in shared.disks(PageSize=100)}
    assert len(everything) > 10
    reply = shared.call("DescribeDisks", MaxResults=10)
    first = [disk["DiskId"] for disk in reply["Disks"]["Disk"]]
    assert len(first) == 10 and reply["NextToken"]
    shared.create_disk(20)
    seen = first[:]
    while reply["NextToken"]:
        reply = shared.call("DescribeDisks", MaxResults=10, NextToken=reply["NextToken"])
        seen += [disk["DiskId"] for disk in reply["Disks"]["Disk"]]
    assert len(seen) == len(set(seen))
    assert everything <= set(seen)


def test_the_end_has_an_empty_token(shared, zoo):
    assert shared.call("DescribeDisks", MaxResults=500)["NextToken"] == ""


def test_a_token_that_is_none(shared):
    assert shared.ask("DescribeDisks", NextToken="nonsense").status == 400


def test_each_disk_shows_where_it_is(shared, zoo):
    shown = {disk["DiskId"]: disk for disk in shared.disks(PageSize=100)}
    attached, system = shown[zoo["attached"]], shown[zoo["system"]]
    assert attached["InstanceId"] == system["InstanceId"] == zoo["instance"]
    assert (attached["Type"], system["Type"]) == ("data", "system")
    assert attached["Device"] != system["Device"]
    (attachment,) = attached["Attachments"]["Attachment"]
    assert attachment["InstanceId"] == zoo["instance"]
    assert attachment["Device"] == attached["Device"]
    assert attached["AttachedTime"] and attached["RegionId"] == REGION
    assert shown[zoo["child"]]["SourceSnapshotId"] == zoo["snapshot"]
