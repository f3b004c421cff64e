"""The bytes of a disk, over NBD, through libnbd."""

import contextlib
import hashlib
import random

import nbd
import pytest

MIB = 1 << 20
CHUNK = 64 * 1024


def noise(seed, size: int) -> bytes:
    """The same bytes for the same seed, and others for another."""
    return random.Random(str(seed)).randbytes(size)


@contextlib.contextmanager
def export(server, disk: str, uri: str | None = None, setup=None):
    """A connection to the disk, on which requests need not be whole sectors."""
    handle = nbd.NBD()
    handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
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
    """A hash of the size and of every byte that is not zero, at its place."""
    digest = hashlib.sha256()
    with export(server, disk) as handle:
        digest.update(handle.get_size().to_bytes(8))
        for offset, length in data_extents(handle):
            for at in range(offset, offset + length, CHUNK):
                chunk = handle.pread(min(CHUNK, offset + length - at), at)
                for block in range(0, len(chunk), 4096):
                    piece = chunk[block : block + 4096]
                    if piece.strip(b"\0"):
                        digest.update((at + block).to_bytes(8) + bytes(piece))
    return digest.hexdigest()


def data_extents(handle) -> list[tuple[int, int]]:
    """Where the server says that there may be something other than zeros."""
    size, at, found = handle.get_size(), 0, []
    while at < size:
        entries = []
        length = min(size - at, 1 << 31)
        handle.block_status(length, at, lambda name, offset, pairs, error: entries.extend(pairs))
        assert entries, "no block status for a part of the disk"
        for length, flags in zip(entries[::2], entries[1::2], strict=True):
            if not flags & nbd.STATE_ZERO:
                found.append((at, length))
            at += length
    return found


def is_refused(server, disk: str, uri: str | None = None):
    """Nothing serves the disk."""
    with pytest.raises(nbd.Error), export(server, disk, uri):
        pass
