//! A door for the fuzz targets, which are a workspace of their own: only their build opens it.
//!
//! The codecs of the pool are nobody's but this crate's, so their properties are here, beside
//! them. Each module has `check`, which panics where a property does not hold for an input, and
//! `seeds`: encodings to begin with.
//!
//! No mutation would ever hit a checksum. So `check` signs what it is given, and looks at what a
//! decoder does with bytes that a broken or hostile program vouched for.

pub mod page;
pub mod record;
pub mod superblock;
pub mod tables;

use crate::layout::{BLOCK, crc32c};

type Block = [u8; BLOCK];

/// A block that begins with the input.
fn block(input: &[u8]) -> Block {
    let mut block = [0; BLOCK];
    let length = input.len().min(BLOCK);
    block[..length].copy_from_slice(&input[..length]);
    block
}

/// Puts the checksum at `at` right.
fn sign(block: &mut Block, at: usize) -> u32 {
    block[at..at + 4].fill(0);
    let crc = crc32c(block);
    block[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// A seed: mutations of the zeroes at its end would be wasted.
fn seed(block: &[u8]) -> Vec<u8> {
    let end = block.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    block[..end].to_vec()
}

/// Asserts that a block which was decoded and encoded `again` differs only where a decoder does
/// not look, and there zero is written; and in the checksum at `crc_at`.
fn assert_same_where_read(before: &Block, again: &[u8], crc_at: usize) {
    for (at, (before, again)) in before.iter().zip(again).enumerate() {
        let checksum = (crc_at..crc_at + 4).contains(&at);
        assert!(before == again || *again == 0 || checksum, "byte {at}: {before} became {again}");
    }
}
