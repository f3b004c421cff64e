"""The bytes of a disk, over NBD, through libnbd."""

import contextlib
import hashlib
import random

import nbd
import pytest

MIB = 1 << 20


def noise(seed, size: int) -> bytes:
    """The same bytes for the same seed, and others for another."""
    return random.Random(str(seed)).randbytes(size)


@contextlib.contextmanager
def export(server, disk: str, uri: str | None = None, setup=None):
    """A connection to the disk, on which requests need not be whole sectors."""
    handle = nbd.NBD()
    handle.set_strict_mode(handle.get_strict_mode() & ~nbd.STRICT_ALIGN)
    if setup:
        setup(handle)
    handle.connect_uri(uri or server.nbd_uri(disk))
    try:
        yield handle
    finally:
        with contextlib.suppress(nbd.Error):
            handle.shutdown()


def write(server, disk: str, offset: int, data: bytes):
    """Writes and flushes."""
    with export(server, disk) as handle:
        for at in range(0, len(data), MIB):
            handle.pwrite(data[at : at + MIB], offset + at)
        handle.flush()


def read(server, disk: str, offset: int, size: int) -> bytes:
    with export(server, disk) as handle:
        steps = range(offset, offset + size, MIB)
        return b"".join(handle.pread(min(MIB, offset + size - at), at) for at in steps)


def size_of(server, disk: str) -> int:
    with export(server, disk) as handle:
        return handle.get_size()


def fingerprint(server, disk: str) -> str:
    """A hash of the size and of every part that is not zero, at its place."""
    digest = hashlib.sha256()
    nothing = bytes(MIB)
    with export(server, disk) as handle:
        size = handle.get_size()
        digest.update(size.to_bytes(8, "big"))
        for at in range(0, size, MIB):
            part = handle.pread(MIB, at)
            if part != nothing:
                digest.update(at.to_bytes(8, "big") + part)
    return digest.hexdigest()


def is_refused(server, disk: str, uri: str | None = None):
    """Nothing serves the disk."""
    with pytest.raises(nbd.Error), export(server, disk, uri):
        pass
