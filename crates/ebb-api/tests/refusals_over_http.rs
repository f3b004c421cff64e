//! Every answer of ResetDisk, in the order of its table, from real states and over HTTP.
//!
//! Deliberately not here: the four refusals about keys and the encrypted half of Mismatch, which
//! the Python tests of encrypted disks get from a whole server.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod plane;

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use common::Answer;
use ebb_control::{AccountChange, Import, ImportRequest};
use ebb_domain::{Category, DiskId, InstanceId, SnapshotCategory, Timestamp};
use ebb_volume::EngineError;
use plane::engine::Call;
use plane::{Plane, until};

/// 2013-07-15T00:00:00Z.
const OLDEST: i64 = 1_373_846_400_000;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of this process.
fn log() -> String {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        log
    });
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

/// What is asked. A rung of the ladder changes it, or the state behind it.
struct Asked<'a> {
    plane: &'a Plane,
    region: Option<&'static str>,
    disk: String,
    snapshot: String,
    dry_run: bool,
}

impl Asked<'_> {
    fn ask(&self, format: &str) -> Answer {
        let mut params = vec![("DiskId", self.disk.as_str()), ("SnapshotId", &self.snapshot)];
        params.extend(self.region.map(|region| ("RegionId", region)));
        params.extend(self.dry_run.then_some(("DryRun", "true")));
        self.plane.ask("ResetDisk", &params, format)
    }

    /// The answer must be this one, whole, in both formats.
    #[track_caller]
    fn refused(&self, status: u16, code: &str, message: &str) -> Vec<String> {
        let json = self.ask("JSON");
        assert_eq!(json.outcome(), (status, code.to_owned()), "{}", json.body);
        let fields = json.json();
        let names: Vec<_> = fields.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["RequestId", "HostId", "Code", "Message", "Recommend"]);
        assert!(fields["Message"].as_str().unwrap().starts_with(message), "{}", json.body);
        assert_eq!(fields["HostId"], "ecs.test");
        assert!(fields["Recommend"].as_str().unwrap().contains(code));
        let xml = self.ask("XML");
        assert_eq!(xml.outcome(), (status, code.to_owned()), "{}", xml.body);
        assert!(xml.body.contains("<Error>"), "{}", xml.body);
        assert!(xml.element("Message").unwrap().starts_with(message), "{}", xml.body);
        assert_eq!(xml.element("RequestId").unwrap(), xml.headers["x-acs-request-id"]);
        assert_eq!(xml.element("HostId").unwrap(), "ecs.test");
        assert!(xml.element("Recommend").is_some());
        [json, xml].map(|answer| answer.headers["x-acs-request-id"].clone()).to_vec()
    }
}

fn import(plane: &Plane, disk: &str, millis: i64, category: SnapshotCategory) -> Import {
    let request = ImportRequest {
        disk: DiskId::new(disk),
        created_at: Timestamp::from_unix_millis(millis),
        name: String::new(),
        category,
    };
    plane.control.import_snapshot(&request).unwrap()
}

/// A shared disk of two instances with a snapshot: of these states each row of the table is made.
struct Made {
    instance: String,
    lost: String,
    disk: String,
    other_disk: String,
    local_disk: String,
    gone_disk: String,
    snapshot: String,
}

fn make(plane: &Plane) -> Made {
    let local = [("DataDisk.1.Category", "local_ssd_pro"), ("DataDisk.1.Size", "20")];
    let instance = plane.run_instance(&local);
    let lost = plane.run_instance(&[]);
    let disks = plane.control.disks_of(&InstanceId::new(&instance)).unwrap();
    let local_disk = disks[1].id.to_string();
    let (disk, other_disk, gone_disk) = (
        plane.create_disk(&[("MultiAttach", "Enabled")]),
        plane.create_disk(&[]),
        plane.create_disk(&[]),
    );
    plane.call("DeleteDisk", &[("DiskId", &gone_disk)]);
    for instance in [&instance, &lost] {
        plane.call("AttachDisk", &[("DiskId", &disk), ("InstanceId", instance)]);
    }
    plane.fill(&disk, 0xA1);
    let reply = plane.call("CreateSnapshot", &[("DiskId", &disk)]);
    let snapshot = reply["SnapshotId"].as_str().unwrap().to_owned();
    plane.fill(&disk, 0xB2);
    Made { instance, lost, disk, other_disk, local_disk, gone_disk, snapshot }
}

