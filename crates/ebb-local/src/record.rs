//! The log's record: one header block, then the data blocks it describes.
//!
//! ```text
//!   0            128                      128 + entries      + 4 n             4096
//!   | fixed part | entries (32 or 64 B)   | CRC32C of each   | zero            | n data blocks
//!                                         | tags of some     + 16 s
//! ```
//! Of a block that is encrypted the CRC is that of the bytes in the file, and it has a tag besides:
//! whoever reads the log needs no key.
//!
//! The header's own CRC32C covers all 4,096 bytes, with its own field as zero. All integers are
//! little-endian.

use ebb_volume::{OpId, SnapshotId, VolumeId};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cipher::{KeyCheck, Tag};
use crate::layout::{BLOCK, Segment, crc32c};

const MAGIC: [u8; 8] = *b"EBBTREC\x01";
const FIXED_BYTES: usize = size_of::<Fixed>();
const CRC_AT: usize = std::mem::offset_of!(Fixed, crc);

/// What entries and data checksums share in a header.
pub(crate) const HEADER_ROOM: usize = BLOCK - FIXED_BYTES;
/// Header bytes of one data block's checksum.
const CRC_BYTES: usize = size_of::<U32>();
/// Header bytes of a checksum and a tag.
const SEALED_BYTES: usize = CRC_BYTES + size_of::<Tag>();

/// The fields that tie a record to its place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) pool_id: [u8; 16],
    pub(crate) log_gen: u64,
    pub(crate) seq: u64,
    pub(crate) prev_crc: u32,
    pub(crate) segment_id: u64,
    pub(crate) block: u32,
}

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) place: Place,
    /// The epoch in which its blocks are born.
    pub(crate) epoch: u32,
    /// Every record up to this one was durable when this header was made.
    pub(crate) durable_seq: u64,
    /// Where the log goes on after this segment.
    pub(crate) next: Segment,
    pub(crate) entries: Vec<Entry>,
    /// The checksum of each data block behind the header.
    pub(crate) data_crcs: Vec<u32>,
    /// The tag of each that is encrypted.
    pub(crate) tags: Vec<Tag>,
}

/// Where the data blocks of an entry are, and what vouches for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) segment_id: u64,
    pub(crate) first_block: u32,
    pub(crate) epoch: u32,
    pub(crate) crcs: &'a [u32],
    /// None of blocks that are not encrypted.
    pub(crate) tags: &'a [Tag],
}

/// One change. The data blocks belong to the entries in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Write(Run),
    /// A write to an encrypted volume.
    WriteSealed(Run),
    Zero(Run),
    Discard(Run),
    /// In a record of its own.
    Version(OpId, Change),
    /// The first entry of a generation: the segment in which the generation before it began.
    Start(Option<Segment>),
}

/// Blocks of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) volume: VolumeId,
    pub(crate) lba: u64,
    pub(crate) len: u64,
}

/// A change of the version tree, with all its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    CreateVolume {
        volume: VolumeId,
        size_bytes: u64,
        /// Of an encrypted one.
        key_check: Option<KeyCheck>,
    },
    Fork {
        source: SnapshotId,
        volume: VolumeId,
        size_bytes: u64,
    },
    /// The pairs are in the record's data blocks.
    CreateSnapshots {
        pairs: Vec<(VolumeId, SnapshotId)>,
    },
    Reset {
        volume: VolumeId,
        target: SnapshotId,
    },
    Grow {
        volume: VolumeId,
        size_bytes: u64,
    },
    DeleteVolume {
        volume: VolumeId,
    },
    DeleteSnapshot {
        snapshot: SnapshotId,
    },
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Fixed {
    magic: [u8; 8],
    n_entries: U16,
    n_blocks: U16,
    epoch: U32,
    pool_id: [u8; 16],
    log_gen: U64,
    seq: U64,
    segment_id: U64,
    durable_seq: U64,
    block: U32,
    prev_crc: U32,
    unused: U32,
    crc: U32,
    next_id: U64,
    next_extent: U64,
    zero: [u8; 32],
}

/// Write, Zero, Discard and Start. A Start has its segment in `lba` and `len`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RunEntry {
    kind: u8,
    flag: u8,
    zero: [u8; 6],
    volume: U64,
    lba: U64,
    len: U64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Default)]
