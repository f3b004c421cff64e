"""The official clients of RAM, STS and KMS, unmodified, each as any account or user."""

import importlib
import re

from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config

from .clients import ClientError
from .ecs import REGION


class Official:
    """One client of one product. `key` may have a token."""

    def __init__(self, server, product: str, key=None, token=None):
        self.models = importlib.import_module(f"{product}.models")
        self.module = importlib.import_module(f"{product}.client")
        self.server, self.key, self.token = server, key or server.key, token

    @property
    def client(self):
        """A new one each time: a server that starts again has another port."""
        config = Config(
            access_key_id=self.key.id,
            access_key_secret=self.key.secret,
            security_token=self.token,
            endpoint=self.server.endpoint,
            region_id=REGION,
            protocol="http",
        )
        return self.module.Client(config)

    def __call__(self, action: str, **params) -> dict:
        request = getattr(self.models, f"{action}Request", None)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
        try:
            if request is None:
                reply = getattr(self.client, name)()
            else:
                reply = getattr(self.client, name)(request().from_map(params))
        except AlibabaCloudException as error:
            raise ClientError(error.statusCode, error.code) from error
        assert reply.status_code == 200
        return reply.body.to_map()


def ram(server, key=None, token=None) -> Official:
    return Official(server, "alibabacloud_ram20150501", key, token)


def sts(server, key=None, token=None) -> Official:
    return Official(server, "alibabacloud_sts20150401", key, token)


def kms(server, key=None, token=None) -> Official:
    return Official(server, "alibabacloud_kms20160120", key, token)
