"""JoinResourceGroup."""

import pytest

from harness.reset import NO_DISK


def join(ecs, kind, resource, group, **more):
    given = {"ResourceType": kind, "ResourceId": resource, "ResourceGroupId": group} | more
    ecs.call("JoinResourceGroup", given)


def test_every_kind(shared):
    instance, disk = shared.machine()
    snapshot = shared.create_snapshot(disk, ResourceGroupId="rg-before")
    looks = [
        ("disk", disk, lambda: shared.disk(disk)),
        ("snapshot", snapshot, lambda: shared.snapshot(snapshot)),
        ("instance", instance, lambda: shared.instance(instance)),
    ]
    for kind, resource, look in looks:
        before = look()
        join(shared, kind, resource, "rg-after")
        assert look() == before | {"ResourceGroupId": "rg-after"}
    assert [each["DiskId"] for each in shared.disks(ResourceGroupId="rg-after")] == [disk]


@pytest.mark.parametrize("missing", ["ResourceType", "ResourceId", "ResourceGroupId"])
def test_what_must_be_there(shared, missing):
    given = {"ResourceType": "disk", "ResourceId": NO_DISK, "ResourceGroupId": "rg-1"}
    del given[missing]
    answer = shared.ask("JoinResourceGroup", given)
    assert (answer.status, answer.tree["Code"]) == (403, "MissingParameter")
    assert f'"{missing}"' in answer.tree["Message"]


def test_join_refuses(shared):
    given = {"ResourceType": "disk", "ResourceId": NO_DISK, "ResourceGroupId": "rg-1"}

    def no(status, code, **more):
        shared.refused(status, code, "JoinResourceGroup", given | more)

    no(404, "InvalidResourceId.NotFound")
    no(404, "InvalidResourceId.NotFound", ResourceType="instance")
    no(404, "InvalidResourceType.NotFound", ResourceType="keypair")
    disk = shared.create_disk()
    nowhere = {"ResourceId": disk, "RegionId": "nowhere"}
    answer = shared.ask("JoinResourceGroup", given | nowhere)
    assert (answer.status, answer.tree["Code"]) == (400, "InvalidRegionId.MalFormed")
    assert shared.disk(disk)["ResourceGroupId"] == ""
