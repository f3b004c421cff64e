"""The Ceph cluster of a run, which keeps the disks where the run has its servers use it."""

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import uuid

POOL = "rbd"
NAMES = {"ebb_volumes", "rbd_children", "rbd_directory", "rbd_info", "rbd_trash"}
"""Objects that say what is in a namespace."""

_numbers = itertools.count()
_run = uuid.uuid4().hex[:8]
_made: list[str] = []


def conf() -> str:
    """The path of its configuration file."""
    found = os.environ.get("EBB_TEST_CEPH_CONF")
    assert found, "there is no Ceph cluster: `cargo xtask ceph` and `cargo xtask cluster` start one"
    return found


def environment() -> dict[str, str]:
    """Variables by which a server has its disks in a new namespace; none where it has a pool."""
    if "EBB_ENGINE=rbd" not in os.environ.get("EBB_TEST_SERVERS", "").split():
        return {}
    _made.append(f"py-{_run}-{next(_numbers)}")
    return {"EBB_RBD_NAMESPACE": _made[-1]}


@contextlib.contextmanager
def osd_stopped():
    """The OSD stands still, as one whose disk does not answer."""
    osd = int((pathlib.Path(conf()).parent / "osd.0.pid").read_text())
    os.kill(osd, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(osd, signal.SIGCONT)


def clean_up():
    """Removes the namespaces that were made here, with all that names their images. The objects of
    their data, thousands, go with the cluster."""
    if not _made:
        return
    there = set(_tool("rbd", "namespace", "ls", POOL).split())
    for namespace in [name for name in _made if name in there]:
        place = ["rados", "-p", POOL, "-N", namespace]
        names = NAMES & set(_tool(*place, "ls").split())
        _tool(*place, "rm", *sorted(names))
        _tool("rbd", "namespace", "rm", f"{POOL}/{namespace}")
    _made.clear()


def _tool(program: str, *words: str) -> str:
    command = [program, "--conf", conf(), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
