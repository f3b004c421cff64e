//! One suite for every engine.
//!
//! An engine's tests name a [`Store`] and get one test for each check:
//!
//! ```text
//! ebb_volume::conformance_suite!(Directory::new());
//! ```
//! A check gets a store of its own, opens an engine on it, and panics where a promise is broken.
//! Expected bytes come from plain vectors of bytes here, never from another engine.

mod bytes;
mod changed;
mod encryption;
mod extents;
mod handles;
mod random;
mod reopening;
mod stored;
mod threads;
mod together;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use bytes::*;
pub use changed::*;
pub use encryption::*;
pub use extents::*;
pub use handles::*;
pub use random::*;
pub use reopening::*;
pub use stored::*;
pub use threads::*;
pub use together::*;
pub use versions::*;

use crate::{Engine, EngineError, Io, IoError, OpId, SnapshotId, Volume, VolumeId, run};

/// What outlives an engine: a directory, a cluster.
pub trait Store {
    /// Opens an engine on it. The one opened before has been closed or dropped.
    fn open(&self) -> Result<Box<dyn Engine>, EngineError>;
}

/// Makes a `#[test]` of each check. `$store` is evaluated once for each. Where an engine stands on
/// encryption is told beside it, by [`encrypted_conformance_suite`] or
/// [`unencrypted_conformance_suite`].
///
/// With `#[ignore = "…"]` before the store, all of them are.
#[macro_export]
macro_rules! conformance_suite {
    (@each [$($attribute:tt)*] $store:expr;) => {};
    (@each [$($attribute:tt)*] $store:expr; $check:ident $($rest:ident)*) => {
        #[test]
        $($attribute)*
        fn $check() {
            $crate::conformance::$check(&$store);
        }
        $crate::conformance_suite! { @each [$($attribute)*] $store; $($rest)* }
    };
    (#[ignore = $reason:literal] $store:expr) => {
        $crate::conformance_suite! { @all [#[ignore = $reason]] $store }
    };
    (@all [$($attribute:tt)*] $store:expr) => {
        $crate::conformance_suite! { @each [$($attribute)*] $store;
            reads_and_writes_of_every_alignment
            a_new_volume_reads_zero
            zero_is_exact
            discard_rounds_inward
            requests_past_the_end_change_nothing
            empty_requests_succeed
            the_largest_volume_is_zeroed_at_once
            flush_and_fua_complete
            extents_are_exact_to_the_block
            extents_are_told_from_the_offset_on
            extents_are_refused_as_reads_are
            extents_follow_versions
            the_largest_volume_tells_its_extents_at_once
            random_extents_match_a_model
            changes_are_exact_to_the_block
            changes_follow_versions
            changes_are_refused_as_reads_are
            the_largest_volume_tells_its_changes_at_once
            random_changes_match_a_model
            stored_bytes_count_each_block_once
            stored_bytes_of_what_is_not_there
            the_largest_volume_is_counted_at_once
            random_stored_bytes_match_a_model
            a_snapshot_never_changes
            a_group_of_snapshots_is_one_instant
            reset_restores_and_keeps_every_snapshot
            reset_to_a_snapshot_of_another_volume
            reset_of_a_grown_volume_reads_zero_behind_the_snapshot
            reset_refuses_a_larger_snapshot
            a_fork_stands_on_its_own
            grow_keeps_bytes_and_reads_zero_behind
            deletes_in_any_order_keep_the_others
            sizes_are_checked
            what_is_not_there_is_named
            ids_are_taken_once
            a_repeated_operation_changes_nothing
            a_failed_operation_may_be_repeated
            the_inventory_lists_what_there_is
            an_open_volume_is_neither_reset_nor_deleted
            a_dropped_handle_is_closed
            handles_see_one_content
            a_revoked_handle_is_stale_for_ever
            a_handle_of_a_deleted_volume_is_stale
            a_closed_engine_has_stopped
            what_was_durable_is_there_after_reopening
            operations_are_remembered_after_reopening
            writers_of_one_block_keep_each_others_bytes
            concurrent_work_on_many_volumes
            snapshots_under_writes_are_prefixes
            nothing_lands_after_revoke
            requests_together_do_what_each_does
            requests_together_fail_alone
            any_number_of_requests_goes_together
            requests_together_may_overlap
            requests_together_are_durable_as_alone
            threads_submit_requests_together
            random_operations_match_a_model
        }
    };
    ($store:expr) => {
        $crate::conformance_suite! { @all [] $store }
    };
}

/// Makes the tests that need keys, and all others once more: on volumes of which some are
/// encrypted, with two keys.
#[macro_export]
macro_rules! encrypted_conformance_suite {
    ($store:expr) => {
        $crate::conformance_suite! { @each [] $store;
            a_volume_opens_with_its_key_only
            a_repeated_creation_has_the_same_key
            forks_and_resets_take_the_key_along
            nothing_is_as_in_a_snapshot_of_another_kind
        }

        mod encrypted {
            use super::*;
            $crate::conformance_suite!($crate::conformance::Encrypted($store));
        }
    };
}

/// Makes the tests of an engine that has no encrypted volumes: it has to say so.
#[macro_export]
macro_rules! unencrypted_conformance_suite {
    (#[ignore = $reason:literal] $store:expr) => {
        $crate::conformance_suite! { @each [#[ignore = $reason]] $store; keys_are_refused }
    };
    ($store:expr) => {
        $crate::conformance_suite! { @each [] $store; keys_are_refused }
    };
}

/// An engine, and short ways to ask it.
pub(crate) struct Bench {
    pub(crate) engine: Box<dyn Engine>,
}

static LAST_OP: AtomicU64 = AtomicU64::new(0);

/// An operation never asked for before.
pub(crate) fn new_op() -> OpId {
    let mut op = [0; 16];
    op[..8].copy_from_slice(&(LAST_OP.fetch_add(1, Relaxed) + 1).to_le_bytes());
    OpId(op)
}

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;

impl Bench {
    pub(crate) fn new(store: &dyn Store) -> Self {
        Self { engine: store.open().expect("the store opens") }
    }

    pub(crate) fn create(&self, volume: u64, size_bytes: u64) -> Arc<dyn Volume> {
        self.engine
            .create_volume(new_op(), VolumeId(volume), size_bytes, None)
            .expect("a volume is made");
        self.open(volume)
    }

    pub(crate) fn open(&self, volume: u64) -> Arc<dyn Volume> {
        self.engine.open(VolumeId(volume), None).expect("a volume opens")
    }

    pub(crate) fn snapshot(&self, volume: u64, snapshot: u64) {
        self.engine
            .create_snapshots(new_op(), &[(VolumeId(volume), SnapshotId(snapshot))])
            .expect("a snapshot is made");
    }

    pub(crate) fn reset(&self, volume: u64, target: u64) {
        self.engine
            .reset(new_op(), VolumeId(volume), SnapshotId(target))
            .expect("a volume is reset");
    }

    /// The first bytes of a snapshot, by way of a fork that is deleted again.
    pub(crate) fn snapshot_bytes(&self, snapshot: u64, length: u64) -> Vec<u8> {
        let fork = 1 << 63 | LAST_OP.fetch_add(1, Relaxed);
        let snapshots = self.engine.inventory().expect("an inventory").snapshots;
        let info = snapshots.iter().find(|info| info.id.0 == snapshot);
        let size_bytes = info.expect("the snapshot is there").size_bytes;
        self.engine
            .fork(new_op(), SnapshotId(snapshot), VolumeId(fork), size_bytes)
            .expect("a fork is made");
        let bytes = read(&*self.open(fork), 0, length);
        self.engine.delete_volume(new_op(), VolumeId(fork)).expect("a fork is deleted");
        bytes
    }
}

pub(crate) fn try_write(volume: &dyn Volume, offset: u64, data: &[u8]) -> Result<(), IoError> {
    let data = ::bytes::Bytes::copy_from_slice(data);
    let fua = false;
    run(volume, Io::Write { offset, data, fua }).map(|_| ())
}

pub(crate) fn write(volume: &dyn Volume, offset: u64, data: &[u8]) {
    try_write(volume, offset, data).expect("a write");
}

pub(crate) fn zero(volume: &dyn Volume, offset: u64, length: u64) {
    let fua = false;
    let io = Io::Zero { offset, length, fua };
    run(volume, io).expect("a zero");
}

pub(crate) fn discard(volume: &dyn Volume, offset: u64, length: u64) {
    let fua = false;
    let io = Io::Discard { offset, length, fua };
    run(volume, io).expect("a discard");
}

pub(crate) fn try_read(volume: &dyn Volume, offset: u64, length: u64) -> Result<Vec<u8>, IoError> {
    let length = u32::try_from(length).expect("a length of a read");
    run(volume, Io::Read { offset, length }).map(|bytes| bytes.to_vec())
}

pub(crate) fn read(volume: &dyn Volume, offset: u64, length: u64) -> Vec<u8> {
    try_read(volume, offset, length).expect("a read")
}

/// Bytes that differ from place to place and from `stamp` to `stamp`, and are never zero.
pub(crate) fn pattern(stamp: u64, length: u64) -> Vec<u8> {
    let byte = |i: u64| {
        let mixed = (i + stamp * 0x1_0001).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 56) as u8 | 1
    };
    (0..length).map(byte).collect()
}

/// Says where two contents first differ: a megabyte of bytes is no message.
pub(crate) fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    if let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) {
        let (f, e) = (found[at], expected[at]);
        panic!("{what}: byte {at} is {f:#04x} and should be {e:#04x}");
    }
}
