"""Kills a server in the middle of something, again and again."""

import http.client
import os
import random
import threading
import time

from .ecs import Ecs, Refused

KILLS = int(os.environ.get("EBB_KILLS", "52"))
"""How often each crash test kills its server."""

GONE = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)
"""What a call raises when the server dies under it."""


def seeded() -> random.Random:
    """Random choices that EBB_SEED repeats; the seed is in the output of a test that failed."""
    seed = int(os.environ.get("EBB_SEED", random.randrange(1 << 32)))
    print(f"EBB_SEED={seed}")
    return random.Random(seed)


class Caller(threading.Thread):
    """Makes calls one after the other until the server is gone.

    `step(ecs)` makes one call. It sets `self.asked` before and `self.answered` after, so that
    after the crash it is known which call was answered and which was under way.
    """

    def __init__(self, server, step):
        super().__init__(daemon=True)
        self.ecs, self.step = Ecs(server), step
        self.failure = None

    def run(self):
        try:
            while True:
                try:
                    self.step(self.ecs)
                except Refused as refused:
                    assert refused.status < 500, refused
        except GONE:
            pass
        except Exception as error:
            self.failure = error


def kill_during(server, threads, rng, longest_seconds=0.06):
    """Starts the threads, kills the server within moments, and starts it again."""
    for thread in threads:
        thread.start()
    for thread in threads:
        if hasattr(thread, "connected"):
            thread.connected.wait(10)
    time.sleep(rng.random() * longest_seconds)
    server.kill()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a client hangs after its server was killed"
        if getattr(thread, "failure", None):
            raise thread.failure
    server.start()


def assert_settled(ecs, seconds=5):
    """Nothing stays in a state that is only a way to another one."""
    deadline = time.monotonic() + seconds
    while True:
        stuck = [
            f"{kind} {each[f'{kind}Id']} is {each['Status']}"
            for kind, found, final in (
                ("Disk", ecs.disks(PageSize=100), {"Available", "In_use"}),
                ("Instance", ecs.instances(PageSize=100), {"Running", "Stopped"}),
                ("Snapshot", ecs.all_snapshots(), {"accomplished", "failed"}),
            )
            for each in found
            if each["Status"] not in final
        ]
        if not stuck:
            return
        assert time.monotonic() < deadline, stuck
        time.sleep(0.02)
