"""The data directory: who may read it, and that one server has it."""

import os
import stat
import subprocess

from harness.ecs import Ecs
from harness.paths import server_binary


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_may_look(server):
    assert mode(server.data_dir) == 0o700
    for name in ("credentials", "nbd.sock", "admin.sock"):
        assert mode(server.data_dir / name) == 0o600, name
    for path in server.data_dir.iterdir():
        assert not mode(path) & 0o077, path.name


def test_modes_whatever_the_umask(make_server):
    before = os.umask(0)
    try:
        server = make_server().start()
    finally:
        os.umask(before)
    test_only_its_owner_may_look(server)


def test_a_second_server_is_refused(server, ecs):
    ecs.call("DescribeRegions")
    second = server.spawn()
    with second:
        out, _ = second.communicate(timeout=20)
    assert second.returncode != 0
    assert "ready" not in out
    said = server.log.text()
    assert any(word in said.lower() for word in ("another server", "in use", "locked")), said
    assert str(server.data_dir) in said
    server.log.expect(str(server.data_dir))
    ecs.call("DescribeRegions")
    server.restart()


def test_stale_sockets_are_replaced(server):
    server.kill()
    assert (server.data_dir / "admin.sock").exists()
    server.start()
    server.admin("account", "set", "--balance", "5")


def test_keys_from_the_environment_win_and_stay(make_server):
    env = {"EBB_ACCESS_KEY_ID": "LTAIfromoutside", "EBB_ACCESS_KEY_SECRET": "secret-from-outside"}
    server = make_server(env=env).start()
    assert (server.key.id, server.key.secret) == ("LTAIfromoutside", "secret-from-outside")
    assert mode(server.credentials) == 0o600
    Ecs(server).call("DescribeRegions")
    server.env = {}
    server.restart()
    assert server.key.id == "LTAIfromoutside"
    server.env = env | {"EBB_ACCESS_KEY_SECRET": "another-secret-altogether"}
    server.restart()
    assert server.key.secret == "another-secret-altogether"
    Ecs(server).call("DescribeRegions")


def test_keys_are_made_at_random(make_server):
    keys = [make_server(name).start().key for name in ("one", "two")]
    assert keys[0].id != keys[1].id and keys[0].secret != keys[1].secret
    assert all(len(key.secret) >= 24 for key in keys)


def test_a_folder_it_can_not_make(make_server, folder):
    server = make_server()
    server.data_dir = folder / "a-file"
    server.data_dir.write_text("not a folder")
    process = server.spawn()
    with process:
        process.communicate(timeout=20)
    assert process.returncode != 0
    assert "a-file" in server.log.text() and "panicked" not in server.log.text()
    server.log.expect("a-file")
    server.data_dir.unlink()


def test_options_that_are_none():
    for words in (["serve", "--listen", "nonsense"], ["serve", "--colour"], ["dance"]):
        done = subprocess.run([server_binary(), *words], capture_output=True, text=True, timeout=20)
        assert done.returncode == 2, words
        assert "Usage" in done.stderr or "error" in done.stderr


def test_admin_without_a_server(server):
    server.stop()
    done = server.admin_result("account", "set", "--balance", "5")
    assert done.returncode != 0
    assert b"admin.sock" in done.stderr or b"no server" in done.stderr.lower()
