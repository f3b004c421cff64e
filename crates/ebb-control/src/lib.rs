//! Use cases: what an API call does to the records and to the bytes.
//!
//! ```text
//!   ebb-api ──► Control ──► Store    accounts, disks, snapshots, instances
//!                  ├──────► Engine   volumes and their versions
//!                  └──────► ExportTable   which volumes answer on a socket
//! ```
//!
//! What makes an answered call true:
//! - Check and change happen in one transaction. Of two calls that collide, one finds the other's
//!   state and is refused.
//! - The engine is the truth about bytes, the store about everything else. A call that touches both
//!   commits a status that ends in -ing, does the engine's part (idempotent by id), then commits
//!   the outcome. That status *is* the intent: [`Control::start`] finishes or undoes each it finds.
//! - A commit is synced where nothing else could prove it: see
//!   [`Durability`](ebb_store::Durability) at each call.
//! - Exports follow the record: after every change of a disk or an instance the export is settled
//!   to what the record says, so it cannot matter who came last.
//!
//! Calls block and may be made from any thread. Time, randomness and exports are arguments
//! ([`Parts`]). Deliberately not here: wire names, error codes, HTTP, SQL.

mod admin;
mod archive;
mod auto_policy;
mod auto_snapshot;
mod clone;
mod cluster;
mod content;
mod control;
mod copy;
mod data_keys;
mod disk;
mod edge;
mod encryption;
mod error;
mod expire;
mod export;
mod export_snapshot;
mod image;
mod image_copy;
mod import;
mod import_image;
mod instance;
mod instance_attribute;
mod key;
mod kms;
mod ledger;
mod list;
mod locate;
mod lock;
mod monitor;
mod mutex;
mod network;
mod ram;
mod reconcile;
mod reinit;
mod replace;
mod reset;
mod reset_set;
mod resize;
mod resource_group;
mod run;
mod scratch;
mod secrets;
mod seen;
mod snapshot;
mod snapshot_group;
mod spec;
mod step;
mod tag;
mod task;
mod task_end;
mod token;
mod usage;
mod work;

pub use admin::AccountChange;
pub use auto_policy::{AutoPolicy, AutoPolicyChange};
pub use clone::CloneDisk;
pub use cluster::{Entry, Place};
pub use control::{Control, Parts, Scope};
pub use copy::CopySnapshot;
pub use disk::{Attach, CreateDisk, DiskChange};
pub use edge::{Clock, Converter, Entropy, ExportTable, Exported, SystemEntropy};
pub use error::{ControlError, Outage};
pub use image::{CreateImage, DeviceMapping, ImageChange};
pub use image_copy::CopyImage;
pub use import::{Import, ImportRequest};
pub use import_image::ImportImage;
pub use instance::{BatchOutcome, DeleteInstance, Stop};
pub use instance_attribute::InstanceChange;
pub use key::{AccessKey, KeyShown, Secret, random_text};
pub use kms::{DataKeySize, Encrypted, Kms, KmsKeyShown, NewKey};
pub use ledger::{Ledger, NonceUse};
pub use locate::DiskVolume;
pub use lock::{LockSnapshot, LockedSnapshot, UnlockSnapshot};
pub use monitor::{Activity, MonitorPeriod, MonitorQuery, Point};
pub use network::{CreateSecurityGroup, CreateVSwitch, CreateVpc};
pub use ram::{
    Asked, AssumeRole, Caller, Credentials, IdentityChange, NewIdentity, PolicyShown, SESSION_KEY,
    Session, VersionShown, Who,
};
pub use replace::ReplaceSystemDisk;
pub use reset_set::{ResetPair, ResetSetError};
pub use resize::ResizeDisk;
pub use run::{DataDisk, RunInstances, SystemDisk};
pub use secrets::Secrets;
pub use snapshot::CreateSnapshot;
pub use snapshot_group::{CreateSnapshotGroup, GroupAndSnapshots};
pub use step::Step;
pub use token::ClientToken;
pub use usage::{Link, SnapshotUsage, UsageCategory, UsageQuery};
// What a list is asked with is said in the store's words: the edge names no store of its own.
pub use ebb_store::{
    Alias, AutoPolicyQuery, ChainQuery, DiskQuery, IdentitySince, ImageQuery, InstanceQuery,
    NetworkQuery, Page, PageRequest, ResourceKind, SnapshotGroupQuery, SnapshotQuery, TagCount,
    TagCountQuery, TagFilter, TagQuery, TagRow, TaskQuery,
};
