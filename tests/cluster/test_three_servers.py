"""Many servers on one store and one pool, and many clients, under whom servers are killed.

How many there are of each is in EBB_CLUSTER_SERVERS, EBB_CLUSTER_CLIENTS and EBB_CLUSTER_KILLS. All
of it runs on one machine, Ceph too, in builds for tests: one of two processors answers 200 clients
within their patience only if it has nothing else to do.
"""

import os

import pytest

from harness import blocks
from harness.cluster import SERVERS, Client, Cluster, await_settled
from harness.crash import seeded
from harness.ecs import IMAGE, INSTANCE_TYPE, ZONE, Ecs
from harness.owner import Owner
from harness.waiting import until

CLIENTS = int(os.environ.get("EBB_CLUSTER_CLIENTS", "40"))
KILLS = int(os.environ.get("EBB_CLUSTER_KILLS", "2"))
INSTANCES = 20
"""Of 10 owners each: an instance takes 16 data disks."""

ROUNDS = 2
"""Changes that each owner makes to its disk, each a few calls."""

STEPS = 3 + ROUNDS
"""What each does at least."""

SETTLED_SECONDS = 30


@pytest.fixture
def cluster(folder):
    cluster = Cluster(folder, SERVERS)
    yield cluster.start()
    cluster.close()


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_doubled(cluster):
    rng = seeded()
    instances = run_instances(Client(cluster))
    seed = rng.randrange(1 << 32)
    owners = [
        Owner(cluster, number, instances[number % INSTANCES], ROUNDS, seed)
        for number in range(CLIENTS)
    ]
    for owner in owners:
        owner.start()
    for kill in range(KILLS):
        # Spread over all that there is to be done.
        await_steps(owners, (kill + 1) * CLIENTS * STEPS // (KILLS + 1))
        victim = rng.randrange(SERVERS)
        cluster.kill(victim)
        cluster.revive(victim)
    for owner in owners:
        owner.join(300)
        assert not owner.is_alive(), f"{owner.name} hangs"
    failures = [f"{owner.name}: {owner.failure!r}" for owner in owners if owner.failure]
    assert not failures, "\n".join([f"{len(failures)} failed", *failures[:10]])

    await_settled(Client(cluster), SETTLED_SECONDS)
    for server in cluster.servers:
        audit(server, owners, set(instances))
    for owner in owners:
        if not owner.is_deleted:
            assert served_by(cluster, owner.disk) == 1, f"{owner.disk} has not one server"
            owner.check()


def run_instances(client) -> list[str]:
    """Made once, however often it is asked for."""
    wanted = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}
    wanted |= {"Amount": INSTANCES, "ClientToken": "instances"}
    made = [
        client.call("RunInstances", wanted)["InstanceIdSets"]["InstanceIdSet"] for _ in range(2)
    ]
    assert made[0] == made[1] and len(made[0]) == INSTANCES
    await_settled(client, SETTLED_SECONDS)
    return made[0]


def await_steps(owners, wanted):
    """Until the owners have made so many steps together, or one has failed."""

    def are_made():
        return sum(owner.done for owner in owners) >= wanted or any(o.failure for o in owners)

    until(are_made, f"{wanted} steps are made", SETTLED_SECONDS * 5)


class One:
    """A cluster of which one server alone is asked."""

    def __init__(self, server):
        self.servers = [server]


def audit(server, owners, instances):
    """What one of the servers shows is what the ledgers say, no more and no less."""
    client = Client(One(server))
    assert {each["InstanceId"] for each in client.all("Instance")} == instances
    alive = [owner for owner in owners if not owner.is_deleted]
    disks = client.all("Disk", DiskType="data")
    shown = sorted((each["DiskName"], each["DiskId"], each["Status"]) for each in disks)
    assert shown == sorted((owner.name, owner.disk, "In_use") for owner in alive)
    places = {each["DiskId"]: each["InstanceId"] for each in disks}
    assert places == {owner.disk: owner.instance for owner in alive}
    # Those of deleted disks stay.
    taken = client.all("Snapshot")
    assert {each["Status"] for each in taken} == {"accomplished"}
    shown = sorted((each["SnapshotName"], each["SnapshotId"]) for each in taken)
    told = [(name, id) for owner in owners for id, (name, _) in owner.snapshots.items()]
    assert shown == sorted(told)


def served_by(cluster, disk) -> int:
    """How many servers let a client write to the disk."""

    def serves(server):
        try:
            with blocks.export(server, disk) as handle:
                return not handle.is_read_only()
        except blocks.nbd.Error:
            return False

    return sum(serves(server) for server in cluster.servers)


def test_servers_have_one_account(cluster):
    """Each takes the same key, and shows what another has made."""
    disk = Ecs(cluster.servers[0]).create_disk(1)
    for server in cluster.servers:
        assert [each["DiskId"] for each in Ecs(server).disks()] == [disk]
