"""Tasks that go on after their call, and a server that is killed under them."""

import hashlib
import random

from harness import blocks
from harness.objects import BUCKET, bucket, finished, image, import_image, task
from harness.reset import import_snapshot
from harness.waiting import until

MIB = 1 << 20
SIZE = 300 * MIB
"""Enough for a task to be seen under way."""


def noise() -> bytes:
    rng = random.Random(7)
    return b"".join(rng.randbytes(MIB) for _ in range(SIZE // MIB))


def kill_within(ecs, task_id: str):
    """Kills the server while the task is under way, and starts it again."""

    def under_way():
        told = task(ecs, task_id)
        assert told["TaskStatus"] == "Processing", "the task was too fast to be caught"
        return told["TaskProcess"] not in ("0%", "1%")

    until(under_way, f"{task_id} has come some way")
    ecs.server.kill()
    ecs.server.start()


def test_an_import_is_begun_again(ecs):
    content = noise()
    (bucket(ecs) / "noise.raw").write_bytes(content)
    made, task_id = import_image(ecs, "noise.raw")
    kill_within(ecs, task_id)
    assert image(ecs, made) is None
    finished(ecs, task_id)
    assert image(ecs, made)["Size"] == 1
    [instance] = ecs.run_instances(ImageId=made)
    [system] = ecs.disks(InstanceId=instance)
    assert blocks.read(ecs.server, system["DiskId"], 0, SIZE) == content


def test_an_export_is_begun_again(ecs):
    folder = bucket(ecs)
    content = noise()
    _, disk = ecs.machine()
    snapshot = import_snapshot(ecs, disk, content)
    given = {"SnapshotId": snapshot, "OssBucket": BUCKET}
    task_id = ecs.call("ExportSnapshot", given)["TaskId"]
    kill_within(ecs, task_id)
    finished(ecs, task_id)
    [written] = folder.iterdir()
    with written.open("rb") as file:
        assert file.read(SIZE) == content
        assert file.read(MIB) == bytes(MIB)


def test_an_archive_is_begun_again(ecs):
    folder = bucket(ecs)
    content = noise()
    _, disk = ecs.machine()
    snapshot = import_snapshot(ecs, disk, content)
    task_id = ecs.call("ModifySnapshotCategory", SnapshotId=snapshot)["TaskId"]
    kill_within(ecs, task_id)
    finished(ecs, task_id)
    assert ecs.snapshot(snapshot)["Category"] == "Archive"
    given = {"SnapshotId": snapshot, "OssBucket": BUCKET}
    finished(ecs, ecs.call("ExportSnapshot", given)["TaskId"])
    with (folder / f"{snapshot}.raw").open("rb") as file:
        read = file.read(SIZE)
    assert hashlib.sha256(read).digest() == hashlib.sha256(content).digest()


def test_a_task_is_cancelled_under_way(ecs):
    folder = bucket(ecs)
    (folder / "noise.raw").write_bytes(noise())
    made, task_id = import_image(ecs, "noise.raw")
    until(lambda: task(ecs, task_id)["TaskProcess"] != "0%", f"{task_id} has come some way")
    ecs.call("CancelTask", TaskId=task_id)
    told = task(ecs, task_id)
    assert (told["TaskStatus"], told["FailedCount"]) == ("Failed", 1)
    for status in ("Available", "Creating", "CreateFailed"):
        assert image(ecs, made, status) is None
    assert ecs.snapshots() == []
    # A stop does not wait for a task: it is cut short and begun again.
    _, again = import_image(ecs, "noise.raw")
    ecs.server.stop()
    ecs.server.start()
    finished(ecs, again)
