"""The judges of the crash tests, held against losses made by hand: they must not look away."""

import pytest

from harness import blocks, stamps
from harness.log import Log


@pytest.fixture
def served(server, ecs):
    """A disk whose block 0 is of turn 3, and block 1 of turn 5."""
    _, disk = ecs.machine()
    blocks.write(server, disk, 0, stamps.stamped(0, 3) + stamps.stamped(1, 5))
    return server, disk


def judge(served, flushed, sent):
    server, disk = served
    stamps.check(server, disk, range(2), flushed, sent)


def test_what_is_right_passes_and_is_the_new_floor(served):
    flushed, sent = {0: 3, 1: 4}, {0: 3, 1: 6}
    judge(served, flushed, sent)
    assert (flushed, sent) == ({0: 3, 1: 5}, {0: 3, 1: 5})


@pytest.mark.parametrize(
    ("flushed", "sent"),
    [
        ({0: 4, 1: 5}, {0: 4, 1: 5}),  # A flushed write was lost.
        ({0: 3, 1: 1}, {0: 3, 1: 4}),  # A write that nobody sent.
    ],
)
def test_what_is_lost_or_invented_fails(served, flushed, sent):
    with pytest.raises(AssertionError, match="is of turn"):
        judge(served, flushed, sent)


def test_a_torn_block_fails():
    torn = stamps.stamped(7, 1)[:512] + stamps.stamped(7, 2)[512:]
    with pytest.raises(AssertionError, match="torn"):
        stamps.turn_of(7, torn)
    with pytest.raises(AssertionError, match="torn"):
        stamps.turn_of(8, stamps.stamped(7, 1))


def test_the_log_is_read_once_and_for_alarms(folder):
    path = folder / "log"
    log = Log(path)
    path.write_text("2026 \x1b[32m INFO\x1b[0m all is well\n")
    log.check(["other", "secret"])
    for line in ("2026 \x1b[33m WARN\x1b[0m full\n", "2026 ERROR no\n", "the secret is out\n"):
        path.write_text(path.read_text() + line)
        with pytest.raises(AssertionError):
            log.check(["other", "secret"])
        log.check(["other", "secret"])
    log.expect("disk is full")
    path.write_text(path.read_text() + "2026 WARN the disk is full\n")
    log.check(["other", "secret"])
