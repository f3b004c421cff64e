"""A small Linux guest: Debian's kernel in QEMU without KVM, busybox, and what a test brings along.

Its first process is the test's script. It sees this machine's loopback address as `HOST`.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from .needs import need, need_program
from .paths import TOOLS
from .tools import tool

HOST = "10.0.2.2"
PATIENCE_SECONDS = 100
"""All of a guest's life. Without KVM the kernel takes some seconds to come up."""

KERNEL = "linux-image-cloud-amd64"
# What a module needs comes before it.
MODULES = [
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/net/virtio_net",
    "drivers/block/nbd",
]

BEGIN = """\
#!/bin/sh
export PATH=/bin
trap 'echo "guest: ended with $?"; poweroff -f' EXIT
set -e
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
echo "guest: up"
"""


def run_guest(folder: pathlib.Path, script: str, programs, files: dict[str, bytes]) -> str:
    """What the guest printed while it ran the script, which must end well.

    `programs` are this machine's; the guest finds them below `/own`, for by name alone the shell
    takes busybox's. `files` are names and contents.
    """
    for program in ("qemu-system-x86_64", "busybox", "cpio", *programs):
        need_program(program)
    kernel = _kernel()
    initramfs = _initramfs(folder, kernel, script, programs, files)
    words = ["qemu-system-x86_64", "-accel", "tcg", "-smp", "2", "-m", "512", "-no-reboot"]
    words += ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]
    words += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
    words += ["-kernel", _one(kernel, "boot/vmlinuz-*"), "-initrd", initramfs]
    words += ["-append", "console=ttyS0 quiet panic=-1"]
    console = folder / "console"
    with console.open("wb") as output:
        guest = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            code = guest.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            guest.kill()
            guest.wait()
    said = console.read_text(errors="replace").replace("\r", "")
    assert code is not None, f"the guest did not end in {PATIENCE_SECONDS} s; it said:\n{said}"
    assert code == 0, f"QEMU ended with {code}; it said:\n{said}"
    assert "guest: ended with 0\n" in said, f"the guest's script failed; it said:\n{said}"
    return said


def _initramfs(folder, kernel, script, programs, files) -> pathlib.Path:
    root = folder / "initramfs"
    (root / "bin").mkdir(parents=True)
    (root / "modules").mkdir()
    busybox = shutil.which("busybox")
    shutil.copy(busybox, root / "bin")
    for applet in tool(busybox, "--list").stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    for module in MODULES:
        shutil.copy(_one(kernel, f"lib/modules/*/kernel/{module}.ko"), root / "modules")
    for program in programs:
        _take_along(root, program)
    for name, content in files.items():
        (root / name).write_bytes(content)
    init = root / "init"
    init.write_text(BEGIN.format(modules=" ".join(map(os.path.basename, MODULES))) + script)
    init.chmod(0o755)
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    packed = folder / "initramfs.cpio"
    tool("cpio", "--create", "--format=newc", "--file", packed, cwd=root, input=names)
    return packed


def _take_along(root: pathlib.Path, program: str):
    """Copies a program, and its libraries to where the loader looks for them."""
    path = shutil.which(program)
    (root / "own").mkdir(exist_ok=True)
    shutil.copy(path, root / "own")
    for library in re.findall(r"(/\S+) \(0x", tool("ldd", path).stdout):
        there = root / library.lstrip("/")
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, there)


def _kernel() -> pathlib.Path:
    """Debian's kernel and its modules, unpacked once beside the other tools of the tests.

    Installing the package instead would change what this machine boots.
    """
    for program in ("apt-get", "apt-cache", "dpkg-deb"):
        need_program(program)
    found = _newest_kernel()
    if found is None:
        # A machine on which nothing was ever missing may know of no package.
        tool("apt-get", "--quiet", "update", check=False)
        found = _newest_kernel()
    need(found is not None, f"Debian package {KERNEL}, known to apt-get")
    package = found[1]
    kept = TOOLS / package
    if kept.exists():
        return kept
    TOOLS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as made:
        done = tool("apt-get", "download", package, check=False, cwd=made)
        need(done.returncode == 0, f"Debian package {package}: {done.stderr.strip()}")
        unpacked = pathlib.Path(made) / "unpacked"
        tool("dpkg-deb", "--extract", _one(pathlib.Path(made), "*.deb"), unpacked)
        # Another run of the tests may have been first.
        with contextlib.suppress(OSError):
            unpacked.rename(kept)
    return kept


def _newest_kernel():
    depends = tool("apt-cache", "depends", KERNEL, check=False).stdout
    return re.search(r"Depends: (linux-image-\S+)", depends)


def _one(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    (path,) = folder.glob(pattern)
    return path
