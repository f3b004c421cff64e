"""ExportSnapshot, ImportImage and ModifySnapshotCategory: what leaves the pool and comes in."""

import json
import os
import subprocess

import pytest

from harness import blocks
from harness.ecs import IMAGE, INSTANCE_TYPE, ZONE, Ecs
from harness.objects import BUCKET, bucket, failed, finished, image, import_image, over, qemu_img
from harness.paths import server_binary
from harness.reset import NO_SNAPSHOT, import_snapshot

GIB = 1 << 30
START = b"start of the disk ".ljust(8192, b"s")
END = b"and its end".ljust(4096, b"e")


def raw(size: int) -> bytes:
    """A disk image with something at either end and much of nothing between."""
    return START + bytes(size - len(START) - len(END)) + END


def disks_of(ecs, image_id) -> tuple[dict, list[dict]]:
    """The disks of an instance made of an image: the system disk, and the others."""
    [instance] = ecs.run_instances(ImageId=image_id)
    disks = sorted(ecs.disks(InstanceId=instance), key=lambda disk: disk["Device"])
    return disks[0], disks[1:]


def export(ecs, snapshot, **more) -> str:
    given = {"OssBucket": BUCKET} | more
    return ecs.call("ExportSnapshot", SnapshotId=snapshot, **given)["TaskId"]


def test_a_snapshot_leaves_and_comes_back(ecs):
    folder = bucket(ecs)
    _, disk = ecs.machine(2)
    blocks.write(ecs.server, disk, 0, START)
    blocks.write(ecs.server, disk, 2 * GIB - len(END), END)
    snapshot = ecs.create_snapshot(disk)
    blocks.write(ecs.server, disk, 0, bytes(8192))
    finished(ecs, export(ecs, snapshot))
    written = folder / f"{snapshot}.raw"
    assert written.stat().st_size == 2 * GIB
    # What was never written takes no space there either.
    assert written.stat().st_blocks * 512 < 4 << 20
    with written.open("rb") as file:
        assert file.read(len(START)) == START
        file.seek(-len(END), os.SEEK_END)
        assert file.read() == END
    assert [path.name for path in folder.iterdir()] == [written.name]
    # It is an image like any other.
    made, task = import_image(ecs, written.name, ImageName="comes-back")
    finished(ecs, task)
    shown = image(ecs, made)
    assert (shown["ImageName"], shown["Size"], shown["Progress"]) == ("comes-back", 2, "100%")
    system, _ = disks_of(ecs, made)
    assert blocks.read(ecs.server, system["DiskId"], 0, len(START)) == START
    assert blocks.read(ecs.server, system["DiskId"], 2 * GIB - len(END), len(END)) == END


@pytest.mark.parametrize("words", [[], ["-o", "compat=0.10"], ["-c"]])
def test_a_qcow2_image(ecs, words):
    folder = bucket(ecs)
    source = ecs.server.folder / "disk.raw"
    source.write_bytes(raw(5 << 20))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", *words, source, folder / "disk.qcow2")
    made, task = import_image(ecs, "disk.qcow2")
    finished(ecs, task)
    system, _ = disks_of(ecs, made)
    read = blocks.read(ecs.server, system["DiskId"], 0, 5 << 20)
    assert read == raw(5 << 20)
    assert blocks.read(ecs.server, system["DiskId"], 5 << 20, 4096) == bytes(4096)


