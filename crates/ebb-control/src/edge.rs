//! What comes from outside: time, randomness, and the table of exports.

use std::sync::Arc;

use ebb_domain::Timestamp;
use ebb_volume::{SnapshotNames, Volume};

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

/// The volumes that answer on a socket, by name.
pub trait ExportTable: Send + Sync {
    /// From now on `name` answers with `volume`, which can be compared with `snapshots`.
    fn publish(&self, name: &str, volume: Arc<dyn Volume>, snapshots: Arc<dyn SnapshotNames>);

    /// From now on `name` is unknown. Returns when its connections have ended: what they had under
    /// way is answered, and after a bounded time they are cut off.
    fn withdraw(&self, name: &str);
}
