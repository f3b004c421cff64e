"""nbdkit between a client and an export, with filters that make things worse."""

import contextlib
import pathlib
import subprocess

from .needs import need_program
from .waiting import until


@contextlib.contextmanager
def nbdkit(folder: pathlib.Path, uri: str, *filters: str, **options):
    """The URI of the export by way of the filters; the client's end is the first of them."""
    need_program("nbdkit")
    socket, pid = folder / "nbdkit.sock", folder / "nbdkit.pid"
    pid.unlink(missing_ok=True)
    words = ["nbdkit", "--foreground", "--exit-with-parent", "--unix", socket, "--pidfile", pid]
    words += [f"--filter={name}" for name in filters]
    words += ["nbd", f"uri={uri}", *(f"{k.replace('_', '-')}={v}" for k, v in options.items())]
    said = folder / "nbdkit.log"
    with said.open("w") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)
    try:
        until(lambda: pid.exists() or process.poll() is not None, "nbdkit listens")
        assert process.poll() is None, f"nbdkit ended at once: {said.read_text()}"
        yield f"nbd+unix:///?socket={socket}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        socket.unlink(missing_ok=True)
