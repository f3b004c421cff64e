"""AddTags, RemoveTags and DescribeTags: the older ones."""

import pytest

from harness.reset import NO_DISK

COUNTS = ("Disk", "Snapshot", "Instance")


def named(tags: dict) -> dict:
    params = {}
    for number, (key, value) in enumerate(tags.items(), 1):
        params[f"Tag.{number}.Key"] = key
        if value is not None:
            params[f"Tag.{number}.Value"] = value
    return params


def change(ecs, action, kind, resource, tags):
    ecs.call(action, named(tags), ResourceType=kind, ResourceId=resource)


def refused(ecs, status, code, action, tags, kind="disk", resource=NO_DISK):
    ecs.refused(status, code, action, named(tags), ResourceType=kind, ResourceId=resource)


def of(shown) -> dict:
    return {tag["TagKey"]: tag["TagValue"] for tag in shown["Tags"]["Tag"]}


def test_every_kind(shared):
    instance, disk = shared.machine()
    snapshot = shared.create_snapshot(disk)
    looks = [
        ("disk", disk, lambda: shared.disk(disk)),
        ("snapshot", snapshot, lambda: shared.snapshot(snapshot)),
        ("instance", instance, lambda: shared.instance(instance)),
    ]
    for kind, resource, look in looks:
        change(shared, "AddTags", kind, resource, {"a": "1", "键": "值"})
        change(shared, "AddTags", kind, resource, {"a": "2"})
        assert of(look()) == {"a": "2", "键": "值"}
        change(shared, "RemoveTags", kind, resource, {"a": None})
        assert of(look()) == {"键": "值"}


def test_a_value_has_to_be_the_tags_own(shared):
    disk = shared.create_disk()
    change(shared, "AddTags", "disk", disk, {"a": "1", "b": "1"})
    change(shared, "RemoveTags", "disk", disk, {"a": "2", "b": "1", "never": None})
    assert of(shared.disk(disk)) == {"a": "1"}


def test_twenty_and_no_more(shared):
    disk = shared.create_disk()
    change(shared, "AddTags", "disk", disk, {f"k{n}": "v" for n in range(20)})
    code = "OperationDenied.QuotaExceed"
    refused(shared, 400, code, "AddTags", {"one-more": "v"}, resource=disk)
    change(shared, "AddTags", "disk", disk, {"k0": "w"})
    assert len(of(shared.disk(disk))) == 20


@pytest.mark.parametrize("action", ["AddTags", "RemoveTags"])
def test_what_is_refused(shared, action):
    tags = {"a": "1"}
    refused(shared, 404, "InvalidResourceId.NotFound", action, tags)
    refused(shared, 404, "InvalidResourceType.NotFound", action, tags, kind="teapot")
    refused(shared, 400, "MissingParameter", action, {})
    more = named(tags) | {"ResourceType": "disk", "ResourceId": NO_DISK, "RegionId": "nowhere"}
    shared.refused(404, "InvalidRegionId.NotFound", action, more)


def counted(ecs, params=None, **more) -> dict:
    """How many disks, snapshots and instances have each key and value."""
    reply = ecs.call("DescribeTags", params, PageSize=100, **more)
    tags = reply["Tags"]["Tag"]
    assert reply["TotalCount"] == len(tags)
    assert tags == sorted(tags, key=lambda tag: (tag["TagKey"], tag["TagValue"]))
    return {
        (tag["TagKey"], tag["TagValue"]): tuple(tag["ResourceTypeCount"][n] for n in COUNTS)
        for tag in tags
    }


def test_counts(ecs):
    instance, disk = ecs.machine()
    snapshot, other = ecs.create_snapshot(disk), ecs.create_disk()
    change(ecs, "AddTags", "disk", disk, {"a": "1", "b": "1"})
    change(ecs, "AddTags", "disk", other, {"a": "2", "b": "1"})
    change(ecs, "AddTags", "snapshot", snapshot, {"a": "1"})
    change(ecs, "AddTags", "instance", instance, {"a": "1"})
    one, two, both = ("a", "1"), ("a", "2"), ("b", "1")
    assert counted(ecs) == {one: (1, 1, 1), two: (1, 0, 0), both: (2, 0, 0)}
    assert counted(ecs, Category="custom") == counted(ecs)
    assert counted(ecs, Category="system") == {}
    assert counted(ecs, ResourceType="snapshot") == {one: (0, 1, 0)}
    assert counted(ecs, ResourceType="disk", ResourceId=other) == {two: (1, 0, 0), both: (1, 0, 0)}
    assert counted(ecs, named({"a": None})) == {one: (1, 1, 1), two: (1, 0, 0)}
    assert counted(ecs, named({"a": "2", "b": None})) == {two: (1, 0, 0), both: (2, 0, 0)}
    assert counted(ecs, named({"a": "3"})) == {}
    page = ecs.call("DescribeTags", PageSize=2, PageNumber=2)
    assert (page["TotalCount"], page["PageSize"], page["PageNumber"]) == (3, 2, 2)
    assert [(tag["TagKey"], tag["TagValue"]) for tag in page["Tags"]["Tag"]] == [both]
    ecs.call("DeleteSnapshot", SnapshotId=snapshot)
    assert counted(ecs)[one] == (1, 0, 1)


def test_what_can_not_be_counted(shared):
    given = [
        (404, "InvalidRegionId.NotFound", {"RegionId": "nowhere"}),
        (404, "InvalidResourceType.NotFound", {"ResourceType": "teapot"}),
        (400, "Invalid.TagCategory", {"Category": "best"}),
        (400, "InvalidTagKey.Malformed", {"Tag.1.Value": "a value without its key"}),
        (400, "InvalidTagCount", named({f"k{n}": None for n in range(21)})),
    ]
    for status, code, params in given:
        shared.refused(status, code, "DescribeTags", params)
