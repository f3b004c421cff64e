"""DescribeEndpoints of the Location service: the older SDKs ask it for regions they do not know."""

import json

import pytest
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.endpoint.location.DescribeEndpointsRequest import DescribeEndpointsRequest
from aliyunsdkecs.request.v20140526.DescribeRegionsRequest import DescribeRegionsRequest

from harness import wire
from harness.errors import check_error

VERSION = "2015-06-12"


def ask(ecs, **params):
    return wire.ask_v1(ecs.server, "DescribeEndpoints", params, Version=VERSION)


def test_it_answers_with_the_name_it_was_asked_by(shared):
    answer = ask(shared, Id="cn-hangzhou", ServiceCode="ecs", Type="openAPI")
    assert answer.status == 200
    reply = answer.tree
    assert reply["Success"] is True
    (endpoint,) = reply["Endpoints"]["Endpoint"]
    host = shared.server.endpoint
    assert (endpoint["Endpoint"], endpoint["SerivceCode"], endpoint["Id"]) == (
        host,
        "ecs",
        "cn-hangzhou",
    )
    assert endpoint["Protocols"]["Protocols"] == ["HTTP"]
    services = ask(shared, Id="cn-hangzhou").tree["Endpoints"]["Endpoint"]
    assert [each["SerivceCode"] for each in services] == ["ecs", "sts"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Id": "cn-nowhere", "ServiceCode": "ecs"}, "InvalidRegionId"),
        ({"Id": "cn-hangzhou", "ServiceCode": "rds"}, "Illegal Parameter"),
        ({"Id": "cn-hangzhou", "ServiceCode": "ecs", "Type": "innerAPI"}, "Illegal Parameter"),
    ],
)
def test_what_it_refuses(shared, params, code):
    check_error(ask(shared, **params), 400, code)


def test_an_sdk_finds_the_server_by_it(shared):
    """The request as the SDK's resolver makes it; that one insists on TLS."""
    key = shared.server.key
    client = AcsClient(key.id, key.secret, "cn-hangzhou")
    request = DescribeEndpointsRequest()
    request.set_protocol_type("http")
    request.set_accept_format("json")
    request.set_Id("cn-hangzhou")
    request.set_ServiceCode("ecs")
    request.set_Type("openAPI")
    request.endpoint = shared.server.endpoint
    reply = json.loads(client.do_action_with_exception(request))
    regions = DescribeRegionsRequest()
    regions.set_endpoint(reply["Endpoints"]["Endpoint"][0]["Endpoint"])
    assert b"cn-hangzhou" in client.do_action_with_exception(regions)
