"""Every operation as every kind of caller: who is let in, who is not, and what each is told.

`fixtures/matrix.tsv` holds what is expected:

    identity   what any operation answers to a request that is not let in
    denied     by version of the API, what a user is told whom a policy denies the operation; an
               operation that has a line of its own is never denied
    root       where the root user is told something else than a user who may do it
    operation  what is told to whoever may do it, of ids that are not there

An operation's parameters have places such as `{disk}`. The root user, and a user who may do this
operation and nothing else, ask with ids that are not there. Everybody else asks with those of what
the first account has: the other account must be told that it is not there, and the others must not
get so far. Nothing of the first account is changed by any of it.

A session lasts for 900 s at least. That it has ended is told by a server that is started again on
the same records, ahead of its time.
"""

import base64
import collections
import contextlib
import csv
import functools
import json
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from conftest import short_folder
from harness import errors, signing, wire
from harness.ecs import REGION, ZONE, Ecs
from harness.official import kms, ram, sts
from harness.paths import SHARED, server_binary
from harness.server import AccessKey, Server
from harness.waiting import until

TABLE = Path(__file__).parents[1] / "fixtures/matrix.tsv"

# The versions of the API, and what policies name them.
CODES = {
    "2014-05-26": "ecs",
    "2015-04-01": "sts",
    "2015-05-01": "ram",
    "2015-06-12": "location",
    "2016-01-20": "kms",
}
BUCKET = "a-bucket"
GOES_ON = {"DescribeDiskMonitorData", "DescribeSnapshotMonitorData", "ListPolicies"}
GOES_ON |= {"GetAccessKeyLastUsed"}
SESSION_SECONDS = 900
ABSENT_KEY = "00000000-0000-4000-8000-000000000000"

Row = collections.namedtuple("Row", "status code params")


@functools.cache
def table() -> dict[str, dict[str, Row]]:
    """The lines of each kind by their names."""
    found = collections.defaultdict(dict)
    with TABLE.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            assert row["name"] not in found[row["what"]], f"{row['name']} is there twice"
            outcome = int(row["status"]), row["code"]
            found[row["what"]][row["name"]] = Row(*outcome, row["params"])
    return found


