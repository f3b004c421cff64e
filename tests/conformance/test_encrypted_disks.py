"""Encrypted disks: what is encrypted with what, and what becomes of it with its key."""

import json

import pytest

from harness import blocks
from harness.clients import ClientError
from harness.ecs import ZONE, Ecs
from harness.official import kms

TAG = json.dumps([{"TagKey": "acs:ecs:disk-encryption", "TagValue": "true"}])
KEY = "InvalidParameter.KMSKeyId"
NEW = {"ZoneId": ZONE, "DiskCategory": "cloud_essd", "PerformanceLevel": "PL0", "Size": 1}
SECRET = b"what nobody else may read: " + bytes(range(256)) * 15


@pytest.fixture
def keys(server):
    return kms(server)


def new_key(keys, tags=TAG) -> str:
    return keys("CreateKey", Tags=tags)["KeyMetadata"]["KeyId"]


def encrypted(ecs, key=None) -> str:
    more = {"KMSKeyId": key} if key else {}
    return ecs.create_disk(1, Encrypted=True, **more)


def stopped(ecs, key) -> tuple[str, str, str]:
    """A stopped instance with an encrypted disk, and a snapshot of the disk."""
    instance, disk = ecs.run_instance(), encrypted(ecs, key)
    ecs.attach(disk, instance)
    blocks.write(ecs.server, disk, 0, SECRET)
    snapshot = ecs.create_snapshot(disk)
    blocks.write(ecs.server, disk, 0, bytes(len(SECRET)))
    ecs.stop_instance(instance)
    return instance, disk, snapshot


def everything_in(folder) -> bytes:
    files = (path for path in folder.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in sorted(files))


def test_a_disk_goes_back_and_nothing_of_it_is_readable_below(ecs, keys):
    key = new_key(keys)
    instance, disk, snapshot = stopped(ecs, key)
    for shown in (ecs.disk(disk), ecs.snapshot(snapshot)):
        assert (shown["Encrypted"], shown["KMSKeyId"]) == (True, key)
    plain = ecs.create_disk(1)
    assert not ecs.disk(plain)["Encrypted"] and ecs.disk(plain)["KMSKeyId"] == ""
    assert [one["DiskId"] for one in ecs.disks(Encrypted=True)] == [disk]
    assert [one["DiskId"] for one in ecs.disks(KMSKeyId=key)] == [disk]
    assert disk not in [one["DiskId"] for one in ecs.disks(Encrypted=False)]
    assert [one["SnapshotId"] for one in ecs.snapshots(KMSKeyId=key)] == [snapshot]
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    assert blocks.read(ecs.server, disk, 0, len(SECRET)) == SECRET
    assert blocks.read(ecs.server, disk, 4096, 4096) == bytes(4096)
    # Also what is written in part of a block, and after kill -9.
    blocks.write(ecs.server, disk, 100, b"and this too")
    ecs.server.kill()
    ecs.server.start()
    assert blocks.read(ecs.server, disk, 100, 12) == b"and this too"
    assert blocks.read(ecs.server, disk, 0, 100) == SECRET[:100]
    ecs.server.stop()
    stored = everything_in(ecs.server.data_dir)
    assert SECRET[:27] not in stored and b"and this too" not in stored
    ecs.server.start()


