//! What comes from outside: time, randomness, and the table of exports.

use std::sync::Arc;

use ebb_domain::{Performance, Timestamp};
use ebb_volume::{SnapshotNames, Volume};

use crate::Activity;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has randomness");
    }
}

/// What answers under a name.
pub struct Exported {
    /// The bytes.
    pub volume: Arc<dyn Volume>,
    /// What they can be compared with.
    pub snapshots: Arc<dyn SnapshotNames>,
    /// What the disk does at most, if it has a ceiling.
    pub performance: Option<Performance>,
}

/// The volumes that answer on a socket, by name.
pub trait ExportTable: Send + Sync {
    /// From now on `name` answers.
    fn publish(&self, name: &str, export: Exported);

    /// From now on `name` is unknown. Returns when its connections have ended: what they had under
    /// way is answered, and after a bounded time they are cut off.
    fn withdraw(&self, name: &str);

    /// Sets what an export does in a second at most, from now on, where that is enforced at all.
    fn limit(&self, name: &str, performance: Option<Performance>);

    /// What was done under each name that answers now, since it was first published.
    fn activity(&self) -> Vec<(String, Activity)>;

    /// `name` will not be published again: what was counted under it need not be kept.
    fn forget(&self, name: &str);
}
