"""The master key is not in the database: each server on one has to be given it."""

from harness import postgres
from harness.ecs import Ecs


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
