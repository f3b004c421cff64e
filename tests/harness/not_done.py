"""What ECS has and this server does not answer yet: operations, parameters and error codes.

`fixtures/not_done.tsv` lists it, so that the list can only shrink: a test fails where something is
done and still listed, and where something is neither done nor listed. `python -m harness.not_done`
writes it anew, for whoever has looked at what it then shows.
"""

import json
import subprocess
from pathlib import Path

from . import errors
from .paths import SHARED, server_binary

# Every operation gives them where it meets them, and none lists them.
SHARED_BY_ALL = {
    (400, "DryRunOperation"),
    (400, "IdempotentParameterMismatch"),
    (400, "InvalidNextToken"),
    (400, "InvalidRegionId.MalFormed"),
    (400, "MissingParameter"),
    (403, "IdempotentProcessing"),
    (403, "Operation.Conflict"),
    (404, "InvalidRegionId.NotFound"),
    (500, "InternalError"),
}

LIST = Path(__file__).parents[1] / "fixtures/not_done.tsv"


def listed() -> set[tuple]:
    return {tuple(line.split("\t")) for line in LIST.read_text().splitlines()[1:]}


def found() -> set[tuple]:
    """(what, action, name) of each thing that is documented and not there."""
    done = subprocess.run(
        [server_binary(), "operations", "--json"], capture_output=True, check=True, timeout=30
    )
    operations = {each["name"]: each for each in json.loads(done.stdout)}
    rows = set()
    for path in (SHARED / "ops").glob("*.json"):
        action = path.stem
        if action not in operations:
            rows.add(("operation", action, ""))
            continue
        operation = operations[action]
        wanted = {top_name(each["name"]) for each in json.loads(path.read_text())["params"]}
        taken = {top_name(each["name"]) for each in operation["params"]}
        rows |= {("parameter", action, name) for name in wanted - taken}
        given = {(each["http"], each["code"]) for each in operation["errors"]} | SHARED_BY_ALL
        documented = set(errors.documented().get(action, ()))
        rows |= {("code", action, f"{status} {code}") for status, code in documented - given}
    return rows


def top_name(name: str) -> str:
    """Tag.N.Key, Tag.1.Key and Tag are one parameter; SystemDisk.Size belongs to SystemDisk."""
    return name.split(".")[0]


def write():
    rows = ["\t".join(row) for row in sorted(found())]
    LIST.write_text("\n".join(["what\taction\tname", *rows]) + "\n")


if __name__ == "__main__":
    write()
