"""ModifyDiskSpec, and the tasks it answers with."""

import re

import pytest

from harness.imports import held_open
from harness.reset import NO_DISK, local_disk

NO_TASK = "t-bp1nosuchtask0000000"


def modify(ecs, disk, **more) -> str:
    reply = ecs.call("ModifyDiskSpec", DiskId=disk, **more)
    return reply["TaskId"]


def refused(ecs, status, code, disk, **more):
    ecs.refused(status, code, "ModifyDiskSpec", DiskId=disk, **more)


def spec(ecs, disk) -> tuple:
    shown = ecs.disk(disk)
    names = ("Category", "PerformanceLevel", "ProvisionedIops")
    return tuple(shown.get(name) for name in names)


def tasks(ecs, params=None, **more) -> list[dict]:
    return ecs.call("DescribeTasks", params, **more)["TaskSet"]["Task"]


@pytest.mark.parametrize("state", ["Running", "Stopped", "detached"])
def test_a_level(shared, state):
    instance, disk = shared.machine(500)
    if state == "Stopped":
        shared.stop_instance(instance)
    if state == "detached":
        shared.detach(disk, instance)
    before = shared.disk(disk)
    modify(shared, disk, PerformanceLevel="PL2")
    assert shared.disk(disk) == before | {"PerformanceLevel": "PL2"}


def test_a_category(shared):
    disk = shared.create_disk(500)
    modify(shared, disk, DiskCategory="cloud_auto", ProvisionedIops=1000)
    assert spec(shared, disk)[::2] == ("cloud_auto", 1000)
    modify(shared, disk, ProvisionedIops=2000)
    assert spec(shared, disk)[2] == 2000
    modify(shared, disk, DiskCategory="cloud_essd")
    assert spec(shared, disk) == ("cloud_essd", "PL1", None)


