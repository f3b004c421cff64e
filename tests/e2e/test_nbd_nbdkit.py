"""nbdkit's NBD client, with filters between it and programs: strict, failing, slow."""

import contextlib
import random
import subprocess
import time

import nbd
import pytest

from harness import blocks
from harness.ecs import GIB
from harness.nbdkit import nbdkit
from harness.tools import qemu_io, tool

MIB = blocks.MIB


@pytest.fixture
def disk(shared):
    return shared.machine()[1]


@pytest.fixture
def uri(shared, disk):
    return shared.server.nbd_uri(disk)


@pytest.fixture
def image(folder):
    """A disk's worth of data and holes."""
    path = folder / "image"
    with path.open("wb") as file:
        file.truncate(GIB)
        for at in (0, 5 * MIB + 512, 300 * MIB, GIB - MIB):
            file.seek(at)
            file.write(blocks.noise(at, MIB))
    return path


def through(uri: str):
    """A connection to nbdkit, of which every option is its own."""
    return blocks.export(None, "", uri)


def test_a_filter_that_compares_writes(uri, folder, image):
    """Every write, zero and trim of a copy has to be of what the disk holds already."""
    tool("nbdcopy", "--flush", image, uri)
    copy = ["nbdcopy", "--destination-is-zero", "--connections=8", image]
    with nbdkit(folder, uri, "checkwrite") as checked:
        tool("nbdcopy", "--connections=8", image, checked)
        tool("nbdcopy", "--allocated", image, checked)
        with image.open("r+b") as file:
            file.seek(300 * MIB + 7777)
            file.write(b"!")
        differs = tool(*copy, checked, check=False)
        assert differs.returncode != 0
    # Nor was anything written by that.
    with nbdkit(folder, uri, "checkwrite") as checked:
        with image.open("r+b") as file:
            file.seek(300 * MIB + 7777)
            file.write(blocks.noise(300 * MIB, MIB)[7777:7778])
        tool(*copy, checked)


def insist(call):
    """What a client does that does not give up; gives the errors that it met."""
    for errors in range(200):
        try:
            call()
            return errors
        except nbd.Error as error:
            assert error.errno == "EIO", error
    pytest.fail("200 errors in a row")


def test_a_client_that_insists(shared, disk, uri, folder):
    """One request in five fails before the server sees it; in the end all is as it was meant."""
    rng = random.Random("insist")
    base, span = 16 * MIB, 4 * MIB
    model, errors = bytearray(span), 0
    with (
        nbdkit(folder, uri, "error", error="EIO", error_rate="20%") as failing,
        through(failing) as handle,
    ):
        for turn in range(500):
            offset, length = rng.randrange(0, span, 512), rng.choice([512, 4096, 10_240, 65_536])
            length = min(length, span - offset)
            kind = rng.choice(["write", "write", "zero", "read"])
            if kind == "write":
                data = blocks.noise(turn, length)
                errors += insist(lambda: handle.pwrite(data, base + offset))
                model[offset : offset + length] = data
            elif kind == "zero":
                errors += insist(lambda: handle.zero(length, base + offset))
                model[offset : offset + length] = bytes(length)
            else:

                def compare():
                    assert handle.pread(length, base + offset) == model[offset : offset + length]

                errors += insist(compare)
        errors += insist(handle.flush)
    assert errors > 50
    assert blocks.read(shared.server, disk, base, span) == model


def test_an_outage_that_a_filter_sits_out(uri, folder, image):
    """Nothing succeeds for a while, then everything does; the copies are whole, both ways."""
    outage, back = folder / "outage", folder / "back"
    options = {"error": "EIO", "error_rate": "100%", "error_file": outage}
    options |= {"retry_request_delay": 1, "retry_request_retries": 20}
    with nbdkit(folder, uri, "retry-request", "error", **options) as failing:
        for source, target in ((image, failing), (failing, back)):
            outage.touch()
            with nbdcopy("--flush", "--connections=4", source, target) as copying:
                time.sleep(1.2)
                assert copying.poll() is None, "it ended before it could do anything"
                outage.unlink()
                assert copying.wait(60) == 0
    for copy in (back, uri):
        tool("qemu-img", "compare", "-s", "-f", "raw", "-F", "raw", image, copy)


def test_a_copy_goes_on_after_a_restart(server, ecs, folder):
    """The filter connects again; what was answered before is there, as the server ended well."""
    _, disk = ecs.machine()
    uri, image = server.nbd_unix_uri(disk), folder / "small"
    image.write_bytes(blocks.noise("small", 8 * MIB))
    options = {"wdelay": "25ms", "retry_delay": 1, "retry_exponential": "no"}
    with nbdkit(folder, uri, "retry", "delay", **options) as between:
        words = ["--flush", "--connections=1", "--requests=4", "--request-size=65536"]
        with nbdcopy(*words, image, between) as copying:
            time.sleep(0.5)
            begun = blocks.read(server, disk, 0, 8 * MIB).strip(b"\0")
            server.restart()
            assert copying.poll() is None and 0 < len(begun) < 8 * MIB, "not in its midst"
            assert copying.wait(60) == 0
    assert blocks.read(server, disk, 0, 8 * MIB) == image.read_bytes()


@contextlib.contextmanager
def nbdcopy(*words):
    """A copy that is under way."""
    copying = subprocess.Popen(["nbdcopy", *words])
    try:
        yield copying
    finally:
        copying.kill()
        copying.wait()


def test_a_copy_that_fails_says_so(uri, folder, image):
    with nbdkit(folder, uri, "error", error="ENOSPC", error_pwrite_rate="100%") as full:
        failed = tool("nbdcopy", image, full, check=False)
        assert failed.returncode != 0
        assert "No space left on device" in failed.stderr
    # The server has lost nothing by it.
    qemu_io(uri, "write -P 7 0 64k", "read -P 7 0 64k", "read -P 0 1M 1M")


def test_slow_requests_all_come_back(shared, disk, uri, folder):
    """Many under way at once, each of which waits; reads wait less, so that answers overtake."""
    many, waits = 300, {"rdelay": "5ms", "wdelay": "60ms"}
    last = blocks.noise("last", 4096)
    blocks.write(shared.server, disk, GIB - 4096, last)
    answers, buffers = [], []

    def answered(kind, n):
        def done(error):
            answers.append((kind, n, error.value))
            return 1

        return done

    with nbdkit(folder, uri, "delay", **waits) as slow, contextlib.ExitStack() as closing:
        handles = [closing.enter_context(through(slow)) for _ in range(4)]
        for n in range(many):
            handle = handles[n % 4]
            data = nbd.Buffer.from_bytearray(bytearray(blocks.noise(n, 4096)))
            handle.aio_pwrite(data, n * 4096, answered("write", n))
            buffers.append(nbd.Buffer(4096))
            handle.aio_pread(buffers[-1], GIB - 4096, answered("read", n))
        for handle in handles:
            while handle.aio_in_flight() > 0:
                handle.poll(-1)
            handle.flush()
    expected = [(kind, n, 0) for kind in ("read", "write") for n in range(many)]
    assert sorted(answers) == expected
    assert all(buffer.to_bytearray() == last for buffer in buffers)
    written = blocks.read(shared.server, disk, 0, many * 4096)
    assert written == b"".join(blocks.noise(n, 4096) for n in range(many))
