//! What a fresh server offers: zones, the blank image, the usual instance types.

use crate::{RegionId, ZoneId};

/// A region of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// `cn-hangzhou`
    pub id: RegionId,
}

impl Region {
    /// Its zones: two, `-a` and `-b`.
    #[must_use]
    pub fn zones(&self) -> [ZoneId; 2] {
        ["a", "b"].map(|letter| ZoneId::new(format!("{}-{letter}", self.id)))
    }
}

/// The public image that every server has: an empty system disk.
pub const BLANK_IMAGE: &str = "ebb_blank_20G.raw";

/// A public image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicImage {
    /// Its id, which is its name too.
    pub id: &'static str,
    /// The smallest system disk it fits on, in GiB.
    pub size_gib: u32,
}

/// The public images of a server.
#[must_use]
pub const fn public_images() -> &'static [PublicImage] {
    &[PublicImage { id: BLANK_IMAGE, size_gib: 20 }]
}

/// An instance type: what a poller of DescribeInstances sees of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceType {
    /// `ecs.g7.large`
    pub id: &'static str,
    /// `ecs.g7`
    pub family: &'static str,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Disks that may be attached, the system disk included.
    pub disks_max: usize,
}

const fn shape(
    id: &'static str,
    family: &'static str,
    cpus: u32,
    gib: u32,
    disks_max: usize,
) -> InstanceType {
    InstanceType { id, family, cpus, memory_mib: gib * 1024, disks_max }
}

/// The usual instance types.
#[must_use]
pub const fn instance_types() -> &'static [InstanceType] {
    const TYPES: &[InstanceType] = &[
        shape("ecs.t6-c1m1.large", "ecs.t6", 2, 2, 17),
        shape("ecs.e-c1m2.large", "ecs.e", 2, 4, 17),
        shape("ecs.c7.large", "ecs.c7", 2, 4, 17),
        shape("ecs.c7.xlarge", "ecs.c7", 4, 8, 17),
        shape("ecs.g6.large", "ecs.g6", 2, 8, 17),
        shape("ecs.g7.large", "ecs.g7", 2, 8, 17),
        shape("ecs.g7.xlarge", "ecs.g7", 4, 16, 17),
        shape("ecs.g7.2xlarge", "ecs.g7", 8, 32, 17),
        shape("ecs.g7.4xlarge", "ecs.g7", 16, 64, 17),
        shape("ecs.r7.large", "ecs.r7", 2, 16, 17),
        shape("ecs.i3.xlarge", "ecs.i3", 4, 32, 17),
    ];
    TYPES
}

/// The instance type of that id.
#[must_use]
pub fn instance_type(id: &str) -> Option<&'static InstanceType> {
    instance_types().iter().find(|shape| shape.id == id)
}
