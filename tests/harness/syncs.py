"""Counts the syncs that a server made between a question and its answer, with strace."""

import contextlib
import dataclasses
import pathlib
import re
import signal
import subprocess
import time

import pytest

from .needs import need, need_program, need_root
from .waiting import until

CALL = re.compile(
    r"(?P<pid>\d+) +(?P<start>\d+\.\d+) (?P<name>\w+)\(\d+<(?P<path>[^>]*)>(?P<rest>.*)"
)
RESUMED = re.compile(r"(?P<pid>\d+) +(?P<end>\d+\.\d+) <\.\.\. (?P<name>\w+) resumed>.*= 0\b")
TOOK = re.compile(r"= 0 <(?P<seconds>\d+\.\d+)>")


@dataclasses.dataclass
class Sync:
    path: str
    start: float
    end: float


class Tracer:
    """An strace on a running server."""

    def __init__(self, process: subprocess.Popen, output: pathlib.Path):
        self.process, self.output = process, output

    def during(self, call) -> list[str]:
        """The files synced wholly between the call and its answer, each as often as it was."""
        asked = time.time()
        call()
        answered = time.time()
        time.sleep(0.1)
        return [
            pathlib.Path(sync.path).name
            for sync in parse(self.output.read_text())
            if asked <= sync.start and sync.end <= answered
        ]


def parse(text: str) -> list[Sync]:
    """Every sync that ended well; one that another thread interrupts takes two lines."""
    syncs, open_ = [], {}
    for line in text.splitlines():
        if found := CALL.match(line):
            sync = Sync(found["path"], float(found["start"]), float("inf"))
            if took := TOOK.search(found["rest"]):
                sync.end = sync.start + float(took["seconds"])
                syncs.append(sync)
            elif "<unfinished" in found["rest"]:
                open_[found["pid"]] = sync
        elif (found := RESUMED.match(line)) and found["pid"] in open_:
            sync = open_.pop(found["pid"])
            sync.end = float(found["end"])
            syncs.append(sync)
    return syncs


@contextlib.contextmanager
def traced(server):
    """Traces the server's syncs."""
    need_program("strace")
    need_root()
    output, said = server.folder / "strace.out", server.folder / "strace.err"
    words = ["strace", "-f", "-y", "-ttt", "-T", "-e", "trace=fdatasync,fsync,sync_file_range"]
    with said.open("w") as err:
        process = subprocess.Popen(
            [*words, "-o", output, "-p", str(server.process.pid)], stderr=err
        )

    def attached():
        return "attached" in said.read_text() or process.poll() is not None

    try:
        until(attached, "strace is attached")
        need(process.poll() is None, f"strace that may attach: {said.read_text()}")
        yield Tracer(process, output)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("strace does not end")
