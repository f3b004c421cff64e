"""Clients that do nothing, or next to nothing: they hold up nobody."""

import contextlib
import resource
import threading
import time

import pytest

from harness import blocks, wire
from harness.ecs import Ecs
from harness.health import stays_healthy
from harness.needs import need
from harness.rawnbd import READ, WRITE, option, raw, request
from harness.waiting import until

pytestmark = pytest.mark.alone

OF_EACH_KIND = 10
HANDSHAKE_SECONDS = 10
"""How long the server lets a handshake take."""
DRIP_SECONDS = 0.4
USUAL_LIMIT = 1024
"""What most machines let a program open that asks for no more."""
DISKS, IDLE_OF_EACH = 17, 60

COOKIE = 1 << 60
A_REQUEST = request(READ, 0, 0, 4096, COOKIE)
# Of data that never comes to its end.
A_WRITE = request(WRITE, 0, 0, 65536, COOKIE) + b"!" * 1000
AN_OPTION = option(6, b"?" * 4000)


@contextlib.contextmanager
def open_files(limit: int):
    """How many files this program may open meanwhile, and those that it starts unless they ask."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need(hard == resource.RLIM_INFINITY or hard >= limit, f"a limit of {limit} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def connect(server):
    """Opens connections that last as long as the test, and begins on them."""
    with contextlib.ExitStack() as closing:

        def many(count, disk=None):
            made = [closing.enter_context(raw(server)) for _ in range(count)]
            for connection in made:
                if disk:
                    connection.enter(disk, structured=True)
                else:
                    connection.greet()
            return made

        yield many


@contextlib.contextmanager
def dripping(connections, text: bytes):
    """Sends each connection one byte of the text after the other; gives how many were sent."""
    over, open_, sent = threading.Event(), list(connections), []

    def drip():
        for n in range(len(text)):
            for connection in list(open_):
                try:
                    connection.stream.sendall(text[n : n + 1])
                except OSError:
                    open_.remove(connection)
            sent.append(n)
            if over.wait(DRIP_SECONDS):
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()


def test_bytes_that_trickle(server, ecs, connect):
    """Handshakes, requests and data of writes that do not come to their end."""
    disks = [ecs.machine()[1] for _ in range(OF_EACH_KIND)]
    silent, negotiating = connect(OF_EACH_KIND), connect(OF_EACH_KIND)
    asking, writing = ([connect(1, disk)[0] for disk in disks] for _ in range(2))
    with (
        dripping(negotiating, AN_OPTION),
        dripping(asking, A_REQUEST) as sent,
        dripping(writing, A_WRITE),
        stays_healthy(server),
    ):
        until(
            lambda: at_work(server, disks[0]) and all_ended(silent + negotiating),
            "handshakes that take too long are over",
            2 * HANDSHAKE_SECONDS,
        )
    # These hold nothing that anybody waits for, so they may go on.
    assert not any(each.has_ended() for each in asking + writing)
    for connection in asking:
        connection.stream.sendall(A_REQUEST[len(sent) :])
        assert connection.reply(COOKIE, 4096).data == bytes(4096)
    for disk in disks:
        assert blocks.read(server, disk, 0, 4096) == bytes(4096), "a part of a write was made"
    server.stop()


def test_a_thousand_idle_connections(make_server):
    """Nearly as many as there may be, under the limit of open files that is usual."""
    with open_files(USUAL_LIMIT):
        server = make_server().start()
    ecs = Ecs(server)
    disks = [ecs.machine()[1] for _ in range(DISKS)]
    with open_files(4 * USUAL_LIMIT), contextlib.ExitStack() as closing:
        idle = []
        for disk in disks:
            for _ in range(IDLE_OF_EACH):
                idle.append(closing.enter_context(raw(server)))
                idle[-1].enter(disk, structured=True)
        assert wire.send(server, "GET", "/healthz", timeout=10).status == 200
        for disk in disks:
            at_work(server, disk)
        for connection in idle:
            assert connection.ask(READ, 0, 4096, 4096).error == 0
        server.stop()


def at_work(server, disk) -> bool:
    """Another client, on a disk with slow ones, waits for none of them."""
    began = time.monotonic()
    data = blocks.noise(began, 4096)
    blocks.write(server, disk, 8192, data)
    assert blocks.read(server, disk, 8192, 4096) == data
    assert time.monotonic() - began < 3, "a client waits for those that are slow"
    return True


def all_ended(connections) -> bool:
    return all(connection.has_ended() for connection in connections)
