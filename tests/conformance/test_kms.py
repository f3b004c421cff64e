"""The key service by its official client: keys, versions, aliases, tags, and what they encrypt.

Every reply and every error is held against the service's metadata, where that is beside the
repository (`SHARED`).
"""

import base64
import functools
import itertools
import json
import subprocess

import pytest

from harness import wire
from harness.clients import ClientError
from harness.ecs import REGION
from harness.errors import fits
from harness.official import kms, ram, sts
from harness.paths import SHARED, server_binary
from harness.replies import check_reply, documented
from harness.server import AccessKey

VERSION = "2016-01-20"
ABSENT = "00000000-0000-4000-8000-000000000000"
KEY_NOT_FOUND = (404, "Forbidden.KeyNotFound")
ALIAS_NOT_FOUND = (404, "Forbidden.AliasNotFound")
DISABLED = (409, "Rejected.Disabled")
PENDING = (409, "Rejected.PendingDeletion")
INVALID = (400, "InvalidParameter")
FORBIDDEN = (403, "Forbidden.NoPermission")

# What only who asks for it is told: neither Recipient nor an instance is there.
NOT_ASKED_FOR = {"CiphertextForRecipient"}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


class Keys:
    """The official client as somebody."""

    def __init__(self, server, key=None, token=None):
        self.server, self.client = server, kms(server, key, token)

    def __call__(self, action, **params) -> dict:
        reply = self.client(action, **params)
        check_reply(action, reply, "kms")
        check_whole(action, reply)
        return reply

    def refused(self, refusal, action, **params):
        with pytest.raises(ClientError) as caught:
            self.client(action, **params)
        assert (caught.value.status, caught.value.code) == refusal, action

    def create(self, **params) -> str:
        return self("CreateKey", **params)["KeyMetadata"]["KeyId"]

    def state(self, key) -> str:
        return self("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"]

    def encrypt(self, key, data: bytes, **more) -> str:
        return self("Encrypt", KeyId=key, Plaintext=encoded(data), **more)["CiphertextBlob"]

    def decrypt(self, blob, **more) -> bytes:
        return decoded(self("Decrypt", CiphertextBlob=blob, **more)["Plaintext"])


def check_whole(action: str, reply: dict):
    """Each name that the metadata has is in the reply."""
    schema = documented("kms", action)
    if schema is not None:
        assert set(missing(schema, reply)) <= NOT_ASKED_FOR, (action, reply)


def missing(schema, value):
    """The names of a schema that a value does not have. An empty list lacks none."""
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name in value:
                yield from missing(inner, value[name])
            else:
                yield name
    elif isinstance(schema, list):
        for entry in value:
            yield from missing(schema[0], entry)


