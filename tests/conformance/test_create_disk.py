"""CreateDisk: what it makes, and what it refuses."""

import concurrent.futures
import re

import pytest

from harness import blocks
from harness.ecs import GIB, OTHER_ZONE, REGION, ZONE
from harness.errors import check_documented
from harness.imports import held_open
from harness.reset import NO_SNAPSHOT, import_snapshot


def create(ecs, params=None, **more):
    return ecs.call("CreateDisk", params, **({"ZoneId": ZONE} | more))["DiskId"]


def refused(ecs, status, code, params=None, **more):
    ecs.refused(status, code, "CreateDisk", params, **({"ZoneId": ZONE} | more))


def test_an_empty_disk(shared):
    disk = create(
        shared,
        {"Tag.1.Key": "use", "Tag.1.Value": "test"},
        Size=40,
        DiskCategory="cloud_essd",
        DiskName="a-name",
        Description="for the test",
    )
    assert re.fullmatch(r"d-[a-z0-9]{20}", disk)
    shown = shared.await_disk(disk, "Available")
    expected = {
        "DiskId": disk,
        "SerialNumber": disk.removeprefix("d-"),
        "Size": 40,
        "Category": "cloud_essd",
        "PerformanceLevel": "PL1",
        "Type": "data",
        "DiskName": "a-name",
        "Description": "for the test",
        "RegionId": REGION,
        "ZoneId": ZONE,
        "DiskChargeType": "PostPaid",
        "InstanceId": "",
        "Device": "",
        "SourceSnapshotId": "",
        "Encrypted": False,
        "Portable": True,
        "DeleteWithInstance": False,
        "DeleteAutoSnapshot": True,
        "MultiAttach": "Disabled",
        "Attachments": {"Attachment": []},
        "OperationLocks": {"OperationLock": []},
        "Tags": {"Tag": [{"TagKey": "use", "TagValue": "test"}]},
    }
    assert {name: shown.get(name) for name in expected} == expected
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["CreationTime"])


def test_it_reads_zero_and_has_its_size(shared):
    instance, disk = shared.machine(2)
    assert blocks.size_of(shared.server, disk) == 2 * GIB
    assert blocks.read(shared.server, disk, 0, blocks.MIB) == bytes(blocks.MIB)
    assert blocks.read(shared.server, disk, 2 * GIB - 4096, 4096) == bytes(4096)


@pytest.mark.parametrize(
    ("category", "level", "smallest", "largest"),
    [
        ("cloud", None, 5, 2000),
        ("cloud_efficiency", None, 20, 32768),
        ("cloud_ssd", None, 20, 32768),
        ("cloud_essd", "PL0", 1, 65536),
        ("cloud_essd", "PL1", 20, 65536),
        ("cloud_essd", "PL2", 461, 65536),
        ("cloud_essd", "PL3", 1261, 65536),
        ("cloud_auto", None, 1, 65536),
        ("cloud_essd_entry", None, 10, 32768),
    ],
)
def test_sizes_of_each_category(shared, category, level, smallest, largest):
    given = {"DiskCategory": category, "PerformanceLevel": level}
    for size in (smallest, largest):
        disk = create(shared, given, Size=size)
        assert shared.await_disk(disk, "Available")["Size"] == size
        shared.call("DeleteDisk", DiskId=disk)
    for size in (smallest - 1, largest + 1):
        answer = shared.ask("CreateDisk", given, ZoneId=ZONE, Size=size)
        assert answer.status in (400, 403), (category, level, size, answer.body)
        check_documented("CreateDisk", answer)


def test_essd_below_its_levels_size(shared):
    code = "OperationDenied.PerformanceLevelNotMatch"
    refused(shared, 403, code, Size=1, DiskCategory="cloud_essd")
    refused(shared, 403, code, Size=460, DiskCategory="cloud_essd", PerformanceLevel="PL2")


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "ten", "99999999999999999999"])
def test_a_size_that_is_none(shared, size):
    answer = shared.ask("CreateDisk", ZoneId=ZONE, Size=size, DiskCategory="cloud_essd")
    assert answer.status in (400, 403), answer.body
    check_documented("CreateDisk", answer)


def test_neither_size_nor_snapshot(shared):
    message = 'The input parameter either "SnapshotId" or "Size" should be specified.'
    refused(shared, 400, "MissingParameter", message=message)


