//! What a disk of a category, a performance level and a size does at most, as ECS documents it
//! (user guide, "ESSDs", "ESSD AutoPL disks", "Elastic ephemeral disks", "Block storage
//! performance").
//!
//! Each is `min(base + per GiB, most)`, for requests and for bytes. Deliberately not here: bursts;
//! local disks, whose limits are the host's.

use crate::category::{Category, PerformanceLevel};

/// What is done in a second at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Requests a second.
    pub iops: u32,
    /// Bytes a second.
    pub bytes_per_second: u64,
}

/// A disk's ceilings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performance {
    /// One for reads and writes together.
    Together(Ceiling),
    /// One for each.
    Apart {
        /// Of reads.
        reads: Ceiling,
        /// Of writes, and of all else that changes something.
        writes: Ceiling,
    },
}

/// `min(base + per_gib × GiB, most)`.
struct Line {
    base: f64,
    per_gib: f64,
    most: f64,
}

const fn line(base: f64, per_gib: f64, most: f64) -> Line {
    Line { base, per_gib, most }
}

/// ECS's MB are of 1,024 × 1,024 bytes: with 16 KiB a request, provisioned IOPS come out even.
const MB: f64 = 1024.0 * 1024.0;

/// What each provisioned request of an AutoPL disk adds to its bytes a second.
const PROVISIONED_BYTES: u64 = 16 << 10;
/// Of an AutoPL disk with what is provisioned.
const AUTO_MOST: Ceiling = Ceiling { iops: 1_000_000, bytes_per_second: 4096 << 20 };

impl Performance {
    /// Of a disk. `None`: it has no ceiling of its own.
    #[must_use]
    pub fn of(
        category: Category,
        level: Option<PerformanceLevel>,
        size_gib: u32,
        provisioned_iops: u32,
    ) -> Option<Self> {
        match category {
            Category::ElasticEphemeralStandard => {
                return Some(Self::Apart {
                    reads: at(size_gib, &line(0.0, 100.0, 820_000.0), &line(0.0, 0.8, 4096.0)),
                    writes: at(size_gib, &line(0.0, 20.0, 160_000.0), &line(0.0, 0.4, 2048.0)),
                });
            }
            Category::ElasticEphemeralPremium => {
                return Some(Self::Apart {
                    reads: at(size_gib, &line(0.0, 300.0, 1_000_000.0), &line(0.0, 1.6, 4096.0)),
                    writes: at(size_gib, &line(0.0, 150.0, 500_000.0), &line(0.0, 1.0, 2048.0)),
                });
            }
            _ => {}
        }
        let (iops, megabytes) = lines(category, level)?;
        let base = at(size_gib, &iops, &megabytes);
        if !category.allows_provisioned_iops() {
            return Some(Self::Together(base));
        }
        let more = u64::from(provisioned_iops) * PROVISIONED_BYTES;
        Some(Self::Together(Ceiling {
            iops: base.iops.saturating_add(provisioned_iops).min(AUTO_MOST.iops),
            bytes_per_second: (base.bytes_per_second + more).min(AUTO_MOST.bytes_per_second),
        }))
    }
}

fn at(size_gib: u32, iops: &Line, megabytes: &Line) -> Ceiling {
    let bytes_per_second = (megabytes.at(size_gib) * MB) as u64;
    Ceiling { iops: iops.at(size_gib) as u32, bytes_per_second }
}

impl Line {
    fn at(&self, size_gib: u32) -> f64 {
        self.per_gib.mul_add(f64::from(size_gib), self.base).min(self.most)
    }
}

