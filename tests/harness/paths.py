"""Where the tests find things."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
"""The repository."""

TOOLS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "test-tools"
"""Where `cargo xtask` keeps what only the tests use."""

SHARED = ROOT.parent / "shared" / "ecs"
"""Facts about the ECS API (operations, error lists), kept beside the repository."""


def server_binary() -> pathlib.Path:
    """The server under test, as `cargo xtask` names it."""
    named = os.environ.get("EBB_BIN")
    assert named, "EBB_BIN names no server: run these tests with `cargo xtask e2e`"
    binary = pathlib.Path(named)
    assert binary.is_file(), f"EBB_BIN is {binary}, which is not there"
    return binary
