"""The whole server on the Ceph engine. `cargo xtask ceph` starts the cluster and runs this."""

import contextlib
import http.client
import threading
import time
import uuid

import pytest

from harness import blocks, ceph
from harness.ecs import ZONE, Ecs

PLACES = [0, 5 * blocks.MIB + 777, 900 * blocks.MIB]


def on_rbd(namespace: str, *more, pool="rbd") -> list:
    place = ["--ceph-conf", ceph.conf(), "--rbd-pool", pool, "--rbd-namespace", namespace]
    return ["--engine", "rbd", *place, *more]


@pytest.fixture
def namespace():
    return f"server-{uuid.uuid4()}"


def fill(server, disk, seed):
    for place in PLACES:
        blocks.write(server, disk, place, blocks.noise((seed, place), 2 * blocks.MIB))


def check(server, disk, seed):
    for place in PLACES:
        found = blocks.read(server, disk, place, 2 * blocks.MIB)
        assert found == blocks.noise((seed, place), 2 * blocks.MIB), f"{seed} at {place}"


@pytest.mark.parametrize("how", ["auto", "clone"])
def test_the_story_of_a_reset(make_server, namespace, how):
    server = make_server(args=on_rbd(namespace, "--rbd-reset", how)).start()
    ecs = Ecs(server)
    instance, disk = ecs.machine(2)
    snapshots = {}
    for seed in ["first", "second", "third"]:
        fill(server, disk, seed)
        snapshots[seed] = ecs.create_snapshot(disk)
    for seed in ["second", "third", "first", "second"]:
        ecs.stop_instance(instance)
        ecs.reset(disk, snapshots[seed])
        ecs.start_instance(instance)
        check(server, disk, seed)
        fill(server, disk, "something else")
    server.restart()
    check(server, disk, "something else")
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshots["third"])
    ecs.start_instance(instance)
    check(server, disk, "third")


def test_what_was_answered_survives_a_kill(make_server, namespace):
    server = make_server(args=on_rbd(namespace)).start()
    ecs = Ecs(server)
    instance, disk = ecs.machine(2)
    fill(server, disk, "first")
    snapshot = ecs.create_snapshot(disk)
    fill(server, disk, "second")
    server.kill()
    server.start()
    check(server, disk, "second")
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    server.kill()
    server.start()
    ecs.start_instance(instance)
    check(server, disk, "first")
    # What wrote before the kill is gone, and does not keep others from writing.
    fill(server, disk, "third")
    check(server, disk, "third")


def test_what_is_missing_is_said(make_server, folder):
    conf = folder / "none.conf"
    place = ["--ceph-conf", conf, "--rbd-pool", "rbd"]
    make_server(args=["--engine", "rbd", *place]).refuses_to_start(str(conf))
    server = make_server("two", args=["--engine", "rbd"])
    server.refuses_to_start("--rbd-pool")
    other = make_server("three", args=["--rbd-pool", "rbd"])
    other.refuses_to_start("--engine rbd")
    lacking = make_server("four", args=on_rbd("n", pool="no-such-pool"))
    lacking.refuses_to_start("pool no-such-pool")


def test_a_reset_that_is_killed_is_whole(make_server, namespace):
    server = make_server(args=on_rbd(namespace)).start()
    ecs = Ecs(server)
    instance, disk = ecs.machine(2)
    fill(server, disk, "first")
    snapshot = ecs.create_snapshot(disk)
    for round, delay in enumerate([0, 0.02, 0.05, 0.1, 0.2]):
        newer = f"newer {round}"
        fill(server, disk, newer)
        ecs.stop_instance(instance)
        call = threading.Thread(target=reset_into_the_dark, args=(ecs, disk, snapshot))
        call.start()
        time.sleep(delay)
        server.kill()
        call.join()
        server.start()
        ecs.await_disk(disk, "In_use")
        ecs.start_instance(instance)
        place = blocks.read(server, disk, 0, blocks.MIB)
        went_back = place == blocks.noise(("first", 0), 2 * blocks.MIB)[: blocks.MIB]
        check(server, disk, "first" if went_back else newer)


def reset_into_the_dark(ecs, disk, snapshot):
    """The server may be killed before it answers."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        ecs.call("ResetDisk", DiskId=disk, SnapshotId=snapshot)


def test_nothing_is_encrypted(make_server, namespace):
    ecs = Ecs(make_server(args=on_rbd(namespace)).start())
    code = "InvalidParameter.KmsNotEnabled"
    disk = {"ZoneId": ZONE, "Size": 20, "DiskCategory": "cloud_essd"}
    ecs.refused(400, code, "CreateDisk", disk | {"Encrypted": True})
    assert ecs.disks() == []