def test_words_that_are_none(shared):
    refused(shared, 400, "InvalidDiskCategory.ValueNotSupported", Size=20, DiskCategory="tape")
    refused(
        shared,
        400,
        "InvalidPerformanceLevel.Malformed",
        Size=20,
        DiskCategory="cloud_essd",
        PerformanceLevel="PL9",
    )
    refused(shared, 404, "InvalidZoneId.NotFound", Size=20, ZoneId="cn-hangzhou-z")
    refused(shared, 404, "InvalidRegionId.NotFound", Size=20, RegionId="cn-nowhere")
    for name in ("x", "1abc", "http://x", "https://x", "a" * 129):
        refused(shared, 400, "InvalidDiskName.Malformed", Size=20, DiskName=name)
    for text in ("x", "http://x", "a" * 257):
        answer = shared.ask("CreateDisk", ZoneId=ZONE, Size=20, Description=text)
        assert answer.tree["Code"] == "InvalidDescription.Malformed", answer.body


def test_both_zone_and_instance(shared):
    instance = shared.run_instance()
    code = "InvalidParam.ZoneIdAndInstanceId.Conflict"
    refused(shared, 403, code, Size=20, InstanceId=instance)


def test_the_other_zone(shared):
    disk = create(shared, Size=20, ZoneId=OTHER_ZONE, DiskCategory="cloud_efficiency")
    assert shared.await_disk(disk, "Available")["ZoneId"] == OTHER_ZONE


def test_from_a_snapshot(shared):
    instance, disk = shared.machine(2)
    data = blocks.noise("source", blocks.MIB)
    blocks.write(shared.server, disk, GIB, data)
    snapshot = shared.create_snapshot(disk)
    copy = shared.create_disk(None, SnapshotId=snapshot)
    shown = shared.disk(copy)
    assert (shown["Size"], shown["SourceSnapshotId"]) == (2, snapshot)
    larger = shared.create_disk(3, SnapshotId=snapshot)
    assert shared.disk(larger)["Size"] == 3
    for made, size in ((copy, 2), (larger, 3)):
        shared.attach(made, instance)
        assert blocks.size_of(shared.server, made) == size * GIB
        assert blocks.read(shared.server, made, GIB, len(data)) == data
    assert blocks.read(shared.server, larger, 2 * GIB, 4096) == bytes(4096)


def test_a_snapshot_that_will_not_do(shared):
    disk = shared.create_disk()
    refused(shared, 404, "InvalidSnapshotId.NotFound", SnapshotId=NO_SNAPSHOT)
    with held_open(shared, disk) as progressing:
        refused(shared, 403, "InvalidSnapshotId.NotReady", SnapshotId=progressing)
    old = import_snapshot(shared, disk, created_at="2013-07-14T00:00:00Z")
    refused(shared, 403, "InvalidSnapshot.TooOld", SnapshotId=old)


def test_smaller_than_the_snapshot_gets_its_size(shared):
    """The documentation: a snapshot larger than Size gives the disk the snapshot's size."""
    _, disk = shared.machine(3)
    snapshot = shared.create_snapshot(disk)
    made = shared.create_disk(1, SnapshotId=snapshot)
    assert shared.disk(made)["Size"] == 3


def test_a_client_token_makes_one_disk(shared):
    given = {"Size": 20, "DiskCategory": "cloud_essd", "ClientToken": "token-one"}
    first = create(shared, given)
    assert create(shared, given) == first
    refused(shared, 400, "IdempotentParameterMismatch", given | {"Size": 21})
    assert create(shared, given | {"ClientToken": "token-two"}) != first


def test_a_client_token_used_at_once_makes_one_disk(shared):
    given = {"Size": 20, "ZoneId": ZONE, "ClientToken": "token-at-once"}
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(shared.ask, "CreateDisk", given) for _ in range(40)]
        answers = [each.result() for each in asked]
    made = {answer.tree["DiskId"] for answer in answers if answer.status == 200}
    assert len(made) == 1
    codes = {answer.tree["Code"] for answer in answers if answer.status != 200}
    assert codes <= {"LastTokenProcessing", "IdempotentProcessing"}


@pytest.mark.parametrize(
    ("code", "tags"),
    [
        ("Duplicate.TagKey", {"Tag.1.Key": "a", "Tag.2.Key": "a"}),
        ("InvalidTagKey.Malformed", {"Tag.1.Key": "k" * 129}),
        ("InvalidTagKey.Malformed", {"Tag.1.Key": "acs:k"}),
        ("InvalidTagKey.Malformed", {"Tag.1.Key": "aliyunk"}),
        ("InvalidTagValue.Malformed", {"Tag.1.Key": "k", "Tag.1.Value": "v" * 129}),
    ],
)
def test_tags_that_will_not_do(shared, code, tags):
    refused(shared, 400, code, tags, Size=20)


def test_a_refused_disk_is_not_there(shared):
    before = shared.call("DescribeDisks")["TotalCount"]
    refused(shared, 400, "InvalidDiskName.Malformed", Size=20, DiskName="1")
    assert shared.call("DescribeDisks")["TotalCount"] == before
