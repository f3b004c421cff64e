use proptest::prelude::*;

use super::*;

fn run() -> impl Strategy<Value = Run> {
    (any::<u64>(), any::<u64>(), 1..20_u64).prop_map(|(volume, lba, len)| Run {
        volume: VolumeId(volume),
        lba,
        len,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let volume = || any::<u64>().prop_map(VolumeId);
    let snapshot = || any::<u64>().prop_map(SnapshotId);
    prop_oneof![
        (volume(), any::<u64>(), 0..4_u64).prop_map(|(volume, size_bytes, check)| {
            let key_check = KeyCheck::from_u64(check);
            Change::CreateVolume { volume, size_bytes, key_check }
        }),
        (snapshot(), volume(), any::<u64>())
            .prop_map(|(source, volume, size_bytes)| Change::Fork { source, volume, size_bytes }),
        prop::collection::vec((volume(), snapshot()), 0..600)
            .prop_map(|pairs| Change::CreateSnapshots { pairs }),
        (volume(), snapshot()).prop_map(|(volume, target)| Change::Reset { volume, target }),
        (volume(), any::<u64>())
            .prop_map(|(volume, size_bytes)| Change::Grow { volume, size_bytes }),
        volume().prop_map(|volume| Change::DeleteVolume { volume }),
        snapshot().prop_map(|snapshot| Change::DeleteSnapshot { snapshot }),
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let runs = prop_oneof![
        run().prop_map(Entry::Write),
        run().prop_map(Entry::WriteSealed),
        run().prop_map(Entry::Zero),
        run().prop_map(Entry::Discard),
        prop::option::of((any::<u64>(), any::<u64>()))
            .prop_map(|s| Entry::Start(s.map(|(id, extent)| Segment { id, extent }))),
    ];
    prop_oneof![
        prop::collection::vec(runs, 0..30),
        (any::<[u8; 16]>(), change())
            .prop_map(|(op, change)| vec![Entry::Version(OpId(op), change)]),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>());
    let place = (any::<[u8; 16]>(), numbers).prop_map(
        |(pool_id, (log_gen, seq, prev_crc, segment_id, block))| Place {
            pool_id,
            log_gen,
            seq,
            prev_crc,
            segment_id,
            block,
        },
    );
    let links = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>());
    (place, links, entries(), any::<u32>()).prop_map(
        move |(place, (epoch, durable_seq, id, extent), mut entries, salt)| {
            while header_bytes(&entries) > BLOCK {
                entries.pop();
            }
            let blocks: usize = entries.iter().map(Entry::data_blocks).sum();
            let sealed: usize = entries.iter().map(Entry::sealed_blocks).sum();
            let tag = |n: u32| {
                let mut tag = [salt as u8; 16];
                tag[..4].copy_from_slice(&n.to_le_bytes());
                tag[12..].copy_from_slice(&salt.to_be_bytes());
                Tag(tag)
            };
            Header {
                place,
                epoch,
                durable_seq,
                next: Segment { id, extent },
                data_crcs: (0..blocks as u32).map(|n| n ^ salt).collect(),
                tags: (0..sealed as u32).map(tag).collect(),
                entries,
            }
        },
    )
}

fn header_bytes(entries: &[Entry]) -> usize {
    let checks = |entry: &Entry| entry.data_blocks() * entry.check_bytes();
    let entry_bytes = |entry: &Entry| entry.header_bytes() + checks(entry);
    FIXED_BYTES + entries.iter().map(entry_bytes).sum::<usize>()
}

fn decode(bytes: &[u8]) -> Result<(Header, u32), NotAHeader> {
    let mut block = [0; BLOCK];
    block.copy_from_slice(bytes);
    Header::decode(&block)
}

/// Puts the checksum right again.
fn sign(bytes: &mut [u8]) {
    bytes[CRC_AT..CRC_AT + 4].fill(0);
    let crc = crc32c(bytes);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
}

/// A body is read apart from its header.
fn with_bodies(mut decoded: Header, original: &Header) -> Header {
    for (entry, original) in decoded.entries.iter_mut().zip(&original.entries) {
        if let (Entry::Version(_, change), Entry::Version(_, original)) = (entry, original) {
            change.take_body(&original.body());
        }
    }
    decoded
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(header in header()) {
        let (bytes, crc) = header.encode();
        prop_assert_eq!(bytes.len(), BLOCK);
        let (decoded, found) = decode(&bytes).unwrap();
        prop_assert_eq!(with_bodies(decoded, &header), header);
        prop_assert_eq!(found, crc);
    }

    #[test]
    fn any_flipped_bit_is_seen(header in header(), bit in 0..BLOCK * 8) {
        let (mut bytes, _) = header.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode(&bytes).is_err());
    }

    /// Each entry has its own blocks, and each sealed block its own tag.
    #[test]
    fn entries_are_placed_one_after_the_other(mut header in header()) {
        header.place.block %= 1 << 20;
        let (mut block, mut crcs, mut tags) = (header.place.block + 1, vec![], vec![]);
        for (entry, placed) in header.placed() {
            prop_assert_eq!(placed.first_block, block);
            prop_assert_eq!(placed.crcs.len(), entry.data_blocks());
            prop_assert_eq!(placed.tags.len(), entry.sealed_blocks());
            block += placed.crcs.len() as u32;
            crcs.extend_from_slice(placed.crcs);
            tags.extend_from_slice(placed.tags);
        }
        prop_assert_eq!(block, header.place.block + header.blocks());
        prop_assert_eq!((crcs, tags), (header.data_crcs, header.tags));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), BLOCK)) {
        prop_assert!(decode(&bytes).is_err());
        // The same with the door open: a magic and a checksum that match.
        bytes[..8].copy_from_slice(&MAGIC);
        sign(&mut bytes);
        let _ = decode(&bytes);
    }
}

