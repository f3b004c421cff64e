"""Snapshot groups: several disks at one instant."""

import threading

import pytest

from harness import blocks
from harness.ecs import OTHER_ZONE
from harness.reset import NO_DISK, local_disk

NO_GROUP = "ssg-bp1nosuchgroup00000"
NO_INSTANCE = "i-bp1nosuchinstance000"


def create(ecs, params=None, **more) -> str:
    return ecs.call("CreateSnapshotGroup", params, **more)["SnapshotGroupId"]


def numbered(name, values) -> dict:
    return {f"{name}.{n}": value for n, value in enumerate(values, 1)}


def groups(ecs, params=None, **more) -> list[dict]:
    return ecs.call("DescribeSnapshotGroups", params, **more)["SnapshotGroups"]["SnapshotGroup"]


def group(ecs, id_) -> dict | None:
    found = groups(ecs, {"SnapshotGroupId.1": id_})
    return found[0] if found else None


def members(ecs, id_) -> dict:
    """{disk: snapshot}"""
    found = group(ecs, id_)["Snapshots"]["Snapshot"]
    return {each["SourceDiskId"]: each["SnapshotId"] for each in found}


def refused(ecs, status, code, params=None, **more):
    ecs.refused(status, code, "CreateSnapshotGroup", params, **more)


@pytest.fixture
def machine(shared):
    """An instance, and two data disks that it has."""
    instance, first = shared.machine()
    second = shared.create_disk()
    shared.attach(second, instance)
    return instance, first, second


def test_a_group_of_named_disks(shared, machine):
    _, first, second = machine
    id_ = create(shared, numbered("DiskId", [first, second]), Name="both", Description="of two")
    found = group(shared, id_)
    assert (found["Name"], found["Description"]) == ("both", "of two")
    assert (found["Status"], found["InstanceId"]) == ("accomplished", "")
    assert "ProgressStatus" not in found
    assert set(members(shared, id_)) == {first, second}
    for disk, snapshot in members(shared, id_).items():
        shown = shared.snapshot(snapshot)
        assert (shown["SourceDiskId"], shown["Status"]) == (disk, "accomplished")
        assert shown["CreationTime"] == found["CreationTime"]
        assert shown["SnapshotName"] == f"Created_from_{id_}"


def test_a_group_of_an_instance(shared, machine):
    instance, first, second = machine
    [system] = shared.disks(InstanceId=instance, DiskType="system")
    whole = create(shared, InstanceId=instance)
    assert set(members(shared, whole)) == {first, second, system["DiskId"]}
    assert group(shared, whole)["InstanceId"] == instance
    some = create(shared, {"DiskId.1": first}, InstanceId=instance)
    assert set(members(shared, some)) == {first}
    rest = create(shared, {"ExcludeDiskId.1": first}, InstanceId=instance)
    assert set(members(shared, rest)) == {second, system["DiskId"]}


def test_one_instant_under_writes(shared, machine):
    """A counter goes to one disk and then to the other: in no group is the second ahead, or the
    first by more than one."""
    instance, first, second = machine
    done = threading.Event()

    def count():
        with (
            blocks.export(shared.server, first) as one,
            blocks.export(shared.server, second) as two,
        ):
            number = 0
            while not done.is_set():
                number += 1
                for handle in (one, two):
                    handle.pwrite(number.to_bytes(4096, "big"), 0)

    writer = threading.Thread(target=count)
    writer.start()
    try:
        taken = [create(shared, numbered("DiskId", [first, second])) for _ in range(20)]
    finally:
        done.set()
        writer.join()
    shared.stop_instance(instance)
    seen = []
    for id_ in taken:
        snapshots = members(shared, id_)
        for disk in (first, second):
            shared.reset(disk, snapshots[disk])
        shared.start_instance(instance)
        one, two = (
            int.from_bytes(blocks.read(shared.server, disk, 0, 4096), "big")
            for disk in (first, second)
        )
        assert one - two in (0, 1), (one, two)
        seen.append(one)
        shared.stop_instance(instance)
    assert seen == sorted(seen)
    assert len(set(seen)) > 1, "nothing was written meanwhile"


