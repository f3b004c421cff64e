"""NBD as it is on the wire, for what no client's library would send."""

import contextlib
import dataclasses
import itertools
import socket
import struct

FIXED_NEWSTYLE, NO_ZEROES = 1, 2
OPTION_MAGIC = 0x49484156454F5054
OPTION_REPLY_MAGIC = 0x0003E889045565A9
EXPORT_NAME, STRUCTURED_REPLY = 1, 8
ACK = 1

READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO = (1 << bit for bit in range(5))
REQUEST = struct.Struct(">IHHQQI")
REQUEST_MAGIC, SIMPLE_MAGIC, CHUNK_MAGIC = 0x25609513, 0x67446698, 0x668E33EF
CHUNK_DONE, CHUNK_DATA, CHUNK_HOLE, CHUNK_ERROR = 1, 1, 2, 1 << 15


@dataclasses.dataclass
class Reply:
    error: int
    data: bytes = b""


class Raw:
    """A connection on which requests go out as given."""

    def __init__(self, stream: socket.socket):
        self.stream = stream
        self.structured = False
        self._cookies = itertools.count(1)

    # The handshake.

    def greet(self):
        self.bytes(18)
        self.stream.sendall(struct.pack(">I", FIXED_NEWSTYLE | NO_ZEROES))

    def enter(self, name: str, structured: bool):
        """Begins to use an export, by the oldest option for it."""
        self.greet()
        if structured:
            self.stream.sendall(option(STRUCTURED_REPLY))
            magic, _, kind, length = struct.unpack(">QIII", self.bytes(20))
            assert (magic, kind, length) == (OPTION_REPLY_MAGIC, ACK, 0)
            self.structured = True
        self.stream.sendall(option(EXPORT_NAME, name.encode()))
        self.bytes(10)

    # Requests.

    def ask(self, command: int, flags=0, offset=0, length=0, payload=b"") -> Reply:
        """Sends a request and waits for its reply."""
        cookie = next(self._cookies)
        self.stream.sendall(request(command, flags, offset, length, cookie) + payload)
        return self.reply(cookie, length if command == READ else 0)

    def reply(self, cookie: int, length: int) -> Reply:
        """The next reply, which carries so many bytes unless it is an error."""
        (magic,) = struct.unpack(">I", self.bytes(4))
        if self.structured and magic == CHUNK_MAGIC:
            return self._chunks(cookie)
        assert magic == SIMPLE_MAGIC, hex(magic)
        error, answered = struct.unpack(">IQ", self.bytes(12))
        assert answered == cookie
        return Reply(error, self.bytes(length) if error == 0 else b"")

    def _chunks(self, cookie: int) -> Reply:
        """What follows the first chunk's magic number. Data has to come in order, as it does."""
        reply = Reply(0)
        while True:
            flags, kind, answered, length = struct.unpack(">HHQI", self.bytes(16))
            assert answered == cookie
            payload = self.bytes(length)
            if kind & CHUNK_ERROR:
                (reply.error,) = struct.unpack_from(">I", payload)
            elif kind == CHUNK_DATA:
                reply.data += payload[8:]
            elif kind == CHUNK_HOLE:
                reply.data += bytes(struct.unpack(">QI", payload)[1])
            if flags & CHUNK_DONE:
                return reply
            assert struct.unpack(">I", self.bytes(4)) == (CHUNK_MAGIC,)

    # Bytes.

    def bytes(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            part = self.stream.recv(length - len(found))
            assert part, f"the connection ended {length - len(found)} bytes too soon"
            found += part
        return found

    def has_ended(self) -> bool:
        """The server has closed it, and sent nothing before that which was not read."""
        patience = self.stream.gettimeout()
        self.stream.setblocking(False)
        try:
            return self.stream.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.stream.settimeout(patience)


def option(kind: int, data: bytes = b"") -> bytes:
    return struct.pack(">QII", OPTION_MAGIC, kind, len(data)) + data


def request(command: int, flags=0, offset=0, length=0, cookie=0) -> bytes:
    return REQUEST.pack(REQUEST_MAGIC, flags, command, cookie, offset, length)


@contextlib.contextmanager
def raw(server):
    """A connection on which nothing was said yet."""
    with socket.create_connection((server.host, server.nbd_port), timeout=20) as stream:
        yield Raw(stream)
