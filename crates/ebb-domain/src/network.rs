//! Networks, as much of them as an instance names: VPCs, VSwitches, security groups.
//!
//! Nothing is routed or filtered by them. They are there because programs make them before an
//! instance, read them, and delete them after it.

use std::fmt;
use std::net::Ipv4Addr;

use crate::{
    AccountId, Denied, Field, RegionId, SecurityGroupId, Tag, Timestamp, VSwitchId, VpcId, ZoneId,
};

/// Addresses that start with the same bits: `172.16.0.0/12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    first: u32,
    bits: u32,
}

impl Cidr {
    /// What a VPC has where nothing else is asked for (api.md §4.1 names no other).
    pub const DEFAULT: Self = Self { first: 0xac10_0000, bits: 12 };

    /// Reads `a.b.c.d/n`, where what follows the first n bits is zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let first = u32::from(address.parse::<Ipv4Addr>().ok()?);
        let bits: u32 = bits.parse().ok().filter(|bits| (1..=32).contains(bits))?;
        let block = Self { first, bits };
        (first & !block.mask() == 0).then_some(block)
    }

    const fn mask(self) -> u32 {
        u32::MAX << (32 - self.bits)
    }

    /// Whether all of the other's addresses are among these.
    #[must_use]
    pub const fn holds(self, other: Self) -> bool {
        other.bits >= self.bits && other.first & self.mask() == self.first
    }

    /// How many addresses there are for instances: ECS keeps the first and the last three.
    #[must_use]
    pub const fn addresses(self) -> u64 {
        (1_u64 << (32 - self.bits)).saturating_sub(4)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.bits)
    }
}

/// A network of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    /// `vpc-…`
    pub id: VpcId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Its addresses.
    pub cidr: Cidr,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A part of a VPC, in one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VSwitch {
    /// `vsw-…`
    pub id: VSwitchId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// Where it is.
    pub zone: ZoneId,
    /// Of which it is a part.
    pub vpc: VpcId,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Its addresses.
    pub cidr: Cidr,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Instances that the same rules would hold for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-…`
    pub id: SecurityGroupId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: RegionId,
    /// Its network; `None` where none was given.
    pub vpc: Option<VpcId>,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Of the kind `enterprise`, else `normal`.
    pub enterprise: bool,
    /// May be empty.
    pub resource_group: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The addresses of a new VPC: 8 to 28 bits are the same.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::CidrBlock`].
pub fn vpc_cidr(text: Option<&str>) -> Result<Cidr, Denied> {
    match text {
        None => Ok(Cidr::DEFAULT),
        Some(text) => Cidr::parse(text)
            .filter(|block| (8..=28).contains(&block.bits))
            .ok_or(Denied::Malformed(Field::CidrBlock)),
    }
}

/// The addresses of a new VSwitch: 16 to 29 bits are the same, all are its VPC's, and none is
/// another VSwitch's.
///
/// # Errors
/// [`Denied::Malformed`] with [`Field::CidrBlock`], [`Denied::CidrLength`],
/// [`Denied::CidrOutsideVpc`], [`Denied::CidrOverlaps`].
pub fn vswitch_cidr(text: &str, vpc: &Vpc, others: &[VSwitch]) -> Result<Cidr, Denied> {
    let block = Cidr::parse(text).ok_or(Denied::Malformed(Field::CidrBlock))?;
    if !(16..=29).contains(&block.bits) {
        return Err(Denied::CidrLength);
    }
    if !vpc.cidr.holds(block) {
        return Err(Denied::CidrOutsideVpc);
    }
    let overlaps = |other: &VSwitch| other.cidr.holds(block) || block.holds(other.cidr);
    if others.iter().any(overlaps) {
        return Err(Denied::CidrOverlaps);
    }
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vpc(cidr: &str) -> Vpc {
        Vpc {
            id: VpcId::new("vpc-1"),
            account: AccountId::new("1"),
            region: RegionId::new("r"),
            name: String::new(),
            description: String::new(),
            cidr: Cidr::parse(cidr).unwrap(),
            created_at: Timestamp::from_unix_millis(0),
        }
    }

    fn vswitch(cidr: &str) -> VSwitch {
        let Vpc { account, region, name, description, created_at, .. } = vpc(cidr);
        let (id, vpc, zone) = (VSwitchId::new("vsw-1"), VpcId::new("vpc-1"), ZoneId::new("r-a"));
        let cidr = Cidr::parse(cidr).unwrap();
        VSwitch { id, account, region, zone, vpc, name, description, cidr, created_at }
    }

    #[test]
    fn a_block_is_read_strictly_and_written_as_it_was_read() {
        for good in ["10.0.0.0/8", "192.168.1.128/25", "0.0.0.0/1", "1.2.3.4/32"] {
            assert_eq!(Cidr::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/0", "10.0.0.0/33", "10.0/8", "a/8"] {
            assert_eq!(Cidr::parse(bad), None, "{bad}");
        }
        assert_eq!(Cidr::DEFAULT.to_string(), "172.16.0.0/12");
    }

    #[test]
    fn a_vpc_is_neither_huge_nor_tiny() {
        assert_eq!(vpc_cidr(None), Ok(Cidr::DEFAULT));
        for bad in ["10.0.0.0/7", "10.0.0.0/29", "10.0.0.1/24"] {
            assert_eq!(vpc_cidr(Some(bad)), Err(Denied::Malformed(Field::CidrBlock)), "{bad}");
        }
    }

    #[test]
    fn a_vswitch_is_inside_its_vpc_and_beside_the_others() {
        let (vpc, others) = (vpc("10.0.0.0/16"), [vswitch("10.0.1.0/24")]);
        let check = |text| vswitch_cidr(text, &vpc, &others).map(|block| block.addresses());
        assert_eq!(check("10.0.2.0/24"), Ok(252));
        assert_eq!(check("10.0.2.0/30"), Err(Denied::CidrLength));
        assert_eq!(check("10.0.0.0/8"), Err(Denied::CidrLength));
        assert_eq!(check("10.1.0.0/24"), Err(Denied::CidrOutsideVpc));
        assert_eq!(check("10.0.0.0/23"), Err(Denied::CidrOverlaps));
        assert_eq!(check("10.0.1.64/26"), Err(Denied::CidrOverlaps));
        assert_eq!(check("x"), Err(Denied::Malformed(Field::CidrBlock)));
    }
}
