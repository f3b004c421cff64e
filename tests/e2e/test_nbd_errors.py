"""Each request that can not be served gets the error that the protocol has for it, and no more.

The connection goes on, and the disk holds what it held.
"""

import errno
import os

import nbd
import pytest

from harness import blocks
from harness.ecs import GIB, Ecs
from harness.rawnbd import (
    BLOCK_STATUS,
    CACHE,
    DF,
    FAST_ZERO,
    FLUSH,
    FUA,
    NO_HOLE,
    READ,
    REQ_ONE,
    TRIM,
    WRITE,
    WRITE_ZEROES,
    raw,
)
from harness.tools import tool
from harness.waiting import until

MIB = blocks.MIB
LAST = GIB - 4096
FAR = (1 << 64) - 512
NO_FLAG = 1 << 15
UNKNOWN = (8, 9, 0x5A5A, 0xFFFF)

# Command, flags, offset, length, error.
BEYOND = [
    (READ, 0, LAST, 4097, errno.EINVAL),
    (READ, 0, GIB, 1, errno.EINVAL),
    (READ, 0, FAR, 4096, errno.EINVAL),
    (WRITE, 0, LAST, 4097, errno.ENOSPC),
    (WRITE, FUA, GIB, 512, errno.ENOSPC),
    (WRITE, 0, FAR, 4096, errno.ENOSPC),
    (TRIM, 0, LAST, 8192, errno.EINVAL),
    (TRIM, 0, FAR, 4096, errno.EINVAL),
    (WRITE_ZEROES, 0, LAST, 8192, errno.ENOSPC),
    (WRITE_ZEROES, NO_HOLE, FAR, 4096, errno.ENOSPC),
    (CACHE, 0, LAST, 8192, errno.EINVAL),
    (CACHE, 0, FAR, 4096, errno.EINVAL),
]
FLAGS = [
    (READ, NO_FLAG, 0, 4096, errno.EINVAL),
    (READ, NO_HOLE, 0, 4096, errno.EINVAL),
    (WRITE, NO_FLAG, 0, 4096, errno.EINVAL),
    (WRITE, DF, 0, 4096, errno.EINVAL),
    (FLUSH, NO_FLAG, 0, 0, errno.EINVAL),
    (TRIM, NO_FLAG, 0, 4096, errno.EINVAL),
    (TRIM, FAST_ZERO, 0, 4096, errno.EINVAL),
    (WRITE_ZEROES, NO_FLAG, 0, 4096, errno.EINVAL),
    (WRITE_ZEROES, REQ_ONE, 0, 4096, errno.EINVAL),
    (CACHE, NO_FLAG, 0, 4096, errno.EINVAL),
    (WRITE_ZEROES, FAST_ZERO, 512, 512, errno.ENOTSUP),
]
OTHERS = [
    (READ, 0, 0, 32 * MIB + 1, errno.EINVAL),
    (READ, 0, 0, (1 << 32) - 1, errno.EINVAL),
    (BLOCK_STATUS, 0, 0, 4096, errno.EINVAL),
    *((command, 0, 0, 4096, errno.EINVAL) for command in UNKNOWN),
]


@pytest.fixture(scope="module")
def disk(module_server):
    """A disk with data at its beginning and at its end."""
    disk = Ecs(module_server).machine()[1]
    for offset in (0, LAST):
        blocks.write(module_server, disk, offset, blocks.noise(offset, 4096))
    return disk


@pytest.fixture(autouse=True)
def unchanged(module_server, disk):
    yield
    for offset in (0, LAST):
        found = blocks.read(module_server, disk, offset, 4096)
        assert found == blocks.noise(offset, 4096), f"what is at {offset} has changed"
    module_server.check_log()


@pytest.mark.parametrize("structured", [False, True], ids=["simple", "structured"])
def test_on_the_wire(module_server, disk, structured):
    not_in_one = (READ, DF, 0, 32 * MIB + 1, errno.EOVERFLOW if structured else errno.EINVAL)
    with raw(module_server) as connection:
        connection.enter(disk, structured)
        for command, flags, offset, length, error in [*BEYOND, *FLAGS, *OTHERS, not_in_one]:
            payload = b"!" * length if command == WRITE else b""
            reply = connection.ask(command, flags, offset, length, payload)
            what = f"command {command}, flags {flags}, {length} bytes at {offset}"
            assert errno.errorcode.get(reply.error) == errno.errorcode[error], what
            good = connection.ask(READ, 0, LAST, 4096)
            assert (good.error, good.data) == (0, blocks.noise(LAST, 4096)), f"after {what}"


