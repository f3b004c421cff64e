"""What a test needs of the machine."""

import os
import shutil

import pytest


def need(condition: bool, what: str):
    """Skips the test where something is missing, but never in CI: there it fails, and says what."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"this machine has no {what}")


def need_program(name: str):
    need(shutil.which(name) is not None, f"program {name}")


def need_root():
    need(os.geteuid() == 0, "root: the test uses what only root may do")
