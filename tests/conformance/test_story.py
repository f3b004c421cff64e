"""The main story, told to every official client unmodified: a disk goes back to its snapshot."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from harness import blocks
from harness.clients import CLIENTS, V1, ClientError
from harness.ecs import IMAGE, INSTANCE_TYPE, REGION, ZONE
from harness.waiting import until

GOOD = blocks.noise("good", 3 * blocks.MIB)
DESCRIPTION = "a disk: spaces, ~ and * and + and é"
RUIN = blocks.noise("ruin", 4 * blocks.MIB)


@pytest.fixture(params=CLIENTS)
def client(request, server):
    client = CLIENTS[request.param](server)
    yield client
    client.close()


def described(client, action, kind, ids_name, id_):
    """The one entry that a Describe call finds by id."""
    reply = client.call(action, {"RegionId": REGION, ids_name: json.dumps([id_])})
    entries = reply[f"{kind}s"][kind]
    assert len(entries) == 1, entries
    return entries[0]


def await_status(client, action, kind, ids_name, id_, status):
    def there():
        return described(client, action, kind, ids_name, id_)["Status"] == status

    until(there, f"{id_} is {status}")


def await_instance(client, instance, status):
    await_status(client, "DescribeInstances", "Instance", "InstanceIds", instance, status)


def await_disk(client, disk, status):
    await_status(client, "DescribeDisks", "Disk", "DiskIds", disk, status)


def refused(client, status, code, action, params):
    with pytest.raises(ClientError) as caught:
        client.call(action, params)
    assert (caught.value.status, caught.value.code) == (status, code)


def machine(client):
    """A Running instance, and a disk attached to it."""
    reply = client.call(
        "RunInstances",
        {
            "RegionId": REGION,
            "ZoneId": ZONE,
            "ImageId": IMAGE,
            "InstanceType": INSTANCE_TYPE,
            "InstanceName": "story",
            "Amount": 1,
        },
    )
    (instance,) = reply["InstanceIdSets"]["InstanceIdSet"]
    await_instance(client, instance, "Running")
    disk = client.call(
        "CreateDisk",
        {
            "RegionId": REGION,
            "ZoneId": ZONE,
            "DiskName": "story-disk",
            "Description": DESCRIPTION,
            "Size": 20,
            "DiskCategory": "cloud_essd",
        },
    )["DiskId"]
    await_disk(client, disk, "Available")
    client.call("AttachDisk", {"InstanceId": instance, "DiskId": disk})
    await_disk(client, disk, "In_use")
    return instance, disk


def test_a_disk_goes_back_to_its_snapshot(client, server):
    instance, disk = machine(client)
    shown = described(client, "DescribeDisks", "Disk", "DiskIds", disk)
    assert (shown["DiskName"], shown["Description"]) == ("story-disk", DESCRIPTION)
    assert (shown["Size"], shown["InstanceId"]) == (20, instance)

    blocks.write(server, disk, 0, GOOD)
    snapshot = client.call("CreateSnapshot", {"DiskId": disk})["SnapshotId"]
    await_status(client, "DescribeSnapshots", "Snapshot", "SnapshotIds", snapshot, "accomplished")
    blocks.write(server, disk, 0, RUIN)

    reset = {"DiskId": disk, "SnapshotId": snapshot}
    refused(client, 403, "IncorrectInstanceStatus", "ResetDisk", reset)
    client.call("StopInstance", {"InstanceId": instance})
    await_instance(client, instance, "Stopped")
    refused(client, 400, "DryRunOperation", "ResetDisk", reset | {"DryRun": True})
    client.call("ResetDisk", reset)
    await_disk(client, disk, "In_use")
    client.call("StartInstance", {"InstanceId": instance})
    await_instance(client, instance, "Running")

    assert blocks.read(server, disk, 0, len(GOOD)) == GOOD
    assert blocks.read(server, disk, len(GOOD), blocks.MIB) == bytes(blocks.MIB)


def test_a_dry_run_changes_nothing(client, server):
    instance, disk = machine(client)
    snapshot = client.call("CreateSnapshot", {"DiskId": disk})["SnapshotId"]
    await_status(client, "DescribeSnapshots", "Snapshot", "SnapshotIds", snapshot, "accomplished")
    blocks.write(server, disk, 0, RUIN)
    client.call("StopInstance", {"InstanceId": instance})
    await_instance(client, instance, "Stopped")
    reset = {"DiskId": disk, "SnapshotId": snapshot, "DryRun": True}
    refused(client, 400, "DryRunOperation", "ResetDisk", reset)
    client.call("StartInstance", {"InstanceId": instance})
    await_instance(client, instance, "Running")
    assert blocks.read(server, disk, 0, len(RUIN)) == RUIN


def test_the_v1_client_gets_xml_when_it_asks_for_it(server):
    client = V1(server)
    instance, disk = machine(client)
    status, headers, body = client.call_xml("DescribeDisks", {"DiskIds": json.dumps([disk])})
    assert status == 200
    assert headers["content-type"] == "text/xml;charset=utf-8"
    reply = ElementTree.fromstring(body)
    assert reply.tag == "DescribeDisksResponse"
    assert [found.text for found in reply.findall("Disks/Disk/DiskId")] == [disk]
    assert reply.find("Disks/Disk/InstanceId").text == instance

    status, headers, body = client.call_xml(
        "ResetDisk", {"DiskId": disk, "SnapshotId": "s-bp1nosuchsnapshot0000"}
    )
    assert status == 403
    assert headers["content-type"] == "text/xml;charset=utf-8"
    error = ElementTree.fromstring(body)
    assert error.tag == "Error"
    assert error.findtext("Code") == "IncorrectInstanceStatus"