@pytest.mark.parametrize("structured", [False, True], ids=["simple", "structured"])
def test_of_no_bytes(module_server, disk, structured):
    """The protocol leaves open what these mean. They are answered, and nothing comes of them."""
    with raw(module_server) as connection:
        connection.enter(disk, structured)
        for command in (READ, WRITE, TRIM, WRITE_ZEROES, CACHE):
            for offset in (0, 100, GIB):
                assert connection.ask(command, 0, offset, 0).error == 0, (command, offset)
        assert connection.ask(READ, 0, 0, 4096).data == blocks.noise(0, 4096)


def test_a_write_that_is_too_long_ends_the_connection(module_server, disk):
    """Its data, up to 4 GiB, is not worth reading away."""
    with blocks.export(module_server, disk, setup=lambda made: made.set_strict_mode(0)) as handle:
        with pytest.raises(nbd.Error):
            handle.pwrite(bytes(32 * MIB + 512), 0)
        until(lambda: handle.aio_is_dead() or handle.aio_is_closed(), "the connection ends")


def test_libnbd(module_server, disk):
    """As a program sees it that checks nothing itself."""

    def ask_for_status(handle):
        handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)

    with blocks.export(module_server, disk, setup=ask_for_status) as handle:
        handle.set_strict_mode(0)
        for wanted, call in (
            (errno.EINVAL, lambda: handle.pread(4097, LAST)),
            (errno.EINVAL, lambda: handle.pread(33 * MIB, 0)),
            (errno.EINVAL, lambda: handle.pread(512, 0, NO_FLAG)),
            (errno.ENOSPC, lambda: handle.pwrite(b"!" * 4097, LAST)),
            (errno.EINVAL, lambda: handle.pwrite(b"!" * 512, 0, NO_FLAG)),
            (errno.EINVAL, lambda: handle.trim(8192, LAST)),
            (errno.ENOSPC, lambda: handle.zero(8192, LAST)),
            (errno.ENOTSUP, lambda: handle.zero(512, 512, nbd.CMD_FLAG_FAST_ZERO)),
            (errno.EINVAL, lambda: handle.cache(8192, LAST)),
            (errno.EINVAL, lambda: handle.flush(NO_FLAG)),
            (errno.EINVAL, lambda: handle.block_status(8192, LAST, lambda *_: 0)),
            (errno.EINVAL, lambda: handle.block_status(0, 0, lambda *_: 0)),
        ):
            with pytest.raises(nbd.Error) as caught:
                call()
            assert caught.value.errnum == wanted, caught.value
            assert handle.pread(4096, LAST) == blocks.noise(LAST, 4096)


def test_good_and_bad_requests_in_flight(module_server, disk):
    """Each gets its own answer, in whatever order they come."""
    base, many = 64 * MIB, 200
    answers = {}
    with blocks.export(module_server, disk) as handle:
        handle.set_strict_mode(0)
        for n in range(many):
            offset = base + n * 512 if n % 2 == 0 else GIB + n * 512
            data = nbd.Buffer.from_bytearray(bytearray(blocks.noise(n, 512)))

            def done(error, n=n):
                answers[n] = error.value
                return 1

            handle.aio_pwrite(data, offset, done)
        while handle.aio_in_flight() > 0:
            handle.poll(-1)
        for n in range(0, many, 2):
            assert handle.pread(512, base + n * 512) == blocks.noise(n, 512)
    assert answers == {n: 0 if n % 2 == 0 else errno.ENOSPC for n in range(many)}


NBDSH = """
import errno

def fails(wanted, call):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum == wanted, error
    else:
        raise AssertionError("no error")
    assert h.pread(4, 32 * 1024 * 1024 + 1) == b"byte"

size = h.get_size()
h.set_strict_mode(0)
h.pwrite(b"byte", 32 * 1024 * 1024 + 1)
fails(errno.EINVAL, lambda: h.pread(2, size - 1))
fails(errno.ENOSPC, lambda: h.pwrite(b"ab", size - 1))
fails(errno.EINVAL, lambda: h.trim(4096, size))
fails(errno.ENOSPC, lambda: h.zero(4096, size))
fails(errno.EINVAL, lambda: h.cache(4096, size))
fails(errno.EINVAL, lambda: h.block_status(4096, size, lambda *_: 0))
fails(errno.EINVAL, lambda: h.pread(512, 0, 1 << 15))
h.flush()
print("all as it should be")
"""


def test_nbdsh(module_server, disk):
    # It runs the first `python3` it finds, and the binding is Debian's.
    path = {"PATH": f"/usr/bin:{os.environ['PATH']}"}
    words = ["nbdsh", "--base-allocation", "--uri", module_server.nbd_uri(disk), "-c", NBDSH]
    assert tool(*words, env=os.environ | path).stdout == "all as it should be\n"
