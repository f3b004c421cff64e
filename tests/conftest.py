"""Fixtures: servers, and accounts on them.

`server` and `ecs` are a test's own. `shared` is one server for all tests of a file, for those that
leave nothing behind that others could stumble over. After each test the server's log is read.
"""

import contextlib
import pathlib
import shutil
import tempfile

import pytest

from harness import ceph, postgres
from harness.ecs import Ecs
from harness.server import Server


def pytest_sessionfinish():
    """Of every worker too: what each made outside its folders goes."""
    with contextlib.ExitStack() as closing:
        closing.callback(postgres.clean_up)
        closing.callback(ceph.clean_up)


@contextlib.contextmanager
def short_folder():
    """A folder with a short name: a socket's path has room for about a hundred bytes."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ebb-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def folder():
    """An empty folder that goes with the test."""
    with short_folder() as path:
        yield path


@pytest.fixture
def make_server(folder):
    """Makes servers that are not started yet; those that still run after the test are stopped."""
    made = []

    def make(name="one", **options) -> Server:
        path = folder / name
        path.mkdir()
        made.append(Server(path, **options))
        return made[-1]

    yield make
    with contextlib.ExitStack() as closing:
        for server in made:
            closing.callback(server.close)


@pytest.fixture
def server(make_server) -> Server:
    """A started server."""
    return make_server().start()


@pytest.fixture
def ecs(server) -> Ecs:
    """The root account of a server of the test's own."""
    return Ecs(server)


@pytest.fixture(scope="module")
def module_server():
    """A started server for a file of tests."""
    with short_folder() as path:
        server = Server(path).start()
        yield server
        server.close()


@pytest.fixture
def shared(module_server):
    """The root account of the file's server."""
    yield Ecs(module_server)
    module_server.check_log()
