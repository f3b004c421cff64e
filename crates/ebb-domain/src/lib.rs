//! The rules of disks, snapshots and instances.
//!
//! A function here takes what is known, the time included, and answers what may happen: a new state
//! or a [`Denied`]. Nothing here does I/O, waits, reads a clock or knows a wire format, so every
//! rule is tested by calling it.
//!
//! Deliberately not here: error codes and messages (ebb-api has the one table), SQL rows, volumes.

mod account;
mod attach;
mod auto_policy;
mod catalogue;
mod category;
mod denied;
mod disk;
mod encryption;
mod id;
mod image;
mod image_import;
mod instance;
mod kms;
mod lock;
mod names;
mod network;
mod performance;
mod ram;
mod reinit;
mod reset;
mod resize;
mod snapshot;
mod snapshot_group;
mod spec;
mod tag;
mod task;
mod time;

pub use account::Account;
pub use attach::{AttachRequest, check_attach, check_delete_disk, check_detach, device};
pub use auto_policy::{
    AUTO_POLICIES_MAX, AutoSnapshotPolicy, CopyEncryption, Slots, policy_name, policy_retention,
};
pub use catalogue::{
    BLANK_IMAGE, InstanceType, PublicImage, Region, instance_type, instance_types, public_images,
};
pub use category::{Category, PerformanceLevel};
pub use denied::{Denied, Field};
pub use disk::{Attachment, Disk, DiskKind, DiskStatus, NewDisk, SizeRequest, disk_size};
pub use encryption::{DiskKey, Encryption, check_encryption_of_source};
pub use id::{
    AccountId, AutoSnapshotPolicyId, DiskId, ImageId, InstanceId, RegionId, SecurityGroupId,
    SnapshotGroupId, SnapshotId, TaskGroupId, TaskId, VSwitchId, VpcId, ZoneId,
};
pub use image::{
    Image, ImageDisk, ImageStatus, check_copy_image, check_delete_image, check_image_disks,
    check_image_snapshot, image_status,
};
pub use image_import::{
    ImageFormat, ImportedDisk, SYSTEM_DEVICE, check_imported_disks, imported_gib,
};
pub use instance::{Instance, InstanceStatus, Network, check_delete, check_start, check_stop};
pub use kms::{
    DATA_KEY_MAX, DISK_TAG, KEYS_MAX, Key, KeyState, KeyVersion, KmsDenied, PENDING_DAYS,
    PER_KEY_MAX, PLAINTEXT_MAX, ROTATION_DAYS, check_alias, rotation_days,
};
pub use lock::{LockStatus, SnapshotLock};
pub use names::{
    description, disk_name, host_name, image_name, instance_name, network_name, snapshot_name,
    user_data,
};
pub use network::{Cidr, SecurityGroup, VSwitch, Vpc, vpc_cidr, vswitch_cidr};
pub use performance::{Ceiling, Performance};
pub use ram::{
    ATTACHMENTS_MAX, DOCUMENT_BYTES_MAX, IDENTITIES_MAX, Identity, IdentityKind,
    POLICY_VERSIONS_MAX, Policy, PolicyKind, PolicyName, PolicyVersion, RamDenied, RamField,
    RamThing, SESSION_SECONDS, SESSION_SECONDS_DEFAULT, USER_KEYS_MAX, check_identity_name,
    check_identity_texts, check_policy_name, check_session_name,
};
pub use reinit::{ReInitFacts, check_reinit};
pub use reset::{DiskFound, ResetFacts, SnapshotFound, check_reset};
pub use resize::{ResizeFacts, ResizeType, check_resize};
pub use snapshot::{
    CopySource, Origin, Snapshot, SnapshotCategory, SnapshotChange, SnapshotStatus,
    check_archive_snapshot, check_copy_snapshot, check_create_snapshot, check_delete_snapshot,
    retention_days,
};
pub use snapshot_group::{
    SnapshotGroup, SnapshotGroupStatus, check_group, choose_disks, group_names,
};
pub use spec::{Spec, SpecChange, SpecFacts, check_spec};
pub use tag::{Tag, check_tags};
pub use task::{Task, TaskAction, TaskObject, TaskStatus};
pub use time::Timestamp;
