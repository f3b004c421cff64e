"""Many clients at once on the same things: one wins, the others are told so, nothing breaks."""

import collections
import random
import threading
import time

import pytest

from harness import blocks, stamps
from harness.crash import assert_settled, seeded

CLIENTS = 200

# What the operations document for calls that come at a wrong time.
LOST = {
    "ResetDisk": {
        "IncorrectDiskStatus",
        "IncorrectDiskStatus.HasUnfinishedSnapshot",
        "IncorrectInstanceStatus",
        "InvalidSnapshotId.NotFound",
        "InvalidSnapshotId.NotReady",
        "Operation.Conflict",
    },
    "CreateSnapshot": {
        "DISK_HAS_CREATING_SNAPSHOT",
        "IncorrectDiskStatus",
        "IncorrectDiskStatus.CreatingSnapshot",
        "IncorrectInstanceStatus",
        "QuotaExceed.Snapshot",
    },
    "AttachDisk": {"IncorrectDiskStatus", "IncorrectInstanceStatus", "InvalidDisk.InUse"},
    "DetachDisk": {
        "DependencyViolation",
        "IncorrectDiskStatus",
        "IncorrectInstanceStatus",
        "InvalidDisk.AlreadyDetached",
    },
    "DeleteSnapshot": {"InvalidSnapshotId.NotFound", "Operation.Conflict"},
    "DeleteDisk": {
        "DiskCreatingSnapshot",
        "IncorrectDiskStatus",
        "IncorrectDiskStatus.Initializing",
        "InvalidDiskId.NotFound",
    },
}


def at_once(calls) -> list:
    """Makes all calls at the same moment, each in a thread; gives what each gave."""
    calls = list(calls)
    barrier = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def work(n):
        barrier.wait(30)
        results[n] = calls[n]()

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
        assert not thread.is_alive(), "a call is not answered within a minute"
    assert None not in results, "a client failed; its traceback is in the output"
    return results


def codes(action, answers) -> collections.Counter:
    """How the calls ended; any code that does not belong fails."""
    counted = collections.Counter()
    for answer in answers:
        code = "" if answer.status == 200 else answer.tree["Code"]
        assert code == "" or code in LOST[action], f"{action}: {answer.status} {answer.body}"
        counted[code] += 1
    print(action, dict(counted))
    return counted


def test_two_hundred_clients_on_one_disk(server, ecs):
    """Resets, snapshots, attachments and detachments, for as long as it takes to make them all."""
    rng = seeded()
    instance, disk = ecs.machine()
    snapshots = []
    for turn in (1, 2):
        data = b"".join(stamps.stamped(place, turn) for place in range(64))
        blocks.write(server, disk, 0, data)
        snapshots.append(ecs.create_snapshot(disk))
    ecs.stop_instance(instance)
    choices = [
        ("ResetDisk", {"DiskId": disk, "SnapshotId": snapshots[0]}),
        ("ResetDisk", {"DiskId": disk, "SnapshotId": snapshots[1]}),
        ("CreateSnapshot", {"DiskId": disk}),
        ("AttachDisk", {"DiskId": disk, "InstanceId": instance}),
        ("DetachDisk", {"DiskId": disk, "InstanceId": instance}),
    ]
    seeds = [rng.randrange(1 << 32) for _ in range(CLIENTS)]

    def client(seed):
        own = random.Random(seed)
        made = []
        for _ in range(5):
            action, params = own.choice(choices)
            made.append((action, ecs.ask(action, params)))
        return made

    made = at_once(lambda seed=seed: client(seed) for seed in seeds)
    for action in LOST:
        codes(action, [answer for each in made for name, answer in each if name == action])
    assert_settled(ecs)

    shown = ecs.disk(disk)
    if shown["Status"] == "Available":
        assert shown["InstanceId"] == ""
        ecs.attach(disk, instance)
    ecs.start_instance(instance)
    data = blocks.read(server, disk, 0, 64 * stamps.BLOCK)
    turns = {
        stamps.turn_of(place, data[place * stamps.BLOCK : (place + 1) * stamps.BLOCK])
        for place in range(64)
    }
    assert len(turns) == 1 and turns <= {1, 2}
    ecs.stop_instance(instance)
    for snapshot, turn in zip(snapshots, (1, 2), strict=True):
        ecs.reset(disk, snapshot)
        ecs.start_instance(instance)
        assert stamps.turn_of(0, blocks.read(server, disk, 0, stamps.BLOCK)) == turn
        ecs.stop_instance(instance)