def test_an_image_of_several_objects(ecs):
    folder = bucket(ecs)
    (folder / "system.raw").write_bytes(raw(1 << 20))
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/data.img").write_bytes(raw(3 << 20))
    sizes = {
        "DiskDeviceMapping.1.DiskImageSize": 40,
        "DiskDeviceMapping.2.DiskImSize": 30,
        "DiskDeviceMapping.2.Device": "/dev/xvdf",
        "Architecture": "arm64",
        "Platform": "Debian",
        "Tag.1.Key": "from",
        "Tag.1.Value": "elsewhere",
    }
    made, task = import_image(ecs, "system.raw", "deep/er/data.img", **sizes)
    finished(ecs, task)
    shown = image(ecs, made)
    assert (shown["Architecture"], shown["Platform"], shown["Size"]) == ("arm64", "Debian", 40)
    assert shown["Tags"]["Tag"] == [{"TagKey": "from", "TagValue": "elsewhere"}]
    mappings = shown["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert [(each["Device"], each["Size"], each["Type"]) for each in mappings] == [
        ("/dev/xvda", "40", "system"),
        ("/dev/xvdf", "30", "data"),
    ]
    _, [data] = disks_of(ecs, made)
    assert (data["Device"], data["Size"]) == ("/dev/xvdf", 30)
    assert blocks.read(ecs.server, data["DiskId"], 0, 3 << 20) == raw(3 << 20)


def test_an_image_that_names_other_files_is_not_read(ecs):
    folder = bucket(ecs)
    secret = ecs.server.folder / "secret.raw"
    secret.write_bytes(raw(1 << 20))
    qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "backed.qcow2")
    data = f"data_file={secret},data_file_raw=on"
    qemu_img("create", "-f", "qcow2", "-o", data, folder / "apart.qcow2", 1 << 20)
    (folder / "none.qcow2").write_bytes(b"this is no qcow2 image")
    for name, why in [
        ("backed.qcow2", "backing file"),
        ("apart.qcow2", "another file"),
        ("none.qcow2", "qcow2"),
    ]:
        made, task = import_image(ecs, name)
        assert why in failed(ecs, task)
        assert image(ecs, made) is None
        assert image(ecs, made, "CreateFailed")["Progress"] == "100%"
        run = {"ImageId": made, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}
        ecs.refused(404, "InvalidImageId.NotFound", "RunInstances", run)
        ecs.call("DeleteImage", ImageId=made)
    assert ecs.snapshots() == []


def test_an_image_larger_than_its_disk(ecs):
    folder = bucket(ecs)
    with (folder / "large.raw").open("wb") as file:
        file.truncate(3 * GIB + 1)
    _, task = import_image(ecs, "large.raw", **{"DiskDeviceMapping.1.DiskImageSize": 3})
    assert "DiskImageSize" in failed(ecs, task)
    _, task = import_image(ecs, "large.raw")
    finished(ecs, task)


def test_the_same_import_again_is_the_same_image(ecs):
    (bucket(ecs) / "a.raw").write_bytes(raw(1 << 20))
    first = import_image(ecs, "a.raw", ClientToken="once")
    finished(ecs, first[1])
    assert import_image(ecs, "a.raw", ClientToken="once") == first
    images = ecs.call("DescribeImages", ImageOwnerAlias="self")["Images"]["Image"]
    assert [each["ImageId"] for each in images] == [first[0]]


def refused(ecs, status, code, **mapping):
    given = {"OSSBucket": BUCKET, "OSSObject": "a.raw"} | mapping
    more = {name: given.pop(name) for name in list(given) if name in TOP}
    given = {f"DiskDeviceMapping.1.{name}": value for name, value in given.items()}
    ecs.refused(status, code, "ImportImage", given | more)


TOP = {"ImageName", "Description", "Architecture", "OSType", "BootMode", "LicenseType", "DryRun"}


