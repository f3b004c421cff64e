//! Bytes in and out of one volume.

use super::*;
use crate::{BLOCK_BYTES, MAX_VOLUME_BYTES};

/// Offsets and lengths on, before and behind the borders of sectors and blocks.
fn alignments() -> Vec<(u64, u64)> {
    let places = [0, 1, 511, 512, 4095, 4096, 4097, 8191, 8192, 12_288, 65_535];
    let lengths = [1, 511, 512, 513, 4095, 4096, 4097, 8192, 12_289, 70_000];
    let pairs = places.iter().flat_map(|&p| lengths.map(|l| (p, l)));
    pairs.collect()
}

/// A write changes its bytes and no other, a read returns what was written.
pub fn reads_and_writes_of_every_alignment(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    let mut model = vec![0; MIB as usize];
    for (stamp, (offset, length)) in alignments().into_iter().enumerate() {
        let data = pattern(stamp as u64, length);
        write(&*volume, offset, &data);
        model[offset as usize..][..data.len()].copy_from_slice(&data);
        let (from, many) = (offset.saturating_sub(3), length + 6);
        let expected = &model[from as usize..][..many as usize];
        assert_same(&read(&*volume, from, many), expected, "around a write");
    }
    assert_same(&read(&*volume, 0, MIB), &model, "the volume");
    // The last byte is one as any other.
    write(&*volume, MIB - 1, b"x");
    assert_eq!(read(&*volume, MIB - 1, 1), b"x");
}

/// What was never written reads zero, anywhere in the largest volume.
pub fn a_new_volume_reads_zero(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MAX_VOLUME_BYTES);
    assert_eq!(volume.size_bytes(), MAX_VOLUME_BYTES);
    assert_eq!(volume.id(), VolumeId(1));
    for offset in [0, 5 << 40, MAX_VOLUME_BYTES - MIB] {
        let found = read(&*volume, offset, MIB);
        assert_same(&found, &vec![0; MIB as usize], "a part");
    }
}

/// Zero makes its bytes zero and no other.
pub fn zero_is_exact(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    for (stamp, (offset, length)) in alignments().into_iter().enumerate() {
        let mut model = pattern(stamp as u64, 200 * KIB);
        write(&*volume, 0, &model);
        zero(&*volume, offset, length);
        model[offset as usize..][..length as usize].fill(0);
        let found = read(&*volume, 0, 200 * KIB);
        assert_same(&found, &model, &format!("zero {length} at {offset}"));
    }
}

/// Discard makes the whole blocks within it zero, and changes no byte of another.
pub fn discard_rounds_inward(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    for (stamp, (offset, length)) in alignments().into_iter().enumerate() {
        let mut model = pattern(stamp as u64, 200 * KIB);
        write(&*volume, 0, &model);
        discard(&*volume, offset, length);
        let end = (offset + length) / BLOCK_BYTES * BLOCK_BYTES;
        let begin = offset.next_multiple_of(BLOCK_BYTES).min(end);
        model[begin as usize..end as usize].fill(0);
        let found = read(&*volume, 0, 200 * KIB);
        assert_same(&found, &model, &format!("discard {length} at {offset}"));
    }
}

/// A request that is not wholly within the volume is refused, and none of it is done.
pub fn requests_past_the_end_change_nothing(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, 64 * KIB);
    let model = pattern(1, 64 * KIB);
    write(&*volume, 0, &model);
    let fua = false;
    for (offset, length) in
        [(64 * KIB, 1), (64 * KIB - 1, 2), (0, 64 * KIB + 1), (u64::MAX, 1), (u64::MAX - 10, 4096)]
    {
        let data = vec![9; length as usize].into();
        let requests = [
            Io::Read { offset, length: length as u32 },
            Io::Write { offset, data, fua },
            Io::Zero { offset, length, fua },
            Io::Discard { offset, length, fua },
        ];
        for io in requests {
            let outcome = run(&*volume, io.clone());
            assert_eq!(outcome, Err(IoError::OutOfRange), "{offset} + {length}");
        }
    }
    let length = u64::MAX;
    let offset = 4096;
    let io = Io::Zero { offset, length, fua };
    assert_eq!(run(&*volume, io), Err(IoError::OutOfRange));
    assert_same(&read(&*volume, 0, 64 * KIB), &model, "the volume");
}

/// A request for no bytes succeeds and does nothing.
pub fn empty_requests_succeed(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, 64 * KIB);
    write(&*volume, 0, &pattern(1, 64 * KIB));
    for offset in [0, 7, 4096, 64 * KIB] {
        assert_eq!(read(&*volume, offset, 0), b"");
        write(&*volume, offset, b"");
        zero(&*volume, offset, 0);
        discard(&*volume, offset, 0);
    }
    assert_same(&read(&*volume, 0, 64 * KIB), &pattern(1, 64 * KIB), "it");
}

/// A zero or discard takes time in what is stored, not in its length.
pub fn the_largest_volume_is_zeroed_at_once(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MAX_VOLUME_BYTES);
    let places = [0, 3 << 40, MAX_VOLUME_BYTES - 4096];
    for round in 0..20 {
        for place in places {
            write(&*volume, place, &pattern(place, 4096));
        }
        match round % 2 {
            0 => zero(&*volume, 1, MAX_VOLUME_BYTES - 2),
            _ => discard(&*volume, 1, MAX_VOLUME_BYTES - 2),
        }
        assert_same(&read(&*volume, places[1], 4096), &[0; 4096], "the middle");
        let first = pattern(0, 4096);
        assert_eq!(read(&*volume, 0, 1), first[..1], "the byte before");
        let last = pattern(places[2], 4096);
        let found = read(&*volume, MAX_VOLUME_BYTES - 1, 1);
        assert_eq!(found, last[4095..], "the byte behind");
    }
}

/// Flush, and every kind of change with FUA, complete; many at the same time too.
pub fn flush_and_fua_complete(store: &dyn Store) {
    let bench = Bench::new(store);
    let volume = bench.create(1, MIB);
    run(&*volume, Io::Flush).expect("a flush of nothing");
    let fua = true;
    let (sender, receiver) = std::sync::mpsc::channel();
    for i in 0..50 {
        let (offset, length) = (i * 4096, 4096);
        let data = pattern(i, length).into();
        let io = match i % 4 {
            0 => Io::Flush,
            1 => Io::Zero { offset, length, fua },
            2 => Io::Discard { offset, length, fua },
            _ => Io::Write { offset, data, fua },
        };
        let sender = sender.clone();
        volume.submit(io, Box::new(move |outcome| sender.send(outcome).expect("the check waits")));
    }
    drop(sender);
    let outcomes: Vec<_> = receiver.into_iter().collect();
    assert_eq!(outcomes.len(), 50, "each is answered once");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_same(&read(&*volume, 3 * 4096, 4096), &pattern(3, 4096), "FUA");
}