fn writing(lens: &[u64]) -> Vec<Entry> {
    let run = |len: &u64| Run { volume: VolumeId(1), lba: 0, len: *len };
    lens.iter().map(|len| Entry::Write(run(len))).collect()
}

fn sealed(lens: &[u64]) -> Vec<Entry> {
    let run = |len: &u64| Run { volume: VolumeId(1), lba: 0, len: *len };
    lens.iter().map(|len| Entry::WriteSealed(run(len))).collect()
}

fn with(entries: Vec<Entry>) -> Header {
    let blocks: usize = entries.iter().map(Entry::data_blocks).sum();
    let tags: usize = entries.iter().map(Entry::sealed_blocks).sum();
    let place =
        Place { pool_id: [1; 16], log_gen: 2, seq: 3, prev_crc: 4, segment_id: 5, block: 6 };
    Header {
        place,
        epoch: 7,
        durable_seq: 2,
        next: Segment { id: 8, extent: 9 },
        entries,
        data_crcs: (0..blocks as u32).map(|n| n + 1).collect(),
        tags: (0..tags).map(|n| Tag([n as u8 + 1; 16])).collect(),
    }
}

/// 128 bytes of header, 32 an entry, 20 a block.
#[test]
fn a_header_has_room_for_196_sealed_blocks_of_one_write() {
    let full = sealed(&[196]);
    assert!(header_bytes(&full) <= BLOCK);
    assert!(header_bytes(&sealed(&[197])) > BLOCK);
    // Each block in a write of its own: 76 of them.
    assert_eq!(header_bytes(&sealed(&[1; 76])), 128 + 76 * (32 + 20));
    assert!(header_bytes(&sealed(&[1; 77])) > BLOCK);
    let (bytes, crc) = with(full.clone()).encode();
    assert_eq!(decode(&bytes), Ok((with(full), crc)));
}

#[test]
fn every_flipped_byte_of_a_full_sealed_header_is_seen() {
    let (bytes, _) = with(sealed(&[90, 90])).encode();
    for at in 0..BLOCK {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert!(decode(&flipped).is_err(), "byte {at}");
    }
}

