"""What an error answer must be, in every format, and which errors an operation may give."""

import functools
import json
import re
from pathlib import Path

from .paths import SHARED
from .wire import JSON, XML, Answer

REQUEST_ID = re.compile(r"[0-9A-F]{8}-([0-9A-F]{4}-){3}[0-9A-F]{12}")
FIELDS = ("RequestId", "HostId", "Code", "Message", "Recommend")

# Errors of the gateway: any operation may give them, and no list names them.
GATEWAY = {
    "DryRunOperation": "Request validation has been passed with DryRun flag set.",
    "IdempotentParameterMismatch": None,
    "InvalidAccessKeyId.NotFound": "Specified access key is not found.",
    "InvalidAction.NotFound": "Specified api is not found, please check your url and method.",
    "InvalidParameter": None,
    "InvalidTimeStamp.Expired": "Specified time stamp or date value is expired.",
    "MissingParameter": None,
    "ServiceUnavailable": None,
    "SignatureNonceUsed": "Specified signature nonce was used already.",
}


def check_error(answer: Answer, status: int, code: str, message: str | None = None):
    """The answer is this error, whole: status, code, message and all that belongs round it."""
    assert answer.content_type in (JSON, XML), answer.content_type
    error = answer.tree
    told = f"{answer.status} {error.get('Code')}: {error.get('Message')}"
    assert (answer.status, error.get("Code")) == (status, code), told
    for field in FIELDS:
        assert isinstance(error.get(field), str) and error[field], f"{field} is not there: {error}"
    assert REQUEST_ID.fullmatch(error["RequestId"]), error["RequestId"]
    assert answer.headers.get("x-acs-request-id") == error["RequestId"]
    assert code in error["Recommend"] and error["RequestId"] in error["Recommend"]
    if answer.content_type == XML:
        assert answer.root == "Error"
        assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    if message is not None:
        assert error["Message"] == message


def check_documented(action: str, answer: Answer):
    """The error is one that the operation documents, in its words.

    Without the lists (see `SHARED`) it checks nothing; the proof-reading tests say so.
    """
    rows = documented().get(action)
    error = answer.tree
    code, message = error["Code"], error["Message"]
    if not rows:
        return
    messages = rows.get((answer.status, code))
    if messages is not None:
        assert any(fits(known, message) for known in messages), f"{code}: {message!r}: {messages}"
        return
    known = f"{action} documents no {answer.status} {code}: {message}"
    assert code in GATEWAY, known
    assert GATEWAY[code] in (None, message), f"{code}: {message!r}"


def fits(documented_message: str, message: str) -> bool:
    """Lists spell a varying part as %s."""
    pattern = ".+".join(map(re.escape, documented_message.split("%s")))
    return re.fullmatch(pattern, message) is not None


@functools.cache
def documented() -> dict:
    """{action: {(status, code): {message}}}, or nothing where the lists are not there."""
    table = {}
    own = [row[:4] for row in unrecorded()] if recorded() else []
    for action, status, code, message in recorded() + own:
        row = table.setdefault(action, {}).setdefault((int(status), code), set())
        row.add(message)
    return table


@functools.cache
def recorded() -> list[list[str]]:
    """[action, status, code, message] of the catalogue and of each operation's own metadata."""
    path = SHARED / "errors.tsv"
    if not path.exists():
        return []
    rows = [line.split("\t")[1:] for line in path.read_text().splitlines()[1:]]
    for file in (SHARED / "ops").glob("*.json"):
        for error in json.loads(file.read_text())["errors"]:
            row = (file.stem, str(error["http"]), error["code"], error["message"])
            rows.append([part.strip() for part in row])
    return rows


def unrecorded() -> list[list[str]]:
    """What this server answers in operations whose errors no list records: [action, status, code,
    message, reason]."""
    text = (Path(__file__).parents[1] / "fixtures/unrecorded_errors.tsv").read_text()
    return [line.split("\t") for line in text.splitlines()[1:]]
