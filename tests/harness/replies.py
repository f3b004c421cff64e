"""The shape of replies, as the ECS API documents it: names, nesting and types.

Every reply that a test sees is held against it. Without the lists (see `SHARED`) nothing is
checked; the proof-reading tests say so.
"""

import functools
import json

from .paths import SHARED

# What Ebbtide answers beside what is documented, and the API reference says so.
OURS = {".Disks.Disk[].ExportUrl": "s"}

TYPES = {"s": str, "i": int, "i64": int, "b": bool, "f": (int, float)}


def check_reply(action: str, reply: dict, folder: str = "ops"):
    """Each name is one that the operation documents, and its value of the documented type."""
    schema = documented(folder, action)
    if schema is not None:
        wrong = list(differences(schema, reply, ""))
        assert not wrong, f"{action} answers what it does not document: {wrong}"


@functools.cache
def documented(folder: str, action: str) -> dict | None:
    path = SHARED / folder / f"{action}.json"
    return json.loads(path.read_text())["response"] if path.exists() else None


def differences(schema, value, at: str):
    """Where a value is not as documented. What is left out is no difference."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            yield f"{at} is no object"
            return
        for name, inner in value.items():
            if name in schema:
                yield from differences(schema[name], inner, f"{at}.{name}")
            elif f"{at}.{name}" in OURS:
                yield from differences(OURS[f"{at}.{name}"], inner, f"{at}.{name}")
            else:
                yield f"{at}.{name} is not documented"
    elif isinstance(schema, list):
        if not isinstance(value, list):
            yield f"{at} is no list"
            return
        for inner in value:
            yield from differences(schema[0], inner, f"{at}[]")
    elif not is_of(schema, value):
        yield f"{at} is {value!r}, not of type {schema}"


def is_of(kind: str | None, value) -> bool:
    """JSON's truth is no number, though Python's is."""
    if kind is None:
        return True
    return isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "b")
