"""A server is killed in each step of ResetDisk, CreateSnapshot and AttachDisk, exactly there.

It kills itself, as it is told by EBB_KILL_AT. Where there are others they go on in its place,
before it is started again. Then what was under way is done or undone, wholly, and the same call
again does it once.

EBB_CLUSTER_KILLS says how many; each step has its turn. `cargo xtask cluster` does a few of them.
"""

import dataclasses
import itertools
import os

import pytest

from harness import blocks, stamps
from harness.cluster import GONE, SERVERS, Client, Cluster, await_settled
from harness.crash import seeded
from harness.ecs import Ecs
from harness.owner import BUSY, PATIENCE_SECONDS, take_snapshot
from harness.waiting import until

KILLS = int(os.environ.get("EBB_CLUSTER_KILLS", "6"))
PLACES = [0, 700]
SETTLED_SECONDS = 30
MOST_SNAPSHOTS = 12


@dataclasses.dataclass
class World:
    """A disk, attached between the rounds, and what is known of it."""

    cluster: Cluster
    client: Client
    instance: str
    disk: str
    turn: int = 0
    holds: int = 0
    snapshots: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def place(self) -> dict:
        return {"DiskId": self.disk, "InstanceId": self.instance}

    def write(self):
        self.turn += 1
        with self.cluster.export(self.disk) as handle:
            for place in PLACES:
                handle.pwrite(stamps.stamped(place, self.turn), place * stamps.BLOCK)
            handle.flush()
        self.holds = self.turn

    def found(self) -> int:
        """The turn that the disk holds; it must hold one."""
        with self.cluster.export(self.disk) as handle:
            turns = {
                stamps.turn_of(place, handle.pread(stamps.BLOCK, place * stamps.BLOCK))
                for place in PLACES
            }
        assert len(turns) == 1, f"the disk is a mixture of turns {turns}"
        return turns.pop()

    def is_in(self, status: str):
        return self.client.disk(self.disk)["Status"] == status

    def attach(self):
        self.client.until_true("AttachDisk", lambda: self.is_in("In_use"), self.place, BUSY)
        assert self.client.disk(self.disk)["InstanceId"] == self.instance

    def detach(self):
        # It goes on after its answer.
        good = BUSY | {"InvalidDisk.AlreadyDetached"}
        self.client.until_true("DetachDisk", lambda: self.is_in("Available"), self.place, good)

    def reset(self, snapshot: str):
        asked = {"DiskId": self.disk, "SnapshotId": snapshot}

        def is_done():
            answer = self.client.ask("ResetDisk", asked)
            assert answer.status == 200 or answer.tree["Code"] in BUSY, answer.tree
            return answer.status == 200

        until(is_done, f"{self.disk} is reset", PATIENCE_SECONDS)

    def killed(self, victim: int, step: str, action: str, params: dict):
        """The call kills its server, and what it began comes to an end without it."""
        self.cluster.arm(victim, step)
        with pytest.raises(GONE):
            Ecs(self.cluster.servers[victim]).ask(action, params)
        self.cluster.await_death(victim)
        if SERVERS > 1:
            await_settled(self.client, SETTLED_SECONDS)
        self.cluster.revive(victim)
        await_settled(self.client, SETTLED_SECONDS)

    def audit(self):
        """Nothing is there that nobody made, nothing is gone, and one server has the disk."""
        disks = [each["DiskId"] for each in self.client.all("Disk", DiskType="data")]
        assert disks == [self.disk]
        assert len(self.client.all("Instance")) == 1
        shown = {each["SnapshotId"]: each["Status"] for each in self.client.all("Snapshot")}
        assert shown == dict.fromkeys(self.snapshots, "accomplished")
        assert self.found() == self.holds
        assert sum(serves(server, self.disk) for server in self.cluster.servers) == 1


def serves(server, disk: str) -> bool:
    try:
        with blocks.export(server, disk) as handle:
            return not handle.is_read_only()
    except blocks.nbd.Error:
        return False


def in_reset(world: World, victim: int, step: str, rng):
    snapshot = rng.choice(list(world.snapshots))
    world.write()
    world.detach()
    world.killed(victim, step, "ResetDisk", {"DiskId": world.disk, "SnapshotId": snapshot})
    world.attach()
    # Before the engine's part either will do; what the engine has done stays.
    either = {world.snapshots[snapshot]} | ({world.holds} if step == "ResetIntended" else set())
    assert world.found() in either
    world.detach()
    world.reset(snapshot)
    world.attach()
    world.holds = world.snapshots[snapshot]


def in_create_snapshot(world: World, victim: int, step: str, rng):
    world.write()
    name = f"turn-{world.turn}"
    new = {"DiskId": world.disk, "SnapshotName": name, "ClientToken": name}
    world.killed(victim, step, "CreateSnapshot", new)
    snapshot = take_snapshot(world.client, world.disk, name)
    assert snapshot not in world.snapshots
    assert world.client.snapshot(snapshot)["SnapshotName"] == name
    world.snapshots[snapshot] = world.turn
    if len(world.snapshots) > MOST_SNAPSHOTS:
        gone = rng.choice(list(world.snapshots))
        del world.snapshots[gone]
        world.client.call("DeleteSnapshot", SnapshotId=gone)


def in_attach(world: World, victim: int, step: str, rng):
    world.write()
    world.detach()
    world.killed(victim, step, "AttachDisk", world.place)
    assert world.client.disk(world.disk)["Status"] in ("Available", "In_use")
    world.attach()


STEPS = [
    ("ResetIntended", in_reset),
    ("SnapshotIntended", in_create_snapshot),
    ("AttachIntended", in_attach),
    ("VolumeReset", in_reset),
    ("VersionMade", in_create_snapshot),
    ("AttachPublished", in_attach),
]


@pytest.mark.timeout(60 + 30 * KILLS)
def test_each_step(folder):
    rng = seeded()
    cluster = Cluster(folder, SERVERS).start()
    try:
        ecs = Ecs(cluster.servers[0])
        instance, disk = ecs.machine(1)
        world = World(cluster, Client(cluster), instance, disk)
        for _ in range(3):
            world.write()
            world.snapshots[ecs.create_snapshot(disk)] = world.turn
        for number, (step, round) in zip(range(KILLS), itertools.cycle(STEPS), strict=False):
            print(f"{number}: {step}")
            # Each step with each server in turn.
            victim = (number + number // len(STEPS)) % SERVERS
            round(world, victim, step, rng)
            world.audit()
    finally:
        cluster.close()
