"""Several accounts on one server, each apart from the others, and their access keys."""

import contextlib

import pytest

from harness import blocks
from harness.ecs import IMAGE, INSTANCE_TYPE, ZONE, Ecs, account_id
from harness.waiting import until


@pytest.fixture
def two(server) -> tuple[Ecs, Ecs]:
    """The root account and another."""
    return Ecs(server), Ecs(server, server.new_account())


def a_life(ecs) -> dict[str, str]:
    """One of everything that an account can have, by its kind."""
    instance, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, b"x" * 4096)
    snapshot = ecs.create_snapshot(disk)
    group = ecs.call("CreateSnapshotGroup", InstanceId=instance)["SnapshotGroupId"]
    policy = {"timePoints": ["1"], "repeatWeekdays": ["1"], "retentionDays": -1}
    task = ecs.call("ModifyDiskSpec", DiskId=ecs.create_disk(20), PerformanceLevel="PL1")["TaskId"]
    vpc = ecs.call("CreateVpc")["VpcId"]
    network = {"VpcId": vpc, "ZoneId": ZONE, "CidrBlock": "172.16.1.0/24"}
    made = {
        "instance": instance,
        "disk": disk,
        "snapshot": snapshot,
        "group": group,
        "policy": ecs.call("CreateAutoSnapshotPolicy", policy)["AutoSnapshotPolicyId"],
        "image": ecs.call("CreateImage", SnapshotId=system_snapshot(ecs, instance))["ImageId"],
        "task": task,
        "vpc": vpc,
        "vswitch": ecs.call("CreateVSwitch", network)["VSwitchId"],
        "security group": ecs.call("CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"],
    }
    ecs.call(
        "LockSnapshot", SnapshotId=snapshot, LockMode="compliance", LockDuration=1, CoolOffPeriod=3
    )
    tags = {"ResourceType": "disk", "ResourceId.1": disk, "Tag.1.Key": "k", "Tag.1.Value": "v"}
    ecs.call("TagResources", tags)
    return made


def system_snapshot(ecs, instance) -> str:
    [system] = ecs.disks(InstanceId=instance, DiskType="system")
    return ecs.create_snapshot(system["DiskId"])


# What lists all of a kind, and where in its reply.
LISTS = [
    ("DescribeDisks", "Disks.Disk"),
    ("DescribeInstances", "Instances.Instance"),
    ("DescribeInstanceStatus", "InstanceStatuses.InstanceStatus"),
    ("DescribeSnapshots", "Snapshots.Snapshot"),
    ("DescribeSnapshotGroups", "SnapshotGroups.SnapshotGroup"),
    ("DescribeSnapshotLinks", "SnapshotLinks.SnapshotLink"),
    ("DescribeLockedSnapshots", "LockedSnapshotsInfo"),
    ("DescribeAutoSnapshotPolicyEx", "AutoSnapshotPolicies.AutoSnapshotPolicy"),
    ("DescribeTasks", "TaskSet.Task"),
    ("DescribeTags", "Tags.Tag"),
    ("DescribeVpcs", "Vpcs.Vpc"),
    ("DescribeVSwitches", "VSwitches.VSwitch"),
    ("DescribeSecurityGroups", "SecurityGroups.SecurityGroup"),
    ("DescribeDisksFullStatus", "DiskFullStatusSet.DiskFullStatusType"),
]


def listed(ecs, action, path, **filters) -> list:
    found = ecs.call(action, **filters)
    for part in path.split("."):
        found = found[part]
    return found


def test_what_one_has_the_other_does_not_see(two):
    for one, other in (two, two[::-1]):
        made = a_life(one)
        if other is two[1]:
            for action, path in LISTS:
                assert listed(other, action, path) == [], action
                assert listed(one, action, path) != [], action
            assert listed(other, "DescribeImages", "Images.Image", ImageOwnerAlias="self") == []
            used = other.call("DescribeSnapshotsUsage")
            assert (used["SnapshotCount"], used["SnapshotSize"]) == (0, 0)
        nothing_is_found(other, made)


