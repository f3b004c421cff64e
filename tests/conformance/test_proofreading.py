"""What the server says of itself, held against what is known of the ECS API.

`ebb operations --json` lists every operation with its parameters and the errors it can give. The
lists of the API are beside the repository; where they are not, these tests are skipped, and say so.
"""

import functools
import importlib
import json
import subprocess

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ram20150501 import models as ram_models

from harness import errors, not_done, wire
from harness.not_done import top_name
from harness.paths import SHARED, server_binary
from harness.replies import check_reply

FOLDERS = {"2014-05-26": "ops", "2015-04-01": "sts", "2016-01-20": "kms"}

# Of the Location service, which has no list there: api.md §1.10.
LOCATION = {
    "DescribeEndpoints": {
        "params": [
            {"name": "Id", "required": True},
            {"name": "ServiceCode", "required": False},
            {"name": "Type", "required": False},
        ]
    }
}

# What the server is to offer at the least.
PROMISED = (
    "AddTags ApplyAutoSnapshotPolicy AttachDisk CancelAutoSnapshotPolicy CancelTask "
    "CloneDisks CopyImage CopySnapshot CreateAutoSnapshotPolicy CreateDisk CreateImage "
    "CreateInstance CreateSecurityGroup CreateSnapshot CreateSnapshotGroup CreateVSwitch "
    "CreateVpc DeleteAutoSnapshotPolicy DeleteDisk DeleteImage DeleteInstance DeleteInstances "
    "DeleteSecurityGroup DeleteSnapshot DeleteSnapshotGroup DeleteVSwitch DeleteVpc "
    "DescribeAccountAttributes DescribeAutoSnapshotPolicyAssociations "
    "DescribeAutoSnapshotPolicyEx DescribeAvailableResource DescribeDiskDefaultKMSKeyId "
    "DescribeDiskEncryptionByDefaultStatus DescribeDisks DescribeDisksFullStatus "
    "DescribeEndpoints DescribeImages DescribeInstanceAttachmentAttributes "
    "DescribeInstanceAttribute DescribeInstanceAutoRenewAttribute "
    "DescribeInstanceHistoryEvents DescribeInstanceMaintenanceAttributes "
    "DescribeInstanceRamRole DescribeInstanceStatus DescribeInstanceTypeFamilies "
    "DescribeInstanceTypes DescribeInstances DescribeLockedSnapshots "
    "DescribeNetworkInterfaces DescribeRegions DescribeSecurityGroupAttribute "
    "DescribeSecurityGroups DescribeSnapshotGroups DescribeSnapshotLinks "
    "DescribeSnapshotMonitorData DescribeSnapshotPackage DescribeSnapshots "
    "DescribeSnapshotsUsage DescribeTags DescribeTaskAttribute DescribeTasks DescribeUserData "
    "DescribeVSwitches DescribeVpcs DescribeZones DetachDisk DisableDiskEncryptionByDefault "
    "EnableDiskEncryptionByDefault ExportSnapshot GetCallerIdentity ImportImage "
    "JoinResourceGroup ListTagResources LockSnapshot ModifyAutoSnapshotPolicyEx "
    "ModifyDiskAttribute ModifyDiskChargeType ModifyDiskDefaultKMSKeyId ModifyDiskDeployment "
    "ModifyDiskSpec ModifyImageAttribute ModifyInstanceAttribute ModifySnapshotAttribute "
    "ModifySnapshotCategory ModifySnapshotGroup OpenSnapshotService ReInitDisk RebootInstance "
    "RebootInstances RemoveTags ReplaceSystemDisk ResetDisk ResetDiskDefaultKMSKeyId "
    "ResetDisks ResizeDisk RunInstances StartInstance StartInstances StopInstance "
    "StopInstances TagResources UnlockSnapshot UntagResources"
).split()

# Answers that belong to the gateway before an operation is found, or to any operation.
GATEWAY = set(errors.GATEWAY) | {"InternalError", "ServiceUnavailable"}

pytestmark = pytest.mark.skipif(
    not SHARED.exists(), reason=f"the lists of the ECS API are not at {SHARED}"
)


@functools.cache
def operations() -> dict[str, dict]:
    """The server's own list, by name."""
    done = subprocess.run(
        [server_binary(), "operations", "--json"], capture_output=True, check=True, timeout=30
    )
    return {each["name"]: each for each in json.loads(done.stdout)}


def known(operation) -> dict | None:
    if operation["version"] == "2015-06-12":
        return LOCATION.get(operation["name"])
    if operation["version"] == "2015-05-01":
        return of_ram(operation["name"])
    path = SHARED / FOLDERS[operation["version"]] / f"{operation['name']}.json"
    return json.loads(path.read_text()) if path.exists() else None


def of_ram(action: str) -> dict | None:
    """RAM has no list there; its client's models have the names, and not what is required."""
    model = getattr(ram_models, f"{action}Request", None)
    if model is None:
        return None
    names = set(model.from_map.__code__.co_consts)
    return {"params": [{"name": n, "required": True} for n in names if isinstance(n, str)]}


def test_every_operation_exists_in_ecs():
    assert set(PROMISED) <= set(operations())
    unknown = [name for name, operation in operations().items() if known(operation) is None]
    assert not unknown


