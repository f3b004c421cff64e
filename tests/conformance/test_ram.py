"""RAM and STS by their official clients: users, groups, roles, policies, keys, sessions."""

import json

import pytest

from harness import wire
from harness.clients import ClientError
from harness.ecs import Ecs
from harness.official import kms, ram, sts
from harness.server import AccessKey

ALL = {"Action": "*", "Resource": "*", "Effect": "Allow"}


def document(*statements) -> str:
    return json.dumps({"Version": "1", "Statement": list(statements)})


def allow(action, resource="*", **more) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action, resource="*") -> dict:
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def trust(*principals) -> str:
    who = {"RAM": list(principals)}
    return document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": who})


def fails(status, code, client, action, **params):
    with pytest.raises(ClientError) as error:
        client(action, **params)
    assert (error.value.status, error.value.code) == (status, code)


class People:
    """An account with users, by the root user's clients."""

    def __init__(self, server, key=None):
        self.server, self.ram = server, ram(server, key)
        self.account = sts(server, key)("GetCallerIdentity")["AccountId"]

    def user(self, name: str, *statements) -> AccessKey:
        """The key of a new user, with a policy of these statements."""
        self.ram("CreateUser", UserName=name)
        if statements:
            self.let(name, *statements)
        made = self.ram("CreateAccessKey", UserName=name)["AccessKey"]
        key = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
        self.server.made_keys.append(key)
        return key

    def let(self, name: str, *statements):
        policy = f"for-{name}"
        self.ram("CreatePolicy", PolicyName=policy, PolicyDocument=document(*statements))
        pair = {"PolicyName": policy, "PolicyType": "Custom"}
        self.ram("AttachPolicyToUser", UserName=name, **pair)


@pytest.fixture
def people(server) -> People:
    return People(server)


def assume(server, key, arn, **more) -> tuple[AccessKey, str]:
    made = sts(server, key)("AssumeRole", RoleArn=arn, RoleSessionName="session", **more)
    made = made["Credentials"]
    key = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
    server.made_keys.append(key)
    return key, made["SecurityToken"]


def ask(server, key, action, token=None, version="2014-05-26", **params):
    """One call with a V1 signature: status and code, or 200 and nothing."""
    common = {"Version": version} | ({"SecurityToken": token} if token else {})
    answer = wire.ask_v1(server, action, params, key=key, **common)
    return answer.status, answer.tree.get("Code", "")


FORBIDDEN = (403, "Forbidden.RAM")


def test_users_live_and_go(server, people):
    made = people.ram("CreateUser", UserName="alice", DisplayName="Alice A.", Comments="c")["User"]
    assert (made["UserName"], made["DisplayName"], made["Comments"]) == ("alice", "Alice A.", "c")
    assert made["UserId"].isdigit() and made["CreateDate"].endswith("Z")
    fails(409, "EntityAlreadyExists.User", people.ram, "CreateUser", UserName="alice")
    fails(404, "EntityNotExist.User", people.ram, "GetUser", UserName="nobody")
    code = "InvalidParameter.UserName.InvalidChars"
    fails(400, code, people.ram, "CreateUser", UserName="a b")
    people.ram("UpdateUser", UserName="alice", NewUserName="alicia")
    found = people.ram("GetUser", UserName="alicia")["User"]
    assert (found["UserId"], found["DisplayName"]) == (made["UserId"], "Alice A.")
    for name in ("bob", "carol"):
        people.ram("CreateUser", UserName=name)
    page = people.ram("ListUsers", MaxItems=2)
    assert [user["UserName"] for user in page["Users"]["User"]] == ["alicia", "bob"]
    assert page["IsTruncated"] and page["Marker"] == "bob"
    page = people.ram("ListUsers", MaxItems=2, Marker=page["Marker"])
    assert [user["UserName"] for user in page["Users"]["User"]] == ["carol"]
    assert not page["IsTruncated"]
    server.restart()
    people.ram("DeleteUser", UserName="bob")
    fails(404, "EntityNotExist.User", people.ram, "DeleteUser", UserName="bob")


