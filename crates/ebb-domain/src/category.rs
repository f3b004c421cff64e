//! Disk categories and performance levels, with the sizes that ECS documents (api.md §3.1).

use std::ops::RangeInclusive;

/// A disk category, by its wire name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// `cloud`
    Cloud,
    /// `cloud_efficiency`
    CloudEfficiency,
    /// `cloud_ssd`
    CloudSsd,
    /// `cloud_essd`
    CloudEssd,
    /// `cloud_auto`
    CloudAuto,
    /// `cloud_essd_entry`
    CloudEssdEntry,
    /// `cloud_regional_disk_auto`
    CloudRegionalDiskAuto,
    /// `elastic_ephemeral_disk_standard`
    ElasticEphemeralStandard,
    /// `elastic_ephemeral_disk_premium`
    ElasticEphemeralPremium,
    /// `local_ssd_pro`
    LocalSsdPro,
    /// `local_hdd_pro`
    LocalHddPro,
    /// `ephemeral`
    Ephemeral,
    /// `ephemeral_ssd`
    EphemeralSsd,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 13] = [
        Self::Cloud,
        Self::CloudEfficiency,
        Self::CloudSsd,
        Self::CloudEssd,
        Self::CloudAuto,
        Self::CloudEssdEntry,
        Self::CloudRegionalDiskAuto,
        Self::ElasticEphemeralStandard,
        Self::ElasticEphemeralPremium,
        Self::LocalSsdPro,
        Self::LocalHddPro,
        Self::Ephemeral,
        Self::EphemeralSsd,
    ];

    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::CloudEfficiency => "cloud_efficiency",
            Self::CloudSsd => "cloud_ssd",
            Self::CloudEssd => "cloud_essd",
            Self::CloudAuto => "cloud_auto",
            Self::CloudEssdEntry => "cloud_essd_entry",
            Self::CloudRegionalDiskAuto => "cloud_regional_disk_auto",
            Self::ElasticEphemeralStandard => "elastic_ephemeral_disk_standard",
            Self::ElasticEphemeralPremium => "elastic_ephemeral_disk_premium",
            Self::LocalSsdPro => "local_ssd_pro",
            Self::LocalHddPro => "local_hdd_pro",
            Self::Ephemeral => "ephemeral",
            Self::EphemeralSsd => "ephemeral_ssd",
        }
    }

    /// The category of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }

    /// A disk of the host: made with its instance, gone with it.
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(self, Self::LocalSsdPro | Self::LocalHddPro | Self::Ephemeral | Self::EphemeralSsd)
    }

    /// An elastic ephemeral disk: made by CreateDisk, without snapshots.
    #[must_use]
    pub const fn is_elastic_ephemeral(self) -> bool {
        matches!(self, Self::ElasticEphemeralStandard | Self::ElasticEphemeralPremium)
    }

    /// Whether its disks have snapshots and can be reset.
    #[must_use]
    pub const fn has_snapshots(self) -> bool {
        !self.is_local() && !self.is_elastic_ephemeral()
    }

    /// Whether a disk of it may be attached to several instances.
    #[must_use]
    pub const fn allows_multi_attach(self) -> bool {
        matches!(self, Self::CloudEssd | Self::CloudAuto | Self::CloudRegionalDiskAuto)
    }

    /// Whether ProvisionedIops and BurstingEnabled apply to it.
    #[must_use]
    pub const fn allows_provisioned_iops(self) -> bool {
        matches!(self, Self::CloudAuto | Self::CloudRegionalDiskAuto)
    }

    /// Sizes it comes in, in GiB, whatever the performance level.
    #[must_use]
    pub const fn sizes_gib(self) -> RangeInclusive<u32> {
        match self {
            Self::Cloud => 5..=2000,
            Self::CloudEfficiency | Self::CloudSsd => 20..=32_768,
            Self::CloudEssd | Self::CloudAuto => 1..=65_536,
            Self::CloudEssdEntry => 10..=32_768,
            Self::CloudRegionalDiskAuto => 10..=65_536,
            Self::ElasticEphemeralStandard | Self::ElasticEphemeralPremium => 64..=8192,
            Self::LocalSsdPro | Self::LocalHddPro => 5..=65_536,
            Self::Ephemeral | Self::EphemeralSsd => 5..=2000,
        }
    }
}

/// The performance level of an ESSD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerformanceLevel {
    /// `PL0`
    Pl0,
    /// `PL1`, the default
    Pl1,
    /// `PL2`
    Pl2,
    /// `PL3`
    Pl3,
}

impl PerformanceLevel {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pl0 => "PL0",
            Self::Pl1 => "PL1",
            Self::Pl2 => "PL2",
            Self::Pl3 => "PL3",
        }
    }

    /// The level of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Pl0, Self::Pl1, Self::Pl2, Self::Pl3].into_iter().find(|level| level.name() == name)
    }

    /// The smallest ESSD of this level, in GiB.
    #[must_use]
    pub const fn smallest_gib(self) -> u32 {
        match self {
            Self::Pl0 => 1,
            Self::Pl1 => 20,
            Self::Pl2 => 461,
            Self::Pl3 => 1261,
        }
    }
}