#[test]
fn tags_are_where_the_format_says() {
    let entries = [sealed(&[1]), writing(&[1]), sealed(&[1])].concat();
    let (bytes, _) = with(entries).encode();
    let flags = [128, 160, 192].map(|at| (bytes[at], bytes[at + 1]));
    assert_eq!(flags, [(1, 1), (1, 0), (1, 1)], "kinds, and which are sealed");
    assert_eq!(bytes[72..76], [0; 4]);
    // Behind the entries the checksums of all blocks, then the tags of two.
    assert_eq!(bytes[224..236], [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(bytes[236..252], [1; 16]);
    assert_eq!(bytes[252..268], [2; 16]);
    assert!(bytes[268..].iter().all(|byte| *byte == 0));
}

/// The checksum vouches for the bytes, not for who made them.
#[test]
fn counts_that_can_not_be_are_refused() {
    let plain = |entries| Header { entries, ..with(vec![]) };
    // Added up without care, they would be as many as there are checksums: none.
    for too_many in [writing(&[1 << 63, 1 << 63]), sealed(&[1 << 63, 1 << 63])] {
        let (bytes, _) = plain(too_many).encode();
        assert!(decode(&bytes).is_err());
    }

    let change = Change::CreateSnapshots { pairs: vec![] };
    let (mut bytes, _) = plain(vec![Entry::Version(OpId([1; 16]), change)]).encode();
    assert!(decode(&bytes).is_ok());
    bytes[FIXED_BYTES + 4..FIXED_BYTES + 8].fill(0xff);
    sign(&mut bytes);
    let refused = decode(&bytes);
    assert_eq!(refused, Err(NotAHeader("more pairs than a record's blocks hold")));
}

/// The places of the fields are those of docs/internals/format.md, written down here once more.
#[test]
fn the_bytes_are_where_the_format_says() {
    let volume = VolumeId(0x0102_0304_0506_0708);
    let run = |lba, len| Run { volume, lba, len };
    let header = Header {
        place: Place {
            pool_id: [0xab; 16],
            log_gen: 5,
            seq: 6,
            prev_crc: 7,
            segment_id: 8,
            block: 9,
        },
        epoch: 10,
        durable_seq: 4,
        next: Segment { id: 11, extent: 12 },
        entries: vec![Entry::Write(run(13, 2)), Entry::Zero(run(14, 15))],
        data_crcs: vec![0x1111_2222, 0x3333_4444],
        tags: vec![],
    };
    let (bytes, crc) = header.encode();
    let number = |at: usize, length: usize| {
        let mut n = [0; 8];
        n[..length].copy_from_slice(&bytes[at..at + length]);
        u64::from_le_bytes(n)
    };
    assert_eq!(&bytes[..8], b"EBBTREC\x01");
    let halves = [number(8, 2), number(10, 2)];
    assert_eq!(halves, [2, 2], "entries, blocks");
    assert_eq!(number(12, 4), 10, "epoch");
    assert_eq!(bytes[16..32], [0xab; 16]);
    let long = [32, 40, 48, 56, 80, 88].map(|at| number(at, 8));
    assert_eq!(long, [5, 6, 8, 4, 11, 12]);
    assert_eq!([number(64, 4), number(68, 4)], [9, 7], "block, crc before");
    assert_eq!(number(76, 4), u64::from(crc));
    assert_eq!([bytes[128], bytes[160]], [1, 2], "kinds");
    assert_eq!(number(136, 8), volume.0);
    assert_eq!([number(144, 8), number(152, 8)], [13, 2]);
    assert_eq!([number(192, 4), number(196, 4)], [0x1111_2222, 0x3333_4444]);
    assert!(bytes[200..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_change_is_where_the_format_says() {
    let change = Change::Fork { source: SnapshotId(3), volume: VolumeId(4), size_bytes: 5 };
    let bytes = Entry::Version(OpId([9; 16]), change).encode();
    let mut expected = vec![0; 64];
    (expected[0], expected[1]) = (4, 2);
    expected[8..24].fill(9);
    (expected[24], expected[32], expected[40]) = (4, 3, 5);
    assert_eq!(bytes, expected);

    let key_check = KeyCheck::from_u64(7);
    let change = Change::CreateVolume { volume: VolumeId(4), size_bytes: 5, key_check };
    let bytes = Entry::Version(OpId([9; 16]), change).encode();
    (expected[1], expected[32], expected[48]) = (1, 0, 7);
    assert_eq!(bytes, expected);
}
