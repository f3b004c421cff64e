"""fio writes at random with many requests under way, and finds every block as it wrote it."""

import pytest

from harness import blocks
from harness.tools import tool

MIB = blocks.MIB


def fio(folder, uri: str, *options: str, check=True):
    words = ["fio", "--name=job", "--ioengine=nbd", f"--uri={uri}", "--verify=crc32c"]
    words += ["--verify_fatal=1", "--verify_state_save=0", "--randseed=7", "--thread"]
    return tool(*words, *options, check=check, cwd=folder)


WORKLOADS = {
    "blocks": ["--rw=randwrite", "--bs=4k", "--iodepth=32", "--size=24M"],
    # Half blocks and blocks of others: what is beside a write stays as it was.
    "lengths": ["--rw=randwrite", "--bsrange=512-64k", "--bs_unaligned=0", "--size=24M"]
    + ["--iodepth=16", "--fsync=64"],
    "mixed": ["--rw=randrw", "--bs=8k", "--iodepth=64", "--size=24M"],
    # Each on a connection and in a part of the disk of its own.
    "jobs": ["--rw=randwrite", "--bs=4k", "--iodepth=16", "--size=8M", "--numjobs=8"]
    + ["--offset_increment=16M", "--group_reporting"],
}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_what_was_written_is_found(shared, folder, workload):
    uri = shared.server.nbd_uri(shared.machine()[1])
    fio(folder, uri, *WORKLOADS[workload])


def test_what_was_flushed_is_found_after_a_kill(server, ecs, folder):
    _, disk = ecs.machine()
    work = ["--rw=randwrite", "--bs=4k", "--iodepth=32", "--size=24M"]
    fio(folder, server.nbd_uri(disk), *work, "--do_verify=0", "--end_fsync=1")
    server.kill()
    server.start()
    fio(folder, server.nbd_uri(disk), *work, "--verify_only")
    # One byte that another wrote, and the same check fails.
    (byte,) = blocks.read(server, disk, 5 * MIB + 99, 1)
    blocks.write(server, disk, 5 * MIB + 99, bytes([byte ^ 1]))
    found = fio(folder, server.nbd_uri(disk), *work, "--verify_only", check=False)
    assert found.returncode != 0
    assert "verify failed" in found.stdout + found.stderr
