"""Incremental backup: what of a disk differs from one of its snapshots, without reading it."""

import nbd
import pytest

from harness import blocks
from harness.ecs import GIB

MIB = blocks.MIB
CHANGED = "ebbtide:changed:"


def changed(server, disk: str, snapshot: str, size: int):
    """The ranges that differ: offset and length."""
    context = CHANGED + snapshot

    def setup(handle):
        handle.add_meta_context(context)

    with blocks.export(server, disk, setup=setup) as handle:
        assert handle.can_meta_context(context)
        found, at = [], 0
        while at < size:
            entries = []
            handle.block_status(
                size - at, at, lambda name, start, told, error: entries.extend(told)
            )
            for length, state in zip(entries[::2], entries[1::2], strict=True):
                if state:
                    found.append((at, length))
                at += length
    return found


@pytest.fixture
def disk(ecs):
    _, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, blocks.noise("old", 4 * MIB))
    return disk


def test_what_was_written_since(ecs, disk):
    snapshot = ecs.create_snapshot(disk)
    assert changed(ecs.server, disk, snapshot, GIB) == []
    blocks.write(ecs.server, disk, MIB, blocks.noise("new", 8192))
    blocks.write(ecs.server, disk, 900 * MIB + 5, b"x")
    with blocks.export(ecs.server, disk) as handle:
        handle.trim(MIB, 2 * MIB)
    expected = [(MIB, 8192), (2 * MIB, MIB), (900 * MIB, 4096)]
    assert changed(ecs.server, disk, snapshot, GIB) == expected


def test_an_incremental_backup(ecs, disk):
    """Full once, then only what changed: the copy is the disk, after each of some rounds."""
    copy = bytearray(blocks.read(ecs.server, disk, 0, 8 * MIB))
    before = ecs.create_snapshot(disk)
    for number in range(3):
        for place in range(20):
            offset = (place * 77 + number * 13) * 4096
            blocks.write(ecs.server, disk, offset, blocks.noise((number, place), 4096))
        now = ecs.create_snapshot(disk)
        copied = 0
        for offset, length in changed(ecs.server, disk, before, 8 * MIB):
            copy[offset : offset + length] = blocks.read(ecs.server, disk, offset, length)
            copied += length
        assert copied == 20 * 4096
        assert copy == blocks.read(ecs.server, disk, 0, 8 * MIB)
        before = now


def test_after_a_reset(ecs, disk):
    """A disk that was set back differs from the snapshot it came from, not from the other."""
    first = ecs.create_snapshot(disk)
    blocks.write(ecs.server, disk, 0, blocks.noise("new", 4096))
    second = ecs.create_snapshot(disk)
    instance = ecs.disk(disk)["InstanceId"]
    ecs.stop_instance(instance)
    ecs.reset(disk, first)
    ecs.start_instance(instance)
    assert changed(ecs.server, disk, first, GIB) == []
    assert changed(ecs.server, disk, second, GIB) == [(0, 4096)]


def test_only_snapshots_of_the_disk_are_offered(ecs, disk):
    mine = ecs.create_snapshot(disk)
    _, other = ecs.machine()
    theirs = ecs.create_snapshot(other)
    with blocks.export(ecs.server, disk, setup=lambda handle: handle.set_opt_mode(True)) as handle:
        handle.set_export_name(disk)
        handle.add_meta_context(CHANGED)
        names = []
        handle.opt_list_meta_context(names.append)
        handle.opt_abort()
    assert names == [CHANGED + mine]

    def setup(handle):
        for name in (theirs, "s-nowhere", mine):
            handle.add_meta_context(CHANGED + name)

    with blocks.export(ecs.server, disk, setup=setup) as handle:
        assert not handle.can_meta_context(CHANGED + theirs)
        assert not handle.can_meta_context(CHANGED + "s-nowhere")
        assert handle.can_meta_context(CHANGED + mine)
        ecs.call("DeleteSnapshot", {"SnapshotId": mine})
        with pytest.raises(nbd.Error, match="Invalid argument"):
            handle.block_status(MIB, 0, lambda *_: None)
        assert handle.pread(4096, 0) == blocks.noise("old", 4 * MIB)[:4096]
