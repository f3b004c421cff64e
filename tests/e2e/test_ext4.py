"""A real file system: it comes back whole, file by file, after it was ruined."""

import filecmp
import json
import pathlib

import pytest

from harness import blocks
from harness.tools import tool

IMAGE_BYTES = 96 * blocks.MIB


@pytest.fixture
def files(folder):
    """A tree with real files of this machine, and a few awkward ones."""
    tree = folder / "files"
    tree.mkdir()
    for source in sorted(pathlib.Path(json.__file__).parent.parent.glob("*.py")):
        (tree / source.name).write_bytes(source.read_bytes())
    (tree / "empty").touch()
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "er" / "noise").write_bytes(blocks.noise("a large file", 8 * blocks.MIB + 17))
    sparse = tree / "sparse"
    sparse.write_bytes(b"beginning")
    with sparse.open("r+b") as handle:
        handle.seek(20 * blocks.MIB)
        handle.write(b"end")
    return tree


@pytest.fixture
def image(folder, files):
    path = folder / "image"
    with path.open("wb") as handle:
        handle.truncate(IMAGE_BYTES)
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-d", files, path)
    return path


def assert_same_tree(left, right):
    compared = filecmp.dircmp(left, right, ignore=["lost+found"])
    stack = [compared]
    while stack:
        pair = stack.pop()
        assert not pair.left_only and not pair.right_only, (pair.left_only, pair.right_only)
        _, differ, errors = filecmp.cmpfiles(pair.left, pair.right, pair.common_files, False)
        assert not differ and not errors, (differ, errors)
        stack += pair.subdirs.values()


def test_a_file_system_goes_back(server, ecs, folder, files, image):
    instance, disk = ecs.machine()
    uri = server.nbd_uri(disk)
    tool("nbdcopy", "--flush", image, uri)
    snapshot = ecs.create_snapshot(disk)

    with blocks.export(server, disk) as handle:
        for at in range(0, IMAGE_BYTES, 3 * blocks.MIB):
            handle.pwrite(blocks.noise(at, blocks.MIB), at)
        handle.trim(8 * blocks.MIB, 40 * blocks.MIB)
        handle.flush()
    ruined = folder / "ruined"
    copy_out(uri, ruined)
    assert tool("e2fsck", "-fn", ruined, check=False).returncode != 0

    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    restored = folder / "restored"
    copy_out(uri, restored)
    assert restored.read_bytes() == image.read_bytes()
    tool("e2fsck", "-fn", restored)
    tree = folder / "tree"
    tree.mkdir()
    tool("debugfs", "-R", f"rdump / {tree}", restored)
    assert_same_tree(files, tree)


def copy_out(uri, path):
    """The part of the disk that the file system fills; the rest has to be zero."""
    tool("nbdcopy", uri, path)
    with path.open("r+b") as handle:
        handle.seek(IMAGE_BYTES)
        assert not handle.read(16 * blocks.MIB).strip(b"\0")
        handle.truncate(IMAGE_BYTES)
