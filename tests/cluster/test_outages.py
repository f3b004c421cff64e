"""Ceph or PostgreSQL is away for a while, under load: what goes on, what waits, what is said.

Nothing else may run beside these on the same cluster.
"""

import contextlib
import random
import threading
import time

import pytest

from harness import blocks, ceph, postgres, stamps, wire
from harness.crash import assert_settled
from harness.ecs import ZONE, Ecs

AWAY_SECONDS = 10
AT_ONCE_SECONDS = 3
"""In which an answer comes that waits for nobody who is away; other work is on the machine."""

STORE_SECONDS = 5
"""That a call waits for a store that has just gone away."""

STORE_GONE = r"not answered for now.*(metadata store|connection)"
CEPH_GONE = r"not answered for now.*Ceph cluster"
LATER = r"cannot (do what is due|tell what)|is carried on soon"
"""What is logged of what is tried again when they are back."""


class Load(threading.Thread):
    """One block after the other is written, read and compared, and how long each took is kept."""

    PLACES = range(0, 4096, 64)

    def __init__(self, server, disk):
        super().__init__(daemon=True)
        self.server, self.disk, self.rng = server, disk, random.Random(disk)
        self.turns: dict[int, int] = {}
        self.took: list[tuple[float, float]] = []
        """When each ended, and its seconds."""
        self.over = threading.Event()
        self.failure: BaseException | None = None

    def run(self):
        try:
            with blocks.export(self.server, self.disk) as handle:
                while not self.over.is_set():
                    began = time.monotonic()
                    self.one(handle)
                    self.took.append((time.monotonic(), time.monotonic() - began))
        except BaseException as error:
            self.failure = error

    def one(self, handle):
        place = self.rng.choice(self.PLACES)
        turn = self.turns.get(place, 0) + 1
        handle.pwrite(stamps.stamped(place, turn), place * stamps.BLOCK)
        self.turns[place] = turn
        other = self.rng.choice(list(self.turns))
        found = stamps.turn_of(other, handle.pread(stamps.BLOCK, other * stamps.BLOCK))
        assert found == self.turns[other], f"block {other} is of turn {found}"

    def longest(self) -> float:
        return max(seconds for _, seconds in self.took)

    def ended_since(self, moment: float) -> int:
        return sum(end > moment for end, _ in self.took)

    def check(self):
        """All of it, by another connection."""
        with blocks.export(self.server, self.disk) as handle:
            for place, turn in self.turns.items():
                block = handle.pread(stamps.BLOCK, place * stamps.BLOCK)
                assert stamps.turn_of(place, block) == turn


@contextlib.contextmanager
def loaded(server, disks):
    """Each disk is in use meanwhile, and no request of it fails."""
    loads = [Load(server, disk) for disk in disks]
    for load in loads:
        load.start()
    try:
        time.sleep(1)
        yield loads
        time.sleep(1)
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.join(60)
    for load in loads:
        assert not load.is_alive(), f"a request of {load.disk} is never answered"
        assert load.failure is None, repr(load.failure)
        assert load.took, f"nothing was asked of {load.disk}"


class Makers:
    """Threads that make disks all the time, each with a token, and keep what they were answered."""

    def __init__(self, server, count=6):
        self.server, self.over = server, threading.Event()
        self.answers: list[tuple[str, object, float]] = []
        self.failures: list[BaseException] = []
        self.threads = [threading.Thread(target=self.make, args=(n,)) for n in range(count)]

    def make(self, number):
        ecs = Ecs(self.server)
        turn = 0
        try:
            while not self.over.is_set():
                turn += 1
                name, began = f"maker-{number}-{turn}", time.monotonic()
                answer = ecs.ask("CreateDisk", new_disk(name))
                self.answers.append((name, answer, time.monotonic() - began))
                # Once in a while is enough where all are refused at once.
                time.sleep(0.2)
        except BaseException as error:
            self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self.threads), "a call is never answered"
        assert not self.failures, self.failures

    def audit(self, ecs):
        """Each answered disk is there, once; so are those asked for again by their token."""
        for name, answer, _ in self.answers:
            again = ecs.call("CreateDisk", new_disk(name))["DiskId"]
            assert answer.status != 200 or answer.tree["DiskId"] == again
            (shown,) = ecs.disks(DiskName=name)
            assert (shown["DiskId"], shown["Status"]) == (again, "Available")


