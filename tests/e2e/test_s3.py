"""Buckets that are S3's: ExportSnapshot to them, ImportImage from them."""

import random

import pytest

from harness import blocks
from harness.ecs import Ecs
from harness.objects import failed, finished, image, over, qemu_img, task
from harness.reset import import_snapshot
from harness.s3 import s3, silence
from harness.waiting import until

MIB = 1 << 20
GIB = 1 << 30
BUCKET = "far-away"


@pytest.fixture
def far(folder):
    """An S3 with a bucket and a user."""
    with s3(folder) as running:
        running.make(BUCKET)
        running.make("nobody-said-so")
        running.with_keys()
        yield running


@pytest.fixture
def ecs(make_server, far) -> Ecs:
    """An account of a server that may use the bucket."""
    return Ecs(make_server(args=words(far.endpoint), env=far.environment()).start())


def words(endpoint: str) -> list[str]:
    return ["--s3-endpoint", endpoint, "--s3-bucket", BUCKET, "--s3-region", "eu-central-1"]


def noise(mib: int) -> bytes:
    rng = random.Random(5)
    return b"".join(rng.randbytes(MIB) for _ in range(mib))


def export(ecs, snapshot, bucket=BUCKET) -> str:
    given = {"SnapshotId": snapshot, "OssBucket": bucket, "OssPrefix": "of/ebb"}
    return ecs.call("ExportSnapshot", given)["TaskId"]


