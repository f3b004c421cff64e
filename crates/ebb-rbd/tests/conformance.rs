//! The Ceph engine keeps the promises of every engine, on a real cluster.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use cluster::Namespace;

ebb_volume::conformance_suite!(
    #[ignore = "needs a Ceph cluster: cargo xtask ceph"]
    Namespace::new()
);
ebb_volume::unencrypted_conformance_suite!(
    #[ignore = "needs a Ceph cluster: cargo xtask ceph"]
    Namespace::new()
);
