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
    assert same(image, uri)
    described = json.loads(tool("qemu-img", "info", "--output=json", "-f", "raw", uri).stdout)
    assert described["virtual-size"] == GIB


def test_qemu_img_converts_out_of_order(uri, folder):
    image, packed, back = folder / "image", folder / "packed", folder / "back"
    image.write_bytes(blocks.noise("order", 20 * blocks.MIB))
    tool("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", image, packed)
    tool("qemu-img", "resize", packed, str(GIB))
    out_of_order = ["qemu-img", "convert", "-W", "-m", "16"]
    tool(*out_of_order, "-n", "-f", "qcow2", "-O", "raw", packed, uri)
    tool(*out_of_order, "-f", "raw", "-O", "raw", uri, back)
    with image.open("r+b") as handle:
        handle.truncate(GIB)
    assert same(image, back)
    assert same(image, uri)
    with image.open("r+b") as handle:
        handle.seek(19 * blocks.MIB)
        handle.write(b"other")
    differs = tool("qemu-img", "compare", "-s", "-f", "raw", "-F", "raw", image, uri, check=False)
    assert differs.returncode == 1
    assert "Content mismatch" in differs.stdout


def test_qemu_img_bench(uri):
    tool("qemu-img", "bench", "-f", "raw", "-c", "2000", "-d", "32", "-s", "4096", "-w", uri)


@pytest.mark.parametrize("connections", [1, 4, 32])
def test_nbdcopy_there_and_back(uri, folder, connections):
    there, back = folder / "there", folder / "back"
    there.write_bytes(blocks.noise("there", 20 * blocks.MIB))
    with there.open("r+b") as handle:
        handle.truncate(GIB)
    many = [f"--connections={connections}", f"--threads={connections}", "--request-size=65536"]
    tool("nbdcopy", "--flush", *many, there, uri)
    tool("nbdcopy", *many, uri, back)
    assert same(there, back)
    assert same(there, uri)


def same(left, right) -> bool:
    """Passes over what both have not stored, as cmp does not."""
    compared = tool("qemu-img", "compare", "-s", "-f", "raw", "-F", "raw", left, right)
    return "identical" in compared.stdout


def test_from_disk_to_disk(shared, uri):
    other = shared.server.nbd_uri(shared.machine()[1])
    qemu_io(uri, "write -P 0x5a 3M 2M")
    tool("nbdcopy", uri, other)
    qemu_io(other, "read -P 0x5a 3M 2M", "read -P 0 0 3M")