/// Requests, and megabytes, of reads and writes together.
fn lines(category: Category, level: Option<PerformanceLevel>) -> Option<(Line, Line)> {
    use Category as C;
    use PerformanceLevel as P;
    Some(match (category, level) {
        (C::CloudEssd, Some(P::Pl0)) => (line(1800.0, 12.0, 10_000.0), line(100.0, 0.25, 180.0)),
        (C::CloudEssd, Some(P::Pl2)) => (line(4000.0, 50.0, 100_000.0), line(120.0, 0.5, 750.0)),
        (C::CloudEssd, Some(P::Pl3)) => (line(4000.0, 50.0, 1_000_000.0), line(120.0, 0.5, 4000.0)),
        (C::CloudEssd | C::CloudAuto | C::CloudRegionalDiskAuto, _) => {
            (line(1800.0, 50.0, 50_000.0), line(120.0, 0.5, 350.0))
        }
        (C::CloudEssdEntry, _) => (line(1800.0, 8.0, 6000.0), line(100.0, 0.15, 150.0)),
        (C::CloudSsd, _) => (line(1800.0, 30.0, 25_000.0), line(120.0, 0.5, 300.0)),
        (C::CloudEfficiency, _) => (line(1800.0, 8.0, 5000.0), line(100.0, 0.15, 140.0)),
        // "Several hundred", and 30 to 40 MB a second.
        (C::Cloud, _) => (line(500.0, 0.0, 500.0), line(40.0, 0.0, 40.0)),
        (C::ElasticEphemeralStandard | C::ElasticEphemeralPremium, _)
        | (C::LocalSsdPro | C::LocalHddPro | C::Ephemeral | C::EphemeralSsd, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Category as C;
    use PerformanceLevel as P;

    /// Worked out by hand from the documented formulas.
    #[test]
    fn ceilings_are_those_that_are_documented() {
        for (category, level, gib, iops, megabytes) in [
            (C::CloudEssd, Some(P::Pl0), 1, 1812, 100.25),
            (C::CloudEssd, Some(P::Pl0), 40, 2280, 110.0),
            (C::CloudEssd, Some(P::Pl0), 65_536, 10_000, 180.0),
            (C::CloudEssd, Some(P::Pl1), 20, 2800, 130.0),
            (C::CloudEssd, Some(P::Pl1), 964, 50_000, 350.0),
            (C::CloudEssd, Some(P::Pl2), 461, 27_050, 350.5),
            (C::CloudEssd, Some(P::Pl3), 1261, 67_050, 750.5),
            (C::CloudEssd, Some(P::Pl3), 32_768, 1_000_000, 4000.0),
            (C::CloudAuto, None, 40, 3800, 140.0),
            (C::CloudEssdEntry, None, 40, 2120, 106.0),
            (C::CloudEssdEntry, None, 32_768, 6000, 150.0),
            (C::CloudSsd, None, 100, 4800, 170.0),
            (C::CloudEfficiency, None, 20, 1960, 103.0),
            (C::CloudEfficiency, None, 32_768, 5000, 140.0),
        ] {
            let found = Performance::of(category, level, gib, 0).unwrap();
            let bytes_per_second = (megabytes * 1_048_576.0) as u64;
            let expected = Performance::Together(Ceiling { iops, bytes_per_second });
            assert_eq!(found, expected, "{category:?}, {gib} GiB");
        }
        assert_eq!(Performance::of(C::LocalSsdPro, None, 100, 0), None);
    }

    #[test]
    fn an_elastic_ephemeral_disk_reads_and_writes_apart() {
        let ceilings = |category, gib| match Performance::of(category, None, gib, 0) {
            Some(Performance::Apart { reads, writes }) => [reads, writes]
                .map(|ceiling| (ceiling.iops, ceiling.bytes_per_second as f64 / 1_048_576.0)),
            other => panic!("{other:?}"),
        };
        let (standard, premium) = (C::ElasticEphemeralStandard, C::ElasticEphemeralPremium);
        assert_eq!(ceilings(standard, 100), [(10_000, 80.0), (2000, 40.0)]);
        assert_eq!(ceilings(standard, 8192), [(819_200, 4096.0), (160_000, 2048.0)]);
        assert_eq!(ceilings(premium, 100), [(30_000, 160.0), (15_000, 100.0)]);
        assert_eq!(ceilings(premium, 8192), [(1_000_000, 4096.0), (500_000, 2048.0)]);
    }

    #[test]
    fn provisioned_requests_come_on_top() {
        let auto = |provisioned| match Performance::of(C::CloudAuto, None, 40, provisioned) {
            Some(Performance::Together(ceiling)) => ceiling,
            other => panic!("{other:?}"),
        };
        assert_eq!(auto(10_000).iops, 13_800);
        assert_eq!(auto(10_000).bytes_per_second, (140 << 20) + (10_000 << 14));
        assert_eq!(auto(u32::MAX), AUTO_MOST);
    }
}
