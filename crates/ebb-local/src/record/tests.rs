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
        |(place, (epoch, durable_seq, id, extent), entries, salt)| {
            let blocks: usize = entries.iter().map(Entry::data_blocks).sum();
            Header {
                place,
                epoch,
                durable_seq,
                next: Segment { id, extent },
                data_crcs: (0..blocks as u32).map(|n| n ^ salt).collect(),
                entries,
            }
        },
    )
}

fn decode(bytes: &[u8]) -> Result<(Header, u32), NotAHeader> {
    let mut block = [0; BLOCK];
    block.copy_from_slice(bytes);
    Header::decode(&block)
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

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), BLOCK)) {
        prop_assert!(decode(&bytes).is_err());
        // The same with the door open: a magic and a checksum that match.
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[CRC_AT..CRC_AT + 4].fill(0);
        let crc = crc32c(&bytes);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        let _ = decode(&bytes);
    }
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
