"""Snapshots with RetentionDays go by themselves, those of a server that was away too."""

import contextlib
import sqlite3

from harness.waiting import until

DAY = 24 * 60 * 60 * 1000


def grow_older(server, snapshot: str, days: int):
    """As if a snapshot of a stopped server had been created earlier."""
    with contextlib.closing(sqlite3.connect(server.data_dir / "ebbtide.db")) as records, records:
        sql = "UPDATE snapshots SET created_at = created_at - ? WHERE id = ?"
        assert records.execute(sql, (days * DAY, snapshot)).rowcount == 1


def test_a_snapshot_goes_when_its_days_are_over(server, ecs):
    _, disk = ecs.machine()
    due, extended, ever = (
        ecs.create_snapshot(disk, **kept)
        for kept in ({"RetentionDays": 3}, {"RetentionDays": 3}, {})
    )
    ecs.call("ModifySnapshotAttribute", SnapshotId=extended, RetentionDays=4)
    server.stop()
    for snapshot in (due, extended, ever):
        grow_older(server, snapshot, 3)
    server.start()
    until(lambda: ecs.snapshot(due) is None, "the snapshot is gone")
    assert ecs.snapshot(extended)["RetentionDays"] == 4
    assert ecs.snapshot(ever) is not None
    # Bytes and all: the engine has nothing that no record names.
    server.stop()
    assert server.check_result().returncode == 0
    server.start()
    ecs.refused(404, "InvalidSnapshotId.NotFound", "DeleteSnapshot", SnapshotId=due)
