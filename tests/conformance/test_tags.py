"""TagResources, UntagResources, ListTagResources, and where else tags are seen."""

import pytest

from harness.reset import NO_DISK


def tag(ecs, kind, ids, tags):
    ecs.call("TagResources", resources(kind, ids) | numbered_tags(tags))


def resources(kind, ids):
    return {"ResourceType": kind} | {f"ResourceId.{n}": id_ for n, id_ in enumerate(ids, 1)}


def numbered_tags(tags):
    given = {}
    for n, (key, value) in enumerate(tags.items(), 1):
        given |= {f"Tag.{n}.Key": key, f"Tag.{n}.Value": value}
    return given


def listed(ecs, kind, ids, more=None):
    reply = ecs.call("ListTagResources", resources(kind, ids) | (more or {}))
    return sorted(
        (each["ResourceId"], each["TagKey"], each["TagValue"])
        for each in reply["TagResources"]["TagResource"]
    )


def test_disks_snapshots_and_instances(shared):
    instance, disk = shared.machine()
    snapshot = shared.create_snapshot(disk)
    for kind, id_ in [("disk", disk), ("snapshot", snapshot), ("instance", instance)]:
        tag(shared, kind, [id_], {"a": "1", "b": "2"})
        assert listed(shared, kind, [id_]) == [(id_, "a", "1"), (id_, "b", "2")]
    for shown in (shared.disk(disk), shared.snapshot(snapshot), shared.instance(instance)):
        tags = {each["TagKey"]: each["TagValue"] for each in shown["Tags"]["Tag"]}
        assert tags == {"a": "1", "b": "2"}


def test_a_key_has_one_value(shared):
    disk = shared.create_disk()
    tag(shared, "disk", [disk], {"key": "old", "other": ""})
    tag(shared, "disk", [disk], {"key": "new"})
    assert listed(shared, "disk", [disk]) == [(disk, "key", "new"), (disk, "other", "")]


def test_untag(shared):
    first, second = shared.create_disk(), shared.create_disk()
    tag(shared, "disk", [first, second], {"a": "1", "b": "2", "c": "3"})
    shared.call("UntagResources", resources("disk", [first, second]) | {"TagKey.1": "a"})
    assert [each[1] for each in listed(shared, "disk", [first, second])] == ["b", "c", "b", "c"]
    shared.call("UntagResources", resources("disk", [first]), All=True)
    assert listed(shared, "disk", [first]) == []
    assert len(listed(shared, "disk", [second])) == 2


def test_list_by_tag(shared):
    first, second = shared.create_disk(), shared.create_disk()
    tag(shared, "disk", [first], {"colour": "blue"})
    tag(shared, "disk", [second], {"colour": "red"})
    everything = listed(shared, "disk", [], {"Tag.1.Key": "colour"})
    assert {each[0] for each in everything} == {first, second}
    blue = listed(shared, "disk", [], {"Tag.1.Key": "colour", "Tag.1.Value": "blue"})
    assert blue == [(first, "colour", "blue")]


@pytest.mark.parametrize(
    ("code", "tags"),
    [
        ("Duplicate.TagKey", {"Tag.1.Key": "a", "Tag.2.Key": "a"}),
        ("InvalidTagKey.Malformed", {"Tag.1.Key": "k" * 129}),
        ("InvalidTagKey.Malformed", {"Tag.1.Key": "acs:k"}),
        ("InvalidTagKey.Malformed", {"Tag.1.Key": "aliyunk"}),
        ("InvalidTagValue.Malformed", {"Tag.1.Key": "k", "Tag.1.Value": "v" * 129}),
        ("NumberExceed.Tags", {f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}),
    ],
)
def test_tags_that_will_not_do(shared, code, tags):
    disk = shared.create_disk()
    shared.refused(400, code, "TagResources", resources("disk", [disk]) | tags)
    assert listed(shared, "disk", [disk]) == []


def test_resources_that_will_not_do(shared):
    disk = shared.create_disk()
    tags = {"Tag.1.Key": "k"}
    refused = shared.refused
    given = resources("disk", [disk, NO_DISK]) | tags
    refused(404, "InvalidResourceId.NotFound", "TagResources", given)
    assert listed(shared, "disk", [disk]) == []
    given = resources("kettle", [disk]) | tags
    refused(404, "InvalidResourceType.NotFound", "TagResources", given)
    given = resources("disk", [f"d-{n}" for n in range(51)]) | tags
    refused(400, "NumberExceed.ResourceIds", "TagResources", given)
    refused(404, "MissingParameter.Tags", "TagResources", resources("disk", [disk]))
    given = resources("disk", [disk]) | tags | {"RegionId": "cn-nowhere"}
    refused(404, "InvalidRegionId.NotFound", "TagResources", given)


def test_twenty_tags_and_no_more(shared):
    disk = shared.create_disk()
    tag(shared, "disk", [disk], {f"k{n}": "" for n in range(20)})
    answer = shared.ask("TagResources", resources("disk", [disk]) | {"Tag.1.Key": "one-more"})
    assert answer.status in (400, 403), answer.body
    assert len(listed(shared, "disk", [disk])) == 20
