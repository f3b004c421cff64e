"""The order of ResetDisk's checks: of several reasons to refuse, the first in the list answers.

The test adds reasons from the last in the list to the first and removes none, so each time all
later reasons hold as well, and the newest must be the answer.
"""

import contextlib

import pytest

from harness.imports import broken, held_open
from harness.reset import (
    NO_DISK,
    NO_SNAPSHOT,
    assert_refused,
    ephemeral_disk,
    import_snapshot,
    make_case,
)

OLD = "2012-01-01T00:00:00Z"


@pytest.fixture
def case(ecs):
    return make_case(ecs)


def test_reasons_in_the_snapshot(case):
    """One snapshot gathers reasons; the call is a dry run all along."""
    ecs, dry = case.ecs, {"DryRun": "true"}
    other = ecs.create_disk()
    assert_refused(case, "DryRunOperation", **dry)

    archived = import_snapshot(ecs, case.disk, category="archive")
    assert_refused(case, "OperationDenied", SnapshotId=archived, **dry)

    old = import_snapshot(ecs, case.disk, category="archive", created_at=OLD)
    assert_refused(case, "InvalidSnapshot.TooOld", SnapshotId=old, **dry)

    alien = import_snapshot(ecs, other, category="archive", created_at=OLD)
    assert_refused(case, "InvalidParameter.Mismatch", SnapshotId=alien, **dry)

    failed = broken(ecs, other, category="archive", created_at=OLD)
    assert_refused(case, "InvalidSnapshotId.NotReady", SnapshotId=failed, **dry)


def test_reasons_in_instance_disk_and_account(case):
    """The snapshot does not exist, and the call is a dry run all along."""
    ecs, admin = case.ecs, case.admin
    ephemeral = ephemeral_disk(ecs)
    deleted = ephemeral_disk(ecs)
    ecs.call("DeleteDisk", DiskId=deleted)
    asked = {"SnapshotId": NO_SNAPSHOT, "DryRun": "true"}
    assert_refused(case, "InvalidSnapshotId.NotFound", **asked)

    ecs.start_instance(case.instance)
    assert_refused(case, "IncorrectInstanceStatus", **asked)
    admin("instance", "expire", case.instance)
    assert_refused(case, "InstanceExpiredOrInArrears", **asked)
    admin("instance", "lock", case.instance, "--reason", "security")
    assert_refused(case, "InstanceLockedForSecurity", **asked)
    admin("instance", "forget", case.instance)
    assert_refused(case, "InvalidInstanceId.NotFound", **asked)

    with contextlib.ExitStack() as held:
        held.enter_context(held_open(ecs, case.disk))
        assert_refused(case, "IncorrectDiskStatus.HasUnfinishedSnapshot", **asked)
        admin("account", "set", "--arrears", "on")
        assert_refused(case, "IncorrectDiskStatus", **asked)

        asked["DiskId"] = ephemeral
        assert_refused(case, "DiskCategory.OperationNotSupported", **asked)
        admin("category", "restrict", "elastic_ephemeral_disk_standard")
        assert_refused(case, "UserNotInTheWhiteList", **asked)
        asked["DiskId"] = deleted
        assert_refused(case, "Disk.NotFound", **asked)
        asked["DiskId"] = NO_DISK
        assert_refused(case, "InvalidDiskId.NotFound", **asked)

        admin("account", "set", "--snapshot-service", "closed")
        assert_refused(case, "InvalidAccountStatus.SnapshotServiceUnavailable", **asked)
        admin("account", "set", "--balance", "-1")
        assert_refused(case, "InvalidAccountStatus.NotEnoughBalance", **asked)
        assert_refused(case, "InvalidRegionId.MalFormed", RegionId="cn-nowhere", **asked)


def test_a_restricted_category_comes_before_the_disks_state(case):
    case.admin("account", "set", "--arrears", "on")
    case.admin("category", "restrict", "cloud_essd")
    assert_refused(case, "UserNotInTheWhiteList")