def test_a_task_is_told(shared):
    disk = shared.create_disk(500)
    first = modify(shared, disk, PerformanceLevel="PL1")
    second = modify(shared, disk, PerformanceLevel="PL2")
    both = tasks(shared, {"ResourceIds.1": disk})
    assert {each["TaskId"] for each in both} == {first, second}
    for each in both:
        assert each["ResourceId"] == disk
        assert (each["TaskAction"], each["TaskStatus"]) == ("ModifyDiskSpec", "Finished")
        assert each["SupportCancel"] == "false"
        for field in ("CreationTime", "FinishedTime"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", each[field])
    [one] = tasks(shared, TaskIds=f"{first},{NO_TASK}", TaskAction="ModifyDiskSpec")
    assert one["TaskId"] == first
    whole = shared.call("DescribeTaskAttribute", TaskId=first)
    assert {name: whole[name] for name in one if name != "ResourceId"} == {
        name: value for name, value in one.items() if name != "ResourceId"
    }
    assert (whole["TotalCount"], whole["SuccessCount"], whole["FailedCount"]) == (1, 1, 0)
    [part] = whole["OperationProgressSet"]["OperationProgress"]
    assert part["OperationStatus"] == "Success"
    assert part["RelatedItemSet"]["RelatedItem"] == [{"Name": "DiskId", "Value": disk}]


def test_filters_of_tasks(ecs):
    disk = ecs.create_disk(500)
    made = [modify(ecs, disk, PerformanceLevel=level) for level in ("PL1", "PL2", "PL1")]
    assert {each["TaskId"] for each in tasks(ecs)} == set(made)
    assert len(tasks(ecs, TaskStatus="Finished")) == 3
    assert tasks(ecs, TaskStatus="Processing") == []
    # Any other value has no effect.
    assert len(tasks(ecs, TaskStatus="Deleted")) == 3
    assert tasks(ecs, TaskAction="ImportImage") == []
    assert tasks(ecs, EndTime="2020-01-01T00:00Z") == []
    assert len(tasks(ecs, StartTime="2020-01-01T00:00Z")) == 3
    page = ecs.call("DescribeTasks", PageSize=2, PageNumber=2)
    assert (page["TotalCount"], len(page["TaskSet"]["Task"])) == (3, 1)


def test_modify_refuses(shared):
    instance, disk = shared.machine(500)
    refused(shared, 404, "InvalidDiskId.NotFound", NO_DISK, PerformanceLevel="PL2")
    refused(shared, 400, "InvalidPerformanceLevel.Malformed", disk, PerformanceLevel="PL9")
    code = "InvalidDiskCategory.ValueNotSupported"
    for category in ("floppy", "cloud", "local_ssd_pro"):
        refused(shared, 400, code, disk, DiskCategory=category)
    code = "NoChangeInDiskCategoryAndPerformanceLevel"
    refused(shared, 403, code, disk, PerformanceLevel="PL0")
    refused(shared, 403, code, disk, DiskCategory="cloud_essd")
    refused(shared, 403, code, disk)
    code = "OperationDenied.PerformanceLevelNotMatch"
    refused(shared, 403, code, disk, PerformanceLevel="PL3")
    code = "ProvisionedIopsForDiskCategoryUnsupported"
    refused(shared, 400, code, disk, ProvisionedIops=1)
    code = "InvalidPerformanceLevelParam.Mismatch"
    refused(shared, 400, code, disk, DiskCategory="cloud_auto", PerformanceLevel="PL1")
    code = "InvalidProvisionedIops.LimitExceed"
    refused(shared, 400, code, disk, DiskCategory="cloud_auto", ProvisionedIops=50_001)
    modify(shared, disk, PerformanceLevel="PL2")
    refused(shared, 403, "InvalidPerformanceLevel.TooLow", disk, PerformanceLevel="PL0")
    _, local = local_disk(shared, "local_ssd_pro")
    refused(shared, 403, "OperationDenied", local, DiskCategory="cloud_essd")
    many = shared.create_disk(500, MultiAttach="Enabled")
    refused(shared, 403, "InvalidOperation.MultiAttachDisk", many, PerformanceLevel="PL2")
    shared.stop_instance(instance)
    with held_open(shared, disk):
        refused(shared, 403, "DiskCreatingSnapshot", disk, PerformanceLevel="PL1")


def test_an_account_that_may_not(ecs):
    _, disk = ecs.machine(500)
    ecs.server.admin("account", "set", "--arrears", "on")
    refused(ecs, 403, "DiskInArrears", disk, PerformanceLevel="PL2")
    ecs.server.admin("account", "set", "--arrears", "off")
    ecs.server.admin("category", "restrict", "cloud_auto", "--allow", "1234567890123456")
    refused(ecs, 403, "UserNotInTheWhiteList", disk, DiskCategory="cloud_auto")
    ecs.server.admin("category", "unrestrict", "cloud_auto")
    assert spec(ecs, disk)[:2] == ("cloud_essd", "PL0")


def test_a_dry_run(shared):
    disk = shared.create_disk(500)
    refused(shared, 400, "DryRunOperation", disk, PerformanceLevel="PL2", DryRun=True)
    code = "OperationDenied.PerformanceLevelNotMatch"
    refused(shared, 403, code, disk, PerformanceLevel="PL3", DryRun=True)
    assert spec(shared, disk)[1] == "PL0"
    assert tasks(shared, {"ResourceIds.1": disk}) == []


def test_tasks_refuse(shared):
    task = modify(shared, shared.create_disk(500), PerformanceLevel="PL2")
    code = "InvalidTaskId.TaskActionNotSupport"
    shared.refused(403, code, "CancelTask", TaskId=task)
    for action in ("CancelTask", "DescribeTaskAttribute"):
        shared.refused(400, "InvalidTaskId.NotFound", action, TaskId=NO_TASK)
        shared.refused(400, "InvalidRegionId.NotFound", action, TaskId=task, RegionId="nowhere")
        shared.refused(400, "MissingParameter", action, TaskId=task, RegionId=None)
    shared.refused(400, "InvalidRegionId.NotFound", "DescribeTasks", RegionId="nowhere")
    shared.refused(400, "MissingParameter", "DescribeTasks", RegionId=None)
    shared.refused(400, "InvalidParameter", "DescribeTasks", StartTime="yesterday")


def test_a_deployment(shared):
    disk = shared.create_disk(500)
    given = {"DiskId": disk, "PerformanceLevel": "PL1"}
    shared.refused(400, "DryRunOperation", "ModifyDiskDeployment", given, DryRun=True)
    task = shared.call("ModifyDiskDeployment", given)["TaskId"]
    assert spec(shared, disk)[1] == "PL1"
    [told] = tasks(shared, TaskIds=task)
    assert (told["TaskAction"], told["ResourceId"]) == ("ModifyDiskDeployment", disk)
    code = "NoChangeInDiskCategoryAndPerformanceLevel"
    shared.refused(403, code, "ModifyDiskDeployment", given)
    code = "InvalidStorageClusterId.NotExist"
    shared.refused(404, code, "ModifyDiskDeployment", given, StorageClusterId="dbsc-none")
