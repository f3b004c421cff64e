"""Waiting for what the server does after it has answered."""

import time

PATIENCE_SECONDS = 10
POLL_SECONDS = 0.01


def until(condition, what: str, seconds: float = PATIENCE_SECONDS):
    """Polls until `condition()` is true, and gives what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(POLL_SECONDS)