def test_a_user_in_use_is_not_deleted(people):
    people.user("alice", allow("ecs:*"))
    people.ram("CreateGroup", GroupName="ops")
    people.ram("AddUserToGroup", UserName="alice", GroupName="ops")
    fails(409, "DeleteConflict.User.AccessKey", people.ram, "DeleteUser", UserName="alice")
    [key] = people.ram("ListAccessKeys", UserName="alice")["AccessKeys"]["AccessKey"]
    people.ram("DeleteAccessKey", UserName="alice", UserAccessKeyId=key["AccessKeyId"])
    fails(409, "DeleteConflict.User.Group", people.ram, "DeleteUser", UserName="alice")
    fails(409, "DeleteConflict.Group.User", people.ram, "DeleteGroup", GroupName="ops")
    people.ram("RemoveUserFromGroup", UserName="alice", GroupName="ops")
    fails(409, "DeleteConflict.User.Policy", people.ram, "DeleteUser", UserName="alice")
    fails(409, "DeleteConflict.Policy.User", people.ram, "DeletePolicy", PolicyName="for-alice")
    pair = {"PolicyName": "for-alice", "PolicyType": "Custom"}
    people.ram("DetachPolicyFromUser", UserName="alice", **pair)
    people.ram("DeleteUser", UserName="alice")
    people.ram("DeletePolicy", PolicyName="for-alice")
    people.ram("DeleteGroup", GroupName="ops")


def test_a_user_may_do_what_policies_allow_and_deny_wins(server, people):
    ecs = Ecs(server)
    disk, other = ecs.create_disk(20), ecs.create_disk(20)
    key = people.user("alice")
    assert ask(server, key, "DescribeDisks", RegionId="cn-hangzhou") == FORBIDDEN
    mine = f"acs:ecs:cn-hangzhou:{people.account}:disk/{disk}"
    listing = allow("ecs:Describe*", "acs:ecs:*:*:*")
    people.let("alice", listing, allow("ecs:ModifyDiskAttribute", mine))
    assert ask(server, key, "DescribeDisks", RegionId="cn-hangzhou") == (200, "")
    name = {"DiskName": "mine"}
    assert ask(server, key, "ModifyDiskAttribute", DiskId=disk, **name) == (200, "")
    assert ask(server, key, "ModifyDiskAttribute", DiskId=other, **name) == FORBIDDEN
    ids = {"DiskIds.1": disk, "DiskIds.2": other}
    assert ask(server, key, "ModifyDiskAttribute", **ids, **name) == FORBIDDEN
    assert ask(server, key, "DeleteDisk", DiskId=disk) == FORBIDDEN
    assert ecs.disk(other)["DiskName"] == "" and ecs.disk(disk)["DiskName"] == "mine"
    # What is another's is refused before it is looked for, so it is not told whether it is there.
    assert ask(server, key, "DeleteDisk", DiskId="d-no-such-disk") == FORBIDDEN
    # A group's policies count too, and a deny wins whoever allows.
    people.ram("CreateGroup", GroupName="ops")
    pair = {"PolicyName": "AliyunECSFullAccess", "PolicyType": "System"}
    people.ram("AttachPolicyToGroup", GroupName="ops", **pair)
    people.ram("AddUserToGroup", UserName="alice", GroupName="ops")
    assert ask(server, key, "ModifyDiskAttribute", DiskId=other, **name) == (200, "")
    never = document(deny("ecs:Delete*"))
    people.ram("CreatePolicy", PolicyName="never-delete", PolicyDocument=never)
    never = {"PolicyName": "never-delete", "PolicyType": "Custom"}
    people.ram("AttachPolicyToUser", UserName="alice", **never)
    assert ask(server, key, "DeleteDisk", DiskId=other) == FORBIDDEN
    people.ram("DetachPolicyFromUser", UserName="alice", **never)
    assert ask(server, key, "DeleteDisk", DiskId=other) == (200, "")
    people.ram("RemoveUserFromGroup", UserName="alice", GroupName="ops")
    assert ask(server, key, "DeleteDisk", DiskId=disk) == FORBIDDEN


def test_conditions_ask_where_from_and_when(server, people):
    here = {"IpAddress": {"acs:SourceIp": ["127.0.0.0/8"]}}
    there = {"IpAddress": {"acs:SourceIp": "203.0.113.0/24"}}
    past = {"DateLessThan": {"acs:CurrentTime": "2020-01-01T00:00:00Z"}}
    by_tls = {"Bool": {"acs:SecureTransport": "true"}}
    for name, condition, expected in [
        ("here", here, (200, "")),
        ("there", there, FORBIDDEN),
        ("past", past, FORBIDDEN),
        ("tls", by_tls, FORBIDDEN),
        ("both", here | past, FORBIDDEN),
    ]:
        key = people.user(name, allow("ecs:*", Condition=condition))
        assert ask(server, key, "DescribeDisks", RegionId="cn-hangzhou") == expected, name


