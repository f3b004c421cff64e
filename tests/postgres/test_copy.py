"""An installation moves from its file to PostgreSQL, and is what it was."""

import subprocess

from harness import blocks, postgres
from harness.ecs import Ecs
from harness.paths import server_binary


def copy(server, *args, env=None) -> subprocess.CompletedProcess:
    command = [server_binary(), "store", "copy", "--from", f"sqlite:{server.data_dir}/ebbtide.db"]
    return subprocess.run([*command, *args], capture_output=True, text=True, timeout=60, env=env)


def test_an_installation_moves(make_server):
    server = make_server()
    server.env.pop("EBB_STORE")
    ecs = Ecs(server.start())
    _, disk = ecs.machine(1, DiskName="größer")
    ecs.create_snapshot(disk)
    blocks.write(server, disk, 0, blocks.noise("moved", blocks.MIB))
    before, content = ecs.shown(), blocks.fingerprint(server, disk)

    target = postgres.schema_in(postgres.address())
    running = copy(server, "--to", target)
    assert running.returncode == 1 and "stop it first" in running.stderr
    server.stop()
    moved = copy(server, env={"EBB_STORE": target})
    assert moved.returncode == 0, moved.stderr
    assert moved.stdout.splitlines()[-1].endswith("tables are the same in both")
    again = copy(server, "--to", target)
    assert again.returncode == 1 and "has rows already" in again.stderr

    server.env["EBB_STORE"] = target
    server.start()
    assert ecs.shown() == before
    assert blocks.fingerprint(server, disk) == content
    ecs.create_disk(20)
    server.stop()
    # On the file it is as it was before.
    del server.env["EBB_STORE"]
    server.start()
    assert ecs.shown() == before


def test_what_cannot_be_copied_is_said(make_server):
    server = make_server()
    missing = copy(server, "--to", "postgres://ebb@localhost/records")
    assert missing.returncode == 1 and "there is no file" in missing.stderr
    server.data_dir.mkdir()
    (server.data_dir / "ebbtide.db").touch()
    secret = copy(server, "--to", "postgres://ebb:hush@localhost/records")
    assert secret.returncode == 1 and "the address has a password in it" in secret.stderr
    assert "hush" not in secret.stderr
