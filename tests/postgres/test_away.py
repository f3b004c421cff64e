"""What a server does while the database with its records is away, and after."""

import pathlib
import threading
import time

from harness import blocks, postgres, wire
from harness.ecs import ZONE, Ecs

WAITED_FOR = 5
"""Seconds that calls wait for a database that has just gone away."""

AWAY = r"not answered for now.*(metadata store|connection)"


def linked(make_server):
    """A server, and the way to its records."""
    link = postgres.Link(postgres.address())
    server = make_server(env={"EBB_STORE": postgres.schema_in(postgres.address())})
    server.env["EBB_STORE"] = server.env["EBB_STORE"].replace(postgres.address(), link.address)
    server.log.expect(AWAY)
    server.log.expect(r"cannot (do what is due each minute|tell what snapshots take)")
    return link, server.start()


def test_calls_are_told_so_and_disks_go_on(make_server):
    link, server = linked(make_server)
    ecs = Ecs(server)
    instance, disk = ecs.machine(1)
    snapshot, disks = ecs.create_snapshot(disk), len(ecs.disks())

    link.cut()
    asked = time.monotonic()
    ecs.refused(503, "ServiceUnavailable", "DescribeDisks")
    assert time.monotonic() - asked < WAITED_FOR + 3
    asked = time.monotonic()
    for action, more in [
        ("CreateDisk", {"ZoneId": ZONE, "Size": 20, "DiskCategory": "cloud_essd"}),
        ("ResetDisk", {"DiskId": disk, "SnapshotId": snapshot}),
        ("DescribeDisks", {}),
    ]:
        ecs.refused(503, "ServiceUnavailable", action, more)
    health = wire.send(server, "GET", "/healthz")
    assert (health.status, health.body.strip()) == (503, b"the metadata store cannot be reached")
    assert time.monotonic() - asked < 3
    blocks.write(server, disk, 0, blocks.noise("while it is away", blocks.MIB))
    assert blocks.read(server, disk, 0, blocks.MIB) == blocks.noise("while it is away", blocks.MIB)

    link.mend()
    assert wire.send(server, "GET", "/healthz").status == 200
    assert len(ecs.disks()) == disks
    ecs.stop_instance(instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    assert blocks.read(server, disk, 0, blocks.MIB) == bytes(blocks.MIB)


def test_a_short_absence_is_waited_for(make_server):
    """As of a restart: nobody is told who had not begun, and nothing is lost or doubled."""
    link, server = linked(make_server)
    ecs = Ecs(server)
    answers, over = [], threading.Event()

    def make():
        client = Ecs(server)
        while not over.is_set():
            new = {"ZoneId": ZONE, "Size": 20, "DiskCategory": "cloud_essd"}
            answers.append(client.ask("CreateDisk", new))

    makers = [threading.Thread(target=make) for _ in range(4)]
    for maker in makers:
        maker.start()
    for _ in range(3):
        time.sleep(0.5)
        link.cut()
        time.sleep(1)
        link.mend()
    time.sleep(0.5)
    over.set()
    for maker in makers:
        maker.join()
    made = [answer for answer in answers if answer.status == 200]
    others = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in others} <= {503}
    # Those that had begun when it was cut, at most.
    assert len(others) <= 3 * len(makers) < len(made)
    ids = {answer.tree["DiskId"] for answer in made}
    assert len(ids) == len(made)
    disks = {disk["DiskId"]: disk["Status"] for disk in ecs.disks(PageSize=100)}
    assert all(disks[disk] == "Available" for disk in ids if disk in disks)
    assert len(ids) <= ecs.call("DescribeDisks")["TotalCount"] <= len(answers)


def test_a_password_is_seen_nowhere(make_server, folder):
    secret = "not-to-be-seen"

    def store():
        return postgres.schema_in(postgres.address()).replace("ebb@", f"ebb:{secret}@")

    by_variable = make_server("variable", env={"EBB_STORE": store()})
    in_a_file = folder / "store"
    in_a_file.write_text(store() + "\n")
    by_file = make_server("file", env={"EBB_STORE_FILE": str(in_a_file)})
    for server in by_variable, by_file:
        server.start()
        Ecs(server).create_disk(20)
        command = pathlib.Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        assert secret.encode() not in command
        server.stop()
        assert not (server.data_dir / "ebbtide.db").exists()
        assert secret not in server.log.text()
    refused = make_server("flag", args=["--store", store()])
    refused.refuses_to_start("the address has a password in it")
    assert secret not in refused.log.text()


def test_a_database_that_is_not_there_is_an_error_that_says_so(make_server):
    # Nothing listens at that port.
    server = make_server(env={"EBB_STORE": "postgres://ebb@127.0.0.1:1/records"})
    server.refuses_to_start("the metadata store cannot be reached: postgres://127.0.0.1:1/records")