#[repr(C)]
struct VersionEntry {
    kind: u8,
    change: u8,
    zero: [u8; 2],
    pairs: U32,
    op: [u8; 16],
    volume: U64,
    snapshot: U64,
    size_bytes: U64,
    key_check: U64,
    reserved: [u8; 8],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Pair {
    volume: U64,
    snapshot: U64,
}

const WRITE: u8 = 1;
const ZERO: u8 = 2;
const DISCARD: u8 = 3;
const VERSION: u8 = 4;
const START: u8 = 5;

/// Why bytes are no header. All but an accident of the disk look alike to recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record header: {0}")]
pub(crate) struct NotAHeader(&'static str);

impl Entry {
    /// Bytes of it in the header, without the checksums of its data.
    pub(crate) fn header_bytes(&self) -> usize {
        match self {
            Self::Version(..) => size_of::<VersionEntry>(),
            _ => size_of::<RunEntry>(),
        }
    }

    /// Bytes of what vouches for one of its data blocks in the header.
    pub(crate) fn check_bytes(&self) -> usize {
        match self {
            Self::WriteSealed(_) => SEALED_BYTES,
            _ => CRC_BYTES,
        }
    }

    /// Data blocks that belong to it.
    pub(crate) fn data_blocks(&self) -> usize {
        match self {
            Self::Write(run) | Self::WriteSealed(run) => run.len as usize,
            Self::Version(_, change) => change.body_blocks(),
            _ => 0,
        }
    }

    /// Those of them that are encrypted.
    fn sealed_blocks(&self) -> usize {
        match self {
            Self::WriteSealed(_) => self.data_blocks(),
            _ => 0,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let run = |kind, run: &Run| RunEntry {
            kind,
            flag: u8::from(matches!(self, Self::WriteSealed(_))),
            zero: [0; 6],
            volume: run.volume.0.into(),
            lba: run.lba.into(),
            len: run.len.into(),
        };
        let entry = match self {
            Self::Write(blocks) | Self::WriteSealed(blocks) => run(WRITE, blocks),
            Self::Zero(blocks) => run(ZERO, blocks),
            Self::Discard(blocks) => run(DISCARD, blocks),
            Self::Start(before) => RunEntry {
                kind: START,
                flag: u8::from(before.is_some()),
                zero: [0; 6],
                volume: U64::ZERO,
                lba: before.map_or(0, |segment| segment.id).into(),
                len: before.map_or(0, |segment| segment.extent).into(),
            },
            Self::Version(op, change) => return change.encode(*op).as_bytes().to_vec(),
        };
        entry.as_bytes().to_vec()
    }

    /// Decodes the first entry of `bytes` and says what follows it.
    fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), NotAHeader> {
        if bytes.first() == Some(&VERSION) {
            let (entry, rest) =
                VersionEntry::ref_from_prefix(bytes).map_err(|_| NotAHeader("entries are cut"))?;
            return Ok((Self::Version(OpId(entry.op), Change::decode(entry)?), rest));
        }
        let (entry, rest) =
            RunEntry::ref_from_prefix(bytes).map_err(|_| NotAHeader("entries are cut"))?;
        let run = Run {
            volume: VolumeId(entry.volume.get()),
            lba: entry.lba.get(),
            len: entry.len.get(),
        };
        let entry = match entry.kind {
            WRITE if entry.flag == 1 => Self::WriteSealed(run),
            WRITE => Self::Write(run),
            ZERO => Self::Zero(run),
            DISCARD => Self::Discard(run),
            START => {
                Self::Start((entry.flag == 1).then_some(Segment { id: run.lba, extent: run.len }))
            }
            _ => return Err(NotAHeader("an entry of unknown kind")),
        };
        Ok((entry, rest))
    }
}

impl Change {
    /// Data blocks of its body.
    pub(crate) fn body_blocks(&self) -> usize {
        match self {
            Self::CreateSnapshots { pairs } => (pairs.len() * size_of::<Pair>()).div_ceil(BLOCK),
            _ => 0,
        }
    }

    /// Its body, whole blocks.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        if let Self::CreateSnapshots { pairs } = self {
            for (volume, snapshot) in pairs {
                let pair = Pair { volume: volume.0.into(), snapshot: snapshot.0.into() };
                body.extend_from_slice(pair.as_bytes());
            }
        }
        body.resize(self.body_blocks() * BLOCK, 0);
        body
    }

