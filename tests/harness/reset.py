"""ResetDisk's refusals: the words of each, and a disk on which to provoke them."""

import dataclasses

from . import blocks, wire
from .ecs import Ecs
from .errors import check_error

# What ResetDisk may answer, as its documentation has it.
REFUSALS = {
    "InvalidRegionId.MalFormed": (400, "The specified RegionId is not valid."),
    "InvalidAccountStatus.NotEnoughBalance": (403, "Your account does not have enough balance."),
    "InvalidAccountStatus.SnapshotServiceUnavailable": (
        403,
        "Snapshot service has not been opened yet.",
    ),
    "InvalidDiskId.NotFound": (404, "The specified disk does not exist."),
    "Disk.NotFound": (404, "The specified disk does not exist."),
    "UserNotInTheWhiteList": (403, "The user is not in disk white list."),
    "DiskCategory.OperationNotSupported": (
        400,
        "The operation is not supported to the specified disk due to its disk category.",
    ),
    "IncorrectDiskStatus": (403, "The current disk status does not support this operation."),
    "IncorrectDiskStatus.HasUnfinishedSnapshot": (
        403,
        "The current disk has unfinished snapshot.",
    ),
    "InvalidInstanceId.NotFound": (404, "The specified InstanceId does not exist."),
    "InstanceLockedForSecurity": (403, "The instance is locked due to security."),
    "InstanceExpiredOrInArrears": (
        403,
        "The specified operation is denied as your prepay instance is expired (prepay mode) "
        "or in arrears (afterpay mode).",
    ),
    "IncorrectInstanceStatus": (
        403,
        "The current status of the resource does not support this operation.",
    ),
    "InvalidSnapshotId.NotFound": (404, "The specified SnapshotId does not exist."),
    "InvalidSnapshotId.NotReady": (403, "The specified snapshot has not completed yet."),
    "InvalidParameter.Mismatch": (
        403,
        "The specified snapshot is not created from the specified disk.",
    ),
    "InvalidSnapshot.TooOld": (
        403,
        "The snapshotId is created before 2013-07-15, it cannot be restored since the first time "
        "the disk detached.",
    ),
    # The letters of "dees" are the documentation's.
    "OperationDenied": (403, "The specified snapshot dees not support ResetDisk."),
    "Operation.Conflict": (403, "The operation may conflicts with others."),
    "DryRunOperation": (400, "Request validation has been passed with DryRun flag set."),
}

NO_DISK = "d-bp1nosuchdisk0000000"
NO_SNAPSHOT = "s-bp1nosuchsnapshot000"


@dataclasses.dataclass
class Case:
    """A disk on a Stopped instance, with a snapshot, and other bytes since."""

    ecs: Ecs
    instance: str
    disk: str
    snapshot: str
    content: str
    described: dict

    @property
    def admin(self):
        return self.ecs.server.admin


def make_case(ecs: Ecs) -> Case:
    instance, disk = ecs.machine()
    server = ecs.server
    blocks.write(server, disk, 0, blocks.noise("in the snapshot", blocks.MIB))
    snapshot = ecs.create_snapshot(disk)
    blocks.write(server, disk, blocks.MIB // 2, blocks.noise("since then", blocks.MIB))
    content = blocks.fingerprint(server, disk)
    ecs.stop_instance(instance)
    return Case(ecs, instance, disk, snapshot, content, ecs.disk(disk))


def assert_refused(case: Case, code: str, **params):
    """The reset is refused with `code` in JSON, in XML and by the other signature."""
    status, message = REFUSALS[code]
    asked = {"DiskId": case.disk, "SnapshotId": case.snapshot} | params
    answers = [
        wire.ask_v1(case.ecs.server, "ResetDisk", asked, "JSON"),
        wire.ask_v1(case.ecs.server, "ResetDisk", asked, "XML"),
        wire.ask_v3(case.ecs.server, "ResetDisk", asked),
    ]
    for answer in answers:
        check_error(answer, status, code, message)
    assert [answer.content_type for answer in answers] == [wire.JSON, wire.XML, wire.JSON]


def assert_untouched(case: Case):
    """The disk is described as it was, and holds what it held, not what the snapshot holds."""
    assert case.ecs.disk(case.disk) == case.described
    case.ecs.start_instance(case.instance)
    assert blocks.fingerprint(case.ecs.server, case.disk) == case.content
    case.ecs.stop_instance(case.instance)


def import_snapshot(ecs: Ecs, disk: str, content=b"", created_at="2020-01-01T00:00:00Z", **more):
    """Makes bytes kept elsewhere a snapshot of the disk, and gives its id."""
    known = {found["SnapshotId"] for found in ecs.snapshots(DiskId=disk, PageSize=100)}
    ecs.server.admin(*import_words(disk, created_at, **more), stdin=content)
    (new,) = [s for s in ecs.snapshots(DiskId=disk, PageSize=100) if s["SnapshotId"] not in known]
    return new["SnapshotId"]


def import_words(disk: str, created_at="2020-01-01T00:00:00Z", **more) -> list[str]:
    """The operator's command that imports standard input."""
    words = ["snapshot", "import", "--disk", disk, "--file", "-", "--created-at", created_at]
    for name, value in more.items():
        words += [f"--{name}", value]
    return words


def ephemeral_disk(ecs: Ecs) -> str:
    """A disk of a category that has no snapshots."""
    return ecs.create_disk(
        64, DiskCategory="elastic_ephemeral_disk_standard", PerformanceLevel=None
    )


def local_disk(ecs: Ecs, category: str) -> tuple[str, str]:
    """An instance with a local disk, and that disk."""
    instance = ecs.run_instance({"DataDisk.1.Category": category, "DataDisk.1.Size": 20})
    (disk,) = ecs.disks(InstanceId=instance, DiskType="data")
    return instance, disk["DiskId"]
