"""What an official SDK's models say of a reply, and how a reply differs from them.

A model is a class whose constructor has the types and whose `from_map` has the names on the wire. A
path goes through a list without a number: `Users.User.UserName`.
"""

import typing

SCALARS = {str: "text", int: "integer", bool: "boolean", float: "number"}


def fields(model) -> dict[str, type]:
    """The fields of a model by their names on the wire."""
    hints = typing.get_type_hints(model.__init__)
    squashed = {name.replace("_", ""): hint for name, hint in hints.items()}
    names = [name for name in model.from_map.__code__.co_consts if isinstance(name, str)]
    found = {name: squashed.pop(name.lower()) for name in names if name.lower() in squashed}
    assert not squashed, f"{model.__name__} has fields that no reply can fill: {squashed}"
    return found


def described(model, prefix="") -> dict[str, str]:
    """Paths and kinds of all that a model knows."""
    found = {}
    for name, hint in fields(model).items():
        path = prefix + name
        if typing.get_origin(hint) is list:
            found[path] = "list"
            [hint] = typing.get_args(hint)
            if hint in SCALARS:
                continue
        if hint in SCALARS:
            found[path] = SCALARS[hint]
        else:
            found.setdefault(path, "object")
            found |= described(hint, f"{path}.")
    return found


def given(reply: dict, prefix="") -> set[tuple[str, str]]:
    """Paths and kinds of all that a reply has."""
    found = set()
    for name, value in reply.items():
        path = prefix + name
        if isinstance(value, list):
            found.add((path, "list"))
            inner = [entry for entry in value if isinstance(entry, dict)]
        elif isinstance(value, dict):
            found.add((path, "object"))
            inner = [value]
        else:
            found.add((path, SCALARS.get(type(value), type(value).__name__)))
            inner = []
        for each in inner:
            found |= given(each, f"{path}.")
    return found
