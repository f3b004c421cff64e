//! Where a store of these tests lives: a folder of its own.

use ebb_store::Store;
use tempfile::TempDir;

pub(crate) type Home = TempDir;

/// The only place of the suite that knows which database it runs on.
pub(crate) fn fresh() -> (Home, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("metadata.db")).unwrap();
    (folder, store)
}