/// Everything is wrong at once. The first row of the table answers; it is put right, and the next
/// row answers; until the disk is reset.
#[test]
fn each_row_answers_before_those_below_it() {
    let _ = log();
    let plane = Plane::start();
    let made = make(&plane);
    let (control, before) = (&plane.control, plane.content(&made.disk));
    let (instance, lost) = (InstanceId::new(&made.instance), InstanceId::new(&made.lost));
    let account = |change| drop(control.set_account(None, change).unwrap());
    account(AccountChange {
        balance_fen: Some(-1),
        arrears: Some(true),
        snapshot_service: Some(false),
        disk_quota_gib: None,
    });
    for category in [Category::CloudEssd, Category::LocalSsdPro] {
        control.restrict_category(category, &[]).unwrap();
    }
    let unfinished = import(&plane, &made.disk, OLDEST, SnapshotCategory::Standard);
    control.forget_instance(&lost).unwrap();
    control.lock_instance(&instance, true).unwrap();
    control.expire_instance(&instance, true).unwrap();
    let mut asked = Asked {
        plane: &plane,
        region: Some("moon"),
        disk: "d-never".into(),
        snapshot: "s-never".into(),
        dry_run: true,
    };

    asked.refused(400, "InvalidRegionId.MalFormed", "The specified RegionId is not valid.");
    asked.region = None;
    let message = "Your account does not have enough balance.";
    asked.refused(403, "InvalidAccountStatus.NotEnoughBalance", message);
    account(AccountChange { balance_fen: Some(0), ..AccountChange::default() });
    let message = "Snapshot service has not been opened yet.";
    asked.refused(403, "InvalidAccountStatus.SnapshotServiceUnavailable", message);
    plane.call("OpenSnapshotService", &[("RegionId", "cn-hangzhou")]);
    asked.refused(404, "InvalidDiskId.NotFound", "The specified disk does not exist.");
    asked.disk.clone_from(&made.gone_disk);
    asked.refused(404, "Disk.NotFound", "The specified disk does not exist.");
    asked.disk.clone_from(&made.local_disk);
    asked.refused(403, "UserNotInTheWhiteList", "The user is not in disk white list.");
    for category in [Category::CloudEssd, Category::LocalSsdPro] {
        assert!(control.unrestrict_category(category).unwrap());
    }
    let message = "The operation is not supported to the specified disk";
    asked.refused(400, "DiskCategory.OperationNotSupported", message);
    asked.disk.clone_from(&made.disk);
    let message = "The current disk status does not support this operation.";
    asked.refused(403, "IncorrectDiskStatus", message);
    account(AccountChange { arrears: Some(false), ..AccountChange::default() });
    let message = "The current disk has unfinished snapshot.";
    asked.refused(403, "IncorrectDiskStatus.HasUnfinishedSnapshot", message);
    drop(unfinished);
    let message = "The specified InstanceId does not exist.";
    asked.refused(404, "InvalidInstanceId.NotFound", message);
    plane.call("DetachDisk", &[("DiskId", &made.disk), ("InstanceId", &made.lost)]);
    plane.until_disk(&made.disk, "In_use");
    let message = "The instance is locked due to security.";
    asked.refused(403, "InstanceLockedForSecurity", message);
    control.lock_instance(&instance, false).unwrap();
    let message = "The specified operation is denied as your prepay instance is expired";
    asked.refused(403, "InstanceExpiredOrInArrears", message);
    control.expire_instance(&instance, false).unwrap();
    let message = "The current status of the resource does not support this operation.";
    asked.refused(403, "IncorrectInstanceStatus", message);
    plane.call("StopInstance", &[("InstanceId", &made.instance)]);
    plane.until_instance(&made.instance, "Stopped");
    about_the_snapshot(&made, &mut asked);

    let message = "Request validation has been passed with DryRun flag set.";
    asked.refused(400, "DryRunOperation", message);
    asked.dry_run = false;
    assert_eq!(plane.content(&made.disk), before, "no refusal has changed the disk");
    plane.engine.fail(|call| matches!(call, Call::Reset(..)));
    let message = "The request processing has failed due to some unknown error.";
    let shown = plane.disk(&made.disk);
    let (held, requests) = (plane.inventory(), asked.refused(500, "InternalError", message));
    assert_eq!(plane.disk(&made.disk), shown);
    assert_eq!(plane.content(&made.disk), before);
    assert_eq!(plane.inventory(), held);
    for request in requests {
        let log = log();
        let line = log.lines().find(|line| line.contains("ERROR") && line.contains(&request));
        assert!(line.unwrap().contains("no space is left in the pool"), "{log}");
    }
    plane.engine.look_away();

    let answer = asked.ask("XML");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.element("RequestId").unwrap(), answer.headers["x-acs-request-id"]);
    assert!(answer.body.contains("<ResetDiskResponse>"), "{}", answer.body);
    let mut expected = vec![0; 16_384];
    expected[4096..12_288].fill(0xA1);
    assert_eq!(plane.content(&made.disk), expected);
    assert_eq!(plane.disk(&made.disk), shown);
    assert_eq!(plane.engine.collisions(), []);
}

