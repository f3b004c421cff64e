"""The ECS API as one account sees it: calls, and the few steps that most tests begin with.

Every call goes through the tests' own signer. The official clients have tests of their own.
"""

import json

from . import wire
from .errors import REQUEST_ID, check_documented, check_error
from .replies import check_reply
from .waiting import until
from .wire import Answer

REGION = "cn-hangzhou"
ZONE = "cn-hangzhou-a"
OTHER_ZONE = "cn-hangzhou-b"
IMAGE = "ebb_blank_20G.raw"
INSTANCE_TYPE = "ecs.g7.large"
GIB = 1 << 30

# Operations that take no RegionId in the documentation. The others all need one.
WITHOUT_REGION = {
    "AttachDisk",
    "CreateSnapshot",
    "DeleteDisk",
    "DeleteInstance",
    "CreateVSwitch",
    "DeleteSnapshot",
    "DeleteVSwitch",
    "DeleteVpc",
    "DescribeInstanceAttribute",
    "DescribeInstanceTypes",
    "DescribeRegions",
    "DetachDisk",
    "GetCallerIdentity",
    "JoinResourceGroup",
    "ModifyDiskAttribute",
    "ModifyDiskDeployment",
    "ModifyDiskSpec",
    "ModifyInstanceAttribute",
    "ModifySnapshotAttribute",
    "ModifySnapshotCategory",
    "ReInitDisk",
    "RebootInstance",
    "ReplaceSystemDisk",
    "ResetDisk",
    "ResizeDisk",
    "StartInstance",
    "StopInstance",
}


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, action: str, answer: Answer):
        self.status, self.code = answer.status, answer.tree["Code"]
        super().__init__(f"{action}: {self.status} {self.code}: {answer.tree['Message']}")


