"""The life of an instance: start, stop, reboot, delete, one and many; what Describe shows."""

import pytest

from harness import blocks
from harness.ecs import INSTANCE_TYPE, OTHER_ZONE, ZONE, Ecs
from harness.waiting import until

NO_INSTANCE = "i-bp1nosuchinstance000"
SUCCESS_DRY = "DRYRUN.SUCCESS"


def numbered(instances) -> dict:
    return {f"InstanceId.{n}": instance for n, instance in enumerate(instances, 1)}


def test_stop_and_start(shared):
    instance, disk = shared.machine()
    shared.stop_instance(instance)
    assert shared.disk(disk)["Status"] == "In_use"
    shared.start_instance(instance)
    assert shared.instance(instance)["StartTime"]


def test_wrong_states(shared):
    instance = shared.run_instance()
    code = "IncorrectInstanceStatus"
    shared.refused(403, code, "StartInstance", InstanceId=instance)
    shared.refused(403, code, "DeleteInstance", InstanceId=instance)
    shared.stop_instance(instance)
    shared.refused(403, code, "StopInstance", InstanceId=instance)
    shared.refused(403, code, "RebootInstance", InstanceId=instance)


@pytest.mark.parametrize(
    "operation", ["StartInstance", "StopInstance", "RebootInstance", "DeleteInstance"]
)
def test_an_instance_that_never_was(shared, operation):
    for instance in (NO_INSTANCE, "nonsense"):
        shared.refused(404, "InvalidInstanceId.NotFound", operation, InstanceId=instance)


@pytest.mark.parametrize("operation", ["StartInstance", "StopInstance", "RebootInstance"])
def test_locked_and_expired(shared, operation):
    instance = shared.run_instance()
    if operation == "StartInstance":
        shared.stop_instance(instance)
    state, admin = shared.instance(instance)["Status"], shared.server.admin
    admin("instance", "lock", instance, "--reason", "security")
    locks = shared.instance(instance)["OperationLocks"]["LockReason"]
    assert [lock["LockReason"] for lock in locks] == ["security"]
    shared.refused(403, "InstanceLockedForSecurity", operation, InstanceId=instance)
    admin("instance", "unlock", instance)
    admin("instance", "expire", instance)
    expired = "InstanceExpired" if operation == "StartInstance" else "InstanceExpiredOrInArrears"
    shared.refused(403, expired, operation, InstanceId=instance)
    admin("instance", "renew", instance)
    assert shared.instance(instance)["Status"] == state
    shared.call(operation, InstanceId=instance)


@pytest.mark.parametrize("operation", ["StartInstance", "StopInstance", "RebootInstance"])
def test_a_dry_run(shared, operation):
    instance = shared.run_instance()
    if operation == "StartInstance":
        shared.stop_instance(instance)
    before = shared.instance(instance)
    shared.refused(400, "DryRunOperation", operation, InstanceId=instance, DryRun=True)
    assert shared.instance(instance) == before


def test_reboot(shared):
    instance, disk = shared.machine()
    blocks.write(shared.server, disk, 0, b"kept" * 1024)
    shared.call("RebootInstance", InstanceId=instance)
    shared.await_instance(instance, "Running")
    assert blocks.read(shared.server, disk, 0, 4096) == b"kept" * 1024


def test_delete(shared):
    instance = shared.run_instance()
    kept, gone = shared.create_disk(), shared.create_disk()
    shared.attach(kept, instance)
    shared.attach(gone, instance, DeleteWithInstance=True)
    (system,) = shared.disks(InstanceId=instance, DiskType="system")
    shared.stop_instance(instance)
    shared.call("DeleteInstance", InstanceId=instance)
    until(lambda: shared.instance(instance) is None, "the instance is gone")
    shared.await_disk(kept, "Available")
    for disk in (gone, system["DiskId"]):
        until(lambda disk=disk: shared.disk(disk) is None, "its disks are gone")
    shared.refused(404, "InvalidInstanceId.NotFound", "StartInstance", InstanceId=instance)


def test_delete_by_force(shared):
    instance = shared.run_instance()
    shared.call("DeleteInstance", InstanceId=instance, Force=True)
    until(lambda: shared.instance(instance) is None, "the instance is gone")


def test_many_at_once(shared):
    instances = shared.run_instances(Amount=3)
    reply = shared.call("StopInstances", numbered(instances))
    told = {
        each["InstanceId"]: (each["PreviousStatus"], each["Code"], each["Message"])
        for each in reply["InstanceResponses"]["InstanceResponse"]
    }
    assert told == dict.fromkeys(instances, ("Running", "200", "success"))
    for instance in instances:
        shared.await_instance(instance, "Stopped")
    reply = shared.call("StartInstances", numbered(instances))
    previous = {each["PreviousStatus"] for each in reply["InstanceResponses"]["InstanceResponse"]}
    assert previous == {"Stopped"}
    for instance in instances:
        shared.await_instance(instance, "Running")
    shared.call("DeleteInstances", numbered(instances), Force=True)
    until(lambda: not shared.instances(InstanceIds=instances), "all are gone")


@pytest.mark.parametrize("operation", ["StartInstances", "StopInstances", "DeleteInstances"])
def test_many_or_none(shared, operation):
    first, second = shared.run_instances(Amount=2)
    if operation != "StopInstances":
        shared.stop_instance(first)
    else:
        shared.stop_instance(second)
    states = [shared.instance(each)["Status"] for each in (first, second)]
    shared.refused(403, "IncorrectInstanceStatus", operation, numbered([first, second]))
    answer = shared.ask(operation, numbered([first, NO_INSTANCE]))
    assert answer.status == 404
    assert answer.tree["Code"] in ("InvalidInstanceId.NotFound", "InvalidInstanceIds.NotFound")
    assert [shared.instance(each)["Status"] for each in (first, second)] == states


