"""A server under test: started, stopped, killed and started again on one data directory."""

import dataclasses
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time
import tomllib

from . import ceph, postgres
from .log import Log
from .paths import server_binary

START_SECONDS = 20
STOP_SECONDS = 10
"""What the program promises for SIGTERM."""
FOR_EVERY_SERVER = dict(
    word.split("=", 1) for word in os.environ.get("EBB_TEST_SERVERS", "").split()
)
"""Variables that the run gives to each: where its key store is."""


@dataclasses.dataclass(frozen=True)
class AccessKey:
    id: str
    secret: str


class Server:
    """`ebb serve` on a folder of its own and ports that the system picks."""

    def __init__(self, folder: pathlib.Path, args=(), env=None):
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = Log(folder / "server.log")
        self.args = list(args)
        self.env = postgres.environment() | ceph.environment() | dict(env or {})
        self.process: subprocess.Popen | None = None
        self.made_keys: list[AccessKey] = []
        self.host = "127.0.0.1"
        self.port = 0
        self.nbd_port = 0

    # The process.

    def start(self) -> "Server":
        """Returns once the server has said that it is ready."""
        assert self.process is None, "the server runs already"
        self.process = self.spawn()
        try:
            self._await_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise
        return self

    def spawn(self) -> subprocess.Popen:
        """Starts the program, whatever becomes of it."""
        command = [server_binary(), "serve", "--data-dir", self.data_dir]
        command += ["--listen", "127.0.0.1:0", "--nbd-listen", "127.0.0.1:0", *self.args]
        with self.log.path.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment(),
                text=True,
            )

    def refuses_to_start(self, why: str):
        """The program ends with an error that says why."""
        with self.spawn() as process:
            try:
                assert process.wait(START_SECONDS) == 1
            finally:
                process.kill()
        assert why in self.log.text()

    def stop(self):
        """SIGTERM: the program ends by itself, in time, with code 0."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"SIGTERM did not end the server in {STOP_SECONDS} s") from None
        assert code == 0, f"the server ended with {code} on SIGTERM; it logged:\n{self.log.text()}"

    def kill(self):
        """SIGKILL: what a crash of the program is like."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def restart(self):
        self.stop()
        self.start()

    def close(self):
        """After a test: no server is left, and the log holds nothing that should not be there."""
        try:
            if self.process is not None:
                self.stop()
        finally:
            self.check_log()

    def check_log(self):
        keys = [*self.made_keys, *([self.key] if self.credentials.exists() else [])]
        self.log.check([key.secret for key in keys])

    def _environment(self):
        own = {k: v for k, v in os.environ.items() if not k.startswith(("EBB_", "RUST_LOG"))}
        return own | FOR_EVERY_SERVER | {"NO_COLOR": "1"} | self.env

    def _await_ready(self):
        lines = queue.SimpleQueue()
        stdout = self.process.stdout

        def drain():
            for line in stdout:
                lines.put(line.rstrip("\n"))
            lines.put(None)

        threading.Thread(target=drain, daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        printed = []
        while True:
            try:
                line = lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no `ready`; printed {printed}, logged:\n{self.log.text()}"
            printed.append(line)
            word, _, rest = line.partition(" ")
            if word == "api":
                self.port = int(rest.rpartition(":")[2].strip("/"))
            elif word == "nbd":
                self.nbd_port = int(rest.rpartition(":")[2].strip("/"))
            elif line == "ready":
                assert self.port and self.nbd_port, f"ready without addresses: {printed}"
                return

    # Where it is, and who may use it.

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def credentials(self) -> pathlib.Path:
        return self.data_dir / "credentials"

    @property
    def key(self) -> AccessKey:
        """The root account's AccessKey pair."""
        pair = tomllib.loads(self.credentials.read_text())
        return AccessKey(pair["access_key_id"], pair["access_key_secret"])

    def new_account(self) -> AccessKey:
        """The key of a new account."""
        return self._made(self.admin("account", "create"))

    def new_key(self, account: str) -> AccessKey:
        """Another key of an account."""
        return self._made(self.admin("key", "create", "--account", account))

    def _made(self, told: dict) -> AccessKey:
        self.made_keys.append(AccessKey(told["access_key_id"], told["access_key_secret"]))
        return self.made_keys[-1]

    def nbd_uri(self, disk: str) -> str:
        return f"nbd://{self.host}:{self.nbd_port}/{disk}"

    def nbd_unix_uri(self, disk: str) -> str:
        return f"nbd+unix:///{disk}?socket={self.data_dir / 'nbd.sock'}"

    # The operator's commands.

    def admin(self, *args, stdin: bytes = b"") -> dict:
        """`ebb admin …`, which must succeed, and what it printed for programs."""
        done = self.admin_result(*args, stdin=stdin)
        assert done.returncode == 0, f"ebb admin {args} failed: {done.stderr.decode()}"
        return json.loads(done.stdout)

    def admin_result(self, *args, stdin: bytes = b"") -> subprocess.CompletedProcess:
        """`ebb admin …`, however it ends."""
        with self.admin_start(*args) as process:
            out, err = process.communicate(stdin, timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def admin_start(self, *args) -> subprocess.Popen:
        """`ebb admin …`, running, with pipes on all three ends."""
        pipe = subprocess.PIPE
        command = [server_binary(), "admin", *map(str, args)]
        command += ["--data-dir", self.data_dir, "--json"]
        env = self._environment()
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env)

    def locate(self, disk: str, *args) -> str:
        """`ebb volume locate …`: what it prints."""
        command = [server_binary(), "volume", "locate", disk, "--data-dir", self.data_dir]
        done = subprocess.run(
            [*command, *args], env=self._environment(), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def check_result(self, *args, data_dir=None) -> subprocess.CompletedProcess:
        """`ebb volume check …`, however it ends."""
        command = [server_binary(), "volume", "check", "--data-dir", data_dir or self.data_dir]
        return subprocess.run(
            [*command, *args], env=self._environment(), capture_output=True, text=True, timeout=60
        )
