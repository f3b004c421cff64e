//! A record's header.

use ebb_volume::{OpId, SnapshotId, VolumeId};

use super::{assert_same_where_read, block, seed, sign};
use crate::cipher::{KeyCheck, Tag};
use crate::layout::{BLOCK, Segment};
use crate::record::{Change, Entry, Header, Place, Run};

/// Where docs/internals/format.md has the checksum.
const CRC_AT: usize = 76;

/// What decodes encodes to the same, describes as many blocks as it has checksums for, and is
/// refused with a bit flipped; a body of any bytes is taken in.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let mut block = block(input);
    let crc = sign(&mut block, CRC_AT);
    let Ok((header, found)) = Header::decode(&block) else { return };
    assert_eq!(found, crc);
    let described: usize = header.entries.iter().map(Entry::data_blocks).sum();
    assert_eq!(described, header.data_crcs.len());
    assert_eq!(
        header.placed().map(|(_, placed)| placed.tags.len()).sum::<usize>(),
        header.tags.len()
    );

    let (again, crc_again) = header.encode();
    assert_same_where_read(&block, &again, CRC_AT);
    let decoded = Header::decode(&super::block(&again));
    assert!(decoded.as_ref() == Ok(&(header.clone(), crc_again)), "another header");

    let bit = crc as usize % (8 * BLOCK);
    let mut flipped = block;
    flipped[bit / 8] ^= 1 << (bit % 8);
    assert!(Header::decode(&flipped).is_err(), "bit {bit} was flipped");

    for entry in header.entries {
        if let Entry::Version(_, mut change) = entry {
            change.take_body(input);
            let mut again = change.clone();
            again.take_body(&change.body());
            assert!(again == change, "another body");
        }
    }
}

/// A header for each kind of entry and of change, of plain blocks and of encrypted ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let (volume, snapshot, size_bytes) = (VolumeId(7), SnapshotId(8), 1 << 30);
    let run = |lba, len| Run { volume, lba, len };
    let changes = [
        Change::CreateVolume { volume, size_bytes, key_check: None },
        Change::CreateVolume { volume, size_bytes, key_check: KeyCheck::from_u64(9) },
        Change::Fork { source: snapshot, volume, size_bytes },
        Change::CreateSnapshots { pairs: vec![(volume, snapshot); 300] },
        Change::Reset { volume, target: snapshot },
        Change::Grow { volume, size_bytes },
        Change::DeleteVolume { volume },
        Change::DeleteSnapshot { snapshot },
    ];
    let runs = vec![Entry::Write(run(1, 3)), Entry::Zero(run(9, 4)), Entry::Discard(run(20, 5))];
    let start = Entry::Start(Some(Segment { id: 3, extent: 2 }));
    let all: Vec<_> = changes
        .into_iter()
        .map(|change| vec![Entry::Version(OpId([5; 16]), change)])
        .chain([runs, vec![start], vec![Entry::Start(None)], vec![Entry::Write(run(0, 200))]])
        .chain([
            vec![Entry::WriteSealed(run(0, 190))],
            vec![Entry::WriteSealed(run(0, 2)), Entry::Write(run(5, 6))],
        ])
        .collect();
    all.iter().map(|entries| seed(&header(entries).encode().0)).collect()
}

fn header(entries: &[Entry]) -> Header {
    let blocks: usize = entries.iter().map(Entry::data_blocks).sum();
    let sealed = |entry: &&Entry| matches!(entry, Entry::WriteSealed(_));
    let tags: usize = entries.iter().filter(sealed).map(Entry::data_blocks).sum();
    Header {
        place: Place { pool_id: [1; 16], log_gen: 2, seq: 3, prev_crc: 4, segment_id: 5, block: 6 },
        epoch: 7,
        durable_seq: 2,
        next: Segment { id: 9, extent: 10 },
        entries: entries.to_vec(),
        data_crcs: (1..=blocks as u32).collect(),
        tags: (0..tags).map(|n| Tag([n as u8; 16])).collect(),
    }
}