/// The rows from the snapshot to the conflict. Each snapshot is also wrong in every way below.
fn about_the_snapshot(made: &Made, asked: &mut Asked<'_>) {
    let plane = asked.plane;
    let message = "The specified SnapshotId does not exist.";
    asked.refused(404, "InvalidSnapshotId.NotFound", message);
    let foreign = import(plane, &made.other_disk, OLDEST - 1, SnapshotCategory::Archive);
    asked.snapshot = foreign.id().to_string();
    let message = "The specified snapshot has not completed yet.";
    asked.refused(403, "InvalidSnapshotId.NotReady", message);
    foreign.finish().unwrap();
    let message = "The specified snapshot is not created from the specified disk.";
    asked.refused(403, "InvalidParameter.Mismatch", message);
    let old = import(plane, &made.disk, OLDEST - 1, SnapshotCategory::Archive);
    asked.snapshot = old.finish().unwrap().to_string();
    let message = "The snapshotId is created before 2013-07-15";
    asked.refused(403, "InvalidSnapshot.TooOld", message);
    let archived = import(plane, &made.disk, OLDEST, SnapshotCategory::Archive);
    asked.snapshot = archived.finish().unwrap().to_string();
    let message = "The specified snapshot dees not support ResetDisk.";
    asked.refused(403, "OperationDenied", message);
    asked.snapshot.clone_from(&made.snapshot);
    // The engine holds the deletion, and then refuses it.
    let held = held(plane, |call| matches!(call, Call::DeleteSnapshot(_)));
    std::thread::scope(|scope| {
        let deletion = scope.spawn(|| {
            plane.ask("DeleteSnapshot", &[("SnapshotId", made.snapshot.as_str())], "JSON")
        });
        until("the deletion is under way", || held.lock().unwrap().is_some());
        let message = "The operation may conflicts with others.";
        asked.refused(403, "Operation.Conflict", message);
        held.lock().unwrap().take().unwrap().send(()).unwrap();
        assert_eq!(deletion.join().unwrap().outcome(), (500, "InternalError".to_owned()));
    });
    plane.engine.look_away();
}

type Held = Arc<Mutex<Option<std::sync::mpsc::Sender<()>>>>;

/// Holds a call in the engine: the sender is there once it is, and lets it fail.
fn held(plane: &Plane, which: fn(Call) -> bool) -> Held {
    let held = Held::default();
    plane.engine.look({
        let held = Arc::clone(&held);
        move |call| {
            if !which(call) {
                return Ok(());
            }
            let (go, may_go) = std::sync::mpsc::channel();
            *held.lock().unwrap() = Some(go);
            may_go.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
            Err(EngineError::NoSpace)
        }
    });
    held
}

#[test]
fn a_reset_under_way_shows_and_conflicts_with_the_next() {
    let _ = log();
    let plane = Plane::start();
    let made = make(&plane);
    for instance in [&made.instance, &made.lost] {
        plane.call("StopInstance", &[("InstanceId", instance)]);
        plane.until_instance(instance, "Stopped");
    }
    let (disk, snapshot) = (made.disk.clone(), made.snapshot.clone());
    let asked = Asked { plane: &plane, region: None, disk, snapshot, dry_run: true };
    let held = held(&plane, |call| matches!(call, Call::Reset(..)));
    std::thread::scope(|scope| {
        let params = [("DiskId", made.disk.as_str()), ("SnapshotId", &made.snapshot)];
        let first = scope.spawn(move || asked.plane.ask("ResetDisk", &params, "JSON").outcome());
        until("the reset is under way", || held.lock().unwrap().is_some());
        assert_eq!(plane.disk(&made.disk)["Status"], "ReIniting");
        let second = Asked {
            plane: &plane,
            region: None,
            disk: made.disk.clone(),
            snapshot: made.snapshot.clone(),
            dry_run: true,
        };
        let message = "The operation may conflicts with others.";
        second.refused(403, "Operation.Conflict", message);
        held.lock().unwrap().take().unwrap().send(()).unwrap();
        assert_eq!(first.join().unwrap(), (500, "InternalError".to_owned()));
    });
    assert_eq!(plane.disk(&made.disk)["Status"], "In_use");
}

#[test]
fn a_region_of_this_server_that_is_not_the_disks_has_no_such_disk() {
    let _ = log();
    let plane = Plane::start();
    let made = make(&plane);
    let asked = Asked {
        plane: &plane,
        region: Some("cn-beijing"),
        disk: made.disk.clone(),
        snapshot: made.snapshot.clone(),
        dry_run: false,
    };
    asked.refused(404, "InvalidDiskId.NotFound", "The specified disk does not exist.");
    let malformed = Asked { region: None, disk: "../x".into(), ..asked };
    malformed.refused(404, "InvalidDiskId.NotFound", "The specified disk does not exist.");
}