def new_disk(name: str) -> dict:
    wanted = {"ZoneId": ZONE, "Size": 1, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}
    return wanted | {"DiskName": name, "ClientToken": name}


def world(server, disks=2):
    ecs = Ecs(server)
    instance, first = ecs.machine()
    found = [first]
    for _ in range(disks - 1):
        found.append(ecs.create_disk())
        ecs.attach(found[-1], instance)
    return ecs, instance, found


def works(ecs, instance, disk):
    """The whole way of a reset, once everybody is back."""
    blocks.write(ecs.server, disk, 0, blocks.noise("before", blocks.MIB))
    snapshot = ecs.create_snapshot(disk)
    blocks.write(ecs.server, disk, 0, blocks.noise("after", blocks.MIB))
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    assert blocks.read(ecs.server, disk, 0, blocks.MIB) == blocks.noise("before", blocks.MIB)


def test_an_osd_that_stands_still_is_waited_for(server):
    server.log.expect(CEPH_GONE)
    server.log.expect(LATER)
    ecs, instance, disks = world(server)
    with loaded(server, disks) as loads, Makers(server) as makers:
        with ceph.osd_stopped():
            stopped = time.monotonic()
            while time.monotonic() < stopped + AWAY_SECONDS:
                asked = time.monotonic()
                assert len(ecs.disks(DiskIds=disks)) == len(disks)
                assert time.monotonic() - asked < AT_ONCE_SECONDS
                time.sleep(0.2)
        back = time.monotonic()
        time.sleep(3)
    for load in loads:
        assert load.longest() > AWAY_SECONDS - 2, "it did not stand still: the test tests nothing"
        assert load.longest() < AWAY_SECONDS + 10
        assert load.ended_since(back + 1), f"{load.disk} does not go on"
        load.check()
    # Calls that need it wait too.
    assert AWAY_SECONDS - 2 < max(took for _, _, took in makers.answers) < AWAY_SECONDS + 10
    assert {answer.status for _, answer, _ in makers.answers} <= {200, 503}
    assert_settled(ecs)
    makers.audit(ecs)
    works(ecs, instance, disks[0])


def test_health_tells_that_ceph_is_away(server):
    server.log.expect(LATER)
    assert wire.send(server, "GET", "/healthz").status == 200
    with ceph.osd_stopped():
        time.sleep(AWAY_SECONDS)
        health = wire.send(server, "GET", "/healthz", timeout=AT_ONCE_SECONDS)
        assert health.status == 503 and b"Ceph" in health.body
    deadline = time.monotonic() + AWAY_SECONDS
    while wire.send(server, "GET", "/healthz").status != 200:
        assert time.monotonic() < deadline, "it does not say that Ceph is back"
        time.sleep(0.1)


@pytest.mark.parametrize("seconds", [0, AWAY_SECONDS])
def test_disks_go_on_without_postgresql(server, seconds):
    """It is restarted, or away for longer than calls wait for it."""
    server.log.expect(STORE_GONE)
    server.log.expect(LATER)
    ecs, instance, disks = world(server)
    with loaded(server, disks) as loads, Makers(server) as makers:
        with postgres.away():
            gone = time.monotonic()
            time.sleep(seconds)
            if seconds > STORE_SECONDS:
                health = wire.send(server, "GET", "/healthz")
                told = (health.status, health.body.strip())
                assert told == (503, b"the metadata store cannot be reached")
        back = time.monotonic()
        time.sleep(3)
        assert wire.send(server, "GET", "/healthz").status == 200
    for load in loads:
        assert load.longest() < AT_ONCE_SECONDS, "a disk has waited for PostgreSQL"
        assert load.ended_since(gone) > load.ended_since(back) > 0
        load.check()
    refused = [answer for _, answer, _ in makers.answers if answer.status != 200]
    assert {(answer.status, answer.tree["Code"]) for answer in refused} <= {
        (503, "ServiceUnavailable")
    }
    assert refused or seconds <= STORE_SECONDS, "nothing was refused: the test tests nothing"
    longest = max(took for _, _, took in makers.answers)
    assert longest < STORE_SECONDS + AT_ONCE_SECONDS
    assert_settled(ecs)
    makers.audit(ecs)
    works(ecs, instance, disks[0])
