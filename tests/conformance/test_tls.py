"""The API over HTTPS: the official clients, with an authority of one's own, and new certificates
while the server runs.
"""

import http.client
import json
import shutil
import signal
import socket
import ssl

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.client import AcsClient
from aliyunsdkecs.request.v20140526.DescribeRegionsRequest import DescribeRegionsRequest
from aliyunsdkecs.request.v20140526.LockSnapshotRequest import LockSnapshotRequest

from harness.certificates import Authority
from harness.ecs import REGION
from harness.paths import server_binary
from harness.tools import tool
from harness.waiting import until


@pytest.fixture
def authority(folder):
    return Authority(folder / "authority")


@pytest.fixture
def served(make_server, authority, folder):
    """A server with a certificate of the authority, and where the pair is."""
    pair = folder / "api.crt", folder / "api.key"
    for made, place in zip(authority.server(), pair, strict=True):
        shutil.copyfile(made, place)
        place.chmod(0o600)
    server = make_server(args=["--tls-cert", pair[0], "--tls-key", pair[1]])
    return server.start(), pair


def v1_call(server, request, trusted):
    key = server.key
    client = AcsClient(key.id, key.secret, REGION, verify=str(trusted))
    request.set_protocol_type("https")
    request.set_accept_format("json")
    request.set_endpoint(f"localhost:{server.port}")
    return json.loads(client.do_action_with_exception(request))


def v3_client(server, trusted):
    key = server.key
    return Client(
        Config(
            access_key_id=key.id,
            access_key_secret=key.secret,
            endpoint=f"localhost:{server.port}",
            protocol="https",
            ca=str(trusted),
            region_id=REGION,
        )
    )


def subject(server, trusted) -> bytes:
    """The certificate that a new connection sees."""
    context = ssl.create_default_context(cafile=trusted)
    with (
        socket.create_connection((server.host, server.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.getpeercert(binary_form=True)


def test_the_older_client(served, authority):
    server, _ = served
    reply = v1_call(server, DescribeRegionsRequest(), authority.certificate)
    assert [region["RegionId"] for region in reply["Regions"]["Region"]] == [REGION]
    # It asks for HTTPS by itself for this one.
    assert LockSnapshotRequest().get_protocol_type() == "https"


def test_the_newer_client(served, authority):
    server, _ = served
    client = v3_client(server, authority.certificate)
    reply = client.describe_regions(models.DescribeRegionsRequest()).body.to_map()
    assert [region["RegionId"] for region in reply["Regions"]["Region"]] == [REGION]


def test_neither_trusts_another_authority(served, folder):
    server, _ = served
    other = Authority(folder / "other").certificate
    with pytest.raises(Exception, match=r"(?i)certificate|ssl"):
        v1_call(server, DescribeRegionsRequest(), other)
    with pytest.raises(Exception, match=r"(?i)certificate|ssl"):
        v3_client(server, other).describe_regions(models.DescribeRegionsRequest())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_and_a_connection_that_is_kept(served, authority, version):
    server, _ = served
    context = ssl.create_default_context(cafile=authority.certificate)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    link = http.client.HTTPSConnection("localhost", server.port, timeout=20, context=context)
    for _ in range(3):
        link.request("GET", "/healthz")
        assert link.getresponse().read() == b"ok\n"
    assert link.sock.version() == version.name.replace("_", ".")
    assert link.sock.selected_alpn_protocol() == "http/1.1"
    link.close()


def test_a_new_certificate_is_read_on_sighup(served, authority):
    server, (certificate, key) = served
    before = subject(server, authority.certificate)
    for made, place in zip(authority.server("second"), (certificate, key), strict=True):
        shutil.copyfile(made, place)
    assert subject(server, authority.certificate) == before
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificate was read again" in server.log.text(), "it was read")
    after = subject(server, authority.certificate)
    assert after != before
    certificate.write_text("no certificate")
    server.log.expect(rf"ERROR.*the former certificate stays in use.*{certificate}")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "the former certificate stays in use" in server.log.text(), "it was refused")
    assert subject(server, authority.certificate) == after


def test_a_server_does_not_start_with_a_certificate_that_is_none(make_server, authority, folder):
    certificate, key = authority.server()
    other = Authority(folder / "other").server()[1]
    for args, why in [
        (["--tls-cert", certificate], "needs both --tls-cert and --tls-key"),
        (["--tls-cert", certificate, "--tls-key", folder / "none"], "cannot read"),
        (["--tls-cert", certificate, "--tls-key", other], f"from {certificate} and {other}"),
        (["--tls-cert", key, "--tls-key", key], "no certificate"),
    ]:
        server = make_server(name=f"not-{len(why)}", args=args)
        server.log.expect(".*")
        server.refuses_to_start(why)


def test_a_key_that_anybody_can_read_is_warned_about(make_server, authority):
    certificate, key = authority.server()
    key.chmod(0o644)
    server = make_server(args=["--tls-cert", certificate, "--tls-key", key])
    server.log.expect(rf"WARN.*anybody on this machine can read a TLS key.*{key}")
    server.start()
    assert "can read a TLS key" in server.log.text()


def test_ebb_call(served, authority, folder):
    server, _ = served
    endpoint = f"https://localhost:{server.port}"

    def call(*more):
        words = ["call", "--data-dir", server.data_dir, "--endpoint", endpoint, *more]
        return tool(server_binary(), *words, "DescribeRegions", check=False)

    done = call("--ca", authority.certificate)
    assert done.returncode == 0 and REGION in done.stdout, done.stderr
    assert "needs an authority to trust: --ca" in call().stderr
    other = Authority(folder / "other").certificate
    assert "invalid peer certificate" in call("--ca", other).stderr
    assert "cannot use" in call("--ca", server.credentials).stderr


def test_plain_http_is_closed_and_the_log_says_why(served):
    server, _ = served
    with socket.create_connection((server.host, server.port), timeout=20) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert plain.recv(100) == b""
    until(lambda: "use https://" in server.log.text(), "the log says it")