def of_bucket(name: str) -> dict:
    return {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": name}


def import_image(ecs, name: str) -> tuple[str, str]:
    reply = ecs.call("ImportImage", of_bucket(name))
    return reply["ImageId"], reply["TaskId"]


def system_disk(ecs, image_id: str) -> str:
    [instance] = ecs.run_instances(ImageId=image_id)
    [disk] = ecs.disks(InstanceId=instance)
    return disk["DiskId"]


def test_a_snapshot_leaves(ecs, far):
    content = noise(40)
    _, disk = ecs.machine()
    snapshot = import_snapshot(ecs, disk, content)
    finished(ecs, export(ecs, snapshot))
    [(name, size)] = far.objects(BUCKET).items()
    assert (snapshot in name, size) == (True, GIB)
    assert far.read(BUCKET, name, 0, 41 * MIB) == content + bytes(MIB)
    assert far.read(BUCKET, name, GIB - MIB, MIB) == bytes(MIB)
    assert far.uploads(BUCKET) == []


def test_a_raw_image(ecs, far):
    content = noise(40)
    far.client.put_object(Bucket=BUCKET, Key="deep/er/disk.img", Body=content)
    made, task_id = import_image(ecs, "deep/er/disk.img")
    finished(ecs, task_id)
    came = blocks.read(ecs.server, system_disk(ecs, made), 0, 41 * MIB)
    assert came == content + bytes(MIB)


def test_a_qcow2_image(ecs, far, folder):
    content = noise(37)
    (folder / "disk.raw").write_bytes(content)
    qemu_img("convert", "-O", "qcow2", folder / "disk.raw", folder / "disk.qcow2")
    far.client.upload_file(str(folder / "disk.qcow2"), BUCKET, "磁盘 1+2%20.qcow2")
    made, task_id = import_image(ecs, "磁盘 1+2%20.qcow2")
    finished(ecs, task_id)
    assert blocks.read(ecs.server, system_disk(ecs, made), 0, 37 * MIB) == content
    # What was fetched is no file of the server any more.
    names = {path.name for path in ecs.server.data_dir.iterdir() if path.is_file()}
    assert not any("qcow2" in name or name.startswith(".tmp") for name in names)


def test_only_the_buckets_that_the_operator_named(ecs, far):
    _, disk = ecs.machine()
    snapshot = ecs.create_snapshot(disk)
    given = {"SnapshotId": snapshot, "OssBucket": "nobody-said-so"}
    ecs.refused(403, "InvalidOSSBucket.NotFound", "ExportSnapshot", given)
    # Folders are there beside them.
    (ecs.server.data_dir / "oss/at-home").mkdir()
    finished(ecs, export(ecs, snapshot, "at-home"))
    # S3 goes before a folder of the same name.
    folder = ecs.server.data_dir / "oss" / BUCKET
    folder.mkdir()
    (folder / "x.raw").write_bytes(noise(1))
    ecs.refused(400, "InvalidOSSObject.NotFound", "ImportImage", of_bucket("x.raw"))


def test_what_is_not_there_is_said_so(ecs, far):
    far.client.put_object(Bucket=BUCKET, Key="empty.raw", Body=b"")
    for name, code in [("none.raw", "NotFound"), ("empty.raw", "Size")]:
        ecs.refused(400, f"InvalidOSSObject.{code}", "ImportImage", of_bucket(name))


def test_wrong_keys_fail_the_task(make_server, far):
    env = far.environment() | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    ecs = Ecs(make_server(args=words(far.endpoint), env=env).start())
    _, disk = ecs.machine()
    snapshot = ecs.create_snapshot(disk)
    assert "SignatureDoesNotMatch" in failed(ecs, export(ecs, snapshot))
    assert far.objects(BUCKET) == {}
    # It is not known whether the object is there: that is told by the task, too.
    made, task_id = import_image(ecs, "x.raw")
    assert "403" in failed(ecs, task_id)
    assert image(ecs, made, "CreateFailed")


def begun(ecs, disk) -> str:
    """An export that is under way."""
    task_id = export(ecs, import_snapshot(ecs, disk, noise(64)))

    def has_come_some_way():
        told = task(ecs, task_id)
        assert told["TaskStatus"] == "Processing", "the task was too fast to be caught"
        return told["TaskProcess"] not in ("0%", "1%", "2%")

    until(has_come_some_way, f"{task_id} has come some way", seconds=60)
    return task_id


def test_what_is_cancelled_leaves_nothing(ecs, far):
    _, disk = ecs.machine()
    task_id = begun(ecs, disk)
    assert len(far.uploads(BUCKET)) == 1
    ecs.call("CancelTask", TaskId=task_id)
    assert over(ecs, task_id)["TaskStatus"] == "Failed"
    until(lambda: far.uploads(BUCKET) == [], "the upload is aborted", seconds=60)
    assert far.objects(BUCKET) == {}


def test_an_export_is_begun_again_after_a_crash(ecs, far):
    _, disk = ecs.machine()
    task_id = begun(ecs, disk)
    ecs.server.kill()
    ecs.server.start()
    finished(ecs, task_id)
    [(name, size)] = far.objects(BUCKET).items()
    assert size == GIB
    assert far.read(BUCKET, name, 0, 64 * MIB) == noise(64)
    # What the crash left of the first is for a rule of the bucket to remove.
    assert len(far.uploads(BUCKET)) == 1


def test_a_server_stops_though_s3_does_not_answer(make_server, far):
    content = noise(1)
    far.client.put_object(Bucket=BUCKET, Key="x.raw", Body=content)
    with silence() as endpoint:
        server = make_server(args=words(endpoint), env=far.environment()).start()
        ecs = Ecs(server)
        _, disk = ecs.machine()
        export_id = export(ecs, ecs.create_snapshot(disk))
        # Nor does an API call wait for it long.
        made, import_id = import_image(ecs, "x.raw")
        server.stop()
    # What waited has not failed: it is begun again.
    server.args = words(far.endpoint)
    server.start()
    finished(ecs, import_id)
    assert blocks.read(server, system_disk(ecs, made), 0, MIB) == content
    assert task(ecs, export_id)["TaskStatus"] == "Processing"
    ecs.call("CancelTask", TaskId=export_id)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--s3-bucket", "No_Name"], "is not a name that OssBucket can have"),
        (["--s3-bucket", "abc", "--s3-endpoint", "nowhere"], "https://"),
    ],
)
def test_a_start_says_what_is_wrong(make_server, args, why):
    make_server(args=args).refuses_to_start(why)