    /// Takes the body in, once its blocks have been read.
    pub(crate) fn take_body(&mut self, body: &[u8]) {
        if let Self::CreateSnapshots { pairs } = self {
            let stored = body.chunks_exact(size_of::<Pair>());
            for (pair, bytes) in pairs.iter_mut().zip(stored) {
                if let Ok(stored) = Pair::ref_from_bytes(bytes) {
                    *pair = (VolumeId(stored.volume.get()), SnapshotId(stored.snapshot.get()));
                }
            }
        }
    }

    /// Tells two changes under one [`OpId`] apart.
    pub(crate) fn fingerprint(&self) -> u32 {
        let mut bytes = self.encode(OpId([0; 16])).as_bytes().to_vec();
        bytes.extend_from_slice(&self.body());
        crc32c(&bytes)
    }

    fn encode(&self, op: OpId) -> VersionEntry {
        let mut entry = VersionEntry { kind: VERSION, op: op.0, ..VersionEntry::default() };
        let (code, volume, snapshot, size_bytes) = match *self {
            Self::CreateVolume { volume, size_bytes, key_check } => {
                entry.key_check = KeyCheck::to_u64(key_check).into();
                (1, volume.0, 0, size_bytes)
            }
            Self::Fork { source, volume, size_bytes } => (2, volume.0, source.0, size_bytes),
            Self::CreateSnapshots { ref pairs } => {
                entry.pairs = (pairs.len() as u32).into();
                (3, 0, 0, 0)
            }
            Self::Reset { volume, target } => (4, volume.0, target.0, 0),
            Self::Grow { volume, size_bytes } => (5, volume.0, 0, size_bytes),
            Self::DeleteVolume { volume } => (6, volume.0, 0, 0),
            Self::DeleteSnapshot { snapshot } => (7, 0, snapshot.0, 0),
        };
        entry.change = code;
        entry.volume = volume.into();
        entry.snapshot = snapshot.into();
        entry.size_bytes = size_bytes.into();
        entry
    }

    /// Pairs come out as zeroes until [`Change::take_body`].
    fn decode(entry: &VersionEntry) -> Result<Self, NotAHeader> {
        let volume = VolumeId(entry.volume.get());
        let snapshot = SnapshotId(entry.snapshot.get());
        let size_bytes = entry.size_bytes.get();
        Ok(match entry.change {
            1 => {
                let key_check = KeyCheck::from_u64(entry.key_check.get());
                Self::CreateVolume { volume, size_bytes, key_check }
            }
            2 => Self::Fork { source: snapshot, volume, size_bytes },
            3 => Self::CreateSnapshots { pairs: Self::pairs_to_come(entry.pairs.get())? },
            4 => Self::Reset { volume, target: snapshot },
            5 => Self::Grow { volume, size_bytes },
            6 => Self::DeleteVolume { volume },
            7 => Self::DeleteSnapshot { snapshot },
            _ => return Err(NotAHeader("a change of unknown kind")),
        })
    }

    fn pairs_to_come(count: u32) -> Result<Vec<(VolumeId, SnapshotId)>, NotAHeader> {
        // A checksum that is right says nothing about who made it.
        const MOST: usize = HEADER_ROOM / CRC_BYTES * (BLOCK / size_of::<Pair>());
        if count as usize > MOST {
            return Err(NotAHeader("more pairs than a record's blocks hold"));
        }
        Ok(vec![(VolumeId(0), SnapshotId(0)); count as usize])
    }
}

