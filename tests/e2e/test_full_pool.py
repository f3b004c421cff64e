"""A pool that is full: nothing more is written, and everything that makes room works."""

import pytest

from harness import blocks
from harness.ecs import Ecs
from harness.filling import Filler, fits
from harness.health import stays_healthy
from harness.waiting import until

POOL_BYTES = 400 * blocks.MIB
RESERVE_BYTES = 64 * blocks.MIB
TAKEN = 8 * blocks.MIB


def test_a_full_pool_can_be_made_less_full(make_server):
    """Between the steps it is filled up again with what the step before gave back."""
    small = ["--pool-size", str(POOL_BYTES), "--pool-reserve", "64MiB"]
    server = make_server(args=small).start()
    ecs = Ecs(server)
    first, second = blocks.noise("first", TAKEN), blocks.noise("second", TAKEN)
    with stays_healthy(server):
        instance, disk = ecs.machine()
        filler = Filler(ecs)
        blocks.write(server, disk, 0, first)
        older = ecs.create_snapshot(disk)
        blocks.write(server, disk, 0, second)
        newer = ecs.create_snapshot(disk)
        assert filler.fill() > (POOL_BYTES - RESERVE_BYTES) / 2
        assert (server.data_dir / "pool.dat").stat().st_size <= POOL_BYTES

        ecs.call("DeleteSnapshot", SnapshotId=newer)
        filler.fill()
        of_filler = ecs.create_snapshot(filler.disk)
        filler.fill()
        ecs.stop_instance(instance)
        ecs.reset(disk, older)
        ecs.start_instance(instance)
        assert blocks.read(server, disk, 0, TAKEN) == first
        filler.fill()
        with blocks.export(server, disk) as handle:
            handle.trim(TAKEN, 0)
            handle.flush()
        assert blocks.read(server, disk, 0, TAKEN) == bytes(TAKEN)
        filler.fill()
        ecs.detach(filler.disk, filler.instance)
        ecs.call("DeleteDisk", DiskId=filler.disk)
        ecs.call("DeleteSnapshot", SnapshotId=of_filler)

        until(lambda: fits(server, disk, 0, second), "what was deleted makes room", 30)
        assert blocks.read(server, disk, 0, TAKEN) == second
    server.stop()
    assert server.check_result().returncode == 0


def test_trimming_makes_room(make_server):
    small = ["--pool-size", str(POOL_BYTES // 2), "--pool-reserve", "64MiB"]
    server = make_server(args=small).start()
    ecs = Ecs(server)
    with stays_healthy(server):
        filler = Filler(ecs)
        written = filler.fill()
        with blocks.export(server, filler.disk) as handle:
            handle.trim(written, 0)
            handle.flush()
        data = blocks.noise("again", written // 2)
        until(lambda: fits(server, filler.disk, 0, data), "what was trimmed makes room", 30)
        assert blocks.read(server, filler.disk, 0, len(data)) == data


@pytest.mark.parametrize("place", ["flag", "variable", "file"])
def test_a_pool_that_would_hold_nothing_is_refused(make_server, folder, place):
    """Wherever its size is given, and with the least that would do."""
    config = folder / "ebb.toml"
    config.write_text('pool_size = "100MiB"\n')
    args = {"flag": ["--pool-size", "100MiB"], "file": ["--config", str(config)]}
    env = {"EBB_POOL_SIZE": "100MiB"} if place == "variable" else {}
    server = make_server(args=args.get(place, []), env=env)
    process = server.spawn()
    with process:
        out, _ = process.communicate(timeout=20)
    assert process.returncode != 0 and "ready" not in out
    assert "193MiB" in server.log.text(), server.log.text()
    assert not server.data_dir.exists()
