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
        (volume(), any::<u64>())
            .prop_map(|(volume, size_bytes)| Change::CreateVolume { volume, size_bytes }),
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
    header_of(|n, salt| n ^ salt)
}

/// A header whose blocks, by their number and a random one, have these checks.
fn header_of<C: Check + std::fmt::Debug>(
    check: fn(u32, u32) -> C,
) -> impl Strategy<Value = HeaderOf<C>> {
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
            while header_bytes::<C>(&entries) > BLOCK {
                entries.pop();
            }
            let blocks: usize = entries.iter().map(Entry::data_blocks).sum();
            HeaderOf {
                place,
                epoch,
                durable_seq,
                next: Segment { id, extent },
                data_crcs: (0..blocks as u32).map(|n| check(n, salt)).collect(),
                entries,
            }
        },
    )
}

fn header_bytes<C: Check>(entries: &[Entry]) -> usize {
    let entry_bytes: usize = entries.iter().map(Entry::header_bytes).sum();
    let blocks: usize = entries.iter().map(Entry::data_blocks).sum();
    FIXED_BYTES + entry_bytes + blocks * size_of::<C::Stored>()
}

fn sealed_header() -> impl Strategy<Value = HeaderOf<Tag>> {
    header_of(|n, salt| {
        let mut tag = [salt as u8; 16];
        tag[..4].copy_from_slice(&n.to_le_bytes());
        tag[12..].copy_from_slice(&salt.to_be_bytes());
        Tag(tag)
    })
}

fn decode<C: Check>(bytes: &[u8]) -> Result<(HeaderOf<C>, u32), NotAHeader> {
    let mut block = [0; BLOCK];
    block.copy_from_slice(bytes);
    HeaderOf::decode(&block)
}

/// Puts the checksum right again.
fn sign(bytes: &mut [u8]) {
    bytes[CRC_AT..CRC_AT + 4].fill(0);
    let crc = crc32c(bytes);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
}

/// A body is read apart from its header.
fn with_bodies<C>(mut decoded: HeaderOf<C>, original: &HeaderOf<C>) -> HeaderOf<C> {
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
        let (decoded, found) = decode::<u32>(&bytes).unwrap();
        prop_assert_eq!(with_bodies(decoded, &header), header);
        prop_assert_eq!(found, crc);
    }

    #[test]
    fn any_flipped_bit_is_seen(header in header(), bit in 0..BLOCK * 8) {
        let (mut bytes, _) = header.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode::<u32>(&bytes).is_err());
    }

    #[test]
    fn what_is_sealed_decodes_and_is_never_taken_for_plain(header in sealed_header()) {
        let (bytes, crc) = header.encode();
        prop_assert_eq!(bytes.len(), BLOCK);
        let (decoded, found) = decode::<Tag>(&bytes).unwrap();
        prop_assert_eq!(with_bodies(decoded, &header), header);
        prop_assert_eq!(found, crc);
        prop_assert!(decode::<u32>(&bytes).is_err());
    }

    #[test]
    fn any_flipped_bit_of_what_is_sealed_is_seen(
        header in sealed_header(), bit in 0..BLOCK * 8
    ) {
        let (mut bytes, _) = header.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode::<Tag>(&bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), BLOCK)) {
        prop_assert!(decode::<u32>(&bytes).is_err());
        // The same with the door open: a magic and a checksum that match.
        bytes[..8].copy_from_slice(&MAGIC);
        sign(&mut bytes);
        let _ = decode::<u32>(&bytes);
        let _ = decode::<Tag>(&bytes);
    }
}

fn writing(lens: &[u64]) -> Vec<Entry> {
    let run = |len: &u64| Run { volume: VolumeId(1), lba: 0, len: *len };
    lens.iter().map(|len| Entry::Write(run(len))).collect()
}

fn sealed(entries: Vec<Entry>) -> HeaderOf<Tag> {
    let blocks: usize = entries.iter().map(Entry::data_blocks).sum();
    let place =
        Place { pool_id: [1; 16], log_gen: 2, seq: 3, prev_crc: 4, segment_id: 5, block: 6 };
    HeaderOf {
        place,
        epoch: 7,
        durable_seq: 2,
        next: Segment { id: 8, extent: 9 },
        entries,
        data_crcs: (0..blocks).map(|n| Tag([n as u8 + 1; 16])).collect(),
    }
}

/// 128 bytes of header, 32 an entry, 16 a block.
#[test]
fn a_header_has_room_for_246_tags_of_one_write() {
    let full = writing(&[246]);
    assert!(header_bytes::<Tag>(&full) <= BLOCK);
    assert!(header_bytes::<Tag>(&writing(&[247])) > BLOCK);
    // Each block in a write of its own: 82 of them.
    assert_eq!(header_bytes::<Tag>(&writing(&[1; 82])), 128 + 82 * (32 + 16));
    assert!(header_bytes::<Tag>(&writing(&[1; 83])) > BLOCK);
    let (bytes, crc) = sealed(full.clone()).encode();
    assert_eq!(decode(&bytes), Ok((sealed(full), crc)));
}

#[test]
fn every_flipped_byte_of_a_full_sealed_header_is_seen() {
    let (bytes, _) = sealed(writing(&[100, 100])).encode();
    for at in 0..BLOCK {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert!(decode::<Tag>(&flipped).is_err(), "byte {at}");
    }
}

#[test]
fn tags_are_where_the_format_says() {
    let (bytes, _) = sealed(writing(&[2])).encode();
    assert_eq!(bytes[72..76], [1, 0, 0, 0], "tags vouch for the data");
    assert_eq!(bytes[160..176], [1; 16]);
    assert_eq!(bytes[176..192], [2; 16]);
    assert!(bytes[192..].iter().all(|byte| *byte == 0));
}

/// The checksum vouches for the bytes, not for who made them.
#[test]
fn counts_that_can_not_be_are_refused() {
    let plain = |entries| HeaderOf::<u32> {
        entries,
        place: sealed(vec![]).place,
        epoch: 1,
        durable_seq: 0,
        next: Segment { id: 8, extent: 9 },
        data_crcs: vec![],
    };
    // Added up without care, they would be as many as there are checksums: none.
    let (bytes, _) = plain(writing(&[1 << 63, 1 << 63])).encode();
    assert!(decode::<u32>(&bytes).is_err());

    let change = Change::CreateSnapshots { pairs: vec![] };
    let (mut bytes, _) = plain(vec![Entry::Version(OpId([1; 16]), change)]).encode();
    assert!(decode::<u32>(&bytes).is_ok());
    bytes[FIXED_BYTES + 4..FIXED_BYTES + 8].fill(0xff);
    sign(&mut bytes);
    let refused = decode::<u32>(&bytes);
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
}
