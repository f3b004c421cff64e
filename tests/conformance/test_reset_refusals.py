"""Every refusal of ResetDisk, each from a real state, in both formats; the disk stays as it was."""

import concurrent.futures

import pytest

from harness import wire
from harness.ecs import ZONE, Ecs, account_id
from harness.errors import check_error
from harness.imports import broken, held_open
from harness.reset import (
    NO_DISK,
    NO_SNAPSHOT,
    REFUSALS,
    assert_refused,
    assert_untouched,
    ephemeral_disk,
    import_snapshot,
    local_disk,
    make_case,
)


@pytest.fixture
def case(ecs):
    return make_case(ecs)


def test_region_that_is_none(case):
    for region in ["cn-nowhere", "cn-hangzhou-a", "CN-HANGZHOU"]:
        assert_refused(case, "InvalidRegionId.MalFormed", RegionId=region)
    assert_untouched(case)


def test_region_of_another_disk(make_server):
    server = make_server(args=["--region", "cn-hangzhou", "--region", "cn-beijing"]).start()
    case = make_case(Ecs(server))
    assert_refused(case, "InvalidDiskId.NotFound", RegionId="cn-beijing")
    assert_refused(case, "DryRunOperation", RegionId="cn-hangzhou", DryRun="true")
    assert_untouched(case)


def test_balance_below_zero(case):
    case.admin("account", "set", "--balance", "-1")
    assert_refused(case, "InvalidAccountStatus.NotEnoughBalance")
    case.admin("account", "set", "--balance", "0")
    assert_refused(case, "DryRunOperation", DryRun="true")
    assert_untouched(case)


def test_snapshot_service_closed_then_opened(case):
    case.admin("account", "set", "--snapshot-service", "closed")
    assert_refused(case, "InvalidAccountStatus.SnapshotServiceUnavailable")
    case.ecs.call("OpenSnapshotService")
    assert_refused(case, "DryRunOperation", DryRun="true")
    assert_untouched(case)


@pytest.mark.parametrize("disk", [NO_DISK, "nonsense", "d-", "../etc", "D-BP1", "é" * 40])
def test_disk_that_never_was(case, disk):
    assert_refused(case, "InvalidDiskId.NotFound", DiskId=disk)


def test_disk_that_has_been_deleted(case):
    other = case.ecs.create_disk()
    case.ecs.call("DeleteDisk", DiskId=other)
    assert_refused(case, "Disk.NotFound", DiskId=other)
    assert_untouched(case)


def test_category_restricted_to_others(case):
    case.admin("category", "restrict", "cloud_essd", "--allow", "1234567890123456")
    assert_refused(case, "UserNotInTheWhiteList")
    case.admin("category", "unrestrict", "cloud_essd")
    assert_refused(case, "DryRunOperation", DryRun="true")
    assert_untouched(case)


def test_category_restricted_to_this_account(case):
    account = account_id(case.ecs)
    case.admin("category", "restrict", "cloud_essd", "--allow", account)
    assert_refused(case, "DryRunOperation", DryRun="true")


def test_elastic_ephemeral_disk(case):
    assert_refused(case, "DiskCategory.OperationNotSupported", DiskId=ephemeral_disk(case.ecs))


@pytest.mark.parametrize("category", ["local_ssd_pro", "ephemeral_ssd"])
def test_local_disk(case, category):
    instance, disk = local_disk(case.ecs, category)
    case.ecs.stop_instance(instance)
    assert_refused(case, "DiskCategory.OperationNotSupported", DiskId=disk)


def test_disk_in_arrears(case):
    case.admin("account", "set", "--arrears", "on")
    assert_refused(case, "IncorrectDiskStatus")
    case.admin("account", "set", "--arrears", "off")
    assert_refused(case, "DryRunOperation", DryRun="true")
    assert_untouched(case)


def test_unfinished_snapshot_of_the_disk(case):
    with held_open(case.ecs, case.disk) as progressing:
        assert_refused(case, "IncorrectDiskStatus.HasUnfinishedSnapshot")
        assert_refused(case, "IncorrectDiskStatus.HasUnfinishedSnapshot", SnapshotId=progressing)
    assert_refused(case, "DryRunOperation", DryRun="true")
    assert_untouched(case)


def test_instance_that_is_gone(case):
    case.admin("instance", "forget", case.instance)
    assert case.ecs.disk(case.disk)["Status"] == "In_use"
    assert_refused(case, "InvalidInstanceId.NotFound")

    case.ecs.detach(case.disk, case.instance)
    case.instance = case.ecs.run_instance()
    case.ecs.attach(case.disk, case.instance)
    case.ecs.stop_instance(case.instance)
    case.described = case.ecs.disk(case.disk)
    assert_untouched(case)


