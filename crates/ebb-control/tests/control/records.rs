//! Where a test's records are: in a file, or in PostgreSQL where the run has a server, which
//! `cargo xtask test --only postgres` starts.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use ebb_store::{Store, StoreError};

/// Beside where the file would be: the address of the schema that is used in its place.
const ADDRESS: &str = "store";

/// Makes a schema for the records of that folder, if there is a server.
pub(crate) fn keep_in_postgres(folder: &Path) {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = std::env::var("EBB_TEST_POSTGRES") else { return };
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let schema = format!("c{}_{number}", std::process::id());
    let made = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", &server, "-c", &format!("CREATE SCHEMA {schema}")])
        .status();
    assert!(made.is_ok_and(|status| status.success()), "psql cannot make a schema");
    let address = format!("{server}?options=-c%20search_path%3D{schema}");
    std::fs::write(folder.join(ADDRESS), address).unwrap();
}

/// Opens the store of the file at `path`, or the one that is used in its place.
pub(crate) fn open(path: &Path) -> Result<Store, StoreError> {
    match std::fs::read_to_string(path.with_file_name(ADDRESS)) {
        Ok(address) => Store::connect(&address.parse()?),
        Err(_) => Store::open(path),
    }
}
