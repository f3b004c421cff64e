"""The whole server on the Ceph engine. `cargo xtask ceph` starts the cluster and runs this."""

import contextlib
import http.client
import json
import os
import subprocess
import threading
import time
import uuid

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import blocks, ceph, wire
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


def test_where_a_disk_is(make_server, namespace):
    server = make_server(args=on_rbd(namespace, "--rbd-reset", "clone")).start()
    ecs = Ecs(server)
    instance, disk = ecs.machine(2)
    fill(server, disk, "first")
    snapshot = ecs.create_snapshot(disk)
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    found = json.loads(server.locate(disk, "--json"))
    place = (found["engine"], found["pool"], found["namespace"])
    assert place == ("rbd", "rbd", namespace)
    assert found["attached_to"] == [instance] and found["depth"] == 1
    assert found["served_at"] == server.nbd_uri(disk)
    (held,) = found["snapshots"]
    assert held["snapshot"] == snapshot and found["parents"] == [held["image"]]
    image = f"rbd/{namespace}/{found['image']}"
    assert f"--read-only {image}" in found["map"] and "readonly=on" in found["qemu"]
    info = json.loads(rbd("info", image, "--format", "json"))
    assert info["id"] == found["image_id"] and info["size"] == found["size_bytes"]
    assert set(info["features"]) == set(found["features"])
    # What is told to be the disk has its bytes.
    exported = rbd("export", "--no-progress", image, "-", text=False)
    noise = blocks.noise(("first", 0), 2 * blocks.MIB)
    assert exported[: 2 * blocks.MIB] == noise
    assert "warning: " in server.locate(disk)


def rbd(*words, text=True):
    command = ["rbd", "--conf", os.environ["EBB_TEST_CEPH_CONF"], *words]
    return subprocess.run(command, check=True, capture_output=True, text=text, timeout=60).stdout


def test_what_the_engine_counts(make_server, namespace):
    server = make_server(args=on_rbd(namespace, "--rbd-reset", "clone")).start()
    ecs = Ecs(server)
    instance, disk = ecs.machine(2)
    fill(server, disk, "first")
    snapshot = ecs.create_snapshot(disk)
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    page = counted(server)
    assert page["ebbtide_rbd_resets_by_clone_total"] == 1
    assert page["ebbtide_rbd_resets_in_place_total"] == 0
    assert page["ebbtide_rbd_requests_in_flight"] == 0
    assert page["ebbtide_rbd_errors_total"] == 0
    # What rows tell is as old as the last look at them, which a reset asks for.
    deadline = time.monotonic() + 20
    # The instance's own disk is one image; the other disk's are its new head and the one it left.
    while page["ebbtide_rbd_images"] != 3:
        assert time.monotonic() < deadline, page
        time.sleep(0.2)
        page = counted(server)
    assert page["ebbtide_rbd_clones"] == 1 and page["ebbtide_rbd_depth_max"] == 1


def counted(server) -> dict:
    answer = wire.send(server, "GET", "/metrics")
    families = text_string_to_metric_families(answer.body.decode())
    samples = (sample for family in families for sample in family.samples)
    return {sample.name: sample.value for sample in samples if "_rbd_" in sample.name}
