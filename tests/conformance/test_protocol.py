"""The protocol round a call: names, encodings, formats, and requests that are none."""

import contextlib
import http.client
import json
import threading

import pytest

from harness import signing, wire
from harness.ecs import REGION, ZONE
from harness.errors import check_error
from harness.reset import NO_DISK, NO_SNAPSHOT

MISSING = 'The input parameter "{}" that is mandatory for processing this request is not supplied.'
NO_ACTION = "Specified api is not found, please check your url and method."


@pytest.mark.parametrize("fmt", ["JSON", "XML"])
def test_unknown_action(shared, fmt):
    answer = wire.ask_v1(shared.server, "DescribeNothing", {}, fmt)
    check_error(answer, 404, "InvalidAction.NotFound", NO_ACTION)
    assert answer.content_type == (wire.JSON if fmt == "JSON" else wire.XML)


def test_unknown_version(shared):
    answer = wire.ask_v1(shared.server, "DescribeRegions", {}, Version="2014-05-27")
    check_error(answer, 404, "InvalidVersion")
    answer = wire.ask_v3(shared.server, "DescribeRegions", {}, x_acs_version="2014-05-27")
    check_error(answer, 404, "InvalidVersion")


def test_an_action_of_another_version(shared):
    answer = wire.ask_v1(shared.server, "DescribeRegions", {}, Version="2015-04-01")
    assert answer.status == 404, answer.body


@pytest.mark.parametrize(
    ("action", "given", "missing"),
    [
        ("ResetDisk", {"SnapshotId": NO_SNAPSHOT}, "DiskId"),
        ("ResetDisk", {"DiskId": NO_DISK}, "SnapshotId"),
        ("CreateSnapshot", {}, "DiskId"),
        ("DeleteDisk", {}, "DiskId"),
        ("StartInstance", {}, "InstanceId"),
        ("StopInstance", {}, "InstanceId"),
        ("RebootInstance", {}, "InstanceId"),
        ("DeleteInstance", {}, "InstanceId"),
        ("DescribeSnapshots", {"RegionId": None}, "RegionId"),
        ("DescribeInstances", {"RegionId": None}, "RegionId"),
    ],
)
def test_a_mandatory_parameter_left_out_or_empty(shared, action, given, missing):
    message = MISSING.format(missing)
    for params in (given, given | {missing: ""}):
        answer = shared.ask(action, params)
        check_error(answer, 400, "MissingParameter", message)


def test_operations_with_words_of_their_own_for_a_missing_parameter(shared):
    refused = shared.refused
    message = "The regionId should not be null."
    refused(400, "MissingParamter.RegionId", "DescribeDisks", RegionId=None, message=message)
    message = "The input parameter SnapshotId that is mandatory for processing this request is not"
    refused(400, "MissingParameter", "DeleteSnapshot", message=f"{message} supplied.")
    message = "The input parameter is mandatory for processing this request is empty."
    for action in ("AttachDisk", "DetachDisk"):
        refused(400, "InvalidParameter", action, DiskId=NO_DISK, message=message)
        refused(400, "InvalidParameter", action, InstanceId="i-x", message=message)
    for missing, code in [("ResourceType", "ResourceType"), ("ResourceId.1", "ResourceIds")]:
        given = {"ResourceType": "disk", "ResourceId.1": NO_DISK, "Tag.1.Key": "k"}
        del given[missing]
        refused(404, f"MissingParameter.{code}", "TagResources", given)


def test_unknown_parameters_are_ignored(shared):
    shared.call("DescribeRegions", Nonsense="1", OwnerId="x", **{"Tag.1.Nothing": "2"})


def test_names_may_begin_with_a_small_letter(shared):
    answer = wire.ask_v1(shared.server, "DescribeDisks", {"regionId": REGION, "pageSize": "7"})
    assert answer.status == 200, answer.body
    assert answer.tree["PageSize"] == 7


def test_a_parameter_given_twice(shared):
    """In query and form, with two values: which one was meant nobody can tell."""
    server = shared.server
    everything = signing.v1_common(server.key, "DescribeDisks") | {"RegionId": REGION}
    signed = signing.v1_signed(server.key, "POST", everything)
    body = signing.form({"RegionId": "cn-beijing"}).encode()
    answer = wire.send(server, "POST", f"/?{signing.form(signed)}", wire.FORM, body)
    assert 400 <= answer.status < 500, answer.body
    assert answer.content_type == wire.JSON


@pytest.mark.parametrize("broken", ["%", "%4", "%zz", "%ff%fe"])
@pytest.mark.parametrize("place", ["query", "form"])
def test_a_malformed_escape(shared, broken, place):
    text = f"Action=DescribeRegions&Format=JSON&AcceptLanguage={broken}"
    if place == "query":
        answer = wire.send(shared.server, "POST", f"/?{text}")
    else:
        answer = wire.send(shared.server, "POST", "/", wire.FORM, text.encode())
    assert answer.status == 400, answer.body
    assert answer.tree["Code"] and answer.tree["RequestId"]


