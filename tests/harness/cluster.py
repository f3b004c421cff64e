"""Several servers on one store and one pool, and clients that go to any of them.

```
  client ──┬──► server 0 ─┐          each has a data directory and ports of its own
           ├──► server 1 ─┼──► one schema of PostgreSQL, one namespace of Ceph
           └──► server 2 ─┘          all have the same root AccessKey pair and master key
```

A client asks one server after the other until it has an answer that says something: a server may
have been killed under its call, or have no way to the store. Whether such a call was done is then
not known, so what is asked again must be safe to be asked again: by its ClientToken, or because the
caller looks first.
"""

import contextlib
import http.client
import itertools
import os
import pathlib
import secrets
import signal
import time

import nbd

from . import blocks
from .ecs import Ecs
from .server import Server
from .waiting import until
from .wire import Answer

SERVERS = int(os.environ.get("EBB_CLUSTER_SERVERS", "3"))
"""In each test's cluster."""

GONE = (OSError, http.client.HTTPException)
"""What a call raises whose server is not there, or goes away under it."""

EXPECTED = ["a server is gone", "not answered for now", "is carried on soon"]
"""Alarms of servers that share what they have: that another is missed, and that with 200 clients
the only writer of the database is waited for too long, which is answered with 503 and made good."""

PATIENCE_SECONDS = 60
"""For an answer from any server."""

NOT_NOW = {"ServiceUnavailable", "IdempotentProcessing"}
"""Codes of answers that say nothing of what was asked."""


class Cluster:
    """`size` servers, not started yet."""

    def __init__(self, folder: pathlib.Path, size: int, args=(), env=None):
        pair = {
            "EBB_ACCESS_KEY_ID": "EBBcluster",
            "EBB_ACCESS_KEY_SECRET": secrets.token_hex(15),
            "EBB_MASTER_KEY": secrets.token_hex(32),
        }
        self.servers: list[Server] = []
        for number in range(size):
            path = folder / f"server{number}"
            path.mkdir()
            self.servers.append(Server(path, args=args, env=pair | dict(env or {})))
            for alarm in EXPECTED if size > 1 else []:
                self.servers[-1].log.expect(alarm)
        first, *others = self.servers
        for other in others:
            for shared in ("EBB_STORE", "EBB_RBD_NAMESPACE"):
                assert first.env.get(shared), f"servers share what {shared} names: it is not set"
                other.env[shared] = first.env[shared]

    def start(self) -> "Cluster":
        for server in self.servers:
            server.start()
        return self

    def kill(self, number: int):
        self.servers[number].kill()

    def revive(self, number: int):
        """Starts one that was killed."""
        self.servers[number].start()

    def arm(self, number: int, step: str):
        """Has a server kill itself at a step of ebb-control, from now on."""
        server = self.servers[number]
        server.stop()
        server.env["EBB_KILL_AT"] = step
        server.start()

    def await_death(self, number: int):
        """The server has killed itself. The next time it will not."""
        server = self.servers[number]
        assert server.process.wait(20) == -signal.SIGKILL
        server.process = None
        del server.env["EBB_KILL_AT"]

    def close(self):
        with contextlib.ExitStack() as closing:
            for server in self.servers:
                closing.callback(server.close)

    @property
    def running(self) -> list[Server]:
        return [server for server in self.servers if server.process is not None]

    # The bytes of a disk, wherever it is served.

    @contextlib.contextmanager
    def export(self, disk: str, seconds: float = PATIENCE_SECONDS):
        """A connection to the disk at the server that serves it."""
        with contextlib.ExitStack() as stack:

            def connect():
                for server in self.running:
                    with contextlib.suppress(nbd.Error):
                        return stack.enter_context(blocks.export(server, disk))
                return None

            yield until(connect, f"{disk} is served by one of the servers", seconds)


class Client:
    """An account's view of all servers, which asks them in turn."""

    _first = itertools.count()

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self._turn = itertools.count(next(self._first))

    def server(self) -> Server:
        """The next one."""
        servers = self.cluster.servers
        return servers[next(self._turn) % len(servers)]

    def ask(self, action: str, params=None, *, seconds=PATIENCE_SECONDS, **more) -> Answer:
        """An answer from any server that says what became of it. The call may have been made
        before, by a server that did not get to answer."""
        deadline, last = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                answer = Ecs(self.server()).ask(action, params, **more)
            except GONE as gone:
                last = gone
            else:
                if answer.status == 200 or answer.tree["Code"] not in NOT_NOW:
                    return answer
                last = f"{answer.status} {answer.tree['Code']}: {answer.tree['Message']}"
            # Seen where a test fails.
            print(f"{action} again, for {last}")
            time.sleep(0.1)
        raise AssertionError(f"{action}: no server answers within {seconds} s; the last: {last}")

    def call(self, action: str, params=None, **more) -> dict:
        """The reply of a call that succeeds."""
        answer = self.ask(action, params, **more)
        assert answer.status == 200, f"{action}: {answer.status} {answer.tree}"
        return answer.tree

    def until_true(self, action: str, is_true, params: dict, good=()):
        """Asks until what is asked for is so, whoever has done it. Refusals with a `good` code are
        those of a call whose forerunner was done, or is under way."""

        def ask():
            if is_true():
                return True
            answer = self.ask(action, params)
            told = f"{action} {params}: {answer.status} {answer.tree}"
            assert answer.status == 200 or answer.tree["Code"] in good, told
            return answer.status == 200 and is_true()

        until(ask, f"{action} {params} has come true", PATIENCE_SECONDS)

    # What there is.

    def all(self, kind: str, **filters) -> list[dict]:
        """Disks, snapshots or instances, of all pages."""
        found, token = [], ""
        while True:
            page = self.call(f"Describe{kind}s", MaxResults=100, NextToken=token, **filters)
            found += page[f"{kind}s"][kind]
            token = page.get("NextToken", "")
            if not token:
                return found

    def disk(self, disk: str) -> dict | None:
        found = self.call("DescribeDisks", DiskIds=[disk])["Disks"]["Disk"]
        return next(iter(found), None)

    def snapshot(self, snapshot: str) -> dict | None:
        found = self.call("DescribeSnapshots", SnapshotIds=[snapshot])["Snapshots"]["Snapshot"]
        return next(iter(found), None)


FINAL = {
    "Disk": {"Available", "In_use"},
    "Instance": {"Running", "Stopped"},
    "Snapshot": {"accomplished", "failed"},
}


def await_settled(client: Client, seconds: float):
    """Nothing stays in a state that is only a way to another one."""
    stuck = []

    def settled():
        stuck[:] = [
            f"{kind} {each[f'{kind}Id']} is {each['Status']}"
            for kind, final in FINAL.items()
            for each in client.all(kind)
            if each["Status"] not in final
        ]
        return not stuck

    try:
        until(settled, "everything is settled", seconds)
    except AssertionError:
        raise AssertionError(f"not within {seconds} s: {stuck}") from None
