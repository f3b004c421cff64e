"""What ResetDisk does: the bytes go back, everything else stays."""

import pytest

from harness import blocks
from harness.ecs import GIB, ZONE
from harness.reset import import_snapshot


def rewrite(ecs, instance, disk, snapshot):
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)


@pytest.fixture
def machine(ecs):
    return ecs.machine()


def three_snapshots(ecs, disk) -> dict[str, str]:
    """Three snapshots with the fingerprint of each; each differs in place, in length and in a
    part that is zeroed."""
    made = {}
    for turn in range(3):
        blocks.write(ecs.server, disk, turn * 300_000, blocks.noise(turn, 2 * blocks.MIB))
        with blocks.export(ecs.server, disk) as handle:
            handle.zero(64 * 1024, turn * 128 * 1024)
            handle.flush()
        made[ecs.create_snapshot(disk)] = blocks.fingerprint(ecs.server, disk)
    assert len(set(made.values())) == 3
    return made


def test_back_and_forth_among_three_snapshots(ecs, machine):
    """Older and newer ones than the one restored stay, and stay usable."""
    instance, disk = machine
    made = three_snapshots(ecs, disk)
    ids = list(made)
    for at in [0, 2, 1, 0, 1, 2, 2]:
        blocks.write(ecs.server, disk, at * blocks.MIB, blocks.noise(f"ruin {at}", blocks.MIB))
        rewrite(ecs, instance, disk, ids[at])
        assert blocks.fingerprint(ecs.server, disk) == made[ids[at]]
    states = {s["SnapshotId"]: s["Status"] for s in ecs.snapshots(DiskId=disk)}
    assert states == dict.fromkeys(ids, "accomplished")


def test_every_order_of_deletion_leaves_the_others_usable(ecs, machine):
    instance, disk = machine
    for order in [(0, 1, 2), (2, 0, 1), (1, 2, 0)]:
        made = three_snapshots(ecs, disk)
        ids = list(made)
        for gone in order:
            rewrite(ecs, instance, disk, ids[gone])
            assert blocks.fingerprint(ecs.server, disk) == made[ids[gone]], (order, gone)
            ecs.call("DeleteSnapshot", SnapshotId=ids[gone])
            assert blocks.fingerprint(ecs.server, disk) == made[ids[gone]]


def test_snapshots_taken_after_a_reset(ecs, machine):
    """The version tree branches: what came before and after the branch can both be had."""
    instance, disk = machine
    first, second, third = three_snapshots(ecs, disk).items()
    rewrite(ecs, instance, disk, first[0])
    blocks.write(ecs.server, disk, 5 * blocks.MIB, blocks.noise("branch", blocks.MIB))
    branch = ecs.create_snapshot(disk), blocks.fingerprint(ecs.server, disk)
    for snapshot, fingerprint in [third, branch, first, second, branch]:
        rewrite(ecs, instance, disk, snapshot)
        assert blocks.fingerprint(ecs.server, disk) == fingerprint


def test_everything_but_the_bytes_stays(ecs):
    instance, disk = ecs.machine(3, DiskName="kept-name", Description="kept description")
    snapshot = ecs.create_snapshot(disk)
    ecs.call("ModifyDiskAttribute", DiskId=disk, DiskName="newer-name", DeleteWithInstance=True)
    ecs.stop_instance(instance)
    before, snapshots = ecs.disk(disk), ecs.snapshots(DiskId=disk)
    ecs.reset(disk, snapshot)
    assert ecs.disk(disk) == before
    assert before["DiskName"] == "newer-name"
    assert (before["Size"], before["InstanceId"], before["Status"]) == (3, instance, "In_use")
    assert ecs.snapshots(DiskId=disk) == snapshots
    ecs.start_instance(instance)
    assert blocks.size_of(ecs.server, disk) == 3 * GIB


def test_other_disks_of_the_instance_stay(ecs, machine):
    instance, disk = machine
    other = ecs.create_disk()
    ecs.attach(other, instance)
    snapshot = ecs.create_snapshot(disk)
    for target in (disk, other):
        blocks.write(ecs.server, target, 0, blocks.noise(target, blocks.MIB))
    kept = blocks.fingerprint(ecs.server, other)
    rewrite(ecs, instance, disk, snapshot)
    assert blocks.fingerprint(ecs.server, other) == kept
    assert blocks.read(ecs.server, disk, 0, blocks.MIB) == bytes(blocks.MIB)


def test_a_disk_on_no_instance(ecs, machine):
    instance, disk = machine
    blocks.write(ecs.server, disk, 0, b"before" * 1000)
    snapshot = ecs.create_snapshot(disk)
    blocks.write(ecs.server, disk, 0, b"after!" * 1000)
    ecs.detach(disk, instance)
    ecs.reset(disk, snapshot)
    ecs.attach(disk, instance)
    assert blocks.read(ecs.server, disk, 0, 6000) == b"before" * 1000


def test_a_system_disk(ecs, machine):
    instance, _ = machine
    (system,) = ecs.disks(InstanceId=instance, DiskType="system")
    system = system["DiskId"]
    blocks.write(ecs.server, system, 4096, b"the system" * 100)
    snapshot = ecs.create_snapshot(system)
    blocks.write(ecs.server, system, 4096, b"is ruined." * 100)
    rewrite(ecs, instance, system, snapshot)
    assert blocks.read(ecs.server, system, 4096, 1000) == b"the system" * 100


def test_an_imported_snapshot(ecs, machine):
    instance, disk = machine
    image = blocks.noise("image", 3 * blocks.MIB + 512)
    blocks.write(ecs.server, disk, 0, blocks.noise("other", 5 * blocks.MIB))
    snapshot = import_snapshot(ecs, disk, image, name="from-elsewhere")
    rewrite(ecs, instance, disk, snapshot)
    assert blocks.read(ecs.server, disk, 0, len(image)) == image
    assert blocks.read(ecs.server, disk, len(image), 2 * blocks.MIB) == bytes(2 * blocks.MIB)
    assert ecs.disk(disk)["ZoneId"] == ZONE


def test_disks_made_from_a_snapshot_live_on_their_own(ecs, machine):
    """Neither sees the other's writes, and each goes back on its own."""
    instance, disk = machine
    blocks.write(ecs.server, disk, 0, b"common" * 1000)
    snapshot = ecs.create_snapshot(disk)
    child = ecs.create_disk(SnapshotId=snapshot)
    ecs.attach(child, instance)
    blocks.write(ecs.server, child, 0, b"child!" * 1000)
    blocks.write(ecs.server, disk, 0, b"parent" * 1000)
    rewrite(ecs, instance, disk, snapshot)
    assert blocks.read(ecs.server, disk, 0, 6000) == b"common" * 1000
    assert blocks.read(ecs.server, child, 0, 6000) == b"child!" * 1000