class Ecs:
    """An account's view of one server: the root account's, unless another's key is given."""

    def __init__(self, server, key=None):
        self.server, self.key = server, key

    # Calls.

    def ask(self, action: str, params=None, *, wire_fmt="JSON", timeout=60, **more) -> Answer:
        """The answer, good or bad. Names with dots go into `params`."""
        everything = {} if action in WITHOUT_REGION else {"RegionId": REGION}
        everything |= (params or {}) | more
        given = {name: wire_value(v) for name, v in everything.items() if v is not None}
        return wire.ask_v1(self.server, action, given, wire_fmt, timeout=timeout, key=self.key)

    def call(self, action: str, params=None, **more) -> dict:
        """The reply of a call that succeeds."""
        answer = self.ask(action, params, **more)
        if answer.status != 200:
            raise Refused(action, answer)
        assert answer.content_type == wire.JSON
        reply = answer.tree
        assert REQUEST_ID.fullmatch(reply["RequestId"])
        assert answer.headers.get("x-acs-request-id") == reply["RequestId"]
        assert "Code" not in reply and "Success" not in reply
        check_reply(action, reply)
        return reply

    def refused(self, status: int, code: str, action: str, params=None, message=None, **more):
        """The call gives exactly this error, in words that the operation documents."""
        answer = self.ask(action, params, **more)
        check_error(answer, status, code, message)
        check_documented(action, answer)

    # What there is.

    def shown(self) -> dict:
        """All that there is, but on which port a disk answers."""
        return {
            "disks": [{**disk, "ExportUrl": None} for disk in self.disks(PageSize=100)],
            "snapshots": self.snapshots(PageSize=100),
            "instances": self.instances(PageSize=100),
        }

    def disks(self, params=None, **filters) -> list[dict]:
        return self.call("DescribeDisks", params, **filters)["Disks"]["Disk"]

    def disk(self, disk_id: str) -> dict | None:
        return next(iter(self.disks(DiskIds=[disk_id])), None)

    def snapshots(self, params=None, **filters) -> list[dict]:
        return self.call("DescribeSnapshots", params, **filters)["Snapshots"]["Snapshot"]

    def all_snapshots(self, **filters) -> list[dict]:
        """Of all pages, newest first. What is made or deleted meanwhile may be missing."""
        found, token = [], None
        while token != "":
            page = self.call("DescribeSnapshots", MaxResults=100, NextToken=token, **filters)
            found += page["Snapshots"]["Snapshot"]
            token = page["NextToken"]
        return found

    def snapshot(self, snapshot_id: str) -> dict | None:
        return next(iter(self.snapshots(SnapshotIds=[snapshot_id])), None)

    def instances(self, params=None, **filters) -> list[dict]:
        return self.call("DescribeInstances", params, **filters)["Instances"]["Instance"]

    def instance(self, instance_id: str) -> dict | None:
        return next(iter(self.instances(InstanceIds=[instance_id])), None)

    # Steps that wait for their end.

    def await_disk(self, disk_id: str, *states: str) -> dict:
        def there():
            disk = self.disk(disk_id)
            return disk if disk and disk["Status"] in states else None

        return until(there, f"{disk_id} is {' or '.join(states)}")

    def await_instance(self, instance_id: str, state: str):
        def there():
            instance = self.instance(instance_id)
            return instance and instance["Status"] == state

        until(there, f"{instance_id} is {state}")

    def await_snapshot(self, snapshot_id: str, state: str = "accomplished"):
        def there():
            snapshot = self.snapshot(snapshot_id)
            return snapshot and snapshot["Status"] == state

        until(there, f"{snapshot_id} is {state}")

    def run_instance(self, params=None, **more) -> str:
        """A Running instance in the first zone."""
        return self.run_instances(params, **more)[0]

    def run_instances(self, params=None, **more) -> list[str]:
        wanted = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE} | more
        reply = self.call("RunInstances", params, **wanted)
        instances = reply["InstanceIdSets"]["InstanceIdSet"]
        for instance in instances:
            self.await_instance(instance, "Running")
        return instances

    def stop_instance(self, instance: str):
        self.call("StopInstance", InstanceId=instance)
        self.await_instance(instance, "Stopped")

    def start_instance(self, instance: str):
        self.call("StartInstance", InstanceId=instance)
        self.await_instance(instance, "Running")

    def create_disk(self, size=1, **more) -> str:
        """An Available disk in the first zone, of `size` GiB."""
        wanted = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}
        disk = self.call("CreateDisk", Size=size, **(wanted | more))["DiskId"]
        self.await_disk(disk, "Available")
        return disk

    def attach(self, disk: str, instance: str, **more):
        self.call("AttachDisk", DiskId=disk, InstanceId=instance, **more)
        self.await_disk(disk, "In_use")

    def detach(self, disk: str, instance: str):
        self.call("DetachDisk", DiskId=disk, InstanceId=instance)
        self.await_disk(disk, "Available")

    def create_snapshot(self, disk: str, **more) -> str:
        snapshot = self.call("CreateSnapshot", DiskId=disk, **more)["SnapshotId"]
        self.await_snapshot(snapshot)
        return snapshot

    def reset(self, disk: str, snapshot: str):
        """Resets the disk, and waits until it is what it was before."""
        former = self.disk(disk)["Status"]
        self.call("ResetDisk", DiskId=disk, SnapshotId=snapshot)
        self.await_disk(disk, former)

    def machine(self, size=1, **more) -> tuple[str, str]:
        """A Running instance and a disk attached to it."""
        instance, disk = self.run_instance(), self.create_disk(size, **more)
        self.attach(disk, instance)
        return instance, disk


def wire_value(value):
    """Lists travel as a JSON array in one string, truth in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value)
    return str(value)


def account_id(ecs: Ecs) -> str:
    """The account's number, from STS."""
    answer = wire.ask_v1(ecs.server, "GetCallerIdentity", {}, key=ecs.key, Version="2015-04-01")
    return answer.tree["AccountId"]