def test_a_group_goes_with_its_snapshots(shared, machine):
    _, first, second = machine
    id_ = create(shared, numbered("DiskId", [first, second]))
    snapshots = members(shared, id_)
    reply = shared.call("DeleteSnapshotGroup", SnapshotGroupId=id_)
    told = reply["OperationProgressSet"]["OperationProgress"]
    assert {each["OperationStatus"] for each in told} == {"Success"}
    items = [each["RelatedItemSet"]["RelatedItem"] for each in told]
    assert sorted(items, key=str) == sorted(
        ([{"Name": "SnapshotId", "Value": each}] for each in snapshots.values()), key=str
    )
    assert group(shared, id_) is None
    assert all(shared.snapshot(each) is None for each in snapshots.values())


def test_all_of_a_group_goes_or_nothing(shared, machine):
    _, first, second = machine
    id_ = create(shared, numbered("DiskId", [first, second]))
    snapshots = members(shared, id_)
    copy = shared.create_disk(SnapshotId=snapshots[second])
    shared.refused(403, "SnapshotCreatedDisk", "DeleteSnapshotGroup", SnapshotGroupId=id_)
    assert members(shared, id_) == snapshots
    shared.call("DeleteDisk", DiskId=copy)
    lock = {"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 1}
    shared.call("LockSnapshot", SnapshotId=snapshots[first], **lock)
    shared.refused(403, "Operation.Forbidden", "DeleteSnapshotGroup", SnapshotGroupId=id_)
    assert members(shared, id_) == snapshots
    shared.call("UnlockSnapshot", SnapshotId=snapshots[first])
    shared.call("DeleteSnapshotGroup", SnapshotGroupId=id_)


def test_one_snapshot_of_a_group_goes(shared, machine):
    _, first, second = machine
    id_ = create(shared, numbered("DiskId", [first, second]))
    snapshots = members(shared, id_)
    shared.call("DeleteSnapshot", SnapshotId=snapshots.pop(first))
    assert members(shared, id_) == snapshots
    shared.call("DeleteSnapshotGroup", SnapshotGroupId=id_)


def test_modify(shared, machine):
    _, first, _ = machine
    id_ = create(shared, {"DiskId.1": first}, Name="before", Description="as it was")
    shared.call("ModifySnapshotGroup", SnapshotGroupId=id_, Name="after")
    assert group(shared, id_)["Name"] == "after"
    assert group(shared, id_)["Description"] == "as it was"
    shared.call("ModifySnapshotGroup", {"SnapshotGroupId": id_, "Description": ""})
    assert group(shared, id_)["Description"] == ""

    def no(status, code, **more):
        given = {"SnapshotGroupId": id_} | more
        shared.refused(status, code, "ModifySnapshotGroup", given)

    no(400, "InvalidParameter.Name", Name="1")
    no(400, "InvalidParameter.Description", Description="http://x")
    no(404, "InvalidSnapshotGroup.NotFound", SnapshotGroupId=NO_GROUP, Name="name")
    no(404, "InvalidRegionId.NotFound", RegionId="nowhere")
    assert group(shared, id_)["Name"] == "after"


def test_the_list(ecs):
    instance, disk = ecs.machine()
    tagged = {"Tag.1.Key": "k", "Tag.1.Value": "v"}
    plain = create(ecs, {"DiskId.1": disk})
    named = create(ecs, tagged, InstanceId=instance, Name="named-group", ResourceGroupId="rg-1")
    assert [each["SnapshotGroupId"] for each in groups(ecs)] in ([named, plain], [plain, named])
    for found in (
        groups(ecs, InstanceId=instance),
        groups(ecs, Name="named*"),
        groups(ecs, tagged),
        groups(ecs, ResourceGroupId="rg-1"),
        groups(ecs, {"SnapshotGroupId.1": named, "SnapshotGroupId.2": NO_GROUP}),
    ):
        assert [each["SnapshotGroupId"] for each in found] == [named]
    assert group(ecs, named)["Tags"]["Tag"] == [{"Key": "k", "Value": "v"}]
    assert len(groups(ecs, {"Status.1": "accomplished", "Status.2": "failed"})) == 2
    assert groups(ecs, {"Status.1": "progressing"}) == []
    first = ecs.call("DescribeSnapshotGroups", MaxResults=1)
    second = ecs.call("DescribeSnapshotGroups", MaxResults=1, NextToken=first["NextToken"])
    assert second["NextToken"] == ""
    both = [each["SnapshotGroups"]["SnapshotGroup"][0] for each in (first, second)]
    assert {each["SnapshotGroupId"] for each in both} == {named, plain}
    asked = {"AdditionalAttributes.1": "SNAPSHOT_GROUP_PROGRESS_STATUS"}
    [shown] = groups(ecs, asked | {"SnapshotGroupId.1": named})
    assert shown["ProgressStatus"] == "accomplished"

    def no(status, code, params):
        ecs.refused(status, code, "DescribeSnapshotGroups", params)

    no(403, "InvalidSnapshotGroupId.MustBeOne", asked)
    no(403, "InvalidStatus.ValueNotSupported", {"Status.1": "lost"})
    no(404, "InvalidRegionId.NotFound", {"RegionId": "nowhere"})
    no(400, "InvalidParameter", numbered("SnapshotGroupId", [NO_GROUP] * 11))


def test_the_same_request_again(shared, machine):
    _, first, second = machine
    given = {"DiskId.1": first, "ClientToken": "group-1"}
    assert create(shared, given) == create(shared, given)
    refused(shared, 403, "IdempotentParameterMismatch", given | {"DiskId.1": second})


def test_create_refuses(shared, machine):
    instance, first, second = machine
    refused(shared, 400, "MissingParamter.InstanceId")
    refused(shared, 404, "InvalidRegionId.NotFound", {"DiskId.1": first}, RegionId="nowhere")
    refused(shared, 404, "InvalidInstanceId.NotFound", InstanceId=NO_INSTANCE)
    refused(shared, 404, "InvalidDiskId.NotFound", {"DiskId.1": NO_DISK})
    refused(shared, 404, "InvalidDiskId.NotFound", {"DiskId.1": NO_DISK}, InstanceId=instance)
    both = {"DiskId.1": first, "ExcludeDiskId.1": second}
    code = "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict"
    refused(shared, 400, code, both, InstanceId=instance)
    everything = numbered(
        "ExcludeDiskId", [each["DiskId"] for each in shared.disks(InstanceId=instance)]
    )
    refused(shared, 403, "InvalidInstance.NoDisk", everything, InstanceId=instance)
    refused(shared, 400, "InvalidParameter.Name", {"DiskId.1": first}, Name="auto-x")
    refused(shared, 400, "InvalidParameter.Description", {"DiskId.1": first}, Description="x")
    _, local = local_disk(shared, "local_ssd_pro")
    refused(shared, 403, "IncorrectDiskType.NotSupport", numbered("DiskId", [first, local]))
    fresh = shared.create_disk()
    refused(shared, 403, "IncorrectDiskStatus.NeverAttached", numbered("DiskId", [first, fresh]))
    elsewhere = shared.create_disk(ZoneId=OTHER_ZONE)
    refused(shared, 400, "InvalidDiskIds.NotInSameZone", numbered("DiskId", [first, elsewhere]))
    many = [shared.create_disk() for _ in range(16)]
    refused(shared, 403, "NumberExceed.TooManyDisks", numbered("DiskId", [first, *many]))
    large = shared.create_disk(32 * 1024)
    refused(shared, 403, "CapacityExceed.TooManyDisks", numbered("DiskId", [first, large]))
    several = shared.create_disk(MultiAttach="Enabled")
    refused(shared, 403, "InvalidOperation.MultiAttachDisk", numbered("DiskId", [first, several]))
    # Nothing is left of any of them.
    assert shared.snapshots(DiskId=first) == []
    shared.refused(
        404, "InvalidSnapshotGroup.NotFound", "DeleteSnapshotGroup", SnapshotGroupId=NO_GROUP
    )


def test_after_a_restart(ecs):
    instance, disk = ecs.machine()
    id_ = create(ecs, InstanceId=instance)
    before = group(ecs, id_)
    ecs.server.kill()
    ecs.server.start()
    assert group(ecs, id_) == before
