"""Random calls on a server and on a model of it: states, refusals and lists must agree, also after
`kill -9`.

The model is a few dictionaries for each of two accounts. Each step chooses a call, asks the model
what must become of it, makes the call, and compares all that the server lists with all that the
model holds. A refusal changes neither. What is another account's is refused as what is nobody's.
`EBB_SEED` repeats a run; `EBB_MODEL_STEPS` makes it longer.
"""

import datetime
import os

import pytest

from harness import blocks
from harness.crash import seeded
from harness.ecs import IMAGE, INSTANCE_TYPE, ZONE, Ecs, Refused, account_id

STEPS = int(os.environ.get("EBB_MODEL_STEPS", "400"))

# One step in so many kills the server.
KILL_EVERY = 40

# Of each system disk, in GiB.
SYSTEM_SIZE = 40

NOBODYS = {
    "disks": "d-none",
    "instances": "i-none",
    "snapshots": "s-none",
    "groups": "ssg-none",
    "policies": "sp-none",
    "images": "m-none",
}

POOR = "InvalidAccountStatus.NotEnoughBalance"
CLOSED = "InvalidAccountStatus.SnapshotServiceUnavailable"


class Model:
    """What there is, by id: what the server must say, and what only bytes can tell."""

    def __init__(self):
        self.instances = {}  # status
        self.images_of = {}  # of each instance
        self.systems = {}  # what each instance's system disk was made from
        # instance, size, policy, tags, content, whether it was attached before, source, whether it
        # goes with its instance
        self.disks = {}
        self.snapshots = {}  # disk, content, group
        self.groups = {}  # snapshots
        self.images = {}  # system snapshot, and data snapshots by device
        self.policies = set()
        # The account.
        self.is_poor, self.is_closed, self.quota = False, False, None

    def unpaid(self, poor=POOR) -> str | None:
        """Why the account may have nothing that costs money."""
        return poor if self.is_poor else None

    def unserved(self) -> str | None:
        """Why the account may do nothing with snapshots."""
        return POOR if self.is_poor else CLOSED if self.is_closed else None

    def used(self) -> int:
        """GiB of all disks."""
        return sum(disk["size"] for disk in self.disks.values()) + SYSTEM_SIZE * len(self.instances)

    def too_much(self, more: int) -> str | None:
        """Why the account may not have so many GiB more."""
        is_full = self.quota is not None and self.used() + more > self.quota
        return "QuotaExceed.DiskCapacity" if is_full else None

    def attached(self, instance) -> list[str]:
        return [id_ for id_, disk in self.disks.items() if disk["instance"] == instance]

    def has_disks(self, snapshot) -> bool:
        made = [disk["source"] for disk in self.disks.values()]
        return snapshot in made or snapshot in self.systems.values()

    def has_images(self, snapshot) -> bool:
        return any(
            snapshot == system or snapshot in data.values() for system, data in self.images.values()
        )

    def seen(self) -> dict:
        """As `listed` tells it of the server."""
        return {
            "instances": dict(self.instances),
            "disks": {
                id_: (
                    "In_use" if disk["instance"] else "Available",
                    disk["instance"] or "",
                    disk["size"],
                    disk["policy"] or "",
                    tuple(sorted(disk["tags"].items())),
                )
                for id_, disk in self.disks.items()
            },
            "snapshots": {
                id_: (each["disk"], "accomplished") for id_, each in self.snapshots.items()
            },
            "groups": {id_: frozenset(held) for id_, held in self.groups.items()},
            "policies": frozenset(self.policies),
            "images": frozenset(self.images),
        }


