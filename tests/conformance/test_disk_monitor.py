"""DescribeDiskMonitorData: what a disk did, and what is refused."""

import datetime
import time

import pytest

from harness import blocks
from harness.waiting import until

ACTION = "DescribeDiskMonitorData"
FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def ago(**delta) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(**delta)).strftime(FORMAT)


def data(ecs, disk, **more) -> list[dict]:
    times = {"StartTime": ago(minutes=30), "EndTime": ago(minutes=-2)}
    answer = ecs.call(ACTION, {"DiskId": disk, **times, **more})
    points = answer["MonitorData"]["DiskMonitorData"]
    assert answer["TotalCount"] == len(points)
    return points


def test_what_a_disk_did(ecs):
    """Takes until the end of a minute."""
    # Not in the last part of one, so that all is in one point.
    second = datetime.datetime.now(datetime.UTC).second
    if second >= 45:
        time.sleep(61 - second)
    _, disk = ecs.machine()
    assert data(ecs, disk) == []
    with blocks.export(ecs.server, disk) as handle:
        for number in range(600):
            handle.pwrite(b"x" * 8192, number * 8192)
        for number in range(60):
            handle.pread(1 << 20, number << 20)
    (point,) = until(lambda: data(ecs, disk), "the minute's point", 70)
    assert point["DiskId"] == disk
    # A busy machine takes its samples late, and tells rates over what it has watched.
    watched = round((60 << 20) / point["BPSRead"])
    assert 55 <= watched <= 65
    assert (point["IOPSWrite"], point["BPSWrite"]) == (600 // watched, 600 * 8192 // watched)
    assert (point["IOPSRead"], point["BPSRead"]) == (60 // watched, (60 << 20) // watched)
    assert point["IOPSTotal"] == 660 // watched
    assert point["BPSTotal"] == ((60 << 20) + 600 * 8192) // watched
    assert point["LatencyRead"] > 0 and point["LatencyWrite"] > 0
    at = datetime.datetime.strptime(point["TimeStamp"], FORMAT)
    assert at.second == 0
    for period, minutes in (("600", 10), ("3600", 60)):
        start = {"StartTime": ago(hours=2)}
        (longer,) = data(ecs, disk, Period=period, **start)
        began = datetime.datetime.strptime(longer["TimeStamp"], FORMAT)
        assert (began.minute % minutes, began.second) == (0, 0)
        # So far only a minute of it has been watched.
        assert longer["IOPSWrite"] == 600 // watched


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"DiskId": "d-nowhere"}, 404, "InvalidDiskId.NotFound"),
        ({"StartTime": "yesterday"}, 400, "InvalidStartTime.Malformed"),
        ({"StartTime": "2026-02-30T00:00:00Z"}, 400, "InvalidStartTime.Malformed"),
        ({"EndTime": "2026-02-03 00:00:00"}, 400, "InvalidEndTime.Malformed"),
        ({"Period": "61"}, 400, "InvalidPeriod.ValueNotSupported"),
        ({"Period": "x"}, 400, "InvalidPeriod.ValueNotSupported"),
        ({"StartTime": ago(days=31)}, 400, "InvalidStartTime.TooEarly"),
        ({"EndTime": ago(hours=1)}, 400, "InvalidParameter.EndTime"),
        ({"StartTime": ago(hours=10)}, 400, "InvalidParameter.TooManyDataQueried"),
    ],
)
def test_what_is_refused(shared, params, status, code):
    _, disk = shared.machine()
    times = {"StartTime": ago(minutes=30), "EndTime": ago(minutes=0)}
    shared.refused(status, code, ACTION, {"DiskId": disk, **times, **params})


def test_the_limit_is_of_points(shared):
    _, disk = shared.machine()
    assert data(shared, disk, StartTime=ago(minutes=396)) == []
    assert data(shared, disk, StartTime=ago(hours=60), Period="600") == []
    assert data(shared, disk, StartTime=ago(days=16), Period="3600") == []
    params = {"DiskId": disk, "StartTime": ago(days=18), "EndTime": ago(), "Period": "3600"}
    shared.refused(400, "InvalidParameter.TooManyDataQueried", ACTION, params)