def test_one_attach_wins(ecs):
    first, second = ecs.run_instances(Amount=2)
    for _ in range(5):
        disk = ecs.create_disk()
        calls = [
            lambda to=to, disk=disk: ecs.ask("AttachDisk", DiskId=disk, InstanceId=to)
            for to in (first, second) * 25
        ]
        answers = at_once(calls)
        assert codes("AttachDisk", answers)[""] == 1
        (won,) = [n for n, answer in enumerate(answers) if answer.status == 200]
        assert ecs.await_disk(disk, "In_use")["InstanceId"] == (first, second)[won % 2]
        ecs.detach(disk, (first, second)[won % 2])


@pytest.mark.parametrize("action", ["DetachDisk", "DeleteDisk", "DeleteSnapshot"])
def test_what_goes_goes_once(ecs, action):
    instance = ecs.run_instance()
    for _ in range(5):
        disk = ecs.create_disk()
        if action != "DeleteDisk":
            ecs.attach(disk, instance)
        params = {"DiskId": disk}
        if action == "DetachDisk":
            params["InstanceId"] = instance
        elif action == "DeleteSnapshot":
            params = {"SnapshotId": ecs.create_snapshot(disk)}
        answers = at_once([lambda params=params: ecs.ask(action, params)] * 50)
        assert codes(action, answers)[""] == 1
        assert_settled(ecs)
        if action == "DeleteSnapshot":
            ecs.detach(disk, instance)


def test_a_snapshot_is_deleted_or_restored_but_not_half_of_both(server, ecs):
    """Whichever comes first; if the reset was answered, the disk reads as the snapshot."""
    instance, disk = ecs.machine()
    for turn in range(1, 16):
        blocks.write(server, disk, 0, stamps.stamped(0, 2 * turn))
        snapshot = ecs.create_snapshot(disk)
        blocks.write(server, disk, 0, stamps.stamped(0, 2 * turn + 1))
        ecs.stop_instance(instance)
        reset, deleted = at_once(
            [
                lambda s=snapshot: ecs.ask("ResetDisk", DiskId=disk, SnapshotId=s),
                lambda s=snapshot: ecs.ask("DeleteSnapshot", SnapshotId=s),
            ]
        )
        codes("ResetDisk", [reset])
        codes("DeleteSnapshot", [deleted])
        assert 200 in (reset.status, deleted.status)
        assert_settled(ecs)
        ecs.start_instance(instance)
        found = stamps.turn_of(0, blocks.read(server, disk, 0, stamps.BLOCK))
        assert found == (2 * turn if reset.status == 200 else 2 * turn + 1)
        assert (ecs.snapshot(snapshot) is None) == (deleted.status == 200)


def test_writes_go_on_while_snapshots_are_taken(server, ecs):
    """A snapshot is one instant: of two blocks always written in order, never the second alone."""
    instance, disk = ecs.machine()
    over = threading.Event()
    failures = []

    def write():
        try:
            with blocks.export(server, disk) as handle:
                turn = 0
                while not over.is_set():
                    turn += 1
                    handle.pwrite(stamps.stamped(0, turn), 0)
                    handle.pwrite(stamps.stamped(1, turn), stamps.BLOCK)
        except Exception as error:
            failures.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    snapshots = [ecs.create_snapshot(disk) for _ in range(20)]
    over.set()
    writer.join(10)
    assert not failures, failures[0]
    seen = set()
    for snapshot in snapshots:
        copy = ecs.create_disk(SnapshotId=snapshot)
        ecs.attach(copy, instance)
        data = blocks.read(server, copy, 0, 2 * stamps.BLOCK)
        first = stamps.turn_of(0, data[: stamps.BLOCK])
        second = stamps.turn_of(1, data[stamps.BLOCK :])
        assert first - second in (0, 1)
        seen.add(first)
        ecs.detach(copy, instance)
    assert len(seen) > 5, "the writer hardly wrote: the test tests nothing"
