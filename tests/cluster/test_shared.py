"""Two servers on one database: what one has seen or changed the other knows."""

import json
import threading

import pytest

from harness import signing, wire
from harness.ecs import Ecs
from harness.official import ram, sts
from harness.server import AccessKey

FORBIDDEN = (403, "Forbidden.RAM")
OK = (200, "")


@pytest.fixture
def pair(make_server):
    """Makes two servers on the same records and disks, which are not started yet."""

    def make(env=None, args=()):
        one = make_server("one", env=env, args=args)
        shared = {name: one.env[name] for name in ("EBB_STORE", "EBB_RBD_NAMESPACE")}
        return one, make_server("other", env=shared | (env or {}), args=args)

    return make


@pytest.fixture
def two(pair):
    """Both run, with the master key in each data directory."""
    one, other = pair()
    one.start()
    other.data_dir.mkdir()
    (other.data_dir / "master.key").write_bytes((one.data_dir / "master.key").read_bytes())
    return one, other.start()


def test_a_second_server_has_the_keys_of_the_first(two):
    one, other = two
    assert one.key == other.key
    account = one.new_account()
    Ecs(other, key=account).call("DescribeDisks")


def test_a_key_that_one_deletes_the_other_does_not_honour(two):
    one, other = two
    for _ in range(5):
        account = one.new_account()
        there = Ecs(other, key=account)
        there.call("DescribeDisks")
        one.admin("key", "delete", account.id)
        there.refused(404, "InvalidAccessKeyId.NotFound", "DescribeDisks")


def document(**statement) -> str:
    return json.dumps({"Version": "1", "Statement": [{"Effect": "Allow"} | statement]})


def made_key(server, made) -> AccessKey:
    key = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
    server.made_keys.append(key)
    return key


def ask(server, key, token=None):
    common = {"Version": "2014-05-26"} | ({"SecurityToken": token} if token else {})
    answer = wire.ask_v1(server, "DescribeRegions", {}, key=key, **common)
    return answer.status, answer.tree.get("Code", "")


def test_a_policy_that_one_detaches_the_other_does_not_honour(two):
    one, other = two
    root = ram(one)
    root("CreateUser", UserName="alice")
    alice = made_key(one, root("CreateAccessKey", UserName="alice")["AccessKey"])
    other.made_keys.append(alice)
    policy = {"PolicyName": "AliyunECSReadOnlyAccess", "PolicyType": "System"}
    assert ask(other, alice) == FORBIDDEN
    for _ in range(5):
        root("AttachPolicyToUser", UserName="alice", **policy)
        assert (ask(other, alice), ask(one, alice)) == (OK, OK)
        root("DetachPolicyFromUser", UserName="alice", **policy)
        assert (ask(other, alice), ask(one, alice)) == (FORBIDDEN, FORBIDDEN)


def test_a_session_that_one_makes_the_other_honours_while_its_role_allows(two):
    one, other = two
    root = ram(one)
    account = sts(one)("GetCallerIdentity")["AccountId"]
    trust = document(Action="sts:AssumeRole", Principal={"RAM": ["*"]})
    root("CreateRole", RoleName="reader", AssumeRolePolicyDocument=trust)
    policy = {"PolicyName": "AliyunECSReadOnlyAccess", "PolicyType": "System"}
    root("AttachPolicyToRole", RoleName="reader", **policy)
    root("CreateUser", UserName="alice")
    alice = made_key(one, root("CreateAccessKey", UserName="alice")["AccessKey"])
    root("CreatePolicy", PolicyName="assume", PolicyDocument=document(
        Action="sts:AssumeRole", Resource="*"))  # fmt: skip
    root("AttachPolicyToUser", UserName="alice", PolicyName="assume", PolicyType="Custom")
    arn = f"acs:ram::{account}:role/reader"
    made = sts(one, alice)("AssumeRole", RoleArn=arn, RoleSessionName="session")["Credentials"]
    key, token = made_key(one, made), made["SecurityToken"]
    other.made_keys.append(key)
    assert ask(other, key, token) == OK
    root("DetachPolicyFromRole", RoleName="reader", **policy)
    assert ask(other, key, token) == FORBIDDEN


def test_a_request_is_good_once_whichever_server_it_is_sent_to(two):
    one, other = two
    for first, second in ((one, other), (other, one)):
        params = signing.v1_common(one.key, "DescribeRegions", Version="2014-05-26")
        captured = signing.v1_signed(one.key, "GET", params)
        assert wire.send_params(first, "GET", captured).status == 200
        for server in (second, first):
            again = wire.send_params(server, "GET", captured)
            assert (again.status, again.tree["Code"]) == (400, "SignatureNonceUsed")


def test_resets_are_counted_together(pair):
    servers = pair(env={"EBB_MASTER_KEY": "7" * 64}, args=["--throttle", "on"])
    answers = []

    def ask(server, times):
        ecs = Ecs(server)
        wanted = {"DiskId": "d-none", "SnapshotId": "s-none"}
        answers.extend(ecs.ask("ResetDisk", wanted) for _ in range(times))

    for server in servers:
        server.start()
    askers = [threading.Thread(target=ask, args=(servers[n % 2], 130)) for n in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    codes = [answer.tree["Code"] for answer in answers]
    assert len(codes) == 520
    assert codes.count("Throttling.User") == 20