def nothing_is_found(other, made):
    disk, instance, snapshot = made["disk"], made["instance"], made["snapshot"]
    mine = other.create_disk(20)
    absent = [
        ("ResetDisk", {"DiskId": disk, "SnapshotId": snapshot}, "InvalidDiskId.NotFound"),
        ("ReInitDisk", {"DiskId": disk}, "InvalidDiskId.NotFound"),
        ("CreateSnapshot", {"DiskId": disk}, "InvalidDiskId.NotFound"),
        ("DeleteDisk", {"DiskId": disk}, "InvalidDiskId.NotFound"),
        ("ModifyDiskAttribute", {"DiskId": disk, "DiskName": "mine"}, "InvalidDiskId.NotFound"),
        ("ResizeDisk", {"DiskId": disk, "NewSize": 50}, "InvalidDiskId.NotFound"),
        ("AttachDisk", {"DiskId": disk, "InstanceId": instance}, "InvalidDiskId.NotFound"),
        ("AttachDisk", {"DiskId": mine, "InstanceId": instance}, "InvalidInstanceId.NotFound"),
        ("StopInstance", {"InstanceId": instance}, "InvalidInstanceId.NotFound"),
        ("DeleteInstance", {"InstanceId": instance, "Force": True}, "InvalidInstanceId.NotFound"),
        ("DescribeUserData", {"InstanceId": instance}, "InvalidInstanceId.NotFound"),
        ("DeleteSnapshot", {"SnapshotId": snapshot}, "InvalidSnapshotId.NotFound"),
        ("UnlockSnapshot", {"SnapshotId": snapshot}, "InvalidSnapshotId.NotFound"),
        (
            "DeleteSnapshotGroup",
            {"SnapshotGroupId": made["group"]},
            "InvalidSnapshotGroup.NotFound",
        ),
        ("DeleteAutoSnapshotPolicy", {"autoSnapshotPolicyId": made["policy"]}, "ParameterInvalid"),
        ("DescribeTaskAttribute", {"TaskId": made["task"]}, "InvalidTaskId.NotFound"),
        ("DeleteImage", {"ImageId": made["image"]}, "InvalidImageId.NotFound"),
        ("DeleteVpc", {"VpcId": made["vpc"]}, "InvalidVpcId.NotFound"),
        ("DeleteVSwitch", {"VSwitchId": made["vswitch"]}, "InvalidVSwitchId.NotFound"),
    ]
    for action, params, code in absent:
        answer = other.ask(action, params)
        assert (answer.status != 200, answer.tree["Code"]) == (True, code), action
    run = {"ImageId": made["image"], "InstanceType": INSTANCE_TYPE}
    other.refused(404, "InvalidImageId.NotFound", "RunInstances", run)
    new = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "SnapshotId": snapshot, "Size": 20}
    assert other.ask("CreateDisk", new).tree["Code"] == "InvalidSnapshotId.NotFound"
    other.call("DeleteDisk", DiskId=mine)


def test_each_goes_its_own_way(two):
    one, other = two
    assert account_id(one) != account_id(other)
    # What the operator does to one is not done to the other.
    one.server.admin("account", "set", "--account", account_id(other), "--balance", "-1")
    one.create_disk()
    new = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "Size": 20}
    other.refused(403, "InvalidAccountStatus.NotEnoughBalance", "CreateDisk", new)
    # Nor do their tokens meet.
    run = {"ImageId": IMAGE, "InstanceType": INSTANCE_TYPE, "ClientToken": "same"}
    one.server.admin("account", "set", "--account", account_id(other), "--balance", "1")
    made = [each.call("RunInstances", run)["InstanceIdSets"]["InstanceIdSet"] for each in two]
    assert made[0] != made[1]
    until(lambda: all(len(each.instances(Status="Running")) == 1 for each in two), "both run")


def told(ecs) -> tuple[int, str]:
    answer = ecs.ask("DescribeRegions")
    return answer.status, answer.tree.get("Code", "")


def test_a_key_is_disabled_enabled_and_deleted(server):
    first = server.new_account()
    ecs = Ecs(server, first)
    account = account_id(ecs)
    assert told(ecs) == (200, "")
    # Rotated: the second is there before the first goes.
    second = Ecs(server, server.new_key(account))
    assert account_id(second) == account
    server.admin("key", "disable", first.id)
    assert told(ecs) == (400, "InvalidAccessKeyId.Inactive")
    keys = server.admin("key", "list", "--account", account)["keys"]
    assert [(key["access_key_id"], key["active"]) for key in keys] == [
        (first.id, False),
        (second.key.id, True),
    ]
    for _ in range(2):
        assert told(ecs) == (400, "InvalidAccessKeyId.Inactive")
        assert told(second) == (200, "")
        server.kill()
        server.start()
    server.admin("key", "enable", first.id)
    assert told(ecs) == (200, "")
    server.admin("key", "delete", first.id)
    assert told(ecs) == (404, "InvalidAccessKeyId.NotFound")
    server.kill()
    server.start()
    assert told(ecs) == (404, "InvalidAccessKeyId.NotFound")
    assert told(second) == (200, "")