def test_what_is_not_done_is_listed_and_the_list_only_shrinks():
    found, listed = not_done.found(), not_done.listed()
    assert not listed - found, "these are done: take them off the list"
    assert not found - listed, "these are not done, and not listed"


def test_every_error_is_documented_word_for_word():
    wrong = []
    for name, operation in operations().items():
        rows = errors.documented().get(name)
        for error in operation["errors"]:
            at = (error["http"], error["code"])
            if error["code"] == "InternalError":
                continue  # Its words are one operation's, copied from another's, in the lists.
            told = f"{name}: {at} {error['message']!r}"
            if rows and at in rows:
                if not any(errors.fits(text, error["message"]) for text in rows[at]):
                    wrong.append(told)
            elif rows and error["code"] not in GATEWAY:
                wrong.append(told)
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_is_unrecorded_is_so_and_says_why():
    recorded = {row[0] for row in errors.recorded()}
    for action, status, code, message, reason in errors.unrecorded():
        assert action not in recorded, action
        assert message and reason, (action, status, code)
    named = {row[0] for row in errors.unrecorded()}
    silent = {name for name, operation in operations().items() if more_than_faults(operation)}
    # Errors that all operations share are not of their own lists.
    assert silent - recorded <= named <= set(operations())


def more_than_faults(operation) -> bool:
    return any(error["code"] != "InternalError" for error in operation["errors"])


def test_reset_disk_can_give_every_error_it_documents():
    given = {(error["http"], error["code"]) for error in operations()["ResetDisk"]["errors"]}
    assert not set(errors.documented()["ResetDisk"]) - given


def test_every_parameter_is_documented():
    wrong = []
    for name, operation in operations().items():
        documented = {top_name(param["name"]) for param in known(operation)["params"]}
        declared = {top_name(param["name"]) for param in operation["params"]}
        wrong += [f"{name}.{param}" for param in sorted(declared - documented)]
    assert not wrong, wrong


def test_every_required_parameter_is_required():
    wrong = []
    for name, operation in operations().items():
        documented = {p["name"]: p for p in known(operation)["params"]}
        for param in operation["params"]:
            found = documented.get(param["name"])
            if param["required"] and found and not found["required"]:
                # RunInstances needs both where there are no launch templates.
                if (name, param["name"]) not in {
                    ("RunInstances", "ImageId"),
                    ("CreateInstance", "ImageId"),
                    ("RunInstances", "InstanceType"),
                    # Its errors say so.
                    ("ReplaceSystemDisk", "ImageId"),
                    # Its errors say so of one of them; without the others it means nothing.
                    ("JoinResourceGroup", "ResourceGroupId"),
                    ("JoinResourceGroup", "ResourceId"),
                    ("JoinResourceGroup", "ResourceType"),
                    # Secrets and certificates, which could be tagged too, are not there.
                    ("TagResource", "KeyId"),
                    ("UntagResource", "KeyId"),
                }:
                    wrong.append(f"{name}.{param['name']}")
    assert not wrong, wrong


def test_every_parameter_is_one_the_clients_send():
    wrong = []
    for name, operation in operations().items():
        if operation["version"] != "2014-05-26":
            continue
        sent = v1_names(name) | v3_names(name)
        if not sent:
            continue
        declared = {top_name(param["name"]) for param in operation["params"]}
        wrong += [f"{name}.{param}" for param in sorted(declared - sent - {"RegionId"})]
    assert not wrong, wrong


def v1_names(action: str) -> set[str]:
    try:
        module = importlib.import_module(f"aliyunsdkecs.request.v20140526.{action}Request")
    except ModuleNotFoundError:
        return set()
    setters = dir(getattr(module, f"{action}Request"))
    return {name.removeprefix("set_") for name in setters if name.startswith("set_")}


def v3_names(action: str) -> set[str]:
    model = getattr(models, f"{action}Request", None)
    if model is None:
        return set()
    return set(model.from_map.__code__.co_consts) if hasattr(model, "from_map") else set()


def test_replies_with_everything_in_them(ecs):
    """Replies are checked wherever tests see them (`harness.replies`); here all lists are full."""
    instance, disk = ecs.machine()
    snapshot = ecs.create_snapshot(disk)
    for kind, id_ in (("disk", disk), ("snapshot", snapshot), ("instance", instance)):
        given = {"ResourceType": kind, "ResourceId.1": id_}
        ecs.call("TagResources", given | {"Tag.1.Key": "k", "Tag.1.Value": "v"})
        assert ecs.call("ListTagResources", given)["TagResources"]["TagResource"]
    ecs.server.admin("account", "set", "--arrears", "on")
    for action, many, one in (
        ("DescribeDisks", "Disks", "Disk"),
        ("DescribeSnapshots", "Snapshots", "Snapshot"),
        ("DescribeInstances", "Instances", "Instance"),
        ("DescribeInstanceStatus", "InstanceStatuses", "InstanceStatus"),
        ("DescribeImages", "Images", "Image"),
        ("DescribeRegions", "Regions", "Region"),
        ("DescribeZones", "Zones", "Zone"),
    ):
        assert ecs.call(action)[many][one], action


def test_the_reply_of_sts(ecs):
    answer = wire.ask_v1(ecs.server, "GetCallerIdentity", {}, Version="2015-04-01")
    check_reply("GetCallerIdentity", answer.tree, "sts")
