"""DescribeAccountAttributes, and the quota of disks that the operator sets."""

import pytest

from harness.ecs import IMAGE, INSTANCE_TYPE, ZONE

CODE = "QuotaExceed.DiskCapacity"


def attributes(ecs, *names) -> dict:
    given = {f"AttributeName.{n}": name for n, name in enumerate(names, 1)}
    items = ecs.call("DescribeAccountAttributes", given)["AccountAttributeItems"]
    return {
        item["AttributeName"]: [value["Value"] for value in item["AttributeValues"]["ValueItem"]]
        for item in items["AccountAttributeItem"]
    }


def used(ecs) -> int:
    (gib,) = attributes(ecs, "used-postpaid-yundisk-capacity").values()
    return int(gib[0])


def test_what_an_account_has(ecs):
    assert used(ecs) == 0
    ecs.machine(30)
    found = attributes(ecs)
    assert found["used-postpaid-yundisk-capacity"] == ["70"]
    assert found["used-postpaid-instance-vcpu-count"] == ["2"]
    assert found["instance-network-type"] == ["vpc"]
    assert INSTANCE_TYPE in found["supported-postpaid-instance-types"]
    assert "max-postpaid-yundisk-capacity" not in found
    assert set(attributes(ecs, "instance-network-type", "other")) == {"instance-network-type"}


def test_disks_are_kept_to_the_quota(ecs):
    instance, disk = ecs.machine(30)
    ecs.server.admin("account", "set", "--disk-quota", "100")
    assert attributes(ecs)["max-postpaid-yundisk-capacity"] == ["100"]
    new = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}
    ecs.refused(400, CODE, "CreateDisk", new | {"Size": 31})
    another = ecs.create_disk(20)
    ecs.refused(400, CODE, "ResizeDisk", DiskId=disk, NewSize=41, Type="online")
    ecs.call("ResizeDisk", DiskId=disk, NewSize=40, Type="online")
    assert used(ecs) == 100
    run = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE}
    ecs.refused(400, CODE, "RunInstances", run)
    ecs.refused(400, CODE, "CreateInstance", run)
    ecs.stop_instance(instance)
    given = {"InstanceId": instance, "ImageId": IMAGE}
    ecs.refused(400, CODE, "ReplaceSystemDisk", given | {"SystemDisk.Size": 41})
    ecs.call("ReplaceSystemDisk", given)
    # What is deleted is free again, and without a quota there is no end.
    ecs.call("DeleteDisk", DiskId=another)
    ecs.create_disk(20)
    ecs.server.admin("account", "set", "--disk-quota", "0")
    ecs.create_disk(500)
    assert used(ecs) == 600


@pytest.mark.parametrize("quota", ["-1", "x"])
def test_a_quota_is_a_number(ecs, quota):
    done = ecs.server.admin_result("account", "set", f"--disk-quota={quota}")
    assert done.returncode != 0 and b"--disk-quota" in done.stderr
