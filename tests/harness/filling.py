"""Disks that are written until nothing more fits."""

import errno
import itertools

import nbd

from . import blocks

SMALL = 64 << 10


class Filler:
    """A disk of a running instance that takes all the space there is."""

    def __init__(self, ecs, size=4):
        self.server = ecs.server
        self.instance, self.disk = ecs.machine(size)
        self.next = 0
        # No bytes are the same twice, and making them costs little.
        self._turns = itertools.count()

    def fill(self) -> int:
        """Writes until there is no space, and gives the bytes that it wrote."""
        begun = self.next
        with blocks.export(self.server, self.disk) as handle:
            for length in (blocks.MIB, SMALL):
                while self._write(handle, length):
                    self.next += length
            handle.flush()
        return self.next - begun

    def _write(self, handle, length: int) -> bool:
        try:
            handle.pwrite(blocks.noise((self.disk, next(self._turns)), length), self.next)
        except nbd.Error as error:
            assert error.errnum == errno.ENOSPC, error
            return False
        return True


def fits(server, disk: str, offset: int, data: bytes) -> bool:
    """Whether a write is taken; it may only fail for lack of space."""
    try:
        blocks.write(server, disk, offset, data)
    except nbd.Error as error:
        assert error.errnum == errno.ENOSPC, error
        return False
    return True
