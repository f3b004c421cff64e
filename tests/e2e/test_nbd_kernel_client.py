"""The Linux kernel's own NBD client, in a guest: its block layer and ext4 on top of a disk."""

import json
import re
from concurrent import futures

from harness import blocks
from harness.ecs import GIB
from harness.guest import HOST, PATIENCE_SECONDS, run_guest
from harness.tools import tool
from harness.waiting import until

MIB = blocks.MIB
FILESYSTEM_BYTES = 32 * MIB
PATTERN_AT, DISCARDED_AT = 64 * MIB, 128 * MIB

CONNECT = f"/own/nbd-client -C 2 -N {{disk}} {HOST} {{port}} /dev/nbd0\n"

ALL_KINDS_OF_USE = f"""
echo "guest: size $(blockdev --getsize64 /dev/nbd0)"

dd if=/pattern of=/dev/nbd0 bs=1M seek={PATTERN_AT // MIB} conv=fsync
dd if=/pattern of=/dev/nbd0 bs=1M seek={DISCARDED_AT // MIB} conv=fsync
dd if=/dev/nbd0 of=/tmp/back bs=1M skip={PATTERN_AT // MIB} count=4 iflag=direct
cmp /pattern /tmp/back
echo "guest: pattern is whole"

blkdiscard -o {DISCARDED_AT + MIB} -l {2 * MIB} /dev/nbd0

/own/mke2fs -q -t ext4 /dev/nbd0 {FILESYSTEM_BYTES // 1024}
mkdir /mnt
mount -t ext4 /dev/nbd0 /mnt
cp /pattern /mnt/kept
sync
umount /mnt
echo "guest: file system is made"

/own/nbd-client -d /dev/nbd0
"""


WRITE_UNTIL_REFUSED = """
n=0
while dd if=/pattern of=/dev/nbd0 bs=1M seek=$n conv=fsync 2>/tmp/error; do
    n=$((n + 1))
    echo "guest: wrote $n"
done
echo "guest: refused after $n: $(cat /tmp/error)"
/own/nbd-client -d /dev/nbd0
"""


def use(server, disk, folder, script, pattern) -> str:
    """What a guest says that connects to the disk and runs the script."""
    connect = CONNECT.format(disk=disk, port=server.nbd_port)
    programs = ["nbd-client", "mke2fs"]
    said = run_guest(folder, connect + script, programs, {"pattern": pattern})
    assert said.count("Negotiation:") == 2, said
    return said


def test_the_kernel_client(server, ecs, folder):
    """What the guest made durable is there after the server was killed, byte for byte."""
    _, disk = ecs.machine()
    pattern = blocks.noise("pattern", 4 * MIB)
    said = use(server, disk, folder, ALL_KINDS_OF_USE, pattern)
    assert f"guest: size {GIB}\n" in said
    server.kill()
    server.start()

    assert blocks.read(server, disk, PATTERN_AT, 4 * MIB) == pattern
    assert blocks.read(server, disk, DISCARDED_AT, 4 * MIB) == (
        pattern[:MIB] + bytes(2 * MIB) + pattern[3 * MIB :]
    )
    mapped = json.loads(tool("nbdinfo", "--map", "--json", server.nbd_uri(disk)).stdout)
    hole = next(each for each in mapped if each["offset"] == DISCARDED_AT + MIB)
    assert (hole["length"], hole["type"]) == (2 * MIB, 3)

    image, file = folder / "image", folder / "kept"
    with image.open("wb") as handle:
        handle.write(blocks.read(server, disk, 0, FILESYSTEM_BYTES))
    tool("e2fsck", "-fn", image)
    tool("debugfs", "-R", f"dump /kept {file}", image)
    assert file.read_bytes() == pattern


def test_its_instance_stops(server, ecs, folder):
    """The guest is told at once, and nothing is lost of what it was told is durable."""
    instance, disk = ecs.machine()
    pattern = blocks.noise("pattern", MIB)
    with futures.ThreadPoolExecutor() as pool:
        guest = pool.submit(use, server, disk, folder, WRITE_UNTIL_REFUSED, pattern)

        def is_writing():
            return guest.done() or blocks.read(server, disk, 4 * MIB, MIB) == pattern

        until(is_writing, "the guest writes", PATIENCE_SECONDS)
        ecs.stop_instance(instance)
        said = guest.result()
    (durable,) = re.findall(r"guest: refused after (\d+): .*Input/output error", said)
    ecs.start_instance(instance)
    assert int(durable) > 4
    for n in range(int(durable)):
        assert blocks.read(server, disk, n * MIB, MIB) == pattern, n
