//! Who may depend on whom: the arrows of the architecture, held against `cargo metadata`.
//!
//! Only what a crate is built with counts; its tests may use what they like.

#![allow(clippy::unwrap_used, reason = "tests")]

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Each crate of ours, and which others of ours it may use. A new crate needs a line here.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "ebb",
        &[
            "ebb-api",
            "ebb-audit",
            "ebb-control",
            "ebb-domain",
            "ebb-kms",
            "ebb-local",
            "ebb-nbd",
            "ebb-objects",
            "ebb-rbd",
            "ebb-store",
            "ebb-volume",
        ],
    ),
    ("ebb-api", &["ebb-api-derive", "ebb-audit", "ebb-control", "ebb-domain"]),
    ("ebb-api-derive", &[]),
    ("ebb-audit", &[]),
    (
        "ebb-bench",
        &["ebb-api", "ebb-domain", "ebb-local", "ebb-nbd", "ebb-rbd", "ebb-store", "ebb-volume"],
    ),
    (
        "ebb-control",
        &["ebb-domain", "ebb-kms", "ebb-objects", "ebb-policy", "ebb-store", "ebb-volume"],
    ),
    ("ebb-domain", &[]),
    ("ebb-kill", &["ebb-api", "ebb-nbd"]),
    ("ebb-kms", &[]),
    ("ebb-local", &["ebb-volume"]),
    ("ebb-nbd", &["ebb-volume"]),
    ("ebb-objects", &[]),
    ("ebb-policy", &[]),
    ("ebb-rbd", &["ebb-volume"]),
    ("ebb-store", &["ebb-domain"]),
    ("ebb-volume", &[]),
    ("xtask", &[]),
];

/// Heavy libraries, each behind the crates that keep it to themselves.
const KEPT_BY: &[(&[&str], &[&str])] = &[
    (
        &["ebb-api"],
        &["axum", "http", "http-body", "http-body-util", "hyper", "hyper-util", "tower"],
    ),
    (&["ebb-store"], &["rusqlite", "sqlx", "tokio-postgres", "tokio-postgres-rustls"]),
    (&["ebb-objects"], &["object_store", "opendal"]),
    (&["ebb-kms", "ebb-objects"], &["attohttpc", "minreq", "reqwest", "ureq"]),
];

/// The rules of disks take no clock, no wire format and no runtime, so these are all they may use.
const DOMAIN_MAY_USE: &[&str] = &["thiserror"];

fn packages() -> Vec<Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    metadata.packages
}

fn built_with(package: &Package) -> Vec<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

#[test]
fn every_arrow_between_our_crates_is_drawn() {
    let packages = packages();
    for package in &packages {
        let name = package.name.as_str();
        let (_, allowed) = ARROWS
            .iter()
            .find(|(drawn, _)| *drawn == name)
            .unwrap_or_else(|| panic!("{name} is new: draw its arrows in this test"));
        let ours = built_with(package)
            .into_iter()
            .filter(|used| packages.iter().any(|other| other.name.as_str() == *used));
        for used in ours {
            assert!(allowed.contains(&used), "{name} must not depend on {used}");
        }
    }
}

#[test]
fn heavy_libraries_stay_behind_their_crate() {
    for package in &packages() {
        let name = package.name.as_str();
        for (keepers, libraries) in KEPT_BY.iter().filter(|(keepers, _)| !keepers.contains(&name)) {
            for used in built_with(package) {
                let only = keepers.join(" and ");
                assert!(!libraries.contains(&used), "{name} uses {used}: only {only} may");
            }
        }
    }
}

#[test]
fn the_domain_uses_nothing_that_does_io() {
    let packages = packages();
    let domain = packages.iter().find(|package| package.name.as_str() == "ebb-domain").unwrap();
    for used in built_with(domain) {
        assert!(DOMAIN_MAY_USE.contains(&used), "ebb-domain must not use {used}");
    }
}