def test_a_policy_has_versions_of_which_one_counts(server, people):
    key = people.user("alice", allow("ecs:*"))
    name = {"PolicyName": "for-alice"}
    nothing = document(deny("ecs:*"))
    made = people.ram("CreatePolicyVersion", **name, PolicyDocument=nothing)["PolicyVersion"]
    assert (made["VersionId"], made["IsDefaultVersion"]) == ("v2", False)
    assert ask(server, key, "DescribeRegions") == (200, "")
    people.ram("SetDefaultPolicyVersion", **name, VersionId="v2")
    assert ask(server, key, "DescribeRegions") == FORBIDDEN
    code = "DeleteConflict.Policy.DefaultVersion"
    fails(409, code, people.ram, "DeletePolicyVersion", **name, VersionId="v2")
    for _ in range(3):
        people.ram("CreatePolicyVersion", **name, PolicyDocument=nothing)
    code = "LimitExceeded.Policy.Version"
    fails(409, code, people.ram, "CreatePolicyVersion", **name, PolicyDocument=nothing)
    rotate = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
    made = people.ram(
        "CreatePolicyVersion", **name, PolicyDocument=document(allow("*")), RotateStrategy=rotate
    )
    assert made["PolicyVersion"]["VersionId"] == "v6"
    custom = {"PolicyType": "Custom"} | name
    versions = people.ram("ListPolicyVersions", **custom)["PolicyVersions"]["PolicyVersion"]
    assert [one["VersionId"] for one in versions] == ["v2", "v3", "v4", "v5", "v6"]
    assert people.ram("GetPolicy", **custom)["DefaultPolicyVersion"]["PolicyDocument"] == nothing
    fails(404, "EntityNotExist.Policy.Version", people.ram, "GetPolicyVersion", **custom,
          VersionId="v1")  # fmt: skip
    system = {"PolicyType": "System", "PolicyName": "AdministratorAccess"}
    assert json.loads(people.ram("GetPolicy", **system)["DefaultPolicyVersion"]["PolicyDocument"])
    bad = document({"Effect": "Perhaps", "Action": "*", "Resource": "*"})
    code = "MalformedPolicyDocument"
    fails(400, code, people.ram, "CreatePolicy", PolicyName="bad", PolicyDocument=bad)
    listed = people.ram("ListPolicies", PolicyType="Custom")["Policies"]["Policy"]
    assert [(one["PolicyName"], one["AttachmentCount"]) for one in listed] == [("for-alice", 1)]


def test_keys_of_users_are_made_rotated_and_told_when_used(server, people):
    key = people.user("alice", allow("ecs:Describe*"), allow("ram:*AccessKey*", "*"))
    own = ram(server, key)
    [shown] = own("ListAccessKeys")["AccessKeys"]["AccessKey"]
    assert (shown["AccessKeyId"], shown["Status"]) == (key.id, "Active")
    second = own("CreateAccessKey")["AccessKey"]
    second = AccessKey(second["AccessKeyId"], second["AccessKeySecret"])
    server.made_keys.append(second)
    fails(409, "LimitExceeded.User.AccessKey", own, "CreateAccessKey")
    used = {"UserAccessKeyId": second.id}
    assert own("GetAccessKeyLastUsed", **used)["AccessKeyLastUsed"]["LastUsedDate"] == ""
    assert ask(server, second, "DescribeRegions") == (200, "")
    assert own("GetAccessKeyLastUsed", **used)["AccessKeyLastUsed"]["LastUsedDate"].endswith("Z")
    old = {"UserName": "alice", "UserAccessKeyId": key.id}
    people.ram("UpdateAccessKey", **old, Status="Inactive")
    assert ask(server, key, "DescribeRegions") == (400, "InvalidAccessKeyId.Inactive")
    people.ram("DeleteAccessKey", **old)
    assert ask(server, key, "DescribeRegions") == (404, "InvalidAccessKeyId.NotFound")
    assert ask(server, second, "DescribeRegions") == (200, "")
    # A key is the user's who has it: nobody finds it under another name.
    people.ram("CreateUser", UserName="bob")
    wrong = {"UserName": "bob", "UserAccessKeyId": second.id}
    fails(404, "EntityNotExist.User.AccessKey", people.ram, "DeleteAccessKey", **wrong)
    server.kill()
    server.start()
    assert ask(server, second, "DescribeRegions") == (200, "")


