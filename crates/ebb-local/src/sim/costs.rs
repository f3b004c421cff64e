//! What a snapshot, a reset and a fork cost, counted in writes and syncs of the disk: no time is
//! measured, so it is the same on every machine.

use ebb_volume::{Io, MAX_VOLUME_BYTES, OpId, SnapshotId, Volume, VolumeId};

use super::Random;
use super::disk::SimDisk;
use crate::layout::BLOCK;
use crate::pool::{CheckpointStep, Pool, Setup};
use crate::record::Change;
use crate::volume::Handle;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

struct Lab {
    disk: SimDisk,
    pool: Arc<Pool<SimDisk>>,
    last_op: u8,
}

impl Lab {
    fn new() -> Self {
        Self::open(SimDisk::default(), 0)
    }

    fn reopen(self) -> Self {
        Self::open(self.disk, self.last_op)
    }

    fn open(disk: SimDisk, last_op: u8) -> Self {
        let setup = Setup::by_hand(512);
        let pool = Arc::new(Pool::open(disk.clone(), setup).unwrap());
        while pool.stock_step() {}
        Self { disk, pool, last_op }
    }

    /// Makes a change, and says how many writes and syncs it took.
    fn cost(&mut self, change: Change) -> (u64, u64) {
        self.last_op += 1;
        let before = self.disk.counts();
        self.pool.change(OpId([self.last_op; 16]), change).unwrap();
        let after = self.disk.counts();
        (after.0 - before.0, after.1 - before.1)
    }

    /// Writes blocks all over the volume.
    fn scatter(&self, volume: VolumeId, size_bytes: u64, blocks: u64) {
        let opened = self.pool.open_handle(volume, None).unwrap();
        let handle = Handle::new(&self.pool, opened);
        let mut random = Random::new(size_bytes);
        for _ in 0..blocks {
            let offset = random.below(size_bytes / BLOCK as u64) * BLOCK as u64;
            let (data, fua) = (vec![7; BLOCK].into(), false);
            handle.submit(Io::Write { offset, data, fua }, Box::new(|_| {}));
        }
        self.pool.write_all();
        while self.pool.stock_step() {}
        self.pool.write_all();
        while self.pool.stock_step() {}
    }
}

/// Each is one record, written once, and one sync behind it; whatever the size and the content, and
/// whether the map is in memory, on disk, or some of it here and some there. No page is read.
#[test]
fn snapshot_reset_and_fork_cost_one_write_and_one_sync() {
    let sizes = [
        ("empty", 1 << 30, 0),
        ("dense", 4 << 20, 3000),
        ("1 GiB", 1 << 30, 1500),
        ("64 TiB", MAX_VOLUME_BYTES, 1500),
    ];
    let cases = sizes.into_iter().flat_map(|size| [(size, false), (size, true)]);
    for ((name, size_bytes, blocks), on_disk) in cases {
        let mut lab = Lab::new();
        let (volume, fork) = (VolumeId(1), VolumeId(2));
        let (first, second) = (SnapshotId(1), SnapshotId(2));
        lab.cost(Change::CreateVolume { volume, size_bytes, key_check: None });
        lab.scatter(volume, size_bytes, blocks);
        if on_disk {
            while lab.pool.checkpoint_step() != CheckpointStep::Idle {}
            lab = lab.reopen();
        }
        let snapshot = |id| Change::CreateSnapshots { pairs: vec![(volume, id)] };
        let reset = |target| Change::Reset { volume, target };
        let first_cost = lab.cost(snapshot(first));
        lab.scatter(volume, size_bytes, blocks);
        let costs = [
            first_cost,
            lab.cost(snapshot(second)),
            lab.cost(reset(first)),
            lab.cost(reset(second)),
            lab.cost(Change::Fork { source: first, volume: fork, size_bytes }),
            lab.cost(Change::DeleteSnapshot { snapshot: first }),
        ];
        assert_eq!(costs, [(1, 1); 6], "{name}, on disk: {on_disk}");
        assert_eq!(lab.pool.counters.pages_read.load(Relaxed), 0, "{name}: pages were read");
    }
}
