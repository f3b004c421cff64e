"""Asks a server all the time how it is."""

import contextlib
import threading

from . import wire

PAUSE_SECONDS = 0.05


@contextlib.contextmanager
def stays_healthy(server):
    """/healthz answers 200 throughout, and each time soon."""
    answers, over = [], threading.Event()

    def ask():
        while not over.wait(PAUSE_SECONDS):
            try:
                answers.append(wire.send(server, "GET", "/healthz", timeout=10).status)
            except OSError as error:
                answers.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
    assert answers and set(answers) == {200}, answers
