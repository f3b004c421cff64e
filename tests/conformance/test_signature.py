"""Who asks: both signatures, and everything that makes one wrong."""

import uuid

import pytest

from harness import signing, wire
from harness.ecs import REGION
from harness.errors import check_error
from harness.server import AccessKey

NOT_FOUND = ("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
EXPIRED = ("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
REGIONS = "DescribeRegions"


def test_the_documented_examples_of_v1():
    """The tests' own signer, against the two published signatures."""
    params = {
        "Timestamp": "2016-02-23T12:46:24Z",
        "Format": "XML",
        "AccessKeyId": "testid",
        "Action": "DescribeRegions",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
        "Version": "2014-05-26",
        "SignatureVersion": "1.0",
    }
    assert signing.v1_signature("testsecret", "GET", params) == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="
    params |= {"Description": "a b*c~d/é+&=", "SignatureType": ""}
    assert signing.v1_signature("testsecret", "POST", params) == "58pJFOR4EUP+IGFWQSNdBf1Em2Q="


def test_the_documented_example_of_v3():
    headers = signing.v3_headers(
        AccessKey("YourAccessKeyId", "YourAccessKeySecret"),
        "POST",
        "ecs.cn-shanghai.aliyuncs.com",
        "RunInstances",
        {
            "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
            "RegionId": "cn-shanghai",
        },
        b"",
        x_acs_date="2023-10-26T10:22:32Z",
        x_acs_signature_nonce="3156853299f313e23d1673dc12e1703d",
    )
    expected = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert headers["authorization"].endswith(f"Signature={expected}")


@pytest.mark.parametrize(
    ("method", "place"), [("GET", "query"), ("POST", "query"), ("POST", "form"), ("POST", "both")]
)
def test_v1_in_query_form_or_both(shared, method, place):
    params = {"AcceptLanguage": "en-US", "Unknown": "a b*c~d/é+&="}
    answer = wire.ask_v1(shared.server, REGIONS, params, method=method, place=place)
    assert answer.status == 200, answer.body
    assert answer.tree["Regions"]["Region"][0]["RegionId"] == REGION


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_v3(shared, method):
    params = {"AcceptLanguage": "en-US", "Unknown": "a b*c~d/é+&=", "Empty": ""}
    answer = wire.ask_v3(shared.server, REGIONS, params, method=method)
    assert answer.status == 200, answer.body


def test_v3_answers_json_whatever_format_says(shared):
    answer = wire.ask_v3(shared.server, REGIONS, {})
    assert answer.content_type == wire.JSON
    answer = wire.ask_v3(shared.server, "NoSuchAction", {})
    assert answer.content_type == wire.JSON


@pytest.mark.parametrize("fmt", ["JSON", "XML"])
def test_unknown_key(shared, fmt):
    key = AccessKey("LTAInobody", shared.server.key.secret)
    params = signing.v1_signed(key, "POST", signing.v1_common(key, REGIONS, fmt))
    check_error(wire.send_params(shared.server, "POST", params), 404, *NOT_FOUND)


def test_unknown_key_in_v3(shared):
    key = AccessKey("LTAInobody", "secret")
    headers = signing.v3_headers(key, "POST", shared.server.endpoint, REGIONS, {}, b"")
    check_error(wire.send(shared.server, "POST", "/", headers), 404, *NOT_FOUND)


def test_wrong_secret_shows_the_string_to_sign(shared):
    """Clients compare that string with their own, so it follows a colon, whole."""
    key = AccessKey(shared.server.key.id, "not the secret")
    common = signing.v1_common(key, REGIONS)
    params = signing.v1_signed(key, "POST", common)
    answer = wire.send_params(shared.server, "POST", params)
    check_error(answer, 400, "SignatureDoesNotMatch")
    canonical = "&".join(f"{n}={signing.percent(common[n])}" for n in sorted(common))
    to_sign = f"POST&%2F&{signing.percent(canonical)}"
    assert answer.tree["Message"].split(":", 1)[1] == to_sign
    assert shared.server.key.secret not in answer.body.decode()


def test_wrong_secret_in_v3(shared):
    key = AccessKey(shared.server.key.id, "not the secret")
    headers = signing.v3_headers(key, "POST", shared.server.endpoint, REGIONS, {}, b"")
    answer = wire.send(shared.server, "POST", "/", headers)
    check_error(answer, 400, "SignatureDoesNotMatch")
    assert ":" in answer.tree["Message"] or "[" in answer.tree["Message"]


def test_a_parameter_changed_after_signing(shared):
    signed = signing.v1_signed(
        shared.server.key, "POST", signing.v1_common(shared.server.key, "DescribeDisks")
    )
    answer = wire.send_params(shared.server, "POST", signed | {"RegionId": REGION})
    check_error(answer, 400, "SignatureDoesNotMatch")


def test_a_query_changed_after_signing_in_v3(shared):
    server = shared.server
    headers = signing.v3_headers(server.key, "POST", server.endpoint, REGIONS, {}, b"")
    answer = wire.send(server, "POST", "/?RegionId=cn-beijing", headers)
    check_error(answer, 400, "SignatureDoesNotMatch")


def test_a_body_changed_after_signing_in_v3(shared):
    server = shared.server
    headers = signing.v3_headers(server.key, "POST", server.endpoint, REGIONS, {}, b"a=b")
    answer = wire.send(server, "POST", "/", headers | wire.FORM, b"a=c")
    assert answer.status == 400, answer.body
    assert answer.tree["Code"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("header", ["x-acs-date", "x-acs-signature-nonce"])
def test_a_v3_header_left_out(shared, header):
    server, name = shared.server, header.replace("-", "_")
    headers = signing.v3_headers(
        server.key, "POST", server.endpoint, REGIONS, {}, b"", **{name: None}
    )
    answer = wire.send(server, "POST", "/", headers)
    assert answer.status == 400, answer.body
    assert answer.content_type == wire.JSON


@pytest.mark.parametrize(
    "value", ["ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 Credential=x", "ACS3-HMAC-SHA256 a=b,c=d"]
)
def test_a_v3_authorization_that_is_cut_off(shared, value):
    server = shared.server
    headers = signing.v3_headers(server.key, "POST", server.endpoint, REGIONS, {}, b"")
    answer = wire.send(server, "POST", "/", headers | {"authorization": value})
    check_error(answer, 400, "IncompleteSignature")


@pytest.mark.parametrize("scheme", ["v1", "v3"])
def test_a_nonce_is_used_once(shared, scheme):
    message = "Specified signature nonce was used already."
    nonce = str(uuid.uuid4())

    def ask():
        if scheme == "v1":
            return wire.ask_v1(shared.server, REGIONS, {}, SignatureNonce=nonce)
        return wire.ask_v3(shared.server, REGIONS, {}, x_acs_signature_nonce=nonce)

    assert ask().status == 200
    check_error(ask(), 400, "SignatureNonceUsed", message)


def test_a_nonce_seen_with_a_wrong_signature_stays_unused(shared):
    """Else anybody could spoil others' calls by guessing what comes next."""
    nonce = str(uuid.uuid4())
    wrong = AccessKey(shared.server.key.id, "not the secret")
    common = signing.v1_common(wrong, REGIONS, SignatureNonce=nonce)
    wire.send_params(shared.server, "POST", signing.v1_signed(wrong, "POST", common))
    assert wire.ask_v1(shared.server, REGIONS, {}, SignatureNonce=nonce).status == 200


@pytest.mark.parametrize("minutes", [-120, -35, 35, 120])
@pytest.mark.parametrize("scheme", ["v1", "v3"])
def test_a_clock_that_is_off(shared, minutes, scheme):
    time = signing.utc_now(minutes * 60)
    if scheme == "v1":
        answer = wire.ask_v1(shared.server, REGIONS, {}, Timestamp=time)
    else:
        answer = wire.ask_v3(shared.server, REGIONS, {}, x_acs_date=time)
    check_error(answer, 400, *EXPIRED)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_a_little_off(shared, minutes):
    time = signing.utc_now(minutes * 60)
    assert wire.ask_v1(shared.server, REGIONS, {}, Timestamp=time).status == 200


@pytest.mark.parametrize("time", ["yesterday", "2016-02-23", "2016-02-30T12:46:24Z", "0"])
def test_a_time_that_is_none(shared, time):
    check_error(
        wire.ask_v1(shared.server, REGIONS, {}, Timestamp=time), 400, "InvalidTimeStamp.Format"
    )


@pytest.mark.parametrize("name", ["AccessKeyId", "Timestamp", "SignatureNonce"])
@pytest.mark.parametrize("fmt", ["JSON", "XML"])
def test_a_mandatory_common_parameter_left_out(shared, name, fmt):
    answer = wire.ask_v1(shared.server, REGIONS, {}, fmt, **{name: None})
    check_error(answer, 400, f"Missing{name}", f"{name} is mandatory for this action.")


def test_no_signature_answers_xml_unless_json_is_asked_for(shared):
    answer = wire.send(shared.server, "GET", "/?Action=DescribeRegions&Version=2014-05-26")
    assert answer.status == 400 and answer.content_type == wire.XML, answer.body
    assert answer.root == "Error"
    answer = wire.send(
        shared.server, "GET", "/?Action=DescribeRegions&Version=2014-05-26&Format=json"
    )
    assert answer.status == 400 and answer.content_type == wire.JSON


def test_nothing_at_all(shared):
    answer = wire.send(shared.server, "GET", "/")
    assert 400 <= answer.status < 500 and answer.content_type == wire.XML
    assert answer.root == "Error"


def test_unsupported_signature_method(shared):
    answer = wire.ask_v1(shared.server, REGIONS, {}, SignatureMethod="HMAC-MD5")
    assert answer.status == 400 and answer.tree["Code"] == "InvalidSignatureMethod", answer.body
