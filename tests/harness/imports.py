"""Snapshot imports that do not end well, or not yet."""

import contextlib
import signal

from .reset import import_words
from .waiting import until


@contextlib.contextmanager
def held_open(ecs, disk: str, **more):
    """An import whose pipe stays open: its snapshot is progressing. Gives the snapshot's id.

    Afterwards the pipe is closed, and the import ends well.
    """
    with started(ecs, disk, **more) as (process, snapshot):
        yield snapshot
        process.stdin.close()
        assert process.wait(60) == 0, process.stderr.read()
    ecs.await_snapshot(snapshot)


def broken(ecs, disk: str, **more) -> str:
    """An import whose command died in the middle: its snapshot has failed."""
    with started(ecs, disk, **more) as (process, snapshot):
        process.send_signal(signal.SIGKILL)
    ecs.server.log.expect(r"import")
    ecs.await_snapshot(snapshot, "failed")
    return snapshot


@contextlib.contextmanager
def started(ecs, disk: str, **more):
    """An import under way, its first bytes sent."""

    def underway():
        return {s["SnapshotId"] for s in ecs.snapshots(DiskId=disk, Status="progressing")}

    known = underway()
    process = ecs.server.admin_start(*import_words(disk, **more))
    with process:
        try:
            process.stdin.write(b"x" * 8192)
            process.stdin.flush()
            until(lambda: underway() - known, "the import's snapshot is progressing")
            (snapshot,) = underway() - known
            yield process, snapshot
        finally:
            process.kill()
