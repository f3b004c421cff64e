"""A client with a disk of its own, which knows what must have become of it.

Each owner makes a disk, writes to it, takes snapshots and goes back to them, through whichever
server it comes to. What was answered is in its ledger; what was not is asked again. In the end the
servers' records are held against the ledgers, and each disk against its owner's last write or
reset.
"""

import random
import threading
import time

import nbd

from . import stamps
from .cluster import PATIENCE_SECONDS, Client, Cluster
from .ecs import ZONE

PLACES = [0, 700]
"""Blocks of a disk that are written, in different objects of RBD."""

BUSY = {"IncorrectDiskStatus", "Operation.Conflict", "IdempotentProcessing"}
"""Refusals for what an earlier call, perhaps one's own, has not ended yet."""


def take_snapshot(client: Client, disk: str, name: str) -> str:
    """Asks with one token until the snapshot is there, whoever was killed meanwhile."""
    busy = BUSY | {"DISK_HAS_CREATING_SNAPSHOT", "IncorrectDiskStatus.CreatingSnapshot"}
    new = {"DiskId": disk, "SnapshotName": name, "ClientToken": name}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = client.ask("CreateSnapshot", new)
        if answer.status == 200:
            snapshot = answer.tree["SnapshotId"]
            shown = client.snapshot(snapshot)
            assert shown, f"{snapshot} was answered for {name}, and is not there"
            if shown["Status"] == "accomplished":
                return snapshot
            assert shown["Status"] == "progressing", shown
        else:
            assert answer.tree["Code"] in busy, f"{answer.status} {answer.tree}"
        assert time.monotonic() < deadline, f"there is no snapshot {name}: {answer.tree}"
        time.sleep(0.1)


class Owner(threading.Thread):
    """Lives with one disk on an instance that others use too."""

    def __init__(self, cluster: Cluster, number: int, instance: str, rounds: int, seed: int):
        super().__init__(daemon=True)
        self.cluster, self.number, self.instance = cluster, number, instance
        self.rounds, self.rng = rounds, random.Random(f"{seed} {number}")
        self.client = Client(cluster)
        self.name = f"owner-{number}"
        self.disk: str | None = None
        self.holds = 0
        """The turn that the disk's blocks were written in."""
        self.turns = self.names = 0
        self.snapshots: dict[str, tuple[str, int]] = {}
        """By id: the name, and the turn that it holds."""
        self.is_deleted = False
        self.failure: BaseException | None = None
        self.done = 0

    def run(self):
        try:
            self.live()
        except BaseException as error:
            self.failure = error

    def live(self):
        self.make()
        self.attach()
        self.write()
        self.take_snapshot()
        for _ in range(self.rounds):
            step = self.rng.choice([self.go_back, self.go_back, self.take_snapshot, self.forget])
            self.write()
            step()
            self.check()
        if self.number % 4 == 0:
            self.delete()

    # Steps. After each of them the disk is attached.

    def make(self):
        new = {"ZoneId": ZONE, "Size": 1, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}
        new |= {"DiskName": self.name, "ClientToken": self.name}
        self.disk = self.client.call("CreateDisk", new)["DiskId"]
        again = self.client.call("CreateDisk", new)["DiskId"]
        assert again == self.disk, f"one token made {self.disk} and {again}"
        self.until_disk_is("Available")
        self.done += 1

    def attach(self):
        place = {"DiskId": self.disk, "InstanceId": self.instance}
        self.client.until_true("AttachDisk", lambda: self.is_in("In_use"), place, BUSY)
        self.done += 1

    def detach(self):
        place = {"DiskId": self.disk, "InstanceId": self.instance}
        good = BUSY | {"DependencyViolation", "InvalidDisk.AlreadyDetached"}
        self.client.until_true("DetachDisk", lambda: self.is_in("Available"), place, good)
        self.done += 1

    def write(self):
        self.turns += 1
        before, after = self.holds, self.turns

        def write(handle):
            for place in PLACES:
                found = stamps.turn_of(place, handle.pread(stamps.BLOCK, place * stamps.BLOCK))
                # The newer one where an earlier attempt lost its connection.
                assert found in (before, after), f"{self.disk} holds turn {found}, not {before}"
                handle.pwrite(stamps.stamped(place, after), place * stamps.BLOCK)
            handle.flush()

        self.on_nbd(write)
        self.holds = after

    def check(self):
        def read(handle):
            for place in PLACES:
                found = stamps.turn_of(place, handle.pread(stamps.BLOCK, place * stamps.BLOCK))
                assert found == self.holds, f"{self.disk} holds turn {found}, not {self.holds}"

        self.on_nbd(read)

    def take_snapshot(self):
        name = f"{self.name}-{self.done}"
        snapshot = take_snapshot(self.client, self.disk, name)
        self.snapshots[snapshot] = (name, self.holds)
        self.done += 1

    def go_back(self):
        """To one of the snapshots, on no instance, so that the instance can go on."""
        self.detach()
        snapshot = self.rng.choice(list(self.snapshots))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.client.ask("ResetDisk", DiskId=self.disk, SnapshotId=snapshot)
            if answer.status == 200:
                break
            assert answer.tree["Code"] in BUSY, f"ResetDisk: {answer.status} {answer.tree}"
            assert time.monotonic() < deadline, f"{self.disk} cannot be reset: {answer.tree}"
            time.sleep(0.1)
        self.holds = self.snapshots[snapshot][1]
        self.until_disk_is("Available")
        self.attach()
        self.done += 1

    def forget(self):
        """Deletes a snapshot, but not the last one."""
        if len(self.snapshots) < 2:
            return
        snapshot = self.rng.choice(list(self.snapshots))
        del self.snapshots[snapshot]
        self.until_forgotten(snapshot)
        self.done += 1

    def until_forgotten(self, snapshot: str):
        self.client.until_true(
            "DeleteSnapshot",
            lambda: self.client.snapshot(snapshot) is None,
            {"SnapshotId": snapshot},
            BUSY | {"InvalidSnapshotId.NotFound"},
        )

    def delete(self):
        self.detach()
        gone = {"DiskId": self.disk}
        good = BUSY | {"InvalidDiskId.NotFound"}
        self.client.until_true(
            "DeleteDisk", lambda: self.client.disk(self.disk) is None, gone, good
        )
        self.is_deleted = True
        self.done += 1

    # Looking.

    def is_in(self, status: str) -> bool:
        disk = self.client.disk(self.disk)
        assert disk, f"{self.disk} is gone"
        if disk["Status"] != status:
            return False
        expected = self.instance if status == "In_use" else ""
        assert disk["InstanceId"] == expected, disk
        return True

    def until_disk_is(self, status: str):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.is_in(status):
            assert time.monotonic() < deadline, f"{self.disk} is not {status}"
            time.sleep(0.05)

    def on_nbd(self, use):
        """Uses the disk, again from the beginning where its connection ends before that is done."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self.cluster.export(self.disk) as handle:
                    return use(handle)
            except nbd.Error as lost:
                assert time.monotonic() < deadline, f"{self.disk} cannot be used: {lost}"
                time.sleep(0.1)
