"""What RAM and STS answer, held against the models of their official SDKs, field by field.

`fixtures/ram_models.tsv` lists what the models have and no answer of ours, and why. Each operation
is asked in one story, some of them twice, as not every answer has everything in it.
"""

import collections
import csv
import functools
import importlib
import json
import subprocess

import pytest

from harness import wire
from harness.paths import ROOT, server_binary
from harness.sdk_models import described, given
from harness.server import AccessKey

TABLE = ROOT / "tests/fixtures/ram_models.tsv"
MODELS = {
    "2015-05-01": importlib.import_module("alibabacloud_ram20150501.models"),
    "2015-04-01": importlib.import_module("alibabacloud_sts20150401.models"),
}
READ_ALL = {"PolicyName": "AliyunECSReadOnlyAccess", "PolicyType": "System"}
OWN = {"PolicyName": "own", "PolicyType": "Custom"}


@functools.cache
def operations() -> dict[str, str]:
    """The versions of RAM's and STS's operations, by their names."""
    command = [server_binary(), "operations", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    all_of_them = {each["name"]: each["version"] for each in json.loads(done.stdout)}
    return {name: version for name, version in all_of_them.items() if version in MODELS}


def document(*actions, **more) -> str:
    statement = {"Effect": "Allow", "Action": list(actions)} | (more or {"Resource": "*"})
    return json.dumps({"Version": "1", "Statement": [statement]})


class Story:
    """Asks, and keeps what each operation answered: paths and their kinds."""

    def __init__(self, server):
        self.server, self.answered = server, collections.defaultdict(set)
        self.people()
        self.policies()
        self.keys()
        self.sessions()
        self.end()

    def ask(self, action: str, key=None, token=None, **params) -> dict:
        common = {"Version": operations()[action]} | ({"SecurityToken": token} if token else {})
        answer = wire.ask_v1(self.server, action, params, key=key, **common)
        assert answer.status == 200, (action, answer.tree)
        self.answered[action] |= given(answer.tree)
        return answer.tree

    def made_key(self, pair: dict) -> AccessKey:
        key = AccessKey(pair["AccessKeyId"], pair["AccessKeySecret"])
        self.server.made_keys.append(key)
        return key

    def people(self):
        account = self.ask("GetCallerIdentity")["AccountId"]
        who = {"Principal": {"RAM": [f"acs:ram::{account}:root"]}}
        self.trust = document("sts:AssumeRole", **who)
        for name in ("alice", "bob"):
            self.ask("CreateUser", UserName=name, DisplayName="A name", Comments="a user")
            self.ask("CreateGroup", GroupName=name, Comments="a group")
            role = {"RoleName": name, "Description": "a role", "MaxSessionDuration": "7200"}
            self.ask("CreateRole", AssumeRolePolicyDocument=self.trust, **role)
        for kind in ("User", "Group", "Role"):
            self.ask(f"Get{kind}", **{f"{kind}Name": "alice"})
            self.ask(f"List{kind}s", MaxItems="1")
        self.ask("UpdateUser", UserName="alice", NewComments="changed")
        self.ask("UpdateGroup", GroupName="alice", NewComments="changed")
        self.ask("UpdateRole", RoleName="alice", NewDescription="changed")
        self.ask("AddUserToGroup", UserName="alice", GroupName="alice")
        self.ask("ListGroupsForUser", UserName="alice")
        self.ask("ListUsersForGroup", GroupName="alice")

    def policies(self):
        own = {"PolicyName": "own", "PolicyDocument": document("ram:*", "sts:*")}
        self.ask("CreatePolicy", Description="of our own", **own)
        self.ask("CreatePolicyVersion", SetAsDefault="true", **own)
        self.ask("GetPolicy", **OWN)
        self.ask("GetPolicyVersion", VersionId="v1", **OWN)
        self.ask("ListPolicyVersions", **OWN)
        self.ask("SetDefaultPolicyVersion", PolicyName="own", VersionId="v1")
        self.ask("ListPolicies", MaxItems="1")
        for kind in ("User", "Group", "Role"):
            who = {f"{kind}Name": "alice"}
            for policy in (OWN, READ_ALL):
                self.ask(f"AttachPolicyTo{kind}", **who, **policy)
            self.ask(f"ListPoliciesFor{kind}", **who)
        self.ask("ListEntitiesForPolicy", **OWN)

    def keys(self):
        self.key = self.made_key(self.ask("CreateAccessKey", UserName="alice")["AccessKey"])
        named = {"UserName": "alice", "UserAccessKeyId": self.key.id}
        self.ask("ListAccessKeys", UserName="alice")
        self.ask("GetCallerIdentity", key=self.key)
        self.ask("GetAccessKeyLastUsed", **named)
        self.named_key = named

    def sessions(self):
        account = self.ask("GetCallerIdentity")["AccountId"]
        wanted = {"RoleArn": f"acs:ram::{account}:role/alice", "RoleSessionName": "session"}
        made = self.ask("AssumeRole", key=self.key, **wanted)["Credentials"]
        self.ask("GetCallerIdentity", key=self.made_key(made), token=made["SecurityToken"])

    def end(self):
        self.ask("UpdateAccessKey", Status="Inactive", **self.named_key)
        self.ask("DeleteAccessKey", **self.named_key)
        self.ask("RemoveUserFromGroup", UserName="alice", GroupName="alice")
        for kind in ("User", "Group", "Role"):
            who = {f"{kind}Name": "alice"}
            for policy in (OWN, READ_ALL):
                self.ask(f"DetachPolicyFrom{kind}", **who, **policy)
            self.ask(f"Delete{kind}", **who)
        self.ask("DeletePolicyVersion", PolicyName="own", VersionId="v2")
        self.ask("DeletePolicy", PolicyName="own")


@pytest.fixture(scope="module")
def answered(module_server) -> dict[str, set[tuple[str, str]]]:
    return Story(module_server).answered


@functools.cache
def model_of(action: str) -> dict[str, str]:
    return described(getattr(MODELS[operations()[action]], f"{action}ResponseBody"))


@functools.cache
def listed() -> dict[tuple[str, str], str]:
    """Why a field of an operation's model is not given."""
    with TABLE.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert all(row["reason"] for row in rows)
    found = {(row["operation"], row["field"]): row["reason"] for row in rows}
    assert len(found) == len(rows), "a line is there twice"
    return found


def test_every_operation_was_asked(answered):
    assert set(answered) == set(operations())


def test_every_field_of_ours_is_in_the_model_with_its_type(answered):
    wrong = []
    for action, ours in sorted(answered.items()):
        model = model_of(action)
        wrong += [
            f"{action} {path}: {kind}, in the model {model.get(path, 'absent')}"
            for path, kind in sorted(ours)
            if model.get(path) != kind
        ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_field_of_the_models_is_given_or_listed(answered):
    absent = {
        (action, path)
        for action, ours in answered.items()
        for path in model_of(action)
        if path not in dict(ours)
    }
    assert sorted(absent - set(listed())) == [], "neither given nor listed"
    assert sorted(set(listed()) - absent) == [], "listed, but given or in no model"
