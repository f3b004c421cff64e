//! Where the records are kept: in a file in the data directory, or in PostgreSQL.
//!
//! The address of a database may have a password in it. Everybody on a machine can read a command
//! line, so one that has is taken from a variable or a file only, and nothing here shows it.

use std::fmt::{self, Debug, Formatter};
use std::path::{Path, PathBuf};

use clap::Args;
use ebb_store::{PostgresUrl, Store, StoreError};
use serde::Deserialize;

use crate::Failure;

/// In the data directory.
pub(crate) const FILE: &str = "ebbtide.db";

/// The variable with the address.
const VARIABLE: &str = "EBB_STORE";

/// Options about the store.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StoreArgs {
    /// The PostgreSQL database that keeps the records: postgres://USER@HOST:PORT/DATABASE, also in
    /// EBB_STORE. With a password in it only there or in a file. Beyond this machine the connection
    /// is encrypted: ?sslrootcert=FILE names the authority where the system does not know it
    /// [default: a file in the data directory].
    #[arg(long, value_name = "URL")]
    pub store: Option<StoreAddress>,
    /// A file with that address in it.
    #[arg(long, env = "EBB_STORE_FILE", value_name = "FILE")]
    pub store_file: Option<PathBuf>,
}

/// An address that is not shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct StoreAddress(String);

impl From<String> for StoreAddress {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Debug for StoreAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("StoreAddress(…)")
    }
}

/// Where the records are kept.
#[derive(Debug, Clone)]
pub(crate) enum StoreAt {
    /// In the data directory.
    File,
    Postgres(Box<PostgresUrl>),
}

impl StoreArgs {
    /// The flags win, then the variables, then what the configuration file has.
    pub(crate) fn resolve(self, file: Self) -> Result<StoreAt, Failure> {
        if self.store.is_some() && self.store_file.is_some() {
            return Err("--store and --store-file exclude each other".into());
        }
        if let Some(StoreAddress(given)) = self.store {
            let url: PostgresUrl = given.parse()?;
            if url.has_password() {
                let why = "the address has a password in it, which everybody on this machine \
                           could read: give it in EBB_STORE, or in a file";
                return Err(why.into());
            }
            return Ok(StoreAt::Postgres(Box::new(url)));
        }
        let address = match (self.store_file, std::env::var(VARIABLE), file) {
            (Some(path), ..) => in_file(&path)?,
            (None, Ok(address), _) => address,
            (None, Err(_), Self { store: Some(StoreAddress(address)), .. }) => address,
            (None, Err(_), Self { store_file: Some(path), .. }) => in_file(&path)?,
            (None, Err(_), _) => return Ok(StoreAt::File),
        };
        Ok(StoreAt::Postgres(Box::new(address.trim().parse()?)))
    }
}

fn in_file(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    Ok(text.map_err(|error| format!("cannot read {}: {error}", path.display()))?)
}

impl StoreAt {
    /// Opens it. It blocks.
    pub(crate) fn open(&self, data_dir: &Path) -> Result<Store, StoreError> {
        match self {
            Self::File => Store::open(&data_dir.join(FILE)),
            Self::Postgres(url) => Store::connect(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(store: &str) -> StoreArgs {
        StoreArgs { store: Some(store.to_owned().into()), store_file: None }
    }

    #[test]
    fn a_password_is_not_taken_from_the_command_line() {
        let error = given("postgres://me:hush@h/d").resolve(StoreArgs::default()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("EBB_STORE") && !error.contains("hush"), "{error}");
        let fine = given("postgres://me@h/d").resolve(StoreArgs::default());
        assert!(matches!(fine, Ok(StoreAt::Postgres(_))));
        let of_the_file = StoreArgs::default().resolve(given("postgres://me:hush@h/d")).unwrap();
        assert!(!format!("{of_the_file:?} {:?}", given("postgres://me:hush@h/d")).contains("hush"));
    }

    #[test]
    fn an_address_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        std::fs::write(&path, "postgres://me:hush@h/d\n").unwrap();
        let args = || StoreArgs { store: None, store_file: Some(path.clone()) };
        let found = args().resolve(StoreArgs::default());
        assert!(matches!(found, Ok(StoreAt::Postgres(_))));
        std::fs::write(&path, "mysql://me:hush@h/d\n").unwrap();
        let error = args().resolve(StoreArgs::default()).unwrap_err().to_string();
        assert!(error.contains("postgres://") && !error.contains("hush"), "{error}");
        let both = StoreArgs { store_file: Some(path.clone()), ..given("postgres://me@h/d") };
        assert!(both.resolve(StoreArgs::default()).is_err());
    }
}
