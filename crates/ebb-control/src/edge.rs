//! What comes from outside: time, randomness, and the table of exports.

use std::fs::File;
use std::sync::Arc;

use ebb_domain::{InstanceId, Performance, Timestamp};
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
    /// Which instances may use it, where clients must show which they are.
    pub instances: Vec<InstanceId>,
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

    /// Says which instances may use it, from now on, where clients must show which they are. Others
    /// that use it are ended as [`ExportTable::withdraw`] does.
    fn bind(&self, name: &str, instances: &[InstanceId]);

    /// What was done under each name that answers now, since it was first published.
    fn activity(&self) -> Vec<(String, Activity)>;

    /// `name` will not be published again: what was counted under it need not be kept.
    fn forget(&self, name: &str);
}

/// Reads disk images that are not written as the disk's own bytes.
pub trait Converter: Send + Sync {
    /// Whether there is one at all.
    fn is_there(&self) -> bool;

    /// How many bytes the disk in a qcow2 image has.
    ///
    /// # Errors
    /// Why the image cannot be used, in words for whoever gave it: it is none, or names other
    /// files.
    fn inspect(&self, image: &File) -> Result<u64, String>;

    /// Writes that disk to the export of this name. `reached` is told the hundredths that are done,
    /// and answers whether to go on.
    ///
    /// # Errors
    /// Why it came to nothing.
    fn copy(
        &self,
        image: &File,
        export: &str,
        reached: &mut dyn FnMut(u8) -> bool,
    ) -> Result<(), String>;
}

/// For servers on which there is none.
impl Converter for () {
    fn is_there(&self) -> bool {
        false
    }

    fn inspect(&self, _image: &File) -> Result<u64, String> {
        Err("nothing here reads qcow2".to_owned())
    }

    fn copy(
        &self,
        image: &File,
        _export: &str,
        _reached: &mut dyn FnMut(u8) -> bool,
    ) -> Result<(), String> {
        self.inspect(image).map(drop)
    }
}
