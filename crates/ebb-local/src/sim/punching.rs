//! An extent on its way back to the host, and a log that wants it at the same time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ebb_volume::{Io, OpId, Volume, VolumeId, run};

use super::disk::SimDisk;
use crate::layout::BLOCK;
use crate::pool::{CheckpointStep, Pool, Setup};
use crate::record::Change;
use crate::volume::Handle;

const VOLUME: VolumeId = VolumeId(1);
const BLOCKS: u64 = 1500;

fn pool(disk: &SimDisk) -> Arc<Pool<SimDisk>> {
    let setup = Setup::by_hand(64);
    let pool = Arc::new(Pool::open(disk.clone(), setup).unwrap());
    let size_bytes = BLOCKS * BLOCK as u64;
    pool.change(
        OpId([1; 16]),
        Change::CreateVolume { volume: VOLUME, size_bytes, key_check: None },
    )
    .unwrap();
    pool
}

fn handle(pool: &Arc<Pool<SimDisk>>) -> Handle<SimDisk> {
    Handle::new(pool, pool.open_handle(VOLUME, None).unwrap())
}

fn write_all_blocks(pool: &Arc<Pool<SimDisk>>) {
    let handle = handle(pool);
    for block in 0..BLOCKS {
        let (offset, data) = (block * BLOCK as u64, vec![block as u8; BLOCK].into());
        handle.submit(Io::Write { offset, data, fua: false }, Box::new(|_| {}));
        pool.write_all();
        while pool.stock_step() {}
        pool.write_all();
    }
}

fn checkpoint(pool: &Arc<Pool<SimDisk>>) {
    while pool.checkpoint_step() != CheckpointStep::Finished {}
}

#[test]
fn the_log_does_not_go_on_in_an_extent_while_it_is_given_back() {
    let disk = SimDisk::default();
    let pool = pool(&disk);
    write_all_blocks(&pool);
    let length = BLOCKS * BLOCK as u64;
    // What a checkpoint frees stays for as much again; the next one gives back what was not used.
    for _ in 0..2 {
        handle(&pool).submit(Io::Discard { offset: 0, length, fua: false }, Box::new(|_| {}));
        pool.write_all();
        checkpoint(&pool);
    }

    let writer = Arc::clone(&pool);
    disk.before_next_punch(Box::new(move || write_all_blocks(&writer)));
    while pool.checkpoint_step() == CheckpointStep::More {}
    assert!(pool.counters.extents_punched.load(Relaxed) > 0, "nothing was at stake");

    let handle = handle(&pool);
    for block in 0..BLOCKS {
        let io = Io::Read { offset: block * BLOCK as u64, length: BLOCK as u32 };
        assert_eq!(run(&handle, io), Ok(vec![block as u8; BLOCK].into()), "block {block}");
    }
}
