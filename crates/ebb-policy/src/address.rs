//! Blocks of addresses, such as `192.0.2.0/24`, `203.0.113.2` and `2001:db8::/32`.
//!
//! Bits after the prefix do not count. A block of IPv4 has no address of IPv6 and the other way
//! round, but for `::ffff:a.b.c.d`, which is what a socket for both shows an address of IPv4 as:
//! it is one of IPv4 here.

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    address: IpAddr,
    prefix: u32,
}

/// The bits that `::ffff:0:0/96` takes up.
const MAPPED_BITS: u32 = 96;

impl Block {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = bits(address);
        let prefix = match prefix {
            None => bits,
            // More than `str::parse` asks for: it takes a sign.
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= bits)?
            }
            Some(_) => return None,
        };
        let canonical = address.to_canonical();
        if canonical.is_ipv4() && address.is_ipv6() && prefix >= MAPPED_BITS {
            return Some(Self { address: canonical, prefix: prefix - MAPPED_BITS });
        }
        Some(Self { address, prefix })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let past = bits(self.address) - self.prefix;
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(of), IpAddr::V4(address)) => {
                (of.to_bits() ^ address.to_bits()).checked_shr(past).unwrap_or(0) == 0
            }
            (IpAddr::V6(of), IpAddr::V6(address)) => {
                (of.to_bits() ^ address.to_bits()).checked_shr(past).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(block: &str, address: &str) -> bool {
        Block::parse(block).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_block_has_what_shares_its_prefix() {
        assert!(within("192.0.2.0/24", "192.0.2.255") && !within("192.0.2.0/24", "192.0.3.0"));
        assert!(within("192.0.2.7/24", "192.0.2.1"), "bits after the prefix do not count");
        assert!(within("203.0.113.2", "203.0.113.2") && !within("203.0.113.2", "203.0.113.3"));
        assert!(within("0.0.0.0/0", "255.255.255.255") && within("::/0", "2001:db8::1"));
        assert!(within("2001:db8::/32", "2001:db8:1::") && !within("2001:db8::/32", "2001:db9::"));
    }

    #[test]
    fn families_are_apart_but_for_mapped_addresses() {
        assert!(!within("0.0.0.0/0", "::1") && !within("::/0", "10.0.0.1"));
        assert!(within("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(within("::ffff:10.0.0.0/104", "10.1.2.3") && within("::ffff:10.0.0.1", "10.0.0.1"));
    }

    #[test]
    fn what_is_no_block_is_not_read() {
        for text in
            ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.*", "10.0.0/8", "1/2/3"]
        {
            assert_eq!(Block::parse(text), None, "{text}");
        }
    }
}