impl Header {
    /// The header's block, and its CRC.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let fixed = Fixed {
            magic: MAGIC,
            n_entries: (self.entries.len() as u16).into(),
            n_blocks: (self.data_crcs.len() as u16).into(),
            epoch: self.epoch.into(),
            pool_id: self.place.pool_id,
            log_gen: self.place.log_gen.into(),
            seq: self.place.seq.into(),
            segment_id: self.place.segment_id.into(),
            durable_seq: self.durable_seq.into(),
            block: self.place.block.into(),
            prev_crc: self.place.prev_crc.into(),
            unused: U32::ZERO,
            crc: U32::ZERO,
            next_id: self.next.id.into(),
            next_extent: self.next.extent.into(),
            zero: [0; 32],
        };
        let mut bytes = Vec::with_capacity(BLOCK);
        bytes.extend_from_slice(fixed.as_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.encode());
        }
        for crc in &self.data_crcs {
            bytes.extend_from_slice(&crc.to_le_bytes());
        }
        bytes.extend_from_slice(self.tags.as_bytes());
        debug_assert!(bytes.len() <= BLOCK, "the record closed when it was full");
        bytes.resize(BLOCK, 0);
        let crc = crc32c(&bytes);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        (bytes, crc)
    }

    /// Decodes a block, and says its CRC.
    pub(crate) fn decode(block: &[u8; BLOCK]) -> Result<(Self, u32), NotAHeader> {
        if block[..MAGIC.len()] != MAGIC {
            return Err(NotAHeader("magic"));
        }
        let (fixed, mut rest) =
            Fixed::ref_from_prefix(block).map_err(|_| NotAHeader("too short"))?;
        let mut unsigned = *block;
        unsigned[CRC_AT..CRC_AT + 4].fill(0);
        if crc32c(&unsigned) != fixed.crc.get() {
            return Err(NotAHeader("checksum"));
        }
        let mut entries = Vec::with_capacity(usize::from(fixed.n_entries.get()).min(124));
        for _ in 0..fixed.n_entries.get() {
            let (entry, after) = Entry::decode(rest)?;
            entries.push(entry);
            rest = after;
        }
        let n_blocks = usize::from(fixed.n_blocks.get());
        let mut blocks = entries.iter().map(Entry::data_blocks);
        let described = blocks.try_fold(0_usize, usize::checked_add);
        let (crcs, rest) = <[U32]>::ref_from_prefix_with_elems(rest, n_blocks)
            .map_err(|_| NotAHeader("checksums are cut"))?;
        if described != Some(n_blocks) {
            return Err(NotAHeader("the entries describe other blocks"));
        }
        // No more than all of them.
        let n_sealed = entries.iter().map(Entry::sealed_blocks).sum();
        let (tags, _) = <[Tag]>::ref_from_prefix_with_elems(rest, n_sealed)
            .map_err(|_| NotAHeader("tags are cut"))?;
        let header = Self {
            place: Place {
                pool_id: fixed.pool_id,
                log_gen: fixed.log_gen.get(),
                seq: fixed.seq.get(),
                prev_crc: fixed.prev_crc.get(),
                segment_id: fixed.segment_id.get(),
                block: fixed.block.get(),
            },
            epoch: fixed.epoch.get(),
            durable_seq: fixed.durable_seq.get(),
            next: Segment { id: fixed.next_id.get(), extent: fixed.next_extent.get() },
            data_crcs: crcs.iter().map(|crc| crc.get()).collect(),
            tags: tags.to_vec(),
            entries,
        };
        Ok((header, fixed.crc.get()))
    }

    /// Its entries, and where their data blocks are.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&Entry, Placed<'_>)> {
        let (mut crcs, mut tags) = (&self.data_crcs[..], &self.tags[..]);
        let (segment_id, epoch) = (self.place.segment_id, self.epoch);
        let mut first_block = self.place.block + 1;
        self.entries.iter().map(move |entry| {
            let (own_crcs, behind) = crcs.split_at(entry.data_blocks());
            let (own_tags, tags_behind) = tags.split_at(entry.sealed_blocks());
            (crcs, tags) = (behind, tags_behind);
            let placed = Placed { segment_id, first_block, epoch, crcs: own_crcs, tags: own_tags };
            first_block += own_crcs.len() as u32;
            (entry, placed)
        })
    }

    /// Blocks of the record: the header and its data.
    pub(crate) fn blocks(&self) -> u32 {
        1 + self.data_crcs.len() as u32
    }
}

#[cfg(test)]
mod tests;
