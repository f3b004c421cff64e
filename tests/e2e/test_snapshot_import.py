"""`ebb admin snapshot import`: a raw image kept elsewhere becomes a snapshot of a disk."""

import subprocess

import pytest

from harness import blocks
from harness.ecs import GIB
from harness.imports import broken, held_open, import_words, started
from harness.paths import server_binary
from harness.reset import NO_DISK, import_snapshot


@pytest.fixture
def machine(shared):
    return shared.machine()


def restored(ecs, instance, disk, snapshot, size) -> bytes:
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    return blocks.read(ecs.server, disk, 0, size)


def test_from_a_file(shared, machine, folder):
    instance, disk = machine
    image = folder / "image.raw"
    image.write_bytes(blocks.noise("image", 3 * blocks.MIB))
    words = import_words(disk, "2021-05-06T07:08:09Z", name="from-a-file")
    words[words.index("-")] = str(image)
    printed = shared.server.admin(*words)
    (shown,) = shared.snapshots(DiskId=disk)
    assert shown["SnapshotId"] in str(printed)
    assert shown["CreationTime"] == "2021-05-06T07:08:09Z"
    assert (shown["SnapshotName"], shown["Status"]) == ("from-a-file", "accomplished")
    assert (shown["SourceDiskSize"], shown["Progress"]) == ("1", "100%")
    found = restored(shared, instance, disk, shown["SnapshotId"], 4 * blocks.MIB)
    assert found == image.read_bytes() + bytes(blocks.MIB)


@pytest.mark.parametrize("size", [0, 1, 511, 4096, 5000, 8 * blocks.MIB + 1])
def test_from_standard_input_of_any_size(shared, machine, size):
    instance, disk = machine
    blocks.write(shared.server, disk, 0, b"other" * 2000)
    data = blocks.noise(size, size)
    snapshot = import_snapshot(shared, disk, data)
    found = restored(shared, instance, disk, snapshot, size + 8192)
    assert found == data + bytes(8192)


def test_the_disk_is_not_touched(shared, machine):
    instance, disk = machine
    blocks.write(shared.server, disk, 0, b"mine" * 1024)
    before, content = shared.disk(disk), blocks.fingerprint(shared.server, disk)
    with blocks.export(shared.server, disk) as handle:
        import_snapshot(shared, disk, b"theirs" * 1000)
        assert handle.pread(4096, 0) == b"mine" * 1024
    assert shared.disk(disk) == before
    assert blocks.fingerprint(shared.server, disk) == content
    assert shared.instance(instance)["Status"] == "Running"


def test_any_state_of_the_disk(shared):
    """Even of one that was never attached, which has nothing to snapshot otherwise."""
    disk = shared.create_disk()
    snapshot = import_snapshot(shared, disk, b"x" * 4096)
    shared.reset(disk, snapshot)
    shared.attach(disk, shared.run_instance())
    assert blocks.read(shared.server, disk, 0, 4096) == b"x" * 4096


def test_longer_than_the_disk_is_refused(shared, machine, folder):
    _, disk = machine
    image = folder / "too-long.raw"
    with image.open("wb") as handle:
        handle.truncate(GIB + 1)
    words = import_words(disk)
    words[words.index("-")] = str(image)
    done = shared.server.admin_result(*words)
    assert done.returncode != 0 and done.stderr
    shared.server.log.expect("import")
    assert {each["Status"] for each in shared.snapshots(DiskId=disk)} <= {"failed"}


def test_longer_than_the_disk_on_a_pipe_is_refused(shared, machine):
    _, disk = machine
    process = shared.server.admin_start(*import_words(disk))
    with process:
        try:
            for _ in range(1025):
                process.stdin.write(bytes(blocks.MIB))
            process.stdin.close()
        except BrokenPipeError:
            pass
        assert process.wait(60) != 0
    shared.server.log.expect("import")
    assert {each["Status"] for each in shared.snapshots(DiskId=disk)} <= {"failed"}


def test_held_open_it_is_progressing(shared, machine):
    instance, disk = machine
    with held_open(shared, disk) as snapshot:
        shown = shared.snapshot(snapshot)
        assert shown["Status"] == "progressing" and shown["Available"] is False
        assert shown["Progress"] != "100%"
    assert restored(shared, instance, disk, snapshot, 8192) == b"x" * 8192


def test_a_broken_stream_has_failed(shared, machine):
    _, disk = machine
    snapshot = broken(shared, disk)
    shown = shared.snapshot(snapshot)
    assert shown["Status"] == "failed" and shown["Available"] is False
    shared.call("DeleteSnapshot", SnapshotId=snapshot)
    assert shared.snapshot(snapshot) is None
    import_snapshot(shared, disk, b"again")


def test_a_snapshot_in_progress_can_be_deleted(shared, machine):
    """The documentation: a snapshot being created is cancelled and removed."""
    _, disk = machine
    shared.server.log.expect("import")
    with started(shared, disk) as (process, snapshot):
        shared.call("DeleteSnapshot", SnapshotId=snapshot)
        process.stdin.close()
        assert process.wait(30) != 0
    assert shared.snapshot(snapshot) is None


def test_the_command_returns_when_the_last_byte_is_durable(server, ecs):
    disk = ecs.create_disk()
    data = blocks.noise("durable", 2 * blocks.MIB)
    snapshot = import_snapshot(ecs, disk, data)
    server.kill()
    server.start()
    assert ecs.snapshot(snapshot)["Status"] == "accomplished"
    ecs.reset(disk, snapshot)
    ecs.attach(disk, ecs.run_instance())
    assert blocks.read(server, disk, 0, len(data)) == data


def test_what_it_refuses(shared, machine, folder):
    _, disk = machine
    good = import_words(disk)
    wrong = {
        "a disk that is none": import_words(NO_DISK),
        "a time that is none": import_words(disk, "yesterday"),
        "a category that is none": import_words(disk, category="gold"),
        "a file that is none": [*good[: good.index("-")], str(folder / "none"), *good[-2:]],
    }
    for what, words in wrong.items():
        done = shared.server.admin_result(*words)
        assert done.returncode != 0 and done.stderr, what
    assert shared.snapshots(DiskId=disk) == []


def test_what_it_prints_for_people(shared, machine):
    _, disk = machine
    words = import_words(disk)
    done = subprocess.run(
        [server_binary(), "admin", *words, "--data-dir", shared.server.data_dir],
        input=b"x",
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    (shown,) = shared.snapshots(DiskId=disk)
    assert shown["SnapshotId"] in done.stdout.decode()