def listed(ecs) -> dict:
    disks = ecs.disks(DiskType="data", PageSize=100)
    groups = ecs.call("DescribeSnapshotGroups", MaxResults=100)["SnapshotGroups"]["SnapshotGroup"]
    policies = ecs.call("DescribeAutoSnapshotPolicyEx", PageSize=100)
    return {
        "instances": {each["InstanceId"]: each["Status"] for each in ecs.instances(PageSize=100)},
        "disks": {
            each["DiskId"]: (
                each["Status"],
                each["InstanceId"],
                each["Size"],
                each["AutoSnapshotPolicyId"],
                tuple(sorted((tag["TagKey"], tag["TagValue"]) for tag in each["Tags"]["Tag"])),
            )
            for each in disks
        },
        "snapshots": {
            each["SnapshotId"]: (each["SourceDiskId"], each["Status"])
            for each in ecs.all_snapshots()
        },
        "groups": {
            each["SnapshotGroupId"]: frozenset(
                member["SnapshotId"] for member in each["Snapshots"]["Snapshot"]
            )
            for each in groups
        },
        "policies": frozenset(
            each["AutoSnapshotPolicyId"]
            for each in policies["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]
        ),
        "images": frozenset(each["ImageId"] for each in own_images(ecs)),
    }


def own_images(ecs, **filters) -> list[dict]:
    return ecs.call("DescribeImages", ImageOwnerAlias="self", **filters)["Images"]["Image"]


class Run:
    """An account on a server and its model, and the calls that change both."""

    def __init__(self, server, rng, key):
        self.server, self.ecs, self.rng = server, Ecs(server, key), rng
        self.account = account_id(self.ecs)
        self.model, self.written = Model(), 0
        # Another account, for which there must be nothing of this one.
        self.stranger = None

    # What the calls are made with.

    def any_of(self, things, absent):
        """One of those that there are; now and then one that there is not."""
        known = sorted(things)
        return self.rng.choice(known) if known and self.rng.random() < 0.95 else absent

    def one(self, kind):
        """The account's own, now and then a stranger's or one that is nobody's."""
        strange = sorted(getattr(self.stranger.model, kind))
        absent = self.rng.choice(strange) if strange and self.rng.random() < 0.7 else NOBODYS[kind]
        return self.any_of(getattr(self.model, kind), absent)

    def disk(self):
        return self.one("disks")

    def instance(self):
        return self.one("instances")

    def snapshot(self):
        return self.one("snapshots")

    def expect(self, code, action, **params):
        """The call is refused with this code, or made where there is none."""
        try:
            reply = self.ecs.call(action, params)
        except Refused as refused:
            assert refused.code == code, f"{refused}; expected {code or 'an answer'}"
            return None
        assert code is None, f"{action} {params}: answered; expected {code}"
        return reply

    # The calls. Each says first what must become of it.

    def run_instance(self):
        if len(self.model.instances) >= 3:
            return
        image = self.any_of(self.model.images, IMAGE) if self.rng.random() < 0.5 else IMAGE
        system, data = self.model.images.get(image, (None, {}))
        if len(self.model.disks) + len(data) > 10:
            return
        more = SYSTEM_SIZE + sum(self.model.snapshots[source]["size"] for source in data.values())
        code = self.model.unpaid() or self.model.too_much(more)
        given = {"ImageId": image, "InstanceType": INSTANCE_TYPE, "ZoneId": ZONE}
        reply = self.expect(code, "RunInstances", **given)
        if reply is None:
            return
        (instance,) = reply["InstanceIdSets"]["InstanceIdSet"]
        self.ecs.await_instance(instance, "Running")
        self.model.instances[instance] = "Running"
        self.model.images_of[instance], self.model.systems[instance] = image, system
        for disk in self.ecs.disks(InstanceId=instance, DiskType="data"):
            source = data[disk["Device"]]
            of = self.model.snapshots[source]
            self.add_disk(disk["DiskId"], of["size"], of["content"], source)
            self.model.disks[disk["DiskId"]] |= {
                "instance": instance,
                "was attached": True,
                "goes": True,
            }
        assert len(self.model.attached(instance)) == len(data)

    def create_disk(self):
        if len(self.model.disks) >= 8:
            return
        source = self.snapshot() if self.rng.random() < 0.3 else None
        if source in self.model.snapshots and not self.model.snapshots[source]["system"]:
            of = self.model.snapshots[source]
            size, content = of["size"], of["content"]
            given = {"SnapshotId": source}
        else:
            size, content, source = self.rng.randint(1, 4), 0, None
            given = {}
        code = self.model.unpaid() or self.model.too_much(size)
        given |= {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}
        reply = self.expect(code, "CreateDisk", Size=size, **given)
        if reply is not None:
            self.ecs.await_disk(reply["DiskId"], "Available")
            self.add_disk(reply["DiskId"], size, content, source)

    def clone_disk(self):
        if len(self.model.disks) >= 8:
            return
        id_ = self.disk()
        disk = self.model.disks.get(id_)
        size = (disk["size"] if disk else 1) + self.rng.choice([-1, 0, 1])
        if size < 1:
            return
        code = None
        if disk is None:
            code = "InvalidDiskId.NotFound"
        elif self.model.is_poor:
            code = POOR
        elif size < disk["size"]:
            code = "InvalidDiskSize.TooSmall"
        else:
            code = self.model.too_much(size)
        given = {"SourceDiskId": id_, "Size": size, "MultiAttach": "Disabled"}
        given |= {"DiskCategory": "cloud_essd", "PerformanceLevel": "PL0"}
        reply = self.expect(code, "CloneDisks", **given)
        if reply is not None:
            group = {"TaskGroupId": reply["TaskGroupId"]}
            (task,) = self.ecs.call("DescribeTasks", group)["TaskSet"]["Task"]
            self.add_disk(task["ResourceId"], size, disk["content"], None)

    def add_disk(self, id_, size, content, source):
        self.model.disks[id_] = {
            "instance": None,
            "size": size,
            "policy": None,
            "tags": {},
            "content": content,
            "was attached": False,
            "source": source,
            "goes": False,
        }

    def attach_disk(self):
        id_, instance = self.disk(), self.instance()
        disk = self.model.disks.get(id_)
        code = None
        if disk is None:
            code = "InvalidDiskId.NotFound"
        elif instance not in self.model.instances:
            code = "InvalidInstanceId.NotFound"
        elif disk["instance"]:
            code = "IncorrectDiskStatus"
        if self.expect(code, "AttachDisk", DiskId=id_, InstanceId=instance) is not None:
            # DeleteWithInstance is false where it is not given.
            disk["instance"], disk["was attached"], disk["goes"] = instance, True, False

    def detach_disk(self):
        id_, instance = self.disk(), self.instance()
        disk = self.model.disks.get(id_)
        code = None
        if disk is None:
            code = "InvalidDiskId.NotFound"
        elif instance not in self.model.instances:
            code = "InvalidInstanceId.NotFound"
        elif not disk["instance"]:
            code = "InvalidDisk.AlreadyDetached"
        elif disk["instance"] != instance:
            code = "DependencyViolation"
        if self.expect(code, "DetachDisk", DiskId=id_, InstanceId=instance) is not None:
            self.ecs.await_disk(id_, "Available")
            disk["instance"] = None

    def delete_disk(self):
        id_ = self.disk()
        disk = self.model.disks.get(id_)
        code = None
        if disk is None:
            code = "InvalidDiskId.NotFound"
        elif disk["instance"]:
            code = "IncorrectDiskStatus"
        if self.expect(code, "DeleteDisk", DiskId=id_) is not None:
            del self.model.disks[id_]

    def create_snapshot(self):
        id_ = self.disk()
        disk = self.model.disks.get(id_)
        code = None
        if disk is None:
            code = "InvalidDiskId.NotFound"
        elif self.model.unserved():
            code = self.model.unserved()
        elif not disk["was attached"]:
            code = "IncorrectDiskStatus.NeverAttached"
        reply = self.expect(code, "CreateSnapshot", DiskId=id_)
        if reply is not None:
            self.add_snapshot(reply["SnapshotId"], id_, None)

    def add_snapshot(self, id_, disk, group):
        of = self.model.disks[disk]
        self.model.snapshots[id_] = {
            "disk": disk,
            "content": of["content"],
            "size": of["size"],
            "group": group,
            "system": False,
        }

    def delete_snapshot(self):
        id_, force = self.snapshot(), self.rng.random() < 0.5
        code = None
        if id_ not in self.model.snapshots:
            code = "InvalidSnapshotId.NotFound"
        elif not force and self.model.has_disks(id_):
            code = "SnapshotCreatedDisk"
        elif self.model.has_images(id_):
            code = "SnapshotCreatedImage"
        if self.expect(code, "DeleteSnapshot", SnapshotId=id_, Force=force) is not None:
            group = self.model.snapshots.pop(id_)["group"]
            if group:
                self.model.groups[group].discard(id_)

    def reset_disk(self):
        id_, snapshot = self.disk(), self.snapshot()
        if self.rng.random() < 0.7:
            own = [s for s, each in self.model.snapshots.items() if each["disk"] == id_]
            snapshot = self.any_of(own, snapshot)
        disk, version = self.model.disks.get(id_), self.model.snapshots.get(snapshot)
        code = self.model.unserved()
        if code:
            pass
        elif disk is None:
            code = "InvalidDiskId.NotFound"
        elif disk["instance"] and self.model.instances[disk["instance"]] != "Stopped":
            code = "IncorrectInstanceStatus"
        elif version is None:
            code = "InvalidSnapshotId.NotFound"
        elif version["disk"] != id_:
            code = "InvalidParameter.Mismatch"
        if self.expect(code, "ResetDisk", DiskId=id_, SnapshotId=snapshot) is not None:
            disk["content"] = version["content"]

    def resize_disk(self):
        id_ = self.disk()
        disk = self.model.disks.get(id_)
        runs = disk and self.model.instances.get(disk["instance"]) == "Running"
        size = (disk["size"] if disk else 1) + self.rng.choice([-1, 1, 2])
        code = None
        if disk is None:
            code = "InvalidDiskId.NotFound"
        elif size < disk["size"]:
            code = "InvalidDiskSize.TooSmall"
        else:
            code = self.model.too_much(size - disk["size"])
        given = {"DiskId": id_, "NewSize": max(size, 1), "Type": "online" if runs else "offline"}
        if size < 1:
            return
        if self.expect(code, "ResizeDisk", **given) is not None:
            disk["size"] = size

    def stop_instance(self):
        self.turn("StopInstance", "Running", "Stopped", None)

    def start_instance(self):
        unpaid = self.model.unpaid("InsufficientBalance")
        self.turn("StartInstance", "Stopped", "Running", unpaid)

    def turn(self, action, before, after, unpaid):
        instance = self.instance()
        code = None
        if instance not in self.model.instances:
            code = "InvalidInstanceId.NotFound"
        elif unpaid:
            code = unpaid
        elif self.model.instances[instance] != before:
            code = "IncorrectInstanceStatus"
        if self.expect(code, action, InstanceId=instance) is not None:
            self.ecs.await_instance(instance, after)
            self.model.instances[instance] = after

    def delete_instance(self):
        instance, force = self.instance(), self.rng.random() < 0.3
        if self.rng.random() < 0.6:
            return
        code = None
        if instance not in self.model.instances:
            code = "InvalidInstanceId.NotFound"
        elif self.model.instances[instance] == "Running" and not force:
            code = "IncorrectInstanceStatus"
        if self.expect(code, "DeleteInstance", InstanceId=instance, Force=force) is not None:
            for id_ in self.model.attached(instance):
                self.model.disks[id_]["instance"] = None
                if self.model.disks[id_]["goes"]:
                    del self.model.disks[id_]
            for kept in (self.model.instances, self.model.images_of, self.model.systems):
                del kept[instance]

    def create_group(self):
        instance = self.instance()
        disks = self.model.attached(instance)
        if len(self.model.groups) >= 3 or (instance in self.model.instances and not disks):
            return
        given = {f"DiskId.{n}": id_ for n, id_ in enumerate(disks, 1)}
        code = self.model.unserved()
        if instance not in self.model.instances:
            code = "InvalidInstanceId.NotFound"
        reply = self.expect(code, "CreateSnapshotGroup", InstanceId=instance, **given)
        if reply is not None:
            group = reply["SnapshotGroupId"]
            (shown,) = self.ecs.call("DescribeSnapshotGroups", {"SnapshotGroupId.1": group})[
                "SnapshotGroups"
            ]["SnapshotGroup"]
            self.model.groups[group] = set()
            for member in shown["Snapshots"]["Snapshot"]:
                assert member["SourceDiskId"] in disks
                self.add_snapshot(member["SnapshotId"], member["SourceDiskId"], group)
                self.model.groups[group].add(member["SnapshotId"])
            assert len(self.model.groups[group]) == len(disks)

    def delete_group(self):
        group = self.one("groups")
        members = self.model.groups.get(group, ())
        code = None
        if group not in self.model.groups:
            code = "InvalidSnapshotGroup.NotFound"
        elif any(self.model.has_disks(member) for member in members):
            code = "SnapshotCreatedDisk"
        if self.expect(code, "DeleteSnapshotGroup", SnapshotGroupId=group) is not None:
            for id_ in self.model.groups.pop(group):
                del self.model.snapshots[id_]

    def create_image(self):
        instance = self.instance()
        if len(self.model.images) >= 2 or len(self.model.snapshots) > 40:
            return
        code = self.model.unserved()
        if not code and instance not in self.model.instances:
            code = "InvalidInstanceId.NotFound"
        reply = self.expect(code, "CreateImage", InstanceId=instance)
        if reply is None:
            return
        (shown,) = own_images(self.ecs, ImageId=reply["ImageId"])
        system, data = None, {}
        for each in shown["DiskDeviceMappings"]["DiskDeviceMapping"]:
            snapshot = each["SnapshotId"]
            source = self.ecs.snapshot(snapshot)["SourceDiskId"]
            if each["Type"] == "data":
                data[each["Device"]] = snapshot
                self.add_snapshot(snapshot, source, None)
            else:
                system = snapshot
                of = {
                    "disk": source,
                    "content": None,
                    "size": SYSTEM_SIZE,
                    "group": None,
                    "system": True,
                }
                self.model.snapshots[snapshot] = of
        assert len(data) == len(self.model.attached(instance)) and system
        self.model.images[reply["ImageId"]] = (system, data)

    def delete_image(self):
        image, force = self.one("images"), self.rng.random() < 0.5
        code = None
        if image not in self.model.images:
            code = "InvalidImageId.NotFound"
        elif not force and image in self.model.images_of.values():
            code = "ImageUsingByInstance"
        if self.expect(code, "DeleteImage", ImageId=image, Force=force) is not None:
            del self.model.images[image]

    def replace_system_disk(self):
        instance, image = self.instance(), self.one("images")
        image = image if self.rng.random() < 0.7 else IMAGE
        system, _ = self.model.images.get(image, (None, {}))
        code = None
        if instance not in self.model.instances:
            code = "InvalidInstanceId.NotFound"
        elif image not in self.model.images and image != IMAGE:
            code = "InvalidImageId.NotFound"
        elif self.model.instances[instance] != "Stopped":
            code = "IncorrectInstanceStatus"
        given = {"InstanceId": instance, "ImageId": image}
        if self.expect(code, "ReplaceSystemDisk", **given) is not None:
            self.model.images_of[instance], self.model.systems[instance] = image, system

    def create_policy(self):
        if len(self.model.policies) < 3:
            # Far from now, so that it takes nothing by itself.
            hour = (datetime.datetime.now(datetime.UTC).hour + 12) % 24
            given = {"timePoints": [str(hour)], "repeatWeekdays": ["1"], "retentionDays": -1}
            reply = self.expect(self.model.unserved(), "CreateAutoSnapshotPolicy", **given)
            if reply is not None:
                self.model.policies.add(reply["AutoSnapshotPolicyId"])

    def apply_policy(self):
        policy, id_ = self.one("policies"), self.disk()
        code = self.model.unserved()
        if code:
            pass
        elif policy not in self.model.policies:
            code = "ParameterInvalid"
        elif id_ not in self.model.disks:
            code = "InvalidDiskId.NotFound"
        given = {"autoSnapshotPolicyId": policy, "diskIds": [id_]}
        if self.expect(code, "ApplyAutoSnapshotPolicy", **given) is not None:
            self.model.disks[id_]["policy"] = policy

    def delete_policy(self):
        policy = self.one("policies")
        code = None if policy in self.model.policies else "ParameterInvalid"
        given = {"autoSnapshotPolicyId": policy}
        if self.expect(code, "DeleteAutoSnapshotPolicy", **given) is not None:
            self.model.policies.discard(policy)
            for disk in self.model.disks.values():
                disk["policy"] = None if disk["policy"] == policy else disk["policy"]

    def tag_disk(self):
        id_, key = self.disk(), self.rng.choice("abc")
        code = None if id_ in self.model.disks else "InvalidResourceId.NotFound"
        value = str(self.rng.randint(0, 9))
        given = {"ResourceType": "disk", "ResourceId.1": id_, "Tag.1.Key": key}
        if self.expect(code, "TagResources", **given, **{"Tag.1.Value": value}) is not None:
            self.model.disks[id_]["tags"][key] = value

    def change_account(self):
        """What the operator does to it; most of the time nothing."""
        model = self.model
        if model.is_poor or model.is_closed or model.quota is not None:
            model.is_poor, model.is_closed, model.quota = False, False, None
        else:
            model.is_poor, model.is_closed = self.rng.random() < 0.3, self.rng.random() < 0.3
            model.quota = model.used() + 2 if self.rng.random() < 0.5 else None
        words = ["--balance", "-1" if model.is_poor else "100"]
        words += ["--snapshot-service", "closed" if model.is_closed else "open"]
        words += ["--disk-quota", str(model.quota or 0)]
        self.server.admin("account", "set", "--account", self.account, *words)

    # The bytes.

    def answering(self) -> list[str]:
        running = [i for i, status in self.model.instances.items() if status == "Running"]
        return sorted(id_ for i in running for id_ in self.model.attached(i))

    def write(self):
        if disks := self.answering():
            id_ = self.rng.choice(disks)
            self.written += 1
            with blocks.export(self.server, id_) as handle:
                handle.pwrite(block(self.written), 0)
                handle.flush()
            self.model.disks[id_]["content"] = self.written

    def read(self):
        if disks := self.answering():
            id_ = self.rng.choice(disks)
            found = blocks.read(self.server, id_, 0, 4096)
            assert found == block(self.model.disks[id_]["content"]), id_

    def kill(self):
        self.server.kill()
        self.server.start()
        for run in (self, self.stranger):
            for instance, status in run.model.instances.items():
                run.ecs.await_instance(instance, status)

    STEPS = (
        (run_instance, 3),
        (create_disk, 6),
        (clone_disk, 2),
        (attach_disk, 12),
        (detach_disk, 5),
        (delete_disk, 2),
        (create_snapshot, 8),
        (delete_snapshot, 3),
        (reset_disk, 12),
        (resize_disk, 3),
        (stop_instance, 6),
        (start_instance, 6),
        (delete_instance, 3),
        (create_group, 3),
        (delete_group, 2),
        (create_image, 4),
        (delete_image, 2),
        (replace_system_disk, 2),
        (create_policy, 1),
        (apply_policy, 3),
        (delete_policy, 1),
        (tag_disk, 3),
        (change_account, 4),
        (write, 12),
        (read, 8),
    )

    def step(self):
        steps, weights = zip(*self.STEPS, strict=True)
        (chosen,) = self.rng.choices(steps, weights)
        if self.rng.randrange(KILL_EVERY) == 0:
            chosen = Run.kill
        chosen(self)
        for run in (self, self.stranger):
            assert differences(listed(run.ecs), run.model.seen()) == {}, chosen.__name__
        return chosen.__name__


def differences(found: dict, expected: dict) -> dict:
    """By kind, what the server has and the model has not, and the other way round."""
    differ = {}
    for kind in expected:
        here, there = (entries(each[kind]) for each in (found, expected))
        if here != there:
            differ[kind] = sorted(here - there, key=str), sorted(there - here, key=str)
    return differ


def entries(of_a_kind) -> set:
    return set(of_a_kind.items()) if isinstance(of_a_kind, dict) else set(of_a_kind)


def block(content: int) -> bytes:
    """A disk that nothing was written to reads zero."""
    return content.to_bytes(8, "big") * 512


@pytest.mark.timeout(600)
def test_the_server_is_as_its_model(server):
    rng = seeded()
    one, other = Run(server, rng, server.key), Run(server, rng, server.new_account())
    one.stranger, other.stranger = other, one
    done = [rng.choice([one, one, other]).step() for _ in range(STEPS)]
    assert {"reset_disk", "write", "create_snapshot"} <= set(done)
    # Every disk holds what the model says, also those that no instance has now.
    for run in (one, other):
        words = ["--balance", "100", "--disk-quota", "0"]
        server.admin("account", "set", "--account", run.account, *words)
        for id_, disk in run.model.disks.items():
            assert blocks_of(run, id_) == block(disk["content"]), id_


def blocks_of(run, disk) -> bytes:
    instance = run.model.disks[disk]["instance"]
    if instance is None:
        instance = run.ecs.run_instance()
        run.ecs.attach(disk, instance)
    elif run.model.instances[instance] == "Stopped":
        run.ecs.start_instance(instance)
        run.model.instances[instance] = "Running"
    return blocks.read(run.server, disk, 0, 4096)
