"""Two servers on one database: what one has seen or changed the other knows."""

import threading

import pytest

from harness import postgres, signing, wire
from harness.ecs import Ecs


@pytest.fixture
def two(make_server):
    """Two servers on the same records, with the master key in each data directory."""
    env = {"EBB_STORE": postgres.schema_in(postgres.address())}
    one = make_server("one", env=env).start()
    other = make_server("other", env=env)
    other.data_dir.mkdir()
    (other.data_dir / "master.key").write_bytes((one.data_dir / "master.key").read_bytes())
    return one, other.start()


def test_a_second_server_has_the_keys_of_the_first(two):
    one, other = two
    assert one.key == other.key
    account = one.new_account()
    Ecs(other, key=account).call("DescribeDisks")


def test_a_second_server_needs_the_master_key(make_server):
    env = {"EBB_STORE": postgres.schema_in(postgres.address())}
    one = make_server("one", env=env).start()
    other = make_server("other", env=env)
    other.refuses_to_start("copy master.key here from the data directory of a server")
    assert not other.credentials.exists()
    (other.data_dir / "master.key").write_text("7" * 64)
    other.refuses_to_start("the master key is not the one that the records were sealed with")
    assert not other.credentials.exists()
    Ecs(one).call("DescribeDisks")


def test_a_key_that_one_deletes_the_other_does_not_honour(two):
    one, other = two
    for _ in range(5):
        account = one.new_account()
        there = Ecs(other, key=account)
        there.call("DescribeDisks")
        one.admin("key", "delete", account.id)
        there.refused(404, "InvalidAccessKeyId.NotFound", "DescribeDisks")


def test_a_request_is_good_once_whichever_server_it_is_sent_to(two):
    one, other = two
    for first, second in ((one, other), (other, one)):
        params = signing.v1_common(one.key, "DescribeRegions", Version="2014-05-26")
        captured = signing.v1_signed(one.key, "GET", params)
        assert wire.send_params(first, "GET", captured).status == 200
        for server in (second, first):
            again = wire.send_params(server, "GET", captured)
            assert (again.status, again.tree["Code"]) == (400, "SignatureNonceUsed")


def test_resets_are_counted_together(make_server):
    env = {"EBB_STORE": postgres.schema_in(postgres.address()), "EBB_MASTER_KEY": "7" * 64}
    servers = [make_server(name, env=env, args=["--throttle", "on"]) for name in ("a", "b")]
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
