"""The official clients, unmodified, behind one small face, so that one story can be told to all.

Each `call(action, params)` gives the reply as the client parsed it, or raises `ClientError` with
what the client made of the error.
"""

import importlib
import json
import subprocess

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient

from .ecs import REGION
from .paths import ROOT

BRIDGE = ROOT / "tests" / "conformance" / "node" / "bridge.js"


class ClientError(Exception):
    """An error answer, as the client reports it."""

    def __init__(self, status: int, code: str):
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


class V1:
    """aliyun-python-sdk-ecs: signature V1, POST, everything in the query."""

    def __init__(self, server):
        self.server, self.clients = server, {}
        self.client = self.of_region(REGION)

    def of_region(self, region: str) -> AcsClient:
        """A client adds its own region to every call."""
        if region not in self.clients:
            key = self.server.key
            self.clients[region] = AcsClient(key.id, key.secret, region)
            self.clients[region].add_endpoint(region, "Ecs", self.server.endpoint)
        return self.clients[region]

    @staticmethod
    def request(action: str, params: dict):
        module = importlib.import_module(f"aliyunsdkecs.request.v20140526.{action}Request")
        request = getattr(module, f"{action}Request")()
        request.set_protocol_type("http")  # A few ask for HTTPS by themselves.
        for name, value in params.items():
            if name.lower() != "regionid":
                # What may be given several times has a plural of the client's own.
                setter = getattr(request, f"set_{name}", None) or getattr(request, f"set_{name}s")
                setter(value)
        return request

    def call(self, action: str, params: dict) -> dict:
        try:
            client = self.of_region(params.get("RegionId", REGION))
            body = client.do_action_with_exception(self.request(action, params))
        except ServerException as error:
            raise ClientError(error.get_http_status(), error.get_error_code()) from error
        return json.loads(body)

    def call_xml(self, action: str, params: dict) -> tuple[int, dict, bytes]:
        """Status, headers and body of the same call with Format=XML."""
        request = self.request(action, params)
        request.set_accept_format("XML")
        # Where the body is no JSON, an error is a fourth value, for the client can not read it.
        status, headers, body = self.client.get_response(request)[:3]
        return status, headers, body

    def close(self):
        pass


class V3:
    """alibabacloud_ecs20140526: signature ACS3-HMAC-SHA256."""

    def __init__(self, server):
        key = server.key
        self.client = Client(
            Config(
                access_key_id=key.id,
                access_key_secret=key.secret,
                endpoint=server.endpoint,
                protocol="http",
                region_id=REGION,
            )
        )

        self.methods = {name.replace("_", ""): name for name in dir(self.client)}

    def call(self, action: str, params: dict) -> dict:
        request = getattr(models, f"{action}Request")().from_map(params)
        method = getattr(self.client, self.methods[action.lower()])
        try:
            return method(request).body.to_map()
        except AlibabaCloudException as error:
            raise ClientError(error.status_code, error.code) from error

    def close(self):
        pass


class Node:
    """A Node client, in a process that takes calls line by line."""

    def __init__(self, server, kind: str):
        key = server.key
        self.process = subprocess.Popen(
            ["node", BRIDGE, kind, server.endpoint, key.id, key.secret, REGION],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, action: str, params: dict) -> dict:
        self.process.stdin.write(json.dumps({"action": action, "params": params}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the Node client ended; what it said is in the test's output"
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(answer["error"]["status"], answer["error"]["code"])
        return answer["reply"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


CLIENTS = {
    "aliyun-python-sdk-ecs": V1,
    "alibabacloud_ecs20140526": V3,
    "@alicloud/pop-core GET": lambda server: Node(server, "pop-get"),
    "@alicloud/pop-core POST": lambda server: Node(server, "pop-post"),
    "@alicloud/ecs20140526": lambda server: Node(server, "ecs"),
}