def test_a_role_is_taken_on_for_a_while(server, people):
    arn = f"acs:ram::{people.account}:role/backup"
    alice = people.user("alice", allow("sts:AssumeRole", arn))
    bob = people.user("bob", allow("sts:AssumeRole"))
    carol = people.user("carol")
    who = f"acs:ram::{people.account}:user/"
    role = people.ram(
        "CreateRole",
        RoleName="backup",
        AssumeRolePolicyDocument=trust(f"{who}alice", f"{who}carol"),
        MaxSessionDuration=7200,
    )["Role"]
    assert role["Arn"] == arn
    pair = {"PolicyName": "AliyunECSReadOnlyAccess", "PolicyType": "System"}
    people.ram("AttachPolicyToRole", RoleName="backup", **pair)
    wanted = {"RoleArn": arn, "RoleSessionName": "nightly"}
    for key in (bob, carol, None):
        fails(403, "NoPermission", sts(server, key), "AssumeRole", **wanted)
    client = sts(server, alice)
    missing = wanted | {"RoleArn": arn + "s"}
    fails(403, "NoPermission", client, "AssumeRole", **missing)
    fails(400, "InvalidParameter.DurationSeconds", client, "AssumeRole", **wanted,
          DurationSeconds=7201)  # fmt: skip
    reply = client("AssumeRole", **wanted, DurationSeconds=7200)
    assert reply["AssumedRoleUser"]["Arn"] == arn.replace(":role", ":assumed-role") + "/nightly"
    made = reply["Credentials"]
    assert made["AccessKeyId"].startswith("STS.")
    key = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
    server.made_keys.append(key)
    token = made["SecurityToken"]
    # Both signatures take them.
    assert ask(server, key, "DescribeDisks", token, RegionId="cn-hangzhou") == (200, "")
    me = sts(server, key, token)("GetCallerIdentity")
    assert (me["IdentityType"], me["RoleId"]) == ("AssumedRoleUser", role["RoleId"])
    assert ask(server, key, "DeleteDisk", token, DiskId="d-1") == FORBIDDEN
    assert ask(server, key, "DescribeRegions") == (400, "MissingSecurityToken")
    mismatch = (400, "InvalidSecurityToken.MismatchWithAccessKey")
    other, _ = assume(server, alice, arn)
    assert ask(server, other, "DescribeRegions", token) == mismatch
    malformed = (400, "InvalidSecurityToken.Malformed")
    assert ask(server, key, "DescribeRegions", "no token") == malformed
    wrong = AccessKey(key.id, "x" * 44)
    assert ask(server, wrong, "DescribeRegions", token) == (400, "SignatureDoesNotMatch")
    assert ask(server, alice, "DescribeRegions", token) == mismatch
    # Nothing of it is kept, so it goes on over a crash; but not without its role.
    server.kill()
    server.start()
    assert ask(server, key, "DescribeRegions", token) == (200, "")
    people.ram("DetachPolicyFromRole", RoleName="backup", **pair)
    assert ask(server, key, "DescribeRegions", token) == FORBIDDEN
    people.ram("DeleteRole", RoleName="backup")
    assert ask(server, key, "DescribeRegions", token) == FORBIDDEN


def test_a_session_may_be_bound_further(server, people):
    people.ram("CreateRole", RoleName="all", AssumeRolePolicyDocument=trust("*"))
    pair = {"PolicyName": "AdministratorAccess", "PolicyType": "System"}
    people.ram("AttachPolicyToRole", RoleName="all", **pair)
    alice = people.user("alice", allow("sts:AssumeRole"))
    arn = f"acs:ram::{people.account}:role/all"
    key, token = assume(server, alice, arn, Policy=document(allow("ecs:DescribeRegions")))
    assert ask(server, key, "DescribeRegions", token) == (200, "")
    assert ask(server, key, "DescribeDisks", token, RegionId="cn-hangzhou") == FORBIDDEN


