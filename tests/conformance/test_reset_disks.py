"""ResetDisks: several disks, all of them or none."""

import pytest

from harness import blocks
from harness.imports import held_open
from harness.reset import NO_DISK, NO_SNAPSHOT


@pytest.fixture
def pairs(shared):
    """Three disks of a Stopped instance, each with a snapshot of `1`, and `2` on it."""
    instance = shared.run_instance()
    made = []
    for _ in range(3):
        disk = shared.create_disk()
        shared.attach(disk, instance)
        blocks.write(shared.server, disk, 0, b"1" * 4096)
        snapshot = shared.create_snapshot(disk)
        blocks.write(shared.server, disk, 0, b"2" * 4096)
        made.append((disk, snapshot))
    shared.stop_instance(instance)
    return instance, made


def given(pairs, **more):
    params = dict(more)
    for number, (disk, snapshot) in enumerate(pairs, 1):
        params |= {f"Disk.{number}.DiskId": disk, f"Disk.{number}.SnapshotId": snapshot}
    return params


def reset(ecs, pairs) -> list:
    """What became of each."""
    reply = ecs.call("ResetDisks", given(pairs))
    found = []
    for each in reply["OperationProgressSet"]["OperationProgress"]:
        items = {item["Name"]: item["Value"] for item in each["RelatedItemSet"]["RelatedItem"]}
        found.append((items["DiskId"], items["SnapshotId"], each))
    assert [(disk, snapshot) for disk, snapshot, _ in found] == list(pairs)
    return [each for _, _, each in found]


def contents(ecs, instance, pairs) -> set:
    ecs.start_instance(instance)
    return {blocks.read(ecs.server, disk, 0, 4096) for disk, _ in pairs}


def test_all(shared, pairs):
    instance, made = pairs
    done = reset(shared, made)
    assert [each["OperationStatus"] for each in done] == ["Success"] * 3
    assert {each["ErrorCode"] for each in done} == {""}
    assert contents(shared, instance, made) == {b"1" * 4096}


def test_none_where_one_is_refused(shared, pairs):
    instance, made = pairs
    (first, of_first), second, (third, _) = made
    wrong = [(first, of_first), (NO_DISK, of_first), (third, of_first)]
    done = reset(shared, wrong)
    assert [each["OperationStatus"] for each in done] == ["Failed"] * 3
    codes = ["", "InvalidDiskId.NotFound", "InvalidParameter.Mismatch"]
    assert [each["ErrorCode"] for each in done] == codes
    assert "another disk" in done[0]["ErrorMsg"]
    assert {shared.disk(disk)["Status"] for disk, _ in made} == {"In_use"}
    assert contents(shared, instance, made) == {b"2" * 4096}
    done = reset(shared, [second])
    assert done[0]["ErrorCode"] == "IncorrectInstanceStatus"


def test_a_disk_twice(shared, pairs):
    instance, made = pairs
    done = reset(shared, [made[0], made[1], made[0]])
    assert [each["ErrorCode"] for each in done][:2] == ["", ""]
    assert done[2]["ErrorCode"] in {"Operation.Conflict", "IncorrectDiskStatus"}
    assert contents(shared, instance, made) == {b"2" * 4096}


def test_while_a_snapshot_is_taken(shared, pairs):
    _, made = pairs
    with held_open(shared, made[1][0]):
        codes = [each["ErrorCode"] for each in reset(shared, made)]
    assert codes == ["", "IncorrectDiskStatus.HasUnfinishedSnapshot", ""]
    assert reset(shared, made)[1]["OperationStatus"] == "Success"


def test_a_dry_run_changes_nothing(shared, pairs):
    instance, made = pairs
    shared.refused(400, "DryRunOperation", "ResetDisks", given(made, DryRun=True))
    wrong = [made[0], (made[1][0], NO_SNAPSHOT)]
    reply = shared.call("ResetDisks", given(wrong, DryRun=True))
    (first, second) = reply["OperationProgressSet"]["OperationProgress"]
    assert (first["ErrorCode"], second["ErrorCode"]) == ("", "InvalidSnapshotId.NotFound")
    assert contents(shared, instance, made) == {b"2" * 4096}


def test_disks_of_several_instances(shared):
    disk, instance = shared.create_disk(MultiAttach="Enabled"), shared.run_instance()
    shared.attach(disk, instance)
    snapshot = shared.create_snapshot(disk)
    shared.stop_instance(instance)
    assert reset(shared, [(disk, snapshot)])[0]["ErrorCode"] == "InvalidOperation.MultiAttachDisk"
    assert shared.disk(disk)["Status"] == "In_use"


def test_what_is_no_set(shared, pairs):
    _, made = pairs
    shared.refused(400, "MissingParameter", "ResetDisks")
    shared.refused(400, "MissingParameter", "ResetDisks", {"Disk.1.DiskId": made[0][0]})
    shared.refused(400, "InvalidParameter", "ResetDisks", given([made[0]] * 17))
    params = given(made, RegionId="nowhere")
    shared.refused(404, "InvalidRegionId.NotFound", "ResetDisks", params)
