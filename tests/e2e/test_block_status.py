"""Programs see what of a disk is stored, and leave out the rest."""

import contextlib
import errno
import json

import nbd
import pytest

from harness import blocks
from harness.ecs import GIB, Ecs
from harness.relay import relay
from harness.tools import nbdinfo, qemu_io, tool

MIB = blocks.MIB
TIB = 1 << 40
ALLOCATION = "base:allocation"

# Where a disk holds data: offset and length.
STORED = ((0, 4096), (MIB - 4096, 8192), (700 * MIB, 3 * MIB), (GIB - 4096, 4096))


@pytest.fixture
def disk(shared):
    """A disk with data in a few places."""
    disk = shared.machine()[1]
    for offset, length in STORED:
        blocks.write(shared.server, disk, offset, blocks.noise(offset, length))
    return disk


@pytest.fixture
def uri(shared, disk):
    return shared.server.nbd_uri(disk)


def expected_map(size: int, stored=STORED):
    """All of a disk: where, how long, and whether it is stored."""
    at = 0
    for offset, length in stored:
        if at < offset:
            yield at, offset - at, False
        yield offset, length, True
        at = offset + length
    if at < size:
        yield at, size - at, False


@contextlib.contextmanager
def with_contexts(server, disk: str, *contexts: str, setup=None):
    def ask(handle):
        for context in contexts:
            handle.add_meta_context(context)
        if setup:
            setup(handle)

    with blocks.export(server, disk, setup=ask) as handle:
        yield handle


def status(handle, length: int, offset: int, flags: int = 0):
    """The entries that one reply holds: lengths and states."""
    replies = []
    handle.block_status(
        length,
        offset,
        lambda context, start, entries, error: replies.append((context, start, list(entries))),
        flags,
    )
    ((context, start, entries),) = replies
    assert (context, start) == (ALLOCATION, offset)
    return list(zip(entries[::2], entries[1::2], strict=True))


def test_nbdinfo_map(uri):
    found = json.loads(tool("nbdinfo", "--map", "--json", uri).stdout)
    found = [(entry["offset"], entry["length"], entry["type"]) for entry in found]
    hole = nbd.STATE_HOLE | nbd.STATE_ZERO
    expected = expected_map(GIB)
    assert found == [(at, length, 0 if stored else hole) for at, length, stored in expected]


def test_nbdinfo_lists_the_context(uri):
    assert nbdinfo(uri)["contexts"] == [ALLOCATION]


def test_qemu_img_map(uri):
    found = json.loads(tool("qemu-img", "map", "--output=json", "-f", "raw", uri).stdout)
    found = [(entry["start"], entry["length"], entry["data"]) for entry in found]
    assert found == list(expected_map(GIB))


def test_the_map_follows_writes_and_trims(shared, uri):
    qemu_io(uri, "discard 0 4096", "write -z 1M 4096", "write -P 7 512M 64k", "discard 700M 1M")
    stored = ((MIB - 4096, 4096), (512 * MIB, 65536), (701 * MIB, 2 * MIB), (GIB - 4096, 4096))
    found = json.loads(tool("qemu-img", "map", "--output=json", "-f", "raw", uri).stdout)
    found = [(entry["start"], entry["length"], entry["data"]) for entry in found]
    assert found == list(expected_map(GIB, stored))


def test_a_reset_brings_the_map_back(shared):
    instance, disk = shared.machine()
    blocks.write(shared.server, disk, 4096, b"before" * 1000)
    snapshot = shared.create_snapshot(disk)
    blocks.write(shared.server, disk, 512 * MIB, b"after" * 1000)
    shared.stop_instance(instance)
    shared.reset(disk, snapshot)
    shared.start_instance(instance)
    with with_contexts(shared.server, disk, ALLOCATION) as handle:
        assert status(handle, GIB, 0) == [(4096, 3), (8192, 0), (GIB - 12288, 3)]


def test_one_extent(shared, disk):
    with with_contexts(shared.server, disk, ALLOCATION) as handle:
        one = nbd.CMD_FLAG_REQ_ONE
        assert status(handle, GIB, 0, one) == [(4096, 0)]
        assert status(handle, GIB - 4096, 4096, one) == [(MIB - 8192, 3)]
        assert status(handle, 512, MIB, one) == [(512, 0)]
        assert status(handle, GIB - 5 * MIB, 5 * MIB, one) == [(695 * MIB, 3)]
        assert len(status(handle, GIB, 0)) == 7