def operations() -> set[str]:
    """The server's own list of what this service does."""
    command = [server_binary(), "operations", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return {each["name"] for each in json.loads(done.stdout) if each["version"] == VERSION}


@functools.cache
def documented_errors() -> dict:
    """{(status, code): {message}} of all operations of the service: a code is one in all."""
    found = {}
    for path in (SHARED / "kms").glob("*.json"):
        for error in json.loads(path.read_text())["errors"]:
            found.setdefault((error["http"], error["code"]), set()).add(error["message"])
    return found


def ask(server, action, params=None, key=None, **more):
    """One call with a V1 signature, as the wire has it."""
    return wire.ask_v1(server, action, params or {}, key=key, Version=VERSION, **more)


@pytest.fixture
def keys(server) -> Keys:
    return Keys(server)


def test_a_key_is_told_as_it_was_made(server, keys):
    made = keys("CreateKey", Description="for disks")["KeyMetadata"]
    account = sts(server)("GetCallerIdentity")["AccountId"]
    assert made["Arn"] == f"acs:kms:{REGION}:{account}:key/{made['KeyId']}"
    assert (made["Description"], made["Creator"]) == ("for disks", account)
    assert (made["KeyState"], made["KeyUsage"]) == ("Enabled", "ENCRYPT/DECRYPT")
    assert (made["KeySpec"], made["Origin"]) == ("Aliyun_AES_256", "Aliyun_KMS")
    assert made["AutomaticRotation"] == "Disabled" and made["CreationDate"].endswith("Z")
    told = keys("DescribeKey", KeyId=made["KeyId"])["KeyMetadata"]
    assert made.items() <= told.items()
    assert keys("DescribeKey", KeyId=made["Arn"])["KeyMetadata"] == told
    more = [keys.create() for _ in range(11)]
    page = keys("ListKeys")
    assert (page["PageNumber"], page["PageSize"], page["TotalCount"]) == (1, 10, 12)
    first = [one["KeyId"] for one in page["Keys"]["Key"]]
    assert first == [made["KeyId"], *more[:9]]
    rest = keys("ListKeys", PageNumber=2, PageSize=10)["Keys"]["Key"]
    assert [one["KeyId"] for one in rest] == more[9:]
    assert rest[0]["KeyArn"] == f"acs:kms:{REGION}:{account}:key/{more[9]}"
    for wrong in ({"PageSize": 101}, {"PageSize": 0}, {"PageNumber": 0}):
        keys.refused(INVALID, "ListKeys", **wrong)


def test_keys_that_are_not_made_here(keys):
    unsupported = (400, "UnsupportedOperation")
    for given in (
        {"KeySpec": "RSA_2048"},
        {"KeyUsage": "SIGN/VERIFY"},
        {"Origin": "EXTERNAL"},
        {"ProtectionLevel": "HSM"},
    ):
        keys.refused(unsupported, "CreateKey", **given)
    for given in (
        {"EnableAutomaticRotation": True},
        {"EnableAutomaticRotation": True, "RotationInterval": "6d"},
        {"EnableAutomaticRotation": True, "RotationInterval": "731d"},
        {"Tags": "none"},
        {"Tags": json.dumps([{"TagKey": "", "TagValue": "v"}])},
    ):
        keys.refused(INVALID, "CreateKey", **given)
    assert keys("ListKeys")["TotalCount"] == 0
    made = keys("CreateKey", EnableAutomaticRotation=True, RotationInterval="365d")["KeyMetadata"]
    assert (made["AutomaticRotation"], made["RotationInterval"]) == ("Enabled", "31536000s")
    assert made["NextRotationDate"] > made["CreationDate"]


# What each operation is given beside the key.
WITH_A_KEY = {
    "CancelKeyDeletion": {},
    "CreateAlias": {"AliasName": "alias/one"},
    "CreateKeyVersion": {},
    "DescribeKey": {},
    "DescribeKeyVersion": {"KeyVersionId": ABSENT},
    "DisableKey": {},
    "EnableKey": {},
    "Encrypt": {"Plaintext": "YQ=="},
    "GenerateDataKey": {},
    "GenerateDataKeyWithoutPlaintext": {},
    "ListAliasesByKeyId": {},
    "ListKeyVersions": {},
    "ListResourceTags": {},
    "ScheduleKeyDeletion": {"PendingWindowInDays": 7},
    "TagResource": {"Tags": json.dumps([{"TagKey": "k", "TagValue": "v"}])},
    "UntagResource": {"TagKeys": json.dumps(["k"])},
    "UpdateAlias": {"AliasName": "alias/one"},
    "UpdateRotationPolicy": {"EnableAutomaticRotation": False},
}


def test_a_key_that_is_not_there_or_anothers(server, keys):
    other = Keys(server, server.new_account())
    theirs = other("CreateKey")["KeyMetadata"]
    blob = other.encrypt(theirs["KeyId"], b"theirs")
    before = other("DescribeKey", KeyId=theirs["KeyId"])["KeyMetadata"]
    for name in (ABSENT, "no key", theirs["KeyId"], theirs["Arn"]):
        for action, params in WITH_A_KEY.items():
            keys.refused(KEY_NOT_FOUND, action, KeyId=name, **params)
    for action, params in WITH_A_KEY.items():
        keys.refused(ALIAS_NOT_FOUND, action, KeyId="alias/none", **params)
    keys.refused(KEY_NOT_FOUND, "Decrypt", CiphertextBlob=blob)
    mine = keys.create()
    keys.refused(KEY_NOT_FOUND, "ReEncrypt", CiphertextBlob=blob, DestinationKeyId=mine)
    own = keys.encrypt(mine, b"mine")
    to_them = {"CiphertextBlob": own, "DestinationKeyId": theirs["KeyId"]}
    keys.refused(KEY_NOT_FOUND, "ReEncrypt", **to_them)
    # Nothing of it was done, and neither sees the other's.
    assert other("DescribeKey", KeyId=theirs["KeyId"])["KeyMetadata"] == before
    assert other("ListAliases")["TotalCount"] == keys("ListAliases")["TotalCount"] == 0
    assert [one["KeyId"] for one in keys("ListKeys")["Keys"]["Key"]] == [mine]
    assert other.decrypt(blob) == b"theirs"


def test_states_allow_what_they_should(server, keys):
    key = keys.create()
    blob = keys.encrypt(key, b"a secret")
    uses = (
        ("Encrypt", {"KeyId": key, "Plaintext": "YQ=="}),
        ("Decrypt", {"CiphertextBlob": blob}),
        ("ReEncrypt", {"CiphertextBlob": blob, "DestinationKeyId": keys.create()}),
        ("GenerateDataKey", {"KeyId": key}),
        ("GenerateDataKeyWithoutPlaintext", {"KeyId": key}),
        ("CreateKeyVersion", {"KeyId": key}),
        ("UpdateRotationPolicy", {"KeyId": key, "EnableAutomaticRotation": False}),
    )

    def all_refused(refusal):
        for action, params in uses:
            keys.refused(refusal, action, **params)

    keys("DisableKey", KeyId=key)
    assert keys.state(key) == "Disabled"
    all_refused(DISABLED)
    server.restart()
    all_refused(DISABLED)
    keys("EnableKey", KeyId=key)
    assert keys.state(key) == "Enabled" and keys.decrypt(blob) == b"a secret"
    for days in (0, 6, 367):
        keys.refused(INVALID, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=days)
    keys.refused(INVALID, "CancelKeyDeletion", KeyId=key)
    keys("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    told = keys("DescribeKey", KeyId=key)["KeyMetadata"]
    assert told["KeyState"] == "PendingDeletion" and told["DeleteDate"].endswith("Z")
    all_refused(PENDING)
    keys.refused(PENDING, "EnableKey", KeyId=key)
    keys.refused(PENDING, "DisableKey", KeyId=key)
    server.kill()
    server.start()
    all_refused(PENDING)
    keys("CancelKeyDeletion", KeyId=key)
    told = keys("DescribeKey", KeyId=key)["KeyMetadata"]
    assert (told["KeyState"], told["DeleteDate"]) == ("Enabled", "")
    assert keys.decrypt(blob) == b"a secret"


def test_versions_encrypt_anew_and_old_ones_still_decrypt(server, keys):
    key = keys.create()
    blobs = {}
    for number in range(3):
        data = b"version %d" % number
        made = keys("Encrypt", KeyId=key, Plaintext=encoded(data))
        told = keys("DescribeKey", KeyId=key)["KeyMetadata"]
        assert (made["KeyId"], made["KeyVersionId"]) == (key, told["PrimaryKeyVersion"])
        blobs[made["KeyVersionId"]] = (made["CiphertextBlob"], data)
        version = keys("CreateKeyVersion", KeyId=key)["KeyVersion"]
        asked = {"KeyId": key, "KeyVersionId": version["KeyVersionId"]}
        assert keys("DescribeKeyVersion", **asked)["KeyVersion"] == version
    listed = keys("ListKeyVersions", KeyId=key)
    versions = [one["KeyVersionId"] for one in listed["KeyVersions"]["KeyVersion"]]
    assert listed["TotalCount"] == len(set(versions)) == 4
    assert versions == [*blobs, version["KeyVersionId"]]
    page = keys("ListKeyVersions", KeyId=key, PageNumber=2, PageSize=3)
    assert [one["KeyVersionId"] for one in page["KeyVersions"]["KeyVersion"]] == versions[3:]
    for ends in (lambda: None, server.restart, lambda: (server.kill(), server.start())):
        ends()
        for version, (blob, data) in blobs.items():
            opened = keys("Decrypt", CiphertextBlob=blob)
            assert (opened["KeyVersionId"], decoded(opened["Plaintext"])) == (version, data)
    keys.refused(INVALID, "DescribeKeyVersion", KeyId=key, KeyVersionId=ABSENT)
    on = {"KeyId": key, "EnableAutomaticRotation": True}
    keys.refused(INVALID, "UpdateRotationPolicy", **on)
    keys.refused(INVALID, "UpdateRotationPolicy", **on, RotationInterval="1d")
    keys("UpdateRotationPolicy", **on, RotationInterval="30d")
    told = keys("DescribeKey", KeyId=key)["KeyMetadata"]
    assert (told["AutomaticRotation"], told["RotationInterval"]) == ("Enabled", "2592000s")
    keys("UpdateRotationPolicy", KeyId=key, EnableAutomaticRotation=False)
    assert keys("DescribeKey", KeyId=key)["KeyMetadata"]["AutomaticRotation"] == "Disabled"


def test_aliases_name_keys(server, keys):
    one, two = keys.create(), keys.create()
    alias = {"AliasName": "alias/app/disks_1"}
    keys("CreateAlias", KeyId=one, **alias)
    keys("CreateAlias", KeyId=one, AliasName="alias/b")
    with pytest.raises(ClientError) as taken:
        keys("CreateAlias", KeyId=two, **alias)
    assert taken.value.status == 409
    for wrong in ("disks", "alias/", "alias/a b", "alias/acs/ecs", "alias/" + "x" * 250):
        keys.refused(INVALID, "CreateAlias", KeyId=one, AliasName=wrong)
    blob = keys.encrypt(alias["AliasName"], b"by its alias")
    assert keys("DescribeKey", KeyId=alias["AliasName"])["KeyMetadata"]["KeyId"] == one
    account = sts(server)("GetCallerIdentity")["AccountId"]
    listed = keys("ListAliases")
    assert listed["TotalCount"] == 2
    shown = listed["Aliases"]["Alias"][0]
    assert shown["AliasArn"] == f"acs:kms:{REGION}:{account}:alias/app/disks_1"
    assert (shown["AliasName"], shown["KeyId"]) == (alias["AliasName"], one)
    keys("UpdateAlias", KeyId=two, **alias)
    opened = keys("Decrypt", CiphertextBlob=blob)
    assert (opened["KeyId"], decoded(opened["Plaintext"])) == (one, b"by its alias")
    assert keys("Encrypt", KeyId=alias["AliasName"], Plaintext="YQ==")["KeyId"] == two

    def named(key):
        found = keys("ListAliasesByKeyId", KeyId=key)["Aliases"]["Alias"]
        return [each["AliasName"] for each in found]

    assert (named(one), named(two)) == (["alias/b"], [alias["AliasName"]])
    keys.refused(ALIAS_NOT_FOUND, "UpdateAlias", KeyId=two, AliasName="alias/none")
    keys.refused(ALIAS_NOT_FOUND, "DeleteAlias", AliasName="alias/none")
    keys("DeleteAlias", **alias)
    keys.refused(ALIAS_NOT_FOUND, "Encrypt", KeyId=alias["AliasName"], Plaintext="YQ==")
    # Another account has names of its own.
    other = Keys(server, server.new_account())
    other("CreateAlias", KeyId=other.create(), AliasName="alias/b")
    other("DeleteAlias", AliasName="alias/b")
    assert named(one) == ["alias/b"]


def test_tags_of_keys(keys):
    given = [{"TagKey": "use", "TagValue": "测试 +%~"}]
    key = keys.create(Tags=json.dumps(given))

    def tags():
        found = keys("ListResourceTags", KeyId=key)["Tags"]["Tag"]
        assert all(tag["KeyId"] == key for tag in found)
        return {tag["TagKey"]: tag["TagValue"] for tag in found}

    assert tags() == {"use": "测试 +%~"}
    more = [{"TagKey": "use", "TagValue": "other"}, {"TagKey": "b", "TagValue": ""}]
    keys("TagResource", KeyId=key, Tags=json.dumps(more))
    assert tags() == {"use": "other", "b": ""}
    for wrong in ("{}", json.dumps([{"TagKey": "x" * 129, "TagValue": ""}])):
        keys.refused(INVALID, "TagResource", KeyId=key, Tags=wrong)
    keys("UntagResource", KeyId=key, TagKeys=json.dumps(["use", "not there"]))
    assert tags() == {"b": ""}


def test_encryption_contexts(keys):
    key = keys.create()
    context = {"volume": "d-1", "owner": "alice", "ß": "日本"}
    blob = keys.encrypt(key, b"in a context", EncryptionContext=context)
    for order in itertools.permutations(context.items()):
        assert keys.decrypt(blob, EncryptionContext=dict(order)) == b"in a context"
    for other in (None, {}, {"volume": "d-1"}, context | {"owner": "bob"}, context | {"c": "d"}):
        more = {} if other is None else {"EncryptionContext": other}
        keys.refused(INVALID, "Decrypt", CiphertextBlob=blob, **more)
    without = keys.encrypt(key, b"in none")
    keys.refused(INVALID, "Decrypt", CiphertextBlob=without, EncryptionContext=context)
    for wrong in ("none", '{"a":1}', '["a"]'):
        given = {"CiphertextBlob": blob, "EncryptionContext": wrong}
        answer = ask(keys.server, "Decrypt", given)
        assert (answer.status, answer.tree["Code"]) == INVALID
    new = keys.create()
    moved = keys(
        "ReEncrypt",
        CiphertextBlob=blob,
        SourceEncryptionContext=context,
        DestinationKeyId=new,
        DestinationEncryptionContext={"now": "here"},
    )
    assert moved["KeyId"] == new
    blob = moved["CiphertextBlob"]
    assert keys.decrypt(blob, EncryptionContext={"now": "here"}) == b"in a context"
    keys.refused(INVALID, "Decrypt", CiphertextBlob=blob, EncryptionContext=context)
    keys.refused(INVALID, "ReEncrypt", CiphertextBlob=blob, DestinationKeyId=key)


def test_data_keys(keys):
    key = keys.create()
    seen = set()
    for given, size in (
        ({}, 32),
        ({"KeySpec": "AES_256"}, 32),
        ({"KeySpec": "AES_128"}, 16),
        ({"NumberOfBytes": 1}, 1),
        ({"NumberOfBytes": 64}, 64),
        ({"NumberOfBytes": 1024}, 1024),
    ):
        made = keys("GenerateDataKey", KeyId=key, EncryptionContext={"a": "b"}, **given)
        plain = decoded(made["Plaintext"])
        assert len(plain) == size
        opened = keys.decrypt(made["CiphertextBlob"], EncryptionContext={"a": "b"})
        assert opened == plain
        hidden = keys("GenerateDataKeyWithoutPlaintext", KeyId=key, **given)
        assert "Plaintext" not in hidden
        assert len(keys.decrypt(hidden["CiphertextBlob"])) == size
        seen |= {made["CiphertextBlob"], hidden["CiphertextBlob"]}
    assert len(seen) == 6 * 2
    for action in ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"):
        keys.refused(INVALID, action, KeyId=key, KeySpec="AES_512")
        keys.refused(INVALID, action, KeyId=key, NumberOfBytes=1025)


def test_what_was_changed_is_not_decrypted(keys):
    key = keys.create()
    assert keys.decrypt(keys.encrypt(key, b"x" * 6144)) == b"x" * 6144
    keys.refused(INVALID, "Encrypt", KeyId=key, Plaintext=encoded(b"x" * 6145))
    keys.refused(INVALID, "Encrypt", KeyId=key, Plaintext="not base64!")
    # The same twice is not the same ciphertext.
    assert keys.encrypt(key, b"same") != keys.encrypt(key, b"same")
    blob = decoded(keys.encrypt(key, b"not to be changed" * 10))
    assert len(blob) > 170
    for at in range(5, len(blob), 10):
        changed = bytearray(blob)
        changed[at] ^= 1
        # Where the key's id is, it names another key: that is not there.
        answer = ask(keys.server, "Decrypt", {"CiphertextBlob": encoded(bytes(changed))})
        assert (answer.status, answer.tree["Code"]) in (INVALID, KEY_NOT_FOUND), at
    for wrong in (blob[:-1], blob + b"\0", blob[:40], b"\0", b"x" * 200):
        keys.refused(INVALID, "Decrypt", CiphertextBlob=encoded(wrong))
    assert keys.decrypt(encoded(blob)) == b"not to be changed" * 10


def test_a_user_of_one_key(server, keys):
    people, account = ram(server), sts(server)("GetCallerIdentity")["AccountId"]
    one, two = keys.create(), keys.create()
    for key, name in ((one, "alias/one"), (two, "alias/two")):
        keys("CreateAlias", KeyId=key, AliasName=name)

    def user(name, *resources):
        made_of = {"Effect": "Allow", "Action": "kms:*", "Resource": list(resources)}
        text = json.dumps({"Version": "1", "Statement": [made_of]})
        people("CreateUser", UserName=name)
        people("CreatePolicy", PolicyName=name, PolicyDocument=text)
        people("AttachPolicyToUser", UserName=name, PolicyName=name, PolicyType="Custom")
        made = people("CreateAccessKey", UserName=name)["AccessKey"]
        key = AccessKey(made["AccessKeyId"], made["AccessKeySecret"])
        server.made_keys.append(key)
        return Keys(server, key)

    arn = f"acs:kms:{REGION}:{account}:"
    alice = user("alice", f"{arn}key/{one}")
    other = keys.encrypt(two, b"of the other key")
    blob = alice.encrypt(one, b"of the one")
    assert alice.decrypt(blob) == keys.decrypt(blob) == b"of the one"
    for action in ("DescribeKey", "GenerateDataKey", "DisableKey", "CreateKeyVersion"):
        alice.refused(FORBIDDEN, action, KeyId=two)
    alice.refused(FORBIDDEN, "Encrypt", KeyId=two, Plaintext="YQ==")
    alice.refused(FORBIDDEN, "Decrypt", CiphertextBlob=other)
    for from_, to in ((other, one), (blob, two), (other, two)):
        alice.refused(FORBIDDEN, "ReEncrypt", CiphertextBlob=from_, DestinationKeyId=to)
    for action in ("CreateKey", "ListKeys", "ListAliases"):
        alice.refused(FORBIDDEN, action)
    # An alias is a resource of its own: neither name lets her use the other key, whoever has both.
    alice.refused(FORBIDDEN, "Encrypt", KeyId="alias/two", Plaintext="YQ==")
    bob = user("bob", f"{arn}key/{one}", f"{arn}alias/*")
    assert decoded(bob.encrypt("alias/one", b"by its alias"))
    bob.refused(FORBIDDEN, "Encrypt", KeyId="alias/two", Plaintext="YQ==")
    bob.refused(FORBIDDEN, "GenerateDataKey", KeyId="alias/two")
    bob.refused(FORBIDDEN, "DisableKey", KeyId="alias/two")
    assert keys.state(two) == "Enabled"


def test_nothing_secret_is_in_the_data_directory(server, keys):
    key = keys.create()
    secret = b"a plaintext that nobody else would write"
    blob = keys.encrypt(key, secret)
    data_key = decoded(keys("GenerateDataKey", KeyId=key, NumberOfBytes=64)["Plaintext"])
    keys("CreateKeyVersion", KeyId=key)
    assert keys.decrypt(blob) == secret
    server.stop()
    forms = [secret, data_key]
    forms += [encoded(data).encode() for data in (secret, data_key)]
    forms += [data.hex().encode() for data in (secret, data_key)]
    files = [path for path in server.data_dir.rglob("*") if path.is_file()]
    assert any(path.name == "master.key" for path in files)
    for path in [*files, server.log.path]:
        content = path.read_bytes()
        assert not any(form in content for form in forms), path
    # What keys are sealed with is in its file and nowhere else.
    text = (server.data_dir / "master.key").read_text().strip()
    for path in files:
        content = path.read_bytes()
        assert path.name == "master.key" or text.encode() not in content, path
        assert bytes.fromhex(text) not in content, path
    server.start()
    assert keys.decrypt(blob) == secret


@pytest.mark.parametrize("fmt", ["JSON", "XML"])
def test_on_the_wire_in_both_formats(server, keys, fmt):
    key = keys.create()
    given = {"KeyId": key, "Plaintext": encoded(b"text")}
    made = ask(server, "Encrypt", given, fmt=fmt)
    assert made.status == 200
    assert fmt == "JSON" or made.root == "EncryptResponse"
    check_reply("Encrypt", made.tree, "kms")
    assert keys.decrypt(made.tree["CiphertextBlob"]) == b"text"
    keys("DisableKey", KeyId=key)
    refused = ask(server, "Encrypt", given, fmt=fmt)
    assert (refused.status, refused.tree["Code"]) == DISABLED
    assert refused.tree["HostId"] and refused.tree["RequestId"] in refused.tree["Recommend"]


def test_both_signatures(server, keys):
    key = keys.create()
    given = {"KeyId": key, "Plaintext": encoded(b"text"), "EncryptionContext": '{"a": "b +~"}'}
    for made in (
        ask(server, "Encrypt", given),
        wire.ask_v3(server, "Encrypt", given, x_acs_version=VERSION),
    ):
        assert made.status == 200
        blob = made.tree["CiphertextBlob"]
        assert keys.decrypt(blob, EncryptionContext={"a": "b +~"}) == b"text"


@pytest.mark.skipif(not SHARED.exists(), reason=f"the lists of the API are not at {SHARED}")
def test_answers_are_those_of_the_metadata(server, keys):
    """As the wire has them, for a client drops what it does not know."""
    key = keys.create(Tags=json.dumps([{"TagKey": "k", "TagValue": "v"}]))
    keys("CreateAlias", KeyId=key, AliasName="alias/a")
    version = keys("DescribeKey", KeyId=key)["KeyMetadata"]["PrimaryKeyVersion"]
    blob = keys.encrypt(key, b"a")
    given = {name: {"KeyId": key} | params for name, params in WITH_A_KEY.items()}
    given["DescribeKeyVersion"]["KeyVersionId"] = version
    given["UpdateAlias"]["AliasName"] = "alias/a"
    given |= {"ListKeys": {}, "ListAliases": {}, "Decrypt": {"CiphertextBlob": blob}}
    given["ReEncrypt"] = {"CiphertextBlob": blob, "DestinationKeyId": key}
    # These come last, in this order: they take away what the others need.
    for action in ("DisableKey", "EnableKey", "ScheduleKeyDeletion", "CancelKeyDeletion"):
        given[action] = given.pop(action)
    given["DeleteAlias"] = {"AliasName": "alias/a"}
    assert set(given) | {"CreateKey"} == operations()
    for action, params in given.items():
        answer = ask(server, action, {name: str(value) for name, value in params.items()})
        assert answer.status == 200, (action, answer.tree)
        check_reply(action, answer.tree, "kms")
        check_whole(action, answer.tree)
    off, gone = keys.create(), keys.create()
    keys("DisableKey", KeyId=off)
    keys("ScheduleKeyDeletion", KeyId=gone, PendingWindowInDays=7)
    for action, params in (
        ("Encrypt", {"KeyId": off, "Plaintext": "YQ=="}),
        ("Encrypt", {"KeyId": gone, "Plaintext": "YQ=="}),
        ("EnableKey", {"KeyId": gone}),
        ("DescribeKey", {"KeyId": ABSENT}),
        ("DescribeKey", {"KeyId": "alias/none"}),
        ("CreateKey", {"KeySpec": "RSA_2048"}),
    ):
        answer = ask(server, action, params)
        known = documented_errors()[answer.status, answer.tree["Code"]]
        assert any(fits(text, answer.tree["Message"]) for text in known), answer.tree
