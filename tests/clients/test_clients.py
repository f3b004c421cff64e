"""The official SDKs of Go and Java, unmodified, over HTTP: each lives a life on a server.

Their programs make, change, read and delete something of every family, and end with the first thing
that is not as it should be. `cargo xtask clients` builds them. Those of Python and Node are in
`conformance/test_story.py` and `test_lives.py`.
"""

import os
import subprocess
from pathlib import Path

import pytest

BUILT = Path(os.environ.get("EBB_CLIENTS", "/nowhere"))


def program(language: str) -> list[str]:
    assert BUILT.exists(), "the clients are not built: run `cargo xtask clients`"
    if language == "go":
        return [str(BUILT / "go")]
    java = BUILT / "java"
    paths = f"{java / 'classes'}:{(java / 'classpath').read_text().strip()}"
    return ["java", "-cp", paths, "Clients"]


@pytest.mark.parametrize("sdk", ["v1", "v2"])
@pytest.mark.parametrize("language", ["go", "java"])
def test_a_life(server, language, sdk):
    env = os.environ | {
        "EBB_ENDPOINT": server.endpoint,
        "EBB_KEY": server.key.id,
        "EBB_SECRET": server.key.secret,
    }
    done = subprocess.run(
        [*program(language), sdk], env=env, capture_output=True, text=True, timeout=100
    )
    told = f"ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, told
    steps = done.stdout.split()
    assert steps[-1] == "whole" and "ResetDisk" in steps, told
