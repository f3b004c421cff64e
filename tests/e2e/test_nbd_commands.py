"""Each NBD command does what the protocol says, on every connection alike."""

import errno
import random
import threading

import nbd
import pytest

from harness import blocks
from harness.ecs import GIB, Ecs


@pytest.fixture(scope="module")
def disk(module_server):
    return Ecs(module_server).machine()[1]


@pytest.fixture
def export(module_server, disk):
    with blocks.export(module_server, disk) as handle:
        yield handle


def test_random_commands_against_a_model(export):
    """Writes, zeroes and trims of every alignment, checked against plain bytes."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    base, span = 100 * blocks.MIB, 4 * blocks.MIB
    model = bytearray(span)
    export.zero(span, base)
    for _ in range(600):
        offset = rng.randrange(span)
        length = min(span - offset, rng.choice([1, 511, 512, 4095, 4096, 4097, 70_000, 262_144]))
        kind = rng.choice(["write", "write", "zero", "trim", "read"])
        if kind == "write":
            data = rng.randbytes(length)
            export.pwrite(data, base + offset)
            model[offset : offset + length] = data
        elif kind == "zero":
            flags = rng.choice([0, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FUA])
            export.zero(length, base + offset, flags)
            model[offset : offset + length] = bytes(length)
        elif kind == "trim":
            start, end = -(-offset // 4096) * 4096, (offset + length) // 4096 * 4096
            export.trim(length, base + offset)
            if start < end:
                model[start:end] = bytes(end - start)
        else:
            assert export.pread(length, base + offset) == model[offset : offset + length]
    assert export.pread(span, base) == model


def test_trim_reads_zero(export):
    export.pwrite(b"x" * 65536, 0)
    export.trim(65536, 0, nbd.CMD_FLAG_FUA)
    assert export.pread(65536, 0) == bytes(65536)


def test_trim_and_zero_of_more_than_fits_a_payload(export):
    export.pwrite(b"x" * 4096, 300 * blocks.MIB)
    export.trim(GIB, 0)
    assert export.pread(4096, 300 * blocks.MIB) == bytes(4096)
    export.pwrite(b"x" * 4096, 300 * blocks.MIB)
    export.zero(GIB, 0)
    assert export.pread(4096, 300 * blocks.MIB) == bytes(4096)


def test_fast_zero_is_fast_or_says_that_it_is_not(export):
    if not export.can_fast_zero():
        with pytest.raises(nbd.Error):
            export.zero(4096, 0, nbd.CMD_FLAG_FAST_ZERO)
        return
    export.pwrite(b"x" * 65536, 0)
    try:
        export.zero(65536, 0, nbd.CMD_FLAG_FAST_ZERO)
    except nbd.Error as error:
        assert error.errnum == errno.ENOTSUP
        return
    assert export.pread(65536, 0) == bytes(65536)


def test_the_largest_payload(export):
    data = blocks.noise("large", 32 * blocks.MIB)
    export.pwrite(data, 200 * blocks.MIB)
    assert export.pread(len(data), 200 * blocks.MIB) == data


def test_the_last_byte_and_beyond(export):
    export.pwrite(b"!", GIB - 1)
    assert export.pread(1, GIB - 1) == b"!"
    export.set_strict_mode(0)
    for command in (
        lambda: export.pread(2, GIB - 1),
        lambda: export.pwrite(b"ab", GIB - 1),
        lambda: export.trim(8192, GIB - 4096),
        lambda: export.zero(8192, GIB - 4096),
        lambda: export.pread(512, 1 << 62),
    ):
        with pytest.raises(nbd.Error) as caught:
            command()
        assert caught.value.errnum in (errno.EINVAL, errno.ENOSPC)
    assert export.pread(1, GIB - 1) == b"!"


def test_without_structured_replies(module_server, disk):
    """As the Linux kernel's client speaks."""

    def plain(handle):
        handle.set_request_structured_replies(False)

    with blocks.export(module_server, disk, setup=plain) as handle:
        assert not handle.get_structured_replies_negotiated()
        handle.pwrite(b"plain" * 1000, 0)
        assert handle.pread(5000, 0) == b"plain" * 1000


def test_the_oldest_handshake(module_server, disk):
    """NBD_OPT_EXPORT_NAME, for clients that know no other option."""

    def old(handle):
        handle.set_request_structured_replies(False)
        handle.set_handshake_flags(0)

    with blocks.export(module_server, disk, setup=old) as handle:
        assert handle.get_size() == GIB


def test_several_connections_see_one_disk(module_server, disk):
    with blocks.export(module_server, disk) as first, blocks.export(module_server, disk) as second:
        assert first.can_multi_conn()
        for turn in range(50):
            first.pwrite(bytes([turn]) * 4096, 0)
            assert second.pread(4096, 0) == bytes([turn]) * 4096
            second.pwrite(bytes([turn + 100]) * 512, 512)
            second.flush()
            assert first.pread(512, 512) == bytes([turn + 100]) * 512


def test_many_connections_at_once(module_server, disk):
    """Each writes its own part, and all parts are whole in the end."""
    base, span = 400 * blocks.MIB, 2 * blocks.MIB
    failures = []

    def work(n):
        try:
            with blocks.export(module_server, disk) as handle:
                for turn in range(20):
                    handle.pwrite(blocks.noise((n, turn), span), base + n * span)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    for n in range(16):
        found = blocks.read(module_server, disk, base + n * span, span)
        assert found == blocks.noise((n, 19), span)


def test_many_commands_in_flight(export):
    """Answers may come in any order; each belongs to its request."""
    buffers = {}
    for n in range(64):
        buffer = nbd.Buffer.from_bytearray(bytearray(blocks.noise(n, 4096)))
        buffers[export.aio_pwrite(buffer, 500 * blocks.MIB + n * 4096)] = n
    while export.aio_in_flight() > 0:
        export.poll(-1)
    assert all(export.aio_command_completed(cookie) for cookie in buffers)
    for n in range(64):
        assert export.pread(4096, 500 * blocks.MIB + n * 4096) == blocks.noise(n, 4096)
