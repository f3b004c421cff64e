"""NBD bound to instances: a certificate opens the disks of its instance and no others."""

import shutil
import signal

import nbd
import pytest

from harness.certificates import Authority
from harness.ecs import Ecs
from harness.tools import tool
from harness.waiting import until


@pytest.fixture
def authority(folder):
    return Authority(folder / "authority")


@pytest.fixture
def cloud(make_server, authority):
    certificate, key = authority.server()
    key.chmod(0o600)
    args = ["--nbd-tls-cert", certificate, "--nbd-tls-key", key]
    args += ["--nbd-instance-certificates", "require"]
    return Ecs(make_server(args=args).start())


@pytest.fixture
def of(cloud, authority, folder):
    """A folder with the certificate of an instance, as libnbd and QEMU look for it."""

    def issue(instance):
        out = folder / instance
        words = ["--out", out, "--server-ca", authority.certificate]
        told = cloud.server.admin("instance", "certificate", instance, *words)
        assert told["instance"] == instance
        assert (out / "client-key.pem").stat().st_mode & 0o777 == 0o600
        return out

    return issue


def uri(cloud, disk, folder):
    return f"nbds://localhost:{cloud.server.nbd_port}/{disk}?tls-certificates={folder}"


def connect(cloud, disk, folder):
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.connect_uri(uri(cloud, disk, folder))
    return handle


def test_an_instance_opens_its_own_disks(cloud, of):
    (mine, disk), (_, other) = cloud.machine(), cloud.machine()
    folder = of(mine)
    handle = connect(cloud, disk, folder)
    handle.pwrite(b"mine" * 1024, 0)
    assert handle.pread(512, 0) == b"mine" * 128
    handle.shutdown()
    with pytest.raises(nbd.Error):
        connect(cloud, other, folder)
    refused = tool("nbdinfo", uri(cloud, other, folder), check=False)
    assert refused.returncode != 0
    listed = tool("nbdinfo", "--list", uri(cloud, "", folder)).stdout
    assert disk in listed and other not in listed


def test_qemu_does_too(cloud, of):
    (mine, disk), (_, other) = cloud.machine(), cloud.machine()
    creds = f"tls-creds-x509,id=tls,endpoint=client,dir={of(mine)}"

    def info(name):
        image = f"driver=nbd,host=localhost,port={cloud.server.nbd_port},tls-creds=tls"
        words = ["--object", creds, "--image-opts", f"{image},export={name}"]
        return tool("qemu-img", "info", *words, check=False)

    done = info(disk)
    assert done.returncode == 0 and "1 GiB" in done.stdout, done.stderr
    assert info(other).returncode != 0


def test_who_shows_nothing_or_something_else_is_refused(cloud, of, authority, folder):
    instance, disk = cloud.machine()
    plain = nbd.NBD()
    with pytest.raises(nbd.Error):
        plain.connect_uri(cloud.server.nbd_uri(disk))
    bare = folder / "bare"
    bare.mkdir()
    shutil.copyfile(authority.certificate, bare / "ca-cert.pem")
    with pytest.raises(nbd.Error):
        connect(cloud, disk, bare)
    certificate, key = authority.client(instance)
    shutil.copyfile(certificate, bare / "client-cert.pem")
    shutil.copyfile(key, bare / "client-key.pem")
    with pytest.raises(nbd.Error):
        connect(cloud, disk, bare)
    connect(cloud, disk, of(instance)).shutdown()
    # The socket in the data directory is the operator's, and asks for nothing.
    tool("nbdinfo", cloud.server.nbd_unix_uri(disk))


def test_detaching_ends_it_and_another_instance_takes_over(cloud, of):
    first, disk = cloud.machine()
    second = cloud.run_instance()
    folders = of(first), of(second)
    handle = connect(cloud, disk, folders[0])
    handle.pwrite(b"left" * 128, 0)
    cloud.detach(disk, first)
    cloud.await_disk(disk, "Available")
    with pytest.raises(nbd.Error):
        handle.pread(512, 0)
    cloud.attach(disk, second)
    cloud.await_disk(disk, "In_use")
    with pytest.raises(nbd.Error):
        connect(cloud, disk, folders[0])
    handle = connect(cloud, disk, folders[1])
    assert handle.pread(512, 0) == b"left" * 128
    handle.shutdown()


def test_the_authority_is_made_once_and_kept(cloud, of):
    instance, disk = cloud.machine()
    folder = of(instance)
    key = cloud.server.data_dir / "instance-ca" / "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    cloud.server.restart()
    connect(cloud, disk, folder).shutdown()


def test_a_new_certificate_of_the_server_is_read_on_sighup(cloud, of, authority, folder):
    instance, disk = cloud.machine()
    trusting = of(instance)
    before = connect(cloud, disk, trusting)
    other = Authority(folder / "other", "another authority")
    for old, new in zip(authority.server(), other.server(), strict=True):
        shutil.copyfile(new, old)
    cloud.server.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificate was read again" in cloud.server.log.text(), "it was read")
    with pytest.raises(nbd.Error):
        connect(cloud, disk, trusting)
    with (trusting / "ca-cert.pem").open("a") as trusted:
        trusted.write(other.certificate.read_text())
    connect(cloud, disk, trusting).shutdown()
    assert before.pread(512, 0) == bytes(512)
    before.shutdown()


def test_what_is_issued(cloud):
    instance = cloud.run_instance()
    told = cloud.server.admin("instance", "certificate", instance, "--days", "2")
    shown = ["-noout", "-subject", "-ext", "subjectAltName,extendedKeyUsage", "-checkend", "86400"]
    text = tool("openssl", "x509", *shown, input=told["certificate"]).stdout
    assert instance in text and f"DNS:{instance}" in text and "Client Authentication" in text
    assert told["key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert "PRIVATE KEY" not in cloud.server.log.text()
    done = cloud.server.admin_result("instance", "certificate", "i-none")
    assert done.returncode != 0 and b"no such instance" in done.stderr
    done = cloud.server.admin_result("instance", "certificate", instance, "--days", "0")
    assert done.returncode != 0


def test_on_two_instances_only_one_is_ended(cloud, of):
    first, second = cloud.run_instance(), cloud.run_instance()
    disk = cloud.create_disk(20, DiskCategory="cloud_essd", MultiAttach="Enabled")
    for instance in (first, second):
        cloud.attach(disk, instance)
    folders = of(first), of(second)
    one, two = (connect(cloud, disk, folder) for folder in folders)
    one.pread(512, 0)
    cloud.stop_instance(first)
    with pytest.raises(nbd.Error):
        one.pread(512, 0)
    assert two.pread(512, 0) == bytes(512)
    two.shutdown()
    with pytest.raises(nbd.Error):
        connect(cloud, disk, folders[0])
    cloud.start_instance(first)
    connect(cloud, disk, folders[0]).shutdown()