def test_what_is_made_of_an_encrypted_disk_has_its_key(ecs, keys):
    key, other = new_key(keys), new_key(keys)
    instance, disk, snapshot = stopped(ecs, key)
    mismatch = (400, "InvalidEncrypted.NotMatchSnapshot", "CreateDisk")
    ecs.refused(*mismatch, NEW | {"SnapshotId": snapshot, "Encrypted": False})
    again = {"SnapshotId": snapshot, "Encrypted": True}
    ecs.refused(*mismatch, NEW | again | {"KMSKeyId": other})
    made = ecs.create_disk(1, SnapshotId=snapshot)
    assert ecs.disk(made)["KMSKeyId"] == key
    ecs.attach(made, instance)
    ecs.start_instance(instance)
    assert blocks.read(ecs.server, made, 0, len(SECRET)) == SECRET
    # It is empty again after ReInitDisk, and still encrypted; its snapshots are too.
    ecs.stop_instance(instance)
    ecs.call("ReInitDisk", DiskId=disk)
    ecs.await_disk(disk, "In_use")
    ecs.start_instance(instance)
    assert blocks.read(ecs.server, disk, 0, 4096) == bytes(4096)
    blocks.write(ecs.server, disk, 0, SECRET)
    assert ecs.snapshot(ecs.create_snapshot(disk))["KMSKeyId"] == key
    # A plain snapshot does not become an encrypted disk by itself.
    plain = ecs.create_disk(1)
    ecs.attach(plain, instance)
    blocks.write(ecs.server, plain, 0, SECRET)
    plain = ecs.create_snapshot(plain)
    ecs.refused(*mismatch, NEW | {"SnapshotId": plain, "Encrypted": True})
    code = "InvalidEncrypted.NotMatchKmsKeyId"
    ecs.refused(400, code, "CreateDisk", NEW | {"KMSKeyId": key})