def test_errors(shared, disk):
    with with_contexts(shared.server, disk, ALLOCATION) as handle:
        handle.set_strict_mode(0)
        ranges = ((0, 0), (1, GIB), (GIB, 4096), (512, 1 << 62))
        for length, offset in ranges:
            with pytest.raises(nbd.Error) as caught:
                status(handle, length, offset)
            assert caught.value.errnum == errno.EINVAL
        with pytest.raises(nbd.Error) as caught:
            status(handle, 4096, 0, 1 << 15)
        assert caught.value.errnum == errno.EINVAL
        assert status(handle, 4096, 0) == [(4096, 0)]
    for contexts in ((), ("qemu:dirty-bitmap:none",)):
        with with_contexts(shared.server, disk, *contexts) as handle:
            assert not handle.can_meta_context(ALLOCATION)
            handle.set_strict_mode(0)
            with pytest.raises(nbd.Error):
                status(handle, 4096, 0)
            assert handle.pread(4096, 0) == blocks.noise(0, 4096)


def test_without_structured_replies_there_is_no_context(shared, disk):
    def plain(handle):
        handle.set_request_structured_replies(False)

    with with_contexts(shared.server, disk, ALLOCATION, setup=plain) as handle:
        assert not handle.can_meta_context(ALLOCATION)
        assert handle.pread(4096, 0) == blocks.noise(0, 4096)


def test_nbdcopy_reads_only_what_is_stored(shared, disk, uri, folder):
    stored = sum(length for _, length in STORED)
    target = folder / "copy"
    with relay(uri) as between:
        tool("nbdcopy", between.uri, target)
        received = between.received
    # Requests are long, so some zeroes beside the data may come along.
    assert stored <= received < stored + MIB, received
    with target.open("rb") as copy:
        assert target.stat().st_size == GIB
        for offset, length in STORED:
            copy.seek(offset)
            assert copy.read(length) == blocks.noise(offset, length)
    # The same bytes, where the client does not ask.
    with relay(uri) as between:
        tool("nbdcopy", "--no-extents", "--request-size=131072", between.uri, "null:")
        assert between.received >= GIB


def test_qemu_img_convert_reads_only_what_is_stored(uri, folder):
    target = folder / "copy.qcow2"
    with relay(uri) as between:
        tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", between.uri, target)
        assert between.received < 5 * MIB
    compared = tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", uri, target)
    assert "identical" in compared.stdout


def test_long_reads_of_holes_send_no_zeroes(shared, disk, uri):
    with relay(uri) as between:
        with blocks.export(shared.server, disk, between.uri) as handle:
            before = between.received
            assert handle.pread(32 * MIB, 100 * MIB) == bytes(32 * MIB)
            assert between.received - before < 100
            before = between.received
            chunks = []
            found = handle.pread_structured(
                MIB,
                100 * MIB,
                lambda data, offset, kind, error: chunks.append((offset, kind, len(data))),
                nbd.CMD_FLAG_DF,
            )
            assert (found, chunks) == (bytes(MIB), [(100 * MIB, nbd.READ_DATA, MIB)])
            assert between.received - before >= MIB


def test_the_largest_disk_is_mapped_at_once(module_server):
    """64 TiB: nothing that looks at each block, or asks for each, would come to an end."""
    size_gib = 64 * 1024
    disk = Ecs(module_server).machine(size_gib)[1]
    for offset in (4096, 33 * TIB):
        blocks.write(module_server, disk, offset, blocks.noise(offset, 4096))
    uri = module_server.nbd_uri(disk)
    stored = ((4096, 4096), (33 * TIB, 4096))
    found = json.loads(tool("nbdinfo", "--map", "--json", uri).stdout)
    joined = []
    for entry in found:
        at, length, is_stored = entry["offset"], entry["length"], entry["type"] == 0
        if joined and joined[-1][2] == is_stored:
            joined[-1] = (joined[-1][0], joined[-1][1] + length, is_stored)
        else:
            joined.append((at, length, is_stored))
    assert joined == list(expected_map(64 * TIB, stored))