def test_a_wrong_secret_is_no_key(server):
    key = server.new_account()
    wrong = type(key)(key.id, server.key.secret)
    assert told(Ecs(server, wrong)) == (400, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["create", "--account", "1"], "there is no account 1"),
        (["list", "--account", "1"], "there is no account 1"),
        (["disable", "EBBnone"], "there is no access key EBBnone"),
        (["delete", "EBBnone"], "there is no access key EBBnone"),
    ],
)
def test_what_the_operator_is_refused(module_server, words, why):
    done = module_server.admin_result("key", *words)
    assert done.returncode != 0 and why in done.stderr.decode()


def test_an_account_has_two_keys_at_most_and_root_s_first_stays(server):
    account = account_id(Ecs(server, server.new_account()))
    server.new_key(account)
    done = server.admin_result("key", "create", "--account", account)
    assert done.returncode != 0 and "delete one first" in done.stderr.decode()
    done = server.admin_result("key", "delete", server.key.id)
    assert done.returncode != 0 and "credentials" in done.stderr.decode()
    accounts = server.admin("account", "list")["accounts"]
    assert sorted(each["root"] for each in accounts) == [False, True]
    root = account_id(Ecs(server))
    [first] = server.admin("key", "list")["keys"]
    assert (first["access_key_id"], first["created_at"]) == (server.key.id, None)
    another = Ecs(server, server.new_key(root))
    assert account_id(another) == root


def test_secrets_are_nowhere_in_the_data_directory(server):
    secret = server.new_account().secret.encode()
    server.stop()
    found = [
        path
        for path in server.data_dir.rglob("*")
        if path.is_file() and secret in path.read_bytes()
    ]
    assert found == []


def test_the_master_key_is_lost(server):
    ecs = Ecs(server, server.new_account())
    server.stop()
    kept = server.data_dir / "master.key"
    assert kept.stat().st_mode & 0o777 == 0o600
    text = kept.read_text()
    kept.unlink()
    server.refuses_to_start("master.key is missing")
    assert not kept.exists()
    kept.write_text("0" * 64)
    server.refuses_to_start("the master key is not the one")
    kept.write_text("what is this")
    server.refuses_to_start("it must be 64 hexadecimal digits")
    kept.write_text(text)
    server.start()
    assert told(ecs) == (200, "")


def test_the_master_key_is_elsewhere(server, tmp_path):
    ecs = Ecs(server, server.new_account())
    server.stop()
    kept = server.data_dir / "master.key"
    key, elsewhere = kept.read_text().strip(), tmp_path / "key"
    kept.rename(elsewhere)
    server.refuses_to_start("or say with --master-key-file")
    for args, env in [
        (["--master-key-file", elsewhere], {}),
        (["--master-key-command", f"cat {elsewhere}"], {}),
        ([], {"EBB_MASTER_KEY": key}),
    ]:
        with started_with(server, args, env):
            server.start()
            assert ecs.call("DescribeDisks")["TotalCount"] == 0
            server.stop()
    for args, env, why in [
        (["--master-key-file", elsewhere], {"EBB_MASTER_KEY": key}, "give only one of"),
        (["--master-key-command", "exit 3"], {}, "failed, exit status: 3"),
        ([], {"EBB_MASTER_KEY": key[1:]}, "EBB_MASTER_KEY is no key"),
        ([], {"EBB_MASTER_KEY": "0" * 64}, "the master key is not the one"),
    ]:
        with started_with(server, args, env):
            server.refuses_to_start(why)
    assert not kept.exists()
    assert key not in server.log.text()
    kept.write_text(key)
    server.start()


@contextlib.contextmanager
def started_with(server, args, env):
    """More flags and variables, for as long as this lasts."""
    before = server.args, server.env
    server.args, server.env = [*server.args, *args], {**server.env, **env}
    yield
    server.args, server.env = before