def test_reset_asks_for_the_key_in_the_order_of_the_table(ecs, keys):
    key = new_key(keys)
    instance, disk, snapshot = stopped(ecs, key)
    both = {"DiskId": disk, "SnapshotId": snapshot}
    server = ecs.server
    # From the last row to the first, each over those behind it.
    server.admin("kms", "revoke-service")
    ecs.refused(403, f"{KEY}.KMSUnauthorized", "ResetDisk", both)
    keys("UntagResource", KeyId=key, TagKeys='["acs:ecs:disk-encryption"]')
    ecs.refused(403, f"{KEY}.CMKUnauthorized", "ResetDisk", both)
    keys("DisableKey", KeyId=key)
    ecs.refused(403, f"{KEY}.CMKNotEnabled", "ResetDisk", both)
    keys("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    ecs.refused(403, f"{KEY}.CMKNotEnabled", "ResetDisk", both)
    ecs.refused(403, f"{KEY}.CMKNotEnabled", "StartInstance", InstanceId=instance)
    ecs.refused(403, f"{KEY}.CMKNotEnabled", "ReInitDisk", DiskId=disk)
    ecs.call("DetachDisk", DiskId=disk, InstanceId=instance)
    ecs.await_disk(disk, "Available")
    attach = {"DiskId": disk, "InstanceId": instance}
    ecs.refused(403, f"{KEY}.CMKNotEnabled", "AttachDisk", attach)
    for refused in ({"KMSKeyId": key}, {"SnapshotId": snapshot}):
        code = f"{KEY}.CMKNotEnabled"
        ecs.refused(403, code, "CreateDisk", NEW | {"Encrypted": True} | refused)
    # And back again: nothing was changed by being refused.
    keys("CancelKeyDeletion", KeyId=key)
    keys("TagResource", KeyId=key, Tags=TAG)
    server.admin("kms", "grant-service")
    ecs.attach(disk, instance)
    ecs.reset(disk, snapshot)
    ecs.start_instance(instance)
    assert blocks.read(server, disk, 0, len(SECRET)) == SECRET
    # Destroyed, the key is gone for good, and so is what it encrypted.
    ecs.stop_instance(instance)
    server.admin("kms", "destroy-key", key)
    ecs.refused(404, f"{KEY}.NotFound", "ResetDisk", both)
    ecs.refused(403, f"{KEY}.NotFound", "StartInstance", InstanceId=instance)
    ecs.call("DetachDisk", DiskId=disk, InstanceId=instance)
    ecs.await_disk(disk, "Available")
    ecs.call("DeleteDisk", DiskId=disk)
    ecs.call("DeleteSnapshot", SnapshotId=snapshot)


def test_what_is_attached_goes_on_without_its_key(ecs, keys):
    key = new_key(keys)
    instance, disk = ecs.run_instance(), encrypted(ecs, key)
    ecs.attach(disk, instance)
    with blocks.export(ecs.server, disk) as handle:
        handle.pwrite(SECRET, 0)
        keys("DisableKey", KeyId=key)
        handle.pwrite(SECRET, 8192)
        handle.flush()
        assert handle.pread(len(SECRET), 0) == SECRET
    # Over a crash as well: nobody has detached it.
    ecs.server.kill()
    ecs.server.start()
    assert blocks.read(ecs.server, disk, 8192, len(SECRET)) == SECRET
    # A server starts also where the key is gone; the disk does not answer then.
    ecs.server.admin("kms", "destroy-key", key)
    ecs.server.restart()
    assert ecs.disk(disk)["Status"] == "In_use"
    with pytest.raises(Exception, match="export|not found|No such"):
        blocks.read(ecs.server, disk, 0, 4096)


def test_the_key_is_named_in_many_ways_or_not_at_all(ecs, keys):
    key = new_key(keys)
    keys("CreateAlias", KeyId=key, AliasName="alias/disks")
    arn = keys("DescribeKey", KeyId=key)["KeyMetadata"]["Arn"]
    for name in (key, arn, "alias/disks"):
        assert ecs.disk(encrypted(ecs, name))["KMSKeyId"] == key
    # The service's own, made when it is first needed, with the tag that it needs.
    service = ecs.disk(encrypted(ecs))["KMSKeyId"]
    assert service == ecs.call("DescribeDiskDefaultKMSKeyId")["KMSKeyId"] != key
    shown = keys("DescribeKey", KeyId="alias/acs/ecs")["KeyMetadata"]
    assert (shown["KeyId"], shown["Creator"]) == (service, "Ecs")
    ecs.call("ModifyDiskDefaultKMSKeyId", KMSKeyId=key)
    assert ecs.disk(encrypted(ecs))["KMSKeyId"] == key
    ecs.call("ResetDiskDefaultKMSKeyId")
    assert ecs.disk(encrypted(ecs))["KMSKeyId"] == service
    for wrong in ("no-such-key", "alias/none", arn.replace(":key/", ":key/0")):
        made = NEW | {"Encrypted": True, "KMSKeyId": wrong}
        ecs.refused(404, f"{KEY}.NotFound", "CreateDisk", made)
    untagged = new_key(keys, tags=None)
    made = NEW | {"Encrypted": True, "KMSKeyId": untagged}
    ecs.refused(403, f"{KEY}.CMKUnauthorized", "CreateDisk", made)
    # Another account's key is none.
    other = Ecs(ecs.server, ecs.server.new_account())
    other.refused(404, f"{KEY}.NotFound", "CreateDisk", NEW | {"Encrypted": True, "KMSKeyId": key})
    with pytest.raises(ClientError) as error:
        kms(ecs.server, other.key)("DescribeKey", KeyId=key)
    assert (error.value.status, error.value.code) == (404, "Forbidden.KeyNotFound")


def test_an_account_may_encrypt_by_default(ecs):
    ecs.call("EnableDiskEncryptionByDefault")
    code = "InvalidEncrypted.DefaultEncryptionUnsupported"
    ecs.refused(403, code, "CreateDisk", NEW | {"Encrypted": False})
    disk = ecs.create_disk(1)
    shown = ecs.disk(disk)
    assert shown["Encrypted"]
    assert shown["KMSKeyId"] == ecs.call("DescribeDiskDefaultKMSKeyId")["KMSKeyId"]
    # The same token again is the same disk, and no other key.
    made = NEW | {"ClientToken": "once"}
    first = ecs.call("CreateDisk", made)["DiskId"]
    assert ecs.call("CreateDisk", made)["DiskId"] == first
    clone = {"DiskCategory": "cloud_essd", "PerformanceLevel": "PL0", "Size": 1}
    ecs.call("CloneDisks", clone | {"SourceDiskId": disk, "MultiAttach": "Disabled"})
    assert all(one["Encrypted"] for one in ecs.disks())


def test_a_data_key_is_shredded_with_the_last_that_has_it(ecs, keys):
    key = new_key(keys)
    instance, disk, snapshot = stopped(ecs, key)
    ecs.detach(disk, instance)
    database = ecs.server.data_dir / "ebbtide.db"
    [wrapped] = data_keys(ecs.server)
    ecs.call("DeleteDisk", DiskId=disk)
    ecs.server.restart()
    assert data_keys(ecs.server) == [wrapped]
    ecs.call("DeleteSnapshot", SnapshotId=snapshot)
    ecs.server.restart()
    assert data_keys(ecs.server) == []
    ecs.server.stop()
    assert wrapped not in database.read_bytes()
    ecs.server.start()


def data_keys(server) -> list[bytes]:
    import sqlite3

    with sqlite3.connect(f"file:{server.data_dir / 'ebbtide.db'}?mode=ro", uri=True) as database:
        return [row[0] for row in database.execute("SELECT wrapped FROM data_keys")]


def test_what_is_encrypted_stays_in_the_pool(ecs, keys):
    key = new_key(keys)
    _, disk, snapshot = stopped(ecs, key)
    (ecs.server.data_dir / "oss" / "bucket").mkdir(parents=True)
    export = {"SnapshotId": snapshot, "OssBucket": "bucket"}
    ecs.refused(403, "ExportSnapshotFailed", "ExportSnapshot", export)
    image = ["--disk", disk, "--file", "-", "--created-at", "2026-01-01T00:00:00Z"]
    done = ecs.server.admin_result("snapshot", "import", *image, stdin=b"x" * 4096)
    assert done.returncode != 0 and b"encrypted" in done.stderr


def test_copies_are_encrypted_and_keep_their_disk(ecs, keys):
    key, other = new_key(keys), new_key(keys)
    instance, disk = ecs.machine()
    blocks.write(ecs.server, disk, 0, SECRET)
    plain = ecs.create_snapshot(disk)
    names = {"DestinationSnapshotName": "copy", "DestinationSnapshotDescription": "of it"}
    copy = {"SnapshotId": plain, "DestinationRegionId": "cn-hangzhou"} | names
    code = "InvalidOperation.NotSupportCopyInSameRegion"
    ecs.refused(403, code, "CopySnapshot", copy)
    wrong = copy | {"Encrypted": True, "KMSKeyId": "no-such-key"}
    ecs.refused(403, f"{KEY}.NotFound", "CopySnapshot", wrong)
    once = copy | {"Encrypted": True, "KMSKeyId": key, "ClientToken": "once"}
    sealed = ecs.call("CopySnapshot", once)["SnapshotId"]
    assert ecs.call("CopySnapshot", once)["SnapshotId"] == sealed
    ecs.await_snapshot(sealed)
    shown = ecs.snapshot(sealed)
    assert (shown["Encrypted"], shown["KMSKeyId"]) == (True, key)
    assert shown["SourceDiskId"] == disk
    # An encrypted snapshot meets its plain disk.
    ecs.stop_instance(instance)
    both = {"DiskId": disk, "SnapshotId": sealed}
    ecs.refused(403, "InvalidParameter.Mismatch", "ResetDisk", both)
    # The way from plain to encrypted, and to another key.
    again = {"SnapshotId": sealed, "Encrypted": True, "KMSKeyId": other}
    rekeyed = ecs.call("CopySnapshot", copy | again)["SnapshotId"]
    ecs.await_snapshot(rekeyed)
    for snapshot, by in ((sealed, key), (rekeyed, other)):
        made = ecs.create_disk(1, SnapshotId=snapshot)
        assert ecs.disk(made)["KMSKeyId"] == by
        ecs.attach(made, instance)
    ecs.start_instance(instance)
    for made in ecs.disks(Encrypted=True):
        assert blocks.read(ecs.server, made["DiskId"], 0, len(SECRET)) == SECRET
    # The first key is not needed for what has the other.
    keys("DisableKey", KeyId=key)
    ecs.stop_instance(instance)
    ecs.refused(403, f"{KEY}.CMKNotEnabled", "StartInstance", InstanceId=instance)
    [first] = ecs.disks(KMSKeyId=key)
    ecs.detach(first["DiskId"], instance)
    ecs.start_instance(instance)