def test_import_refuses(ecs):
    folder = bucket(ecs)
    (folder / "a.raw").write_bytes(raw(1 << 20))
    (folder / "empty.raw").write_bytes(b"")
    (folder / "link.raw").symlink_to("/etc/passwd")
    (ecs.server.data_dir / "oss" / "link").symlink_to("/etc")
    refused(ecs, 400, "InvalidOSSBucket.NotFound", OSSBucket="no-such-bucket")
    refused(ecs, 400, "InvalidOSSBucket.NotFound", OSSBucket="link", OSSObject="passwd.raw")
    for name in ("..", "/etc", "../archive", "A"):
        refused(ecs, 400, "InvalidOSSBucket.Malformed", OSSBucket=name)
    for name in ("../../credentials.raw", "/etc/passwd.raw", "a//b.raw"):
        refused(ecs, 400, "InvalidOSSObject.Malformed", OSSObject=name)
    refused(ecs, 400, "InvalidOSSObject.NotFound", OSSObject="b.raw")
    refused(ecs, 400, "InvalidOSSObject.NotFound", OSSObject="link.raw")
    refused(ecs, 400, "InvalidOSSObject.Size", OSSObject="empty.raw")
    refused(ecs, 400, "UnsupportedSuffix.OSSObject", OSSObject="a")
    refused(ecs, 400, "InvalidImageFormat.Malformed", Format="ISO")
    refused(ecs, 400, "InvalidImageFormat.RegionNotSupported", Format="VHD")
    refused(ecs, 400, "InvalidImageSize", DiskImageSize=2049)
    refused(ecs, 400, "InvalidImageName.Malformed", ImageName="acs:x")
    refused(ecs, 400, "InvalidDescription.Malformed", Description="x")
    refused(ecs, 400, "InvalidArchitecture.Malformed", Architecture="z80")
    refused(ecs, 400, "InvalidOSType.Malformed", OSType="plan9")
    refused(ecs, 400, "InvalidBootMode.Malformed", BootMode="tape")
    refused(ecs, 400, "InvalidLicenseType.NotSupported", LicenseType="none")
    refused(ecs, 400, "DryRunOperation", DryRun=True)
    ecs.refused(403, "MissingParameter.DiskDeviceMapping", "ImportImage")
    assert ecs.call("DescribeTasks")["TotalCount"] == 0


def test_export_refuses(ecs):
    bucket(ecs)
    _, disk = ecs.machine()
    snapshot = ecs.create_snapshot(disk)
    given = {"SnapshotId": snapshot, "OssBucket": BUCKET}
    code = "InvalidSnapshotId.NotFound"
    ecs.refused(403, code, "ExportSnapshot", given | {"SnapshotId": NO_SNAPSHOT})
    for name in ("no-such-bucket", "..", "/tmp"):
        code = "InvalidOSSBucket.NotFound"
        ecs.refused(403, code, "ExportSnapshot", given | {"OssBucket": name})


def old_snapshot(ecs, content=START) -> tuple[str, str, str]:
    """An instance, a disk, and a snapshot of it that is old enough for the archive."""
    instance, disk = ecs.machine(2)
    return instance, disk, import_snapshot(ecs, disk, content)


def test_a_snapshot_goes_to_the_archive(ecs):
    folder = bucket(ecs)
    instance, disk, snapshot = old_snapshot(ecs)
    young = ecs.create_snapshot(disk)
    reply = ecs.call("ModifySnapshotCategory", SnapshotId=snapshot, Category="Archive")
    finished(ecs, reply["TaskId"])
    assert ecs.snapshot(snapshot)["Category"] == "Archive"
    assert [each["SnapshotId"] for each in ecs.snapshots(Category="Archive")] == [snapshot]
    kept = ecs.server.data_dir / "archive" / snapshot
    assert sum(path.stat().st_size for path in kept.iterdir()) < 4096
    # No disk goes back to it or comes from it, and it is not a part of anything else.
    ecs.stop_instance(instance)
    ecs.refused(403, "OperationDenied", "ResetDisk", DiskId=disk, SnapshotId=snapshot)
    new = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "SnapshotId": snapshot, "Size": 20}
    ecs.refused(403, "OperationDenied.SnapshotNotAllowed", "CreateDisk", new)
    again = {"SnapshotId": snapshot, "Category": "Archive"}
    code = "OperationDenied.SnapshotNotAllowed"
    ecs.refused(403, code, "ModifySnapshotCategory", again)
    ecs.refused(403, "OperationDenied", "ModifySnapshotCategory", SnapshotId=young)
    # It comes out as it went in, also after a crash, and goes when it is deleted.
    ecs.server.kill()
    ecs.server.start()
    finished(ecs, export(ecs, snapshot))
    with (folder / f"{snapshot}.raw").open("rb") as file:
        assert file.read(len(START) + 4096) == START + bytes(4096)
    ecs.call("DeleteSnapshot", SnapshotId=snapshot)
    assert not kept.exists()
    ecs.reset(disk, young)


