"""What is asked of disks that is the same for every disk: events, health, payment."""

import pytest


def full(ecs, params=None, **filters) -> list[dict]:
    answer = ecs.call("DescribeDisksFullStatus", params, **filters)
    return answer["DiskFullStatusSet"]["DiskFullStatusType"]


def test_every_disk_is_well(shared):
    instance, disk = shared.machine()
    (one,) = full(shared, {"DiskId.1": disk})
    assert (one["DiskId"], one["InstanceId"]) == (disk, instance)
    assert (one["Status"]["Name"], one["HealthStatus"]["Name"]) == ("In_use", "Ok")
    assert one["DiskEventSet"]["DiskEventType"] == []
    assert full(shared, {"DiskId.1": disk}, Status="Available") == []
    assert full(shared, {"DiskId.1": disk}, HealthStatus="Impaired") == []
    assert full(shared, {"DiskId.1": disk, "EventId.1": "e-1"}) == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Status": "odd"}, "InvalidParameter"),
        ({"Tag.1.Value": "v"}, "InvalidParameter"),
        ({f"DiskId.{n}": f"d-{n}" for n in range(1, 102)}, "DiskIdLimitExceeded"),
    ],
)
def test_what_full_status_refuses(shared, params, code):
    shared.refused(403, code, "DescribeDisksFullStatus", params)


def test_no_disk_is_paid_in_advance(shared):
    instance, disk = shared.machine()
    action, given = "ModifyDiskChargeType", {"InstanceId": instance, "DiskIds": [disk]}
    shared.refused(400, "ChargeTypeViolation", action, given)
    shared.refused(404, "InvalidDiskIds.NotFound", action, given | {"DiskIds": [disk, "d-none"]})
    shared.refused(400, "InvalidInstanceId.NotFound", action, given | {"InstanceId": "i-none"})


def test_no_package_was_bought(shared):
    answer = shared.call("DescribeSnapshotPackage")
    assert (answer["TotalCount"], answer["SnapshotPackages"]["SnapshotPackage"]) == (0, [])
