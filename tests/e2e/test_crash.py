"""kill -9 in the middle of things: what was answered is true, and nothing is stuck.

Each test kills its server `KILLS` times, and goes on with the same data directory each time.
"""

import dataclasses

import pytest

from harness import blocks, stamps
from harness.crash import KILLS, Caller, assert_settled, kill_during, seeded
from harness.ecs import Refused
from harness.waiting import until

pytestmark = pytest.mark.timeout(400)

PLACES = range(0, 512)


@dataclasses.dataclass
class Told:
    """What a client knows: the last answer it had, and the question without one."""

    answered: object = None
    asked: object = None


def test_during_writes(server, ecs):
    """Flushed writes stay; no block is torn or older than its last flush."""
    rng = seeded()
    _, disk = ecs.machine()
    flushed, sent = {}, {}
    for _ in range(KILLS):
        half = len(PLACES) // 2
        writers = [
            stamps.Writer(server, disk, rng, first, half, flushed, sent) for first in (0, half)
        ]
        kill_during(server, writers, rng)
        stamps.check(server, disk, PLACES, flushed, sent)
    assert sum(flushed.values()) > KILLS, "hardly a write was flushed: the test tests nothing"
    assert_settled(ecs)


def test_during_create_snapshot(server, ecs):
    """An answered snapshot is there and holds what was flushed before the call."""
    rng = seeded()
    instance, disk = ecs.machine()
    taken, turn = {}, 0

    def step(ecs):
        nonlocal turn
        turn += 1
        blocks.write(server, disk, 0, stamps.stamped(0, turn))
        snapshot = ecs.call("CreateSnapshot", DiskId=disk)["SnapshotId"]
        taken[snapshot] = turn

    for _ in range(KILLS):
        caller = Caller(server, ignoring_nbd(step))
        kill_during(server, [caller], rng, longest_seconds=0.15)
        assert_settled(ecs)
        shown = {each["SnapshotId"]: each for each in ecs.all_snapshots(DiskId=disk)}
        for snapshot in taken:
            assert shown[snapshot]["Status"] == "accomplished", shown[snapshot]
        if taken and rng.random() < 0.4:
            check_snapshot(ecs, instance, *rng.choice(list(taken.items())))
        for snapshot in list(shown)[20:]:
            ecs.call("DeleteSnapshot", SnapshotId=snapshot)
            taken.pop(snapshot, None)
    assert turn > KILLS, "hardly a snapshot was taken: the test tests nothing"


def check_snapshot(ecs, instance, snapshot, turn):
    copy = ecs.create_disk(SnapshotId=snapshot)
    ecs.attach(copy, instance)
    block = blocks.read(ecs.server, copy, 0, stamps.BLOCK)
    assert stamps.turn_of(0, block) == turn
    ecs.detach(copy, instance)
    ecs.call("DeleteDisk", DiskId=copy)
    until(lambda: ecs.snapshot(snapshot)["Usage"] == "none", "the copy no longer uses it")


def ignoring_nbd(step):
    """A disk's connection that dies is the server that died."""

    def wrapped(ecs):
        try:
            step(ecs)
        except blocks.nbd.Error as error:
            raise ConnectionError(str(error)) from error

    return wrapped


def test_during_reset_disk(server, ecs):
    """The disk is one snapshot or the other, whole: the last one answered, or the one asked for."""
    rng = seeded()
    instance, disk = ecs.machine()
    snapshots = {}
    for turn in range(1, 5):
        data = b"".join(stamps.stamped(place, turn) for place in PLACES)
        blocks.write(server, disk, 0, data)
        snapshots[ecs.create_snapshot(disk)] = turn
    told = Told(answered=4)

    def step(ecs):
        snapshot, turn = rng.choice(list(snapshots.items()))
        told.asked = turn
        try:
            ecs.call("ResetDisk", DiskId=disk, SnapshotId=snapshot)
        except Refused:
            told.asked = told.answered
            raise
        told.answered = turn

    resets = 0
    for _ in range(KILLS):
        ecs.stop_instance(instance)
        before = told.answered
        kill_during(server, [Caller(server, step)], rng)
        resets += told.answered != before
        assert_settled(ecs)
        ecs.start_instance(instance)
        data = blocks.read(server, disk, 0, len(PLACES) * stamps.BLOCK)
        turns = {
            stamps.turn_of(place, data[place * stamps.BLOCK : (place + 1) * stamps.BLOCK])
            for place in PLACES
        }
        assert len(turns) == 1, f"the disk is a mixture of snapshots: {turns}"
        (turn,) = turns
        assert turn in (told.answered, told.asked), f"{turn}: answered {told.answered}"
        told.answered = told.asked = turn
    shown = ecs.snapshots(DiskId=disk)
    assert {each["SnapshotId"] for each in shown} == set(snapshots)
    assert resets, "no reset was answered: the test tests nothing"


def test_during_attach_disk(server, ecs):
    """An answered attachment or detachment is true, and the disk is served accordingly."""
    rng = seeded()
    instance, disk = ecs.machine()
    blocks.write(server, disk, 0, stamps.stamped(0, 7))
    told = Told(answered="In_use")

    def step(ecs):
        now = ecs.disk(disk)["Status"]
        if now == "In_use":
            told.asked = "Available"
            ecs.call("DetachDisk", DiskId=disk, InstanceId=instance)
        elif now == "Available":
            told.asked = "In_use"
            ecs.call("AttachDisk", DiskId=disk, InstanceId=instance)
        else:
            return
        told.answered = told.asked

    for _ in range(KILLS):
        kill_during(server, [Caller(server, step)], rng)
        assert_settled(ecs)
        shown = ecs.disk(disk)
        assert shown["Status"] in (told.answered, told.asked)
        if told.answered == told.asked:
            assert shown["Status"] == told.answered
        if shown["Status"] == "In_use":
            assert shown["InstanceId"] == instance
            assert stamps.turn_of(0, blocks.read(server, disk, 0, stamps.BLOCK)) == 7
        else:
            assert shown["InstanceId"] == ""
            blocks.is_refused(server, disk)
        told.answered = told.asked = shown["Status"]