@pytest.mark.parametrize("operation", ["StartInstances", "StopInstances", "DeleteInstances"])
def test_a_dry_run_of_many(shared, operation):
    instance = shared.run_instance()
    if operation != "StopInstances":
        shared.stop_instance(instance)
    before = shared.instance(instance)
    shared.refused(400, SUCCESS_DRY, operation, numbered([instance]), DryRun=True)
    assert shared.instance(instance) == before


@pytest.mark.parametrize("operation", ["StartInstances", "StopInstances", "DeleteInstances"])
def test_too_many(shared, operation):
    given = numbered(f"i-{n}" for n in range(101))
    shared.refused(403, "InvalidParameter.TooManyInstanceIds", operation, given)


@pytest.fixture(scope="module")
def zoo(module_server):
    """Instances that differ in what a filter looks at, by name."""
    ecs = Ecs(module_server)
    made = {
        "running": ecs.run_instance(InstanceName="zoo-running"),
        "stopped": ecs.run_instance(InstanceName="zoo-stopped"),
        "far": ecs.run_instance(InstanceName="zoo-far", ZoneId=OTHER_ZONE),
        "tagged": ecs.run_instance(
            {"Tag.1.Key": "team", "Tag.1.Value": "blue"}, PrivateIpAddress="10.0.0.7"
        ),
    }
    ecs.stop_instance(made["stopped"])
    return made


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {"running", "stopped", "far", "tagged"}),
        ({"Status": "Stopped"}, {"stopped"}),
        ({"Status": "Running"}, {"running", "far", "tagged"}),
        ({"ZoneId": OTHER_ZONE}, {"far"}),
        ({"ZoneId": ZONE}, {"running", "stopped", "tagged"}),
        ({"InstanceName": "zoo-running"}, {"running"}),
        ({"InstanceType": INSTANCE_TYPE}, {"running", "stopped", "far", "tagged"}),
        ({"InstanceType": "ecs.none.such"}, set()),
        ({"InstanceChargeType": "PrePaid"}, set()),
        ({"PrivateIpAddresses": '["10.0.0.7", "10.0.0.8"]'}, {"tagged"}),
        ({"PrivateIpAddresses": '["10.0.0.8"]'}, set()),
        ({"VpcId": "vpc-1"}, set()),
        ({"PublicIpAddresses": '["8.8.8.8"]'}, set()),
        ({"Tag.1.Key": "team", "Tag.1.Value": "blue"}, {"tagged"}),
    ],
)
def test_filters(shared, zoo, filters, names):
    ids = {each["InstanceId"] for each in shared.instances(filters, PageSize=100)}
    assert {name for name, instance in zoo.items() if instance in ids} == names


def test_filters_that_will_not_do(shared):
    shared.refused(404, "InvalidStatus.NotFound", "DescribeInstances", Status="Asleep")
    code = "InvalidInstanceChargeType.NotFound"
    shared.refused(404, code, "DescribeInstances", InstanceChargeType="Barter")
    shared.refused(400, "InvalidTag.Mismatch", "DescribeInstances", {"Tag.1.Value": "x"})
    assert shared.instances(InstanceIds=[NO_INSTANCE]) == []


def test_pages(shared, zoo):
    total = shared.call("DescribeInstances")["TotalCount"]
    by_number, by_token, token = [], [], None
    for number in range(1, total // 3 + 2):
        reply = shared.call("DescribeInstances", PageNumber=number, PageSize=3)
        by_number += [each["InstanceId"] for each in reply["Instances"]["Instance"]]
    while True:
        reply = shared.call("DescribeInstances", MaxResults=10, NextToken=token)
        by_token += [each["InstanceId"] for each in reply["Instances"]["Instance"]]
        token = reply["NextToken"]
        if not token:
            break
    assert len(set(by_number)) == len(by_number) == total
    assert set(by_token) == set(by_number) and len(by_token) == total


def test_status(shared, zoo):
    given = numbered([zoo["running"], zoo["stopped"]])
    reply = shared.call("DescribeInstanceStatus", given)
    shown = {
        each["InstanceId"]: each["Status"] for each in reply["InstanceStatuses"]["InstanceStatus"]
    }
    assert shown == {zoo["running"]: "Running", zoo["stopped"]: "Stopped"}
    assert reply["TotalCount"] == 2
    reply = shared.call("DescribeInstanceStatus", ZoneId=OTHER_ZONE)
    shown = {each["InstanceId"] for each in reply["InstanceStatuses"]["InstanceStatus"]}
    assert shown == {zoo["far"]}
    code = "InvalidZoneId.NotFound"
    shared.refused(404, code, "DescribeInstanceStatus", ZoneId="cn-hangzhou-z")
    assert shared.ask("DescribeInstanceStatus", PageSize=51).status == 400


def test_expiry_of_the_account_shows_as_a_financial_lock(ecs):
    instance, disk = ecs.machine()
    ecs.server.admin("account", "set", "--arrears", "on")
    locks = ecs.instance(instance)["OperationLocks"]["LockReason"]
    assert [lock["LockReason"] for lock in locks] == ["financial"]
    locks = ecs.disk(disk)["OperationLocks"]["OperationLock"]
    assert [lock["LockReason"] for lock in locks] == ["financial"]
    assert [each["DiskId"] for each in ecs.disks(LockReason="financial", DiskType="data")] == [disk]
    ecs.server.admin("account", "set", "--arrears", "off")
    assert ecs.instance(instance)["OperationLocks"]["LockReason"] == []
