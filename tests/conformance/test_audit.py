"""The audit log: what was called, by whom, and that nobody changes what it says."""

import json
import socket
import time

from harness import signing, wire
from harness.ecs import Ecs
from harness.official import ram
from harness.server import AccessKey
from harness.waiting import until


def lines(server) -> list[dict]:
    """Every line about a call."""
    text = "".join(path.read_text() for path in sorted((server.data_dir / "audit").iterdir()))
    return [line for line in map(json.loads, text.splitlines()) if "action" in line]


def verify(server, *args):
    return server.admin_result("audit", "verify", *args)


def test_each_call_is_a_line_that_says_who_and_what(server, ecs):
    disk = ecs.create_disk(20)
    ecs.refused(404, "InvalidDiskId.NotFound", "AttachDisk", DiskId="d-x", InstanceId="i-x")
    wire.ask_v1(server, "DeleteDisk", {"DiskId": disk}, key=AccessKey(server.key.id, "wrong"))
    wire.send(server, "GET", "/")
    created, *_, refused, forged, unsigned = lines(server)
    assert (created["action"], created["status"], created["code"]) == ("CreateDisk", 200, "")
    assert created["identity"].endswith(":root") and created["source_ip"] == "127.0.0.1"
    assert created["access_key_id"] == server.key.id
    assert (refused["status"], refused["code"]) == (404, "InvalidDiskId.NotFound")
    assert {name.rsplit(":", 1)[1] for name in refused["resources"]} == {"disk/d-x", "instance/i-x"}
    assert (forged["action"], forged["code"]) == ("DeleteDisk", "SignatureDoesNotMatch")
    assert forged["identity"] == "" and ecs.disk(disk) is not None
    assert unsigned["status"] == 400
    # Whose call it was is told by name, and no secret is there.
    ram(server)("CreateUser", UserName="alice")
    made = ram(server)("CreateAccessKey", UserName="alice")["AccessKey"]
    alice = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
    server.made_keys.append(alice)
    Ecs(server, alice).ask("DescribeRegions")
    last = lines(server)[-1]
    assert (last["identity"].rsplit(":", 1)[1], last["code"]) == ("user/alice", "Forbidden.RAM")
    text = json.dumps(lines(server))
    assert server.key.secret not in text and alice.secret not in text


def test_who_takes_another_name_did_so_by_the_old_one(server):
    root = ram(server)
    root("CreateUser", UserName="alice")
    policy = {"PolicyType": "System", "PolicyName": "AdministratorAccess"}
    root("AttachPolicyToUser", UserName="alice", **policy)
    made = root("CreateAccessKey", UserName="alice")["AccessKey"]
    key = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
    server.made_keys.append(key)
    ram(server, key)("UpdateUser", UserName="alice", NewUserName="carol")
    ram(server, key)("GetUser", UserName="carol")
    names = [line["identity"].rsplit("/", 1)[1] for line in lines(server)[-2:]]
    assert names == ["alice", "carol"]


def test_who_goes_away_is_written_down_too(server, ecs):
    for _ in range(30):
        common = signing.v1_common(server.key, "CreateVpc", "JSON")
        signed = signing.v1_signed(server.key, "POST", common | {"RegionId": "cn-hangzhou"})
        head = f"POST /?{signing.form(signed)} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        with socket.create_connection((server.host, server.port)) as stream:
            stream.sendall(head.encode())
            time.sleep(0.001)

    # Some are gone before the server has looked at them: those have done nothing.
    def written() -> int:
        return sum(line["action"] == "CreateVpc" for line in lines(server))

    def all_are_written():
        return 0 < ecs.call("DescribeVpcs")["TotalCount"] == written()

    until(all_are_written, "what was done is written down", seconds=10)


def test_the_log_is_whole_after_a_kill_and_not_once_it_was_changed(server, ecs):
    for _ in range(20):
        ecs.call("DescribeRegions")
    server.kill()
    server.start()
    ecs.call("DescribeRegions")
    assert len(lines(server)) == 21
    told = json.loads(verify(server).stdout)
    hashed = next(value for value in told.values() if isinstance(value, str) and len(value) == 64)
    assert verify(server, "--expect", hashed).returncode == 0
    ecs.call("DescribeZones")
    assert verify(server, "--expect", hashed).returncode == 0
    assert verify(server, "--expect", "f" * 64).returncode == 1
    server.stop()
    [path] = (server.data_dir / "audit").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    path.write_text(text.replace("DescribeZones", "DescribeZonez"))
    assert verify(server).returncode == 1
    # One that was cut off is whole, but for who knows what was there.
    path.write_text("".join(text.splitlines(keepends=True)[:-1]))
    assert verify(server).returncode == 0
    newest = json.loads(text.splitlines()[-1])["hash"]
    assert verify(server, "--expect", newest).returncode == 1
    path.write_text(text)
    server.start()


def test_accounts_are_held_to_the_documented_rate(make_server):
    server = make_server(args=["--throttle", "on"]).start()
    key = server.new_account()
    reset = {"DiskId": "d-x", "SnapshotId": "s-x"}
    for _ in range(500):
        answer = wire.ask_v1(server, "ResetDisk", reset, key=key)
        assert answer.tree["Code"] == "InvalidDiskId.NotFound"
    answer = wire.ask_v1(server, "ResetDisk", reset, key=key)
    assert (answer.status, answer.tree["Code"]) == (400, "Throttling.User")
    assert 0 < int(answer.headers["x-acs-retry-after"]) <= 60_000
    # Another account, and another operation, are none of it.
    assert wire.ask_v1(server, "ResetDisk", reset).tree["Code"] == "InvalidDiskId.NotFound"
    other = wire.ask_v1(server, "DescribeRegions", {}, key=key)
    assert other.status == 200