def test_a_locked_snapshot_may_be_archived_and_stays_locked(ecs):
    _, _, snapshot = old_snapshot(ecs)
    lock = {"LockMode": "compliance", "LockDuration": 36500, "CoolOffPeriod": 0}
    ecs.call("LockSnapshot", SnapshotId=snapshot, **lock)
    task = ecs.call("ModifySnapshotCategory", SnapshotId=snapshot, Category="Archive")["TaskId"]
    finished(ecs, task)
    ecs.refused(403, "Operation.Conflict", "DeleteSnapshot", SnapshotId=snapshot, Force=True)


def test_archive_refuses(ecs):
    instance, _, snapshot = old_snapshot(ecs)
    given = {"SnapshotId": snapshot}
    operation = "ModifySnapshotCategory"
    ecs.refused(404, "InvalidSnapshotId.NotFound", operation, SnapshotId=NO_SNAPSHOT)
    code = "InvalidSnapshotCategory.Malformed"
    ecs.refused(403, code, operation, given | {"Category": "Standard"})
    for days in (60, 65_537):
        code = "InvalidRetentionDays.Malformed"
        ecs.refused(400, code, operation, given | {"RetentionDays": days})
    mapping = {
        "DiskDeviceMapping.1.SnapshotId": ecs.create_snapshot(
            ecs.disks(InstanceId=instance, DiskType="system")[0]["DiskId"]
        ),
        "DiskDeviceMapping.2.SnapshotId": snapshot,
    }
    made = ecs.call("CreateImage", mapping)["ImageId"]
    ecs.refused(403, "SnapshotCreatedImage", operation, given)
    ecs.call("DeleteImage", ImageId=made)
    finished(ecs, ecs.call(operation, given)["TaskId"])


def test_a_task_that_is_over_is_not_cancelled(ecs):
    (bucket(ecs) / "a.raw").write_bytes(raw(1 << 20))
    _, task = import_image(ecs, "a.raw")
    [told] = ecs.call("DescribeTasks", TaskIds=task)["TaskSet"]["Task"]
    assert (told["TaskAction"], told["SupportCancel"]) == ("ImportImage", "true")
    finished(ecs, task)
    ecs.refused(403, "InvalidTaskId.IncorrectTaskStatus", "CancelTask", TaskId=task)


def test_a_call_waits_for_its_task(ecs):
    folder = bucket(ecs)
    (folder / "a.raw").write_bytes(raw(1 << 20))
    (folder / "b.qcow2").write_bytes(b"this is no qcow2 image")

    def call(name):
        words = ["--RegionId", "cn-hangzhou", "--DiskDeviceMapping.1.OSSBucket", BUCKET]
        words += ["--DiskDeviceMapping.1.OSSObject", name]
        where = ["--data-dir", ecs.server.data_dir, "--endpoint", f"127.0.0.1:{ecs.server.port}"]
        command = [server_binary(), "call", *where, "--wait", "ImportImage", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    done = call("a.raw")
    assert done.returncode == 0, done.stderr
    assert image(ecs, json.loads(done.stdout)["ImageId"]) is not None
    done = call("b.qcow2")
    assert done.returncode == 1
    assert over(ecs, json.loads(done.stdout)["TaskId"])["TaskStatus"] == "Failed"
    assert "failed" in done.stderr and "qcow2" in done.stderr


def test_buckets_elsewhere(make_server, tmp_path):
    (tmp_path / BUCKET).mkdir()
    (tmp_path / BUCKET / "a.raw").write_bytes(raw(1 << 20))
    ecs = Ecs(make_server(args=["--oss-dir", str(tmp_path)]).start())
    _, task = import_image(ecs, "a.raw")
    finished(ecs, task)
    assert not (ecs.server.data_dir / "oss").exists()
    assert ecs.call("DescribeImages", ImageId=IMAGE)["TotalCount"] == 1
