//! The operations, one file a family; the longer lists have a file of their own.

pub mod account;
pub mod auto_policy;
pub mod catalogue;
pub mod clone;
mod common;
pub mod create_instance;
pub mod disk;
pub mod disk_around;
pub mod disk_list;
pub mod disk_monitor;
pub mod encryption;
pub mod image;
pub mod image_list;
pub mod instance;
pub mod instance_around;
pub mod instance_attribute;
pub mod instance_list;
pub mod instance_type;
pub mod kms;
pub mod location;
pub mod network;
pub mod network_interface;
pub mod objects;
mod progress;
pub mod ram;
pub mod reinit;
pub mod replace;
pub mod reset;
pub mod resize;
pub mod resource_group;
pub mod run;
pub mod security_group;
pub mod snapshot;
pub mod snapshot_copy;
pub mod snapshot_group;
pub mod snapshot_list;
pub mod snapshot_lock;
pub mod snapshot_usage;
pub mod spec;
pub mod sts;
pub mod tag;
pub mod tag_legacy;
pub mod task;

use crate::OperationDef;

/// Every operation the server answers.
pub static FAMILIES: &[&[OperationDef]] = &[
    account::OPERATIONS,
    auto_policy::OPERATIONS,
    catalogue::OPERATIONS,
    clone::OPERATIONS,
    create_instance::OPERATIONS,
    disk::OPERATIONS,
    disk_around::OPERATIONS,
    encryption::OPERATIONS,
    image::OPERATIONS,
    instance::OPERATIONS,
    instance_around::OPERATIONS,
    instance_attribute::OPERATIONS,
    instance_type::OPERATIONS,
    kms::alias::OPERATIONS,
    kms::crypt::OPERATIONS,
    kms::key::OPERATIONS,
    kms::tag::OPERATIONS,
    kms::version::OPERATIONS,
    location::OPERATIONS,
    network::OPERATIONS,
    network_interface::OPERATIONS,
    objects::OPERATIONS,
    ram::attachment::OPERATIONS,
    ram::group::OPERATIONS,
    ram::key::OPERATIONS,
    ram::policy::OPERATIONS,
    ram::role::OPERATIONS,
    ram::user::OPERATIONS,
    reinit::OPERATIONS,
    replace::OPERATIONS,
    reset::OPERATIONS,
    resize::OPERATIONS,
    resource_group::OPERATIONS,
    security_group::OPERATIONS,
    snapshot::OPERATIONS,
    snapshot_copy::OPERATIONS,
    snapshot_group::OPERATIONS,
    snapshot_lock::OPERATIONS,
    snapshot_usage::OPERATIONS,
    spec::OPERATIONS,
    sts::OPERATIONS,
    tag::OPERATIONS,
    tag_legacy::OPERATIONS,
    task::OPERATIONS,
];
