"""Blocks that say who wrote them and when, so that after a crash each can be judged alone."""

import struct
import threading
import zlib

import nbd

from . import blocks

BLOCK = 4096
HEAD = struct.Struct("<QQI")


def stamped(place: int, turn: int) -> bytes:
    """A whole block that holds its place and its turn, and a checksum of both."""
    head = HEAD.pack(place, turn, zlib.crc32(struct.pack("<QQ", place, turn)))
    return (head * (BLOCK // HEAD.size + 1))[:BLOCK]


def turn_of(place: int, block: bytes) -> int:
    """The turn a block was written in, 0 for one that never was; a torn block fails."""
    if not block.strip(b"\0"):
        return 0
    found, turn, _ = HEAD.unpack_from(block)
    assert found == place and block == stamped(place, turn), f"block {place} is torn or another's"
    return turn


class Writer(threading.Thread):
    """Writes stamped blocks at random and flushes now and then, until its server is gone.

    After the crash each of its blocks must hold a turn from what was flushed up to what was sent.
    """

    def __init__(self, server, disk, rng, first: int, count: int, floor: dict, ceiling: dict):
        super().__init__(daemon=True)
        self.server, self.disk, self.rng = server, disk, rng
        self.places = range(first, first + count)
        self.flushed, self.sent = floor, ceiling
        self.connected = threading.Event()

    def run(self):
        try:
            with blocks.export(self.server, self.disk) as handle:
                self.connected.set()
                while True:
                    self.round(handle)
        except nbd.Error:
            self.connected.set()

    def round(self, handle):
        written = {}
        for _ in range(self.rng.randrange(1, 12)):
            place = self.rng.choice(self.places)
            turn = self.sent.get(place, 0) + 1
            self.sent[place] = turn
            fua = self.rng.random() < 0.1
            flags = nbd.CMD_FLAG_FUA if fua else 0
            handle.pwrite(stamped(place, turn), place * BLOCK, flags)
            written[place] = turn
            if fua:
                self.flushed[place] = turn
        handle.flush()
        self.flushed.update(written)


def check(server, disk, places, flushed: dict, sent: dict):
    """Every block is whole, not older than what was flushed, not newer than what was sent.

    What is there now is the new floor: having been seen, it may not go again.
    """
    data = blocks.read(server, disk, places[0] * BLOCK, len(places) * BLOCK)
    for n, place in enumerate(places):
        turn = turn_of(place, data[n * BLOCK : (n + 1) * BLOCK])
        low, high = flushed.get(place, 0), sent.get(place, 0)
        assert low <= turn <= high, f"block {place} is of turn {turn}, not {low} to {high}"
        sent[place] = flushed[place] = turn
