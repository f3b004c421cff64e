"""The programs people use on disks: qemu-io, qemu-img, nbdcopy, nbdinfo."""

import json

import pytest

from harness import blocks
from harness.ecs import GIB
from harness.tools import qemu_io, tool


@pytest.fixture
def uri(shared):
    return shared.server.nbd_uri(shared.machine()[1])


def test_qemu_io(uri):
    qemu_io(
        uri,
        "write -P 0x11 0 1M",
        "write -f -P 0x22 1M 64k",
        "write -z 64k 64k",
        "discard 128k 64k",
        "write -P 0x33 1000 500",
        "flush",
        "read -P 0x33 1000 500",
        "read -P 0x11 1500 4k",
        "read -P 0 64k 128k",
        "read -P 0x22 1M 64k",
    )
    wrong = qemu_io(uri, "read -P 0x44 0 4k", check=False)
    assert "verification failed" in (wrong.stdout + wrong.stderr).lower()


def test_qemu_img(uri, folder):
    image = folder / "image"
    image.write_bytes(blocks.noise("image", 5 * blocks.MIB))
    with image.open("r+b") as handle:
        handle.truncate(GIB)
    tool("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", image, uri)
    compared = tool("qemu-img", "compare", "-f", "raw", "-F", "raw", image, uri)
    assert "identical" in compared.stdout
    described = json.loads(tool("qemu-img", "info", "--output=json", "-f", "raw", uri).stdout)
    assert described["virtual-size"] == GIB


def test_qemu_img_bench(uri):
    tool("qemu-img", "bench", "-f", "raw", "-c", "2000", "-d", "32", "-s", "4096", "-w", uri)


def test_nbdcopy_there_and_back(uri, folder):
    there, back = folder / "there", folder / "back"
    there.write_bytes(blocks.noise("there", 20 * blocks.MIB))
    with there.open("r+b") as handle:
        handle.truncate(GIB)
    tool("nbdcopy", "--flush", "--connections=4", there, uri)
    tool("nbdcopy", "--connections=4", uri, back)
    assert tool("cmp", there, back).returncode == 0


def test_from_disk_to_disk(shared, uri):
    other = shared.server.nbd_uri(shared.machine()[1])
    qemu_io(uri, "write -P 0x5a 3M 2M")
    tool("nbdcopy", uri, other)
    qemu_io(other, "read -P 0x5a 3M 2M", "read -P 0 0 3M")
