"""Other people's NBD and file system programs."""

import json
import subprocess

from .needs import need_program


def tool(*words, check=True, **options) -> subprocess.CompletedProcess:
    """Runs a program, which must succeed unless `check` is off."""
    need_program(str(words[0]))
    command = list(map(str, words))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    said = f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    assert not check or done.returncode == 0, said
    return done


def nbdinfo(uri: str) -> dict:
    """The one export that a URI names."""
    (export,) = json.loads(tool("nbdinfo", "--json", uri).stdout)["exports"]
    return export


def qemu_io(uri: str, *commands: str, check=True) -> subprocess.CompletedProcess:
    """Runs qemu-io's commands on an export; its exit code tells whether all went well."""
    words = [word for command in commands for word in ("-c", command)]
    return tool("qemu-io", "-f", "raw", *words, uri, check=check)
