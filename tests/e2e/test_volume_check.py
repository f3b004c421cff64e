"""`ebb volume check`: what it finds, and that it leaves all as it was."""

import errno
import json

import nbd
import pytest

from harness import blocks

BLOCK = 4096
COUNT = 16


def listing(folder) -> dict:
    """Every file with its content's length and its time."""
    stats = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (found.st_size, found.st_mtime_ns) for name, found in stats.items()}


@pytest.fixture
def written(server, ecs) -> str:
    """A disk with a few blocks, a snapshot, and other blocks since."""
    _, disk = ecs.machine()
    blocks.write(server, disk, 0, blocks.noise("all", COUNT * BLOCK))
    ecs.create_snapshot(disk)
    blocks.write(server, disk, COUNT * BLOCK, blocks.noise("since", COUNT * BLOCK))
    return disk


def flip_a_byte(path, content: bytes):
    """Changes one byte of where a file holds `content`."""
    at = path.read_bytes().index(content) + len(content) // 2
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_what_is_whole(server, written):
    server.stop()
    before = listing(server.data_dir)
    done = server.check_result()
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("whole: volumes 2, snapshots 1, versions "), line
    assert "unfinished walks 0" in line

    as_json = server.check_result("--json")
    assert as_json.returncode == 0
    found = json.loads(as_json.stdout)
    assert found["findings"] == [] and found["volumes"] == 2 and found["snapshots"] == 1
    assert found["blocks"] == 2 * COUNT and found["unfinished_walks"] == 0
    assert found["pages"] > 0 and found["segments"] > 0 and found["versions"] > 0
    assert listing(server.data_dir) == before

    server.start()
    assert blocks.read(server, written, 0, COUNT * BLOCK) == blocks.noise("all", COUNT * BLOCK)


def test_after_a_crash(server, written):
    """What is only in the log is checked too, and is left for the server to recover."""
    server.kill()
    before = listing(server.data_dir)
    done = server.check_result()
    assert done.returncode == 0, done
    assert listing(server.data_dir) == before
    server.start()
    assert blocks.read(server, written, 0, COUNT * BLOCK) == blocks.noise("all", COUNT * BLOCK)


def test_a_block_that_is_damaged(server, written):
    server.log.expect("damaged|checksum")
    server.stop()
    all_of_it, damaged = blocks.noise("all", COUNT * BLOCK), 5
    block = all_of_it[damaged * BLOCK : (damaged + 1) * BLOCK]
    flip_a_byte(server.data_dir / "pool.dat", block)

    done = server.check_result()
    assert done.returncode == 1, done
    finding, summary = done.stdout.splitlines()
    assert str(damaged * BLOCK) in finding and "damaged" in finding, finding
    assert summary.startswith("damaged: volumes 2, "), summary
    as_json = server.check_result("--json")
    assert as_json.returncode == 1 and json.loads(as_json.stdout)["findings"] == [finding]

    server.start()
    with blocks.export(server, written) as handle:
        for n in range(COUNT):
            if n == damaged:
                with pytest.raises(nbd.Error) as caught:
                    handle.pread(BLOCK, n * BLOCK)
                assert caught.value.errnum == errno.EIO
            else:
                expected = all_of_it[n * BLOCK : (n + 1) * BLOCK]
                assert handle.pread(BLOCK, n * BLOCK) == expected
        # What is written anew is whole again.
        handle.pwrite(block, damaged * BLOCK)
        assert handle.pread(BLOCK, damaged * BLOCK) == block


def test_not_while_a_server_runs(server, ecs, written):
    for words in ([], ["--json"]):
        done = server.check_result(*words)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert str(server.data_dir) in done.stderr and "stop it first" in done.stderr
    # The server does not notice.
    blocks.write(server, written, 0, b"x" * BLOCK)
    assert ecs.create_snapshot(written)


def test_no_pool_and_nothing_made(server, folder):
    empty = folder / "empty"
    empty.mkdir()
    for data_dir in (empty, folder / "not-there"):
        done = server.check_result(data_dir=data_dir)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert str(data_dir) in done.stderr and "pool.dat" in done.stderr
    assert list(empty.iterdir()) == [] and not (folder / "not-there").exists()


def test_a_file_that_is_no_pool(server, folder):
    """No pool's first bytes: that is a finding, and no panic."""
    strange = folder / "strange"
    strange.mkdir()
    (strange / "pool.dat").write_bytes(blocks.noise("no pool", 4 * blocks.MIB))
    done = server.check_result(data_dir=strange)
    assert done.returncode in (1, 2) and "panicked" not in done.stderr, done
    assert [path.name for path in strange.iterdir()] == ["pool.dat"]


def test_where_a_disk_is(server, written):
    found = json.loads(server.locate(written, "--json"))
    assert found["engine"] == "local"
    assert found["pool"] == str(server.data_dir / "pool.dat")
    assert found["disk"] == written and len(found["attached_to"]) == 1
    assert found["served_at"] == server.nbd_uri(written)
    assert f"disk: {written}" in server.locate(written).splitlines()
    with pytest.raises(AssertionError, match="there is no such disk"):
        server.locate("d-nothing")