def test_a_body_over_a_mebibyte(shared):
    body = b"Format=JSON&Filler=" + b"x" * (1 << 20)
    connection = http.client.HTTPConnection(shared.server.host, shared.server.port, timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("content-length", str(len(body)))
    connection.putheader(*next(iter(wire.FORM.items())))
    connection.endheaders()
    with contextlib.suppress(ConnectionError):
        connection.send(body)  # The server need not read it all before it answers.
    assert connection.getresponse().status in (400, 413)
    connection.close()
    shared.call("DescribeRegions")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_other_methods(shared, method):
    answer = wire.send(shared.server, method, "/?Action=DescribeRegions&Format=JSON")
    assert answer.status in (400, 403, 405), answer.status
    if method != "HEAD":
        assert answer.tree["Code"] == "UnsupportedHTTPMethod"


def test_health(shared):
    assert wire.send(shared.server, "GET", "/healthz").status == 200


def test_other_paths(shared):
    assert wire.send(shared.server, "GET", "/nothing/here").status == 404


@pytest.mark.parametrize("fmt", ["json", "JSON", "Json", "xml", "XML"])
def test_format_is_case_insensitive(shared, fmt):
    answer = wire.ask_v1(shared.server, "DescribeRegions", {}, fmt)
    assert answer.status == 200
    assert answer.content_type == (wire.JSON if fmt.lower() == "json" else wire.XML)


def test_xml_is_the_default(shared):
    answer = wire.ask_v1(shared.server, "DescribeRegions", {}, fmt=None)
    assert (answer.status, answer.content_type) == (200, wire.XML)


def test_both_formats_say_the_same(shared):
    """Every value of the JSON reply is in the XML reply, in the same place."""
    disk = shared.create_disk(DiskName="both-formats", Description="<b>&\"c' é ß 漢字")
    given = {"RegionId": REGION, "DiskIds": json.dumps([disk])}
    as_json = wire.ask_v1(shared.server, "DescribeDisks", given)
    as_xml = wire.ask_v1(shared.server, "DescribeDisks", given, "XML")
    assert as_xml.root == "DescribeDisksResponse"
    expected, found = as_json.tree["Disks"]["Disk"][0], as_xml.tree["Disks"]["Disk"]
    assert set(expected) == set(found)
    for name, value in expected.items():
        if not isinstance(value, (dict, list)):
            text = json.dumps(value) if isinstance(value, (bool, int)) else value
            assert found[name] == text, name
    assert expected["Tags"] == {"Tag": []}
    assert found["Tags"] in ("", {"Tag": []})


def test_values_that_are_hard_to_carry(shared):
    name = "n" * 126 + "漢字"
    for description in ["a b*c~d/é+&=", '100% \\ "quoted"', "<tag/>", "emoji \U0001f40b"]:
        disk = shared.create_disk(DiskName=name, Description=description)
        for found in (shared.disk(disk), *wire_v3_disks(shared, disk)):
            assert (found["DiskName"], found["Description"]) == (name, description)


def wire_v3_disks(shared, disk):
    given = {"RegionId": REGION, "DiskIds": json.dumps([disk])}
    return wire.ask_v3(shared.server, "DescribeDisks", given).tree["Disks"]["Disk"]


def test_a_v3_form_body(shared):
    """A V3 client may send parameters in a form; its hash covers them."""
    server = shared.server
    body = signing.form({"RegionId": REGION, "ZoneId": ZONE}).encode()
    headers = signing.v3_headers(server.key, "POST", server.endpoint, "DescribeDisks", {}, body)
    answer = wire.send(server, "POST", "/", headers | wire.FORM, body)
    assert answer.status == 200, answer.body


def test_booleans_in_any_case_and_nothing_else(shared):
    for value in ("true", "True", "FALSE"):
        shared.call("DescribeDisks", Portable=value)
    for value in ("yes", "1", "tru"):
        answer = shared.ask("DescribeDisks", Portable=value)
        assert answer.status == 400, (value, answer.body)


def test_connections_are_kept(shared):
    """Several calls on one connection, as clients with pools make them."""
    server = shared.server
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    for _ in range(5):
        params = signing.v1_common(server.key, "DescribeRegions")
        query = signing.form(signing.v1_signed(server.key, "GET", params))
        connection.request("GET", f"/?{query}")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
    connection.close()


def test_many_at_once(shared):
    failures = []

    def ask():
        try:
            shared.call("DescribeRegions")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