def test_another_account_may_take_on_a_role_that_trusts_it(server, people):
    other = People(server, server.new_account())
    alice = other.user("alice", allow("sts:AssumeRole"))
    arn = f"acs:ram::{people.account}:role/guest"
    people.ram(
        "CreateRole",
        RoleName="guest",
        AssumeRolePolicyDocument=trust(f"acs:ram::{other.account}:root"),
    )
    pair = {"PolicyName": "AliyunECSFullAccess", "PolicyType": "System"}
    people.ram("AttachPolicyToRole", RoleName="guest", **pair)
    key, token = assume(server, alice, arn)
    made = wire.ask_v1(
        server,
        "CreateDisk",
        {"RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-a", "Size": "20"},
        key=key,
        SecurityToken=token,
    )
    assert made.status == 200
    assert Ecs(server).disk(made.tree["DiskId"]) is not None
    # Users of one account are none of the other's.
    fails(404, "EntityNotExist.User", people.ram, "GetUser", UserName="alice")
    assert people.ram("ListUsers")["Users"]["User"] == []


def test_the_operator_makes_users_too(server, people):
    made = server.admin("user", "create", "ci", "--policy", "AliyunECSFullAccess")
    assert (made["user"], made["account"]) == ("ci", people.account)
    told = server.admin("key", "create", "--user", "ci")
    key = AccessKey(told["access_key_id"], told["access_key_secret"])
    server.made_keys.append(key)
    assert ask(server, key, "DescribeDisks", RegionId="cn-hangzhou") == (200, "")
    assert sts(server, key)("GetCallerIdentity")["Arn"] == f"acs:ram::{people.account}:user/ci"
    fails(403, "NoPermission", ram(server, key), "ListUsers")
    done = server.admin_result("user", "create", "ci")
    assert done.returncode != 0 and b"already exists" in done.stderr
    done = server.admin_result("key", "create", "--user", "nobody")
    assert done.returncode != 0 and b"does not exist" in done.stderr
    assert [one["user"] for one in server.admin("user", "list")["users"]] == ["ci"]


def test_a_deny_holds_however_a_thing_is_named(server, people):
    disk = Ecs(server).create_disk(20)
    key = people.user("alice", allow("*"), deny("ecs:*", f"acs:ecs:*:*:disk/{disk}"))
    for named in ({"DiskId": disk}, {"diskId": disk}, {"DiskIds.1": disk}):
        assert ask(server, key, "ModifyDiskAttribute", DiskName="x", **named) == FORBIDDEN, named
    listed = json.dumps([disk])
    named = {"RegionId": "cn-hangzhou", "DiskIds": listed}
    assert ask(server, key, "DescribeDisks", **named) == FORBIDDEN
    assert Ecs(server).disk(disk)["DiskName"] == ""


def test_a_key_is_denied_in_its_own_region_and_by_any_name(server, people):
    root = kms(server)
    one, two = (root("CreateKey")["KeyMetadata"]["KeyId"] for _ in range(2))
    root("CreateAlias", KeyId=one, AliasName="alias/one")
    where = f"acs:kms:cn-hangzhou:{people.account}"
    key = people.user("alice", allow("kms:*"), deny("kms:*", f"{where}:key/{one}"))
    denied = (403, "Forbidden.NoPermission")
    kms_version = {"version": "2016-01-20"}
    for named in (one, "alias/one", f"{where}:key/{one}", f"acs:kms:x:{people.account}:key/{one}"):
        for region in ({}, {"RegionId": "cn-hangzhou"}, {"RegionId": "elsewhere"}):
            found = ask(server, key, "DescribeKey", KeyId=named, **region, **kms_version)
            assert found == denied, (named, region)
    blob = root("Encrypt", KeyId=one, Plaintext="c2VjcmV0")["CiphertextBlob"]
    assert ask(server, key, "Decrypt", CiphertextBlob=blob, **kms_version) == denied
    more = {"RegionId": "elsewhere", "CiphertextBlob": blob, "DestinationKeyId": two}
    assert ask(server, key, "ReEncrypt", **more, **kms_version) == denied
    # Who may use one key makes no alias of another's name the own.
    bob = people.user("bob", allow("kms:*", f"{where}:key/{two}"))
    moved = {"KeyId": two, "AliasName": "alias/one"}
    assert ask(server, bob, "UpdateAlias", **moved, **kms_version) == denied
    assert ask(server, bob, "CreateKeyVersion", KeyId=two, **kms_version) == (200, "")
    made = {"RegionId": "elsewhere"}
    found = ask(server, None, "CreateKey", **made, **kms_version)
    assert found == (400, "InvalidParameter")
