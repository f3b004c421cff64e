"""The PostgreSQL server of a run, which keeps the records where the run has one."""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import threading
from urllib.parse import quote, unquote

from .waiting import until

_numbers = itertools.count()
_made: list[tuple[str, str]] = []


def address() -> str:
    """Of the run's database."""
    found = os.environ.get("EBB_TEST_POSTGRES")
    assert found, "EBB_TEST_POSTGRES is not set: `cargo xtask test --only postgres` sets it"
    return found


def environment() -> dict[str, str]:
    """Variables by which a server has its records in a new schema; none where it has a file."""
    address = os.environ.get("EBB_TEST_POSTGRES")
    return {"EBB_STORE": schema_in(address)} if address else {}


def schema_in(address: str) -> str:
    """A new schema in a database, as the address of a store."""
    name = f"py{os.getpid()}_{next(_numbers)}"
    sql(address, f"CREATE SCHEMA {name}")
    _made.append((address, name))
    return f"{address}?options={quote(f'-c search_path={name}')}"


def clean_up():
    """Drops the schemas that were made here."""
    for address, name in _made:
        sql(address, f"SET client_min_messages = warning; DROP SCHEMA {name} CASCADE")
    _made.clear()


def sql(address: str, text: str) -> str:
    """What an operator gets who asks with psql."""
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", address, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextlib.contextmanager
def away():
    """Stops the run's server, as its operator does, and has it started again afterwards. `cargo
    xtask`, whose child it is, leaves it alone while the file is there."""
    folder = pathlib.Path(unquote(address().partition("@")[2].rpartition(":")[0]))
    pid_file = folder / "data" / "postmaster.pid"
    (folder / "away").touch()
    try:
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
        until(lambda: not pid_file.exists(), "PostgreSQL is stopped")
        yield
    finally:
        (folder / "away").unlink()
        until(_answers, "PostgreSQL is back", 30)


def _answers() -> bool:
    command = ["psql", "--no-psqlrc", address(), "-c", "SELECT 1"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


class Link:
    """The way to a server on this machine, which can be cut."""

    def __init__(self, address: str):
        host = address.partition("@")[2].partition("/")[0]
        folder, _, port = host.rpartition(":")
        self._socket = f"{unquote(folder)}/.s.PGSQL.{port}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        own = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = address.replace(host, own)
        self._lock = threading.Lock()
        self._ends = []
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends the connections that there are, and those that come."""
        with self._lock:
            self._is_cut = True
            ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self):
        with self._lock:
            self._is_cut = False

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            with self._lock:
                if self._is_cut:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._socket)
                self._ends += [client, server]
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=ends, daemon=True).start()

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