@functools.cache
def operations() -> dict[str, dict]:
    """The server's own list, by name."""
    command = [server_binary(), "operations", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return {each["name"]: each for each in json.loads(done.stdout)}


def document(*statements) -> str:
    return json.dumps({"Version": "1", "Statement": list(statements)})


def statement(effect, action) -> dict:
    return {"Effect": effect, "Action": action, "Resource": "*"}


class World:
    """A server, two accounts, one of everything in the first, and a user whose policy changes."""

    def __init__(self, server):
        self.server, self.listed = server, operations()
        self.ram, self.account = ram(server), sts(server)("GetCallerIdentity")["AccountId"]
        self.other = server.new_account()
        self.inactive = server.new_key(self.account)
        server.admin("key", "disable", self.inactive.id)
        self.user, self.session = self.somebody(), self.assumed()
        self.own = self.disks() | self.people() | self.keys()
        self.absent = {name: absent(name, id_) for name, id_ in self.own.items()}
        # It says itself with which key it was made.
        blob = base64.b64decode(self.own["ciphertext"])
        blob = blob.replace(self.own["key"].encode(), ABSENT_KEY.encode())
        self.absent["ciphertext"] = base64.b64encode(blob).decode()
        self.before = self.everything()

    def disks(self) -> dict[str, str]:
        ecs = Ecs(self.server)
        (self.server.data_dir / "oss" / BUCKET).mkdir()
        instance, disk = ecs.machine(20)
        [system] = ecs.disks(InstanceId=instance, DiskType="system")
        image = ecs.call("CreateImage", SnapshotId=ecs.create_snapshot(system["DiskId"]))
        plan = {"timePoints": ["1"], "repeatWeekdays": ["1"], "retentionDays": -1}
        vpc = ecs.call("CreateVpc")["VpcId"]
        network = {"VpcId": vpc, "ZoneId": ZONE, "CidrBlock": "172.16.1.0/24"}
        group = ecs.call("CreateSnapshotGroup", InstanceId=instance)["SnapshotGroupId"]
        change = {"DiskId": ecs.create_disk(20), "PerformanceLevel": "PL1"}
        task = ecs.call("ModifyDiskSpec", change)["TaskId"]
        until(lambda: self.has_come(ecs, group, task), "all is there")
        return {
            "instance": instance,
            "disk": disk,
            "snapshot": ecs.create_snapshot(disk),
            "snapshot-group": group,
            "policy": ecs.call("CreateAutoSnapshotPolicy", plan)["AutoSnapshotPolicyId"],
            "image": image["ImageId"],
            "task": task,
            "vpc": vpc,
            "vswitch": ecs.call("CreateVSwitch", network)["VSwitchId"],
            "security-group": ecs.call("CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"],
        }

    @staticmethod
    def has_come(ecs, group, task) -> bool:
        groups = ecs.call("DescribeSnapshotGroups", {"SnapshotGroupId.1": group})
        [made] = groups["SnapshotGroups"]["SnapshotGroup"]
        done = ecs.call("DescribeTaskAttribute", TaskId=task)["TaskStatus"]
        return (made["Status"], done) == ("accomplished", "Finished")

    def people(self) -> dict[str, str]:
        text = document(statement("Allow", "ecs:DescribeRegions"))
        self.ram("CreateUser", UserName="alice")
        self.ram("CreateGroup", GroupName="ops")
        self.ram("AddUserToGroup", UserName="alice", GroupName="ops")
        self.ram("CreateRole", RoleName="backup", AssumeRolePolicyDocument=self.trust())
        self.ram("CreatePolicy", PolicyName="regions", PolicyDocument=text)
        self.ram("CreatePolicyVersion", PolicyName="regions", PolicyDocument=text)
        made = self.ram("CreateAccessKey", UserName="alice")["AccessKey"]
        self.server.made_keys.append(AccessKey(made["AccessKeyId"], made["AccessKeySecret"]))
        return {
            "user": "alice",
            "user-group": "ops",
            "role": "backup",
            "user-policy": "regions",
            "access-key": made["AccessKeyId"],
        }

    def trust(self) -> str:
        who = {"RAM": [f"acs:ram::{self.account}:root"]}
        return document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": who})

    def keys(self) -> dict[str, str]:
        made = kms(self.server)
        key = made("CreateKey")["KeyMetadata"]
        named = {"KeyId": key["KeyId"]}
        made("CreateAlias", AliasName="alias/app", **named)
        return {
            "key": key["KeyId"],
            "key-version": key["PrimaryKeyVersion"],
            "alias": "alias/app",
            "ciphertext": made("Encrypt", Plaintext="YQ==", **named)["CiphertextBlob"],
        }

    def somebody(self) -> AccessKey:
        self.ram("CreateUser", UserName="somebody")
        nothing = document(statement("Deny", "*"))
        self.ram("CreatePolicy", PolicyName="changing", PolicyDocument=nothing)
        pair = {"PolicyName": "changing", "PolicyType": "Custom"}
        self.ram("AttachPolicyToUser", UserName="somebody", **pair)
        made = self.ram("CreateAccessKey", UserName="somebody")["AccessKey"]
        self.server.made_keys.append(AccessKey(made["AccessKeyId"], made["AccessKeySecret"]))
        return self.server.made_keys[-1]

    def assumed(self) -> dict:
        """The key and the token of a session that may do everything, and may not last longer."""
        who = {"UserName": "everything"}, {"RoleName": "everything"}
        self.ram("CreateUser", **who[0])
        self.ram("CreateRole", AssumeRolePolicyDocument=self.trust(), **who[1])
        policy = {"PolicyType": "System", "PolicyName": "AdministratorAccess"}
        self.ram("AttachPolicyToUser", **policy, **who[0])
        self.ram("AttachPolicyToRole", **policy, **who[1])
        made = self.ram("CreateAccessKey", **who[0])["AccessKey"]
        key = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
        role = f"acs:ram::{self.account}:role/everything"
        wanted = {"RoleArn": role, "RoleSessionName": "short", "DurationSeconds": SESSION_SECONDS}
        made = sts(self.server, key)("AssumeRole", **wanted)["Credentials"]
        session = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
        self.server.made_keys += [key, session]
        return {"key": session, "SecurityToken": made["SecurityToken"]}

    @contextlib.contextmanager
    def ahead(self, seconds: int):
        """The server, that many seconds ahead of us."""
        self.server.stop()
        as_ever = self.server.args
        try:
            self.server.args = [*as_ever, "--clock-ahead", str(seconds)]
            self.server.start()
            yield
            self.server.stop()
        finally:
            self.server.args = as_ever
            self.server.start()

    def let(self, *statements):
        """From now on this is what the user may do."""
        params = {
            "PolicyName": "changing",
            "PolicyDocument": document(*statements),
            "SetAsDefault": "true",
            "RotateStrategy": "DeleteOldestNonDefaultVersionWhenLimitExceeded",
        }
        made = wire.ask_v1(self.server, "CreatePolicyVersion", params, Version="2015-05-01")
        assert made.status == 200, made.tree

    def action(self, name: str) -> str:
        """As policies name it."""
        return f"{CODES[self.listed[name]['version']]}:{name}"

    def params(self, name: str, row: Row, ids: dict) -> dict[str, str]:
        texts = {
            "account": self.account,
            "document": document(statement("Allow", "*")),
            "trust": self.trust(),
            "start": signing.utc_now(-300),
            "end": signing.utc_now(),
        }
        params = dict(urllib.parse.parse_qsl(row.params, strict_parsing=bool(row.params)))
        for parameter in self.listed[name]["params"]:
            if parameter["required"] and parameter["name"].lower() == "regionid":
                params.setdefault(parameter["name"], REGION)
        return {parameter: filled(text, ids | texts) for parameter, text in params.items()}

    def ask(self, name: str, params: dict, key=None, **common) -> wire.Answer:
        common = {"Version": self.listed[name]["version"]} | common
        return wire.ask_v1(self.server, name, params, key=key, **common)

    def everything(self) -> dict:
        """What the first account has, as what shows it tells: to see that nothing changed."""
        told = {}
        for name, row in table()["operation"].items():
            # Points of time, when a key was used, the policy that changes: these go on.
            if name.startswith(("Describe", "Get", "List")) and name not in GOES_ON:
                answer = self.ask(name, self.params(name, row, self.own))
                text = json.dumps(without_id(answer))
                # A server that starts again has other ports.
                nbd = f"{self.server.host}:{self.server.nbd_port}"
                text = text.replace(self.server.endpoint, "here").replace(nbd, "there")
                told[name] = answer.status, text
        return told


def without_id(answer) -> dict:
    """What was answered, but for the request's own id, which Recommend has in it too."""
    own = ("RequestId", "Recommend")
    return {name: value for name, value in answer.tree.items() if name not in own}


def filled(text: str, ids: dict[str, str]) -> str:
    for name, id_ in ids.items():
        text = text.replace("{" + name + "}", id_)
    return text


def absent(name: str, id_: str) -> str:
    """An id of the same form that nothing has."""
    if name in ("key", "key-version"):
        return ABSENT_KEY
    if id_.isalpha():
        return "nobody"
    return id_[:-8] + "00000000" if len(id_) > 12 else "alias/nothing"


@pytest.fixture(scope="module")
def world():
    with short_folder() as path:
        server = Server(path, args=["--region", REGION, "--region", "cn-beijing"]).start()
        made = World(server)
        yield made
        assert made.everything() == made.before, "something of the first account was changed"
        server.close()


def told(answer) -> tuple[int, str]:
    return answer.status, answer.tree.get("Code", "")


def each(world, ask, expected) -> None:
    """Asks for each operation, and tells of all that are not answered as expected."""
    wrong = []
    for name, row in table()["operation"].items():
        answer, outcome = told(ask(name, row)), expected(name, row)
        if answer != outcome:
            wrong.append(f"{name}: {answer}, not {outcome}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_table_has_every_operation_once():
    assert set(table()["operation"]) == set(operations())
    kinds = {"identity", "denied", "root", "operation"}
    assert set(table()) == kinds
    assert set(table()["denied"]) - set(CODES) | set(table()["root"]) <= set(operations())


@pytest.mark.skipif(not SHARED.exists(), reason=f"the lists of the ECS API are not at {SHARED}")
def test_what_the_table_expects_of_ecs_is_documented():
    wrong = []
    for name, row in table()["operation"].items():
        rows = errors.documented().get(name)
        ecs = operations()[name]["version"] == "2014-05-26"
        if row.status != 200 and ecs and rows and (row.status, row.code) not in rows:
            wrong.append(f"{name}: {row.status} {row.code}: {sorted(rows)}")
    assert not wrong, "\n" + "\n".join(wrong)


def root_is_told(name, row):
    row = table()["root"].get(name, row)
    return row.status, row.code


def test_root(world):
    """With ids that are not there."""

    def ask(name, row):
        return world.ask(name, world.params(name, row, world.absent))

    each(world, ask, root_is_told)


def test_a_user_who_may_do_it(world):
    """And nothing else: the answer is the root user's."""

    def ask(name, row):
        world.let(statement("Allow", world.action(name)))
        return world.ask(name, world.params(name, row, world.absent), world.user)

    each(world, ask, lambda _, row: (row.status, row.code))


def denied(name, _):
    rows = table()["denied"]
    row = rows.get(name) or rows[operations()[name]["version"]]
    return row.status, row.code


def test_a_user_who_is_denied_it(world):
    """A deny wins, also over everything."""

    def ask(name, row):
        world.let(statement("Allow", "*"), statement("Deny", world.action(name)))
        return world.ask(name, world.params(name, row, world.own), world.user)

    each(world, ask, denied)


def test_a_user_whom_nobody_allowed_it(world):
    """All the rest is allowed, which must not help."""

    def ask(name, row):
        rest = {"Effect": "Allow", "NotAction": world.action(name), "Resource": "*"}
        world.let(rest)
        return world.ask(name, world.params(name, row, world.own), world.user)

    each(world, ask, denied)


def test_another_account(world):
    """With the ids of the first: it is told what it is told of ids that are not there."""

    def ask(name, row):
        answer = world.ask(name, world.params(name, row, world.own), world.other)
        if answer.status == 200 and name not in GOES_ON:
            nothing = world.ask(name, world.params(name, row, world.absent), world.other)
            text = json.dumps(without_id(answer))
            for own, id_ in world.own.items():
                text = text.replace(id_, world.absent[own])
            assert json.loads(text) == without_id(nothing), name
        return answer

    each(world, ask, root_is_told)


def refused_by(world, identity, ask):
    row = table()["identity"][identity]

    def with_own_ids(name, operation):
        return ask(name, world.params(name, operation, world.own))

    each(world, with_own_ids, lambda *_: (row.status, row.code))


def test_an_inactive_key(world):
    refused_by(world, "inactive key", lambda *call: world.ask(*call, world.inactive))


def test_a_wrong_signature(world):
    wrong = AccessKey(world.server.key.id, "not the secret")
    refused_by(world, "wrong signature", lambda *call: world.ask(*call, wrong))


def test_a_replayed_nonce(world):
    """It was used once, for something else."""

    def ask(name, params):
        nonce = f"nonce-of-{name}"
        first = world.ask("GetCallerIdentity", {}, SignatureNonce=nonce)
        assert first.status == 200
        return world.ask(name, params, SignatureNonce=nonce)

    refused_by(world, "replayed nonce", ask)


def test_an_old_timestamp(world):
    old = signing.utc_now(-16 * 60)
    refused_by(world, "old timestamp", lambda *call: world.ask(*call, Timestamp=old))


def test_a_session_that_has_ended(world):
    """Its last minute is let in, as is who has a key of their own when it is over."""

    def in_time(seconds):
        return {"Timestamp": signing.utc_now(seconds)}

    def regions(seconds, **who):
        return told(world.ask("DescribeRegions", {}, **who, **in_time(seconds)))

    almost, over = SESSION_SECONDS - 60, SESSION_SECONDS + 1
    with world.ahead(almost):
        assert regions(almost, **world.session) == (200, "")
    with world.ahead(over):
        assert regions(over) == (200, "")

        def ask(name, params):
            return world.ask(name, params, **world.session, **in_time(over))

        refused_by(world, "ended session", ask)


def test_no_signature(world):
    def ask(name, params):
        key, version = world.server.key, world.listed[name]["version"]
        common = signing.v1_common(key, name, Version=version)
        return wire.send_params(world.server, "POST", common | params)

    refused_by(world, "no signature", ask)