def test_instance_locked_for_security(case):
    case.admin("instance", "lock", case.instance, "--reason", "security")
    assert_refused(case, "InstanceLockedForSecurity")
    case.admin("instance", "unlock", case.instance)
    assert_refused(case, "DryRunOperation", DryRun="true")
    assert_untouched(case)


def test_instance_expired(case):
    case.admin("instance", "expire", case.instance)
    assert_refused(case, "InstanceExpiredOrInArrears")
    case.admin("instance", "renew", case.instance)
    assert_refused(case, "DryRunOperation", DryRun="true")
    assert_untouched(case)


def test_instance_running(case):
    case.ecs.start_instance(case.instance)
    assert_refused(case, "IncorrectInstanceStatus")
    assert_refused(case, "IncorrectInstanceStatus", DryRun="true")
    case.ecs.stop_instance(case.instance)
    assert_untouched(case)


def test_snapshot_that_never_was(case):
    for snapshot in [NO_SNAPSHOT, "nonsense", "s-"]:
        assert_refused(case, "InvalidSnapshotId.NotFound", SnapshotId=snapshot)
    assert_untouched(case)


def test_snapshot_that_has_been_deleted(case):
    case.ecs.call("DeleteSnapshot", SnapshotId=case.snapshot)
    assert_refused(case, "InvalidSnapshotId.NotFound")
    assert_untouched(case)


def test_snapshot_failed(case):
    failed = broken(case.ecs, case.disk)
    assert_refused(case, "InvalidSnapshotId.NotReady", SnapshotId=failed)
    assert_untouched(case)


def test_snapshot_still_progressing(case):
    """Of another disk, for a progressing one of this disk is refused for the disk's sake."""
    other = case.ecs.create_disk()
    with held_open(case.ecs, other) as progressing:
        assert_refused(case, "InvalidSnapshotId.NotReady", SnapshotId=progressing)
    assert_untouched(case)


def test_snapshot_of_another_disk(case):
    other = import_snapshot(case.ecs, case.ecs.create_disk())
    assert_refused(case, "InvalidParameter.Mismatch", SnapshotId=other)
    assert_untouched(case)


def test_snapshot_of_the_system_disk(case):
    (system,) = case.ecs.disks(InstanceId=case.instance, DiskType="system")
    other = case.ecs.create_snapshot(system["DiskId"])
    assert_refused(case, "InvalidParameter.Mismatch", SnapshotId=other)
    assert_untouched(case)


def test_snapshot_from_before_the_day(case):
    old = import_snapshot(case.ecs, case.disk, created_at="2013-07-14T23:59:59Z")
    assert_refused(case, "InvalidSnapshot.TooOld", SnapshotId=old)
    not_old = import_snapshot(case.ecs, case.disk, created_at="2013-07-15T00:00:00Z")
    assert_refused(case, "DryRunOperation", SnapshotId=not_old, DryRun="true")
    assert_untouched(case)


def test_snapshot_in_the_archive(case):
    archived = import_snapshot(case.ecs, case.disk, category="archive")
    assert_refused(case, "OperationDenied", SnapshotId=archived)
    assert_untouched(case)


def test_another_reset_under_way(case):
    """Many at once: those that meet another's unfinished work say so, in the format asked for."""
    asked = {"DiskId": case.disk, "SnapshotId": case.snapshot}
    status, message = REFUSALS["Operation.Conflict"]
    met = set()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for _ in range(50):
            formats = ["JSON", "XML"] * 8
            answers = pool.map(
                lambda fmt: wire.ask_v1(case.ecs.server, "ResetDisk", asked, fmt), formats
            )
            for answer in answers:
                if answer.status != 200:
                    check_error(answer, status, "Operation.Conflict", message)
                    met.add(answer.content_type)
            if met == {wire.JSON, wire.XML}:
                break
    assert met == {wire.JSON, wire.XML}, "no two resets met"
    case.ecs.await_disk(case.disk, "In_use")


def test_dry_run(case):
    for true in ["true", "True", "TRUE"]:
        assert_refused(case, "DryRunOperation", DryRun=true)
    assert_untouched(case)


def test_available_disk_is_no_refusal(case):
    """A disk that is attached to nothing has no instance that could stand in the way."""
    case.ecs.detach(case.disk, case.instance)
    assert case.ecs.disk(case.disk)["ZoneId"] == ZONE
    assert_refused(case, "DryRunOperation", DryRun="true")
    case.ecs.reset(case.disk, case.snapshot)
    assert case.ecs.disk(case.disk)["Status"] == "Available"
