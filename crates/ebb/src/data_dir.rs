//! The directory that holds everything.
//!
//! ```text
//! DIR/            0700
//!   lock          held while a server runs
//!   home          which directory this is, to servers that share its records
//!   credentials   0600, the root AccessKey pair
//!   master.key    0600, what other secrets are sealed with, unless it is elsewhere
//!   ebbtide.db    records        pool.dat    bytes        nonces   answered requests
//!                 (where records are in PostgreSQL: there, with answered requests, the root pair
//!                 and whom instances have certificates from; `credentials` is then a copy)
//!   nbd.sock      0600           admin.sock  0600
//!   instance-ca/  0700, whom instances have their certificates from, once there is one
//!   archive/      0700, archived snapshots
//!   audit/        0700, the audit log
//!   oss/          0700, buckets, unless `--oss-dir` says elsewhere
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use ebb_control::{Entropy, Secret, Secrets, SystemEntropy, random_text};
use ebb_kms::MasterKey;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{Failure, master_key};

/// A data directory, locked against a second server for as long as this lives.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// The file `credentials`.
#[derive(Debug, Serialize, Deserialize)]
struct Credentials {
    access_key_id: String,
    access_key_secret: String,
}

impl DataDir {
    /// Makes the directory if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| format!("cannot use {}: {error}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(format!("another server is using {}; stop it first", path.display()).into())
            }
            Err(error) => Err(failed(error.into()).into()),
        }
    }

    /// A folder in it, or elsewhere, that only its owner can look into when it is made here.
    pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
        let failed = |error: io::Error| format!("cannot make {}: {error}", path.display());
        Ok(DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A Unix socket in it that only its owner can connect to. A socket that is there already is
    /// stale: whoever made it held the lock that we hold now.
    pub(crate) fn socket(&self, name: &str) -> Result<UnixListener, Failure> {
        let path = self.join(name);
        let failed = |error: io::Error| format!("cannot listen on {}: {error}", path.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error))?,
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(listener)
    }

    /// The root AccessKey pair: the given one, which is then written down, else the one that is
    /// written down, else a new one.
    pub(crate) fn root_key(
        &self,
        given: Option<(String, String)>,
    ) -> Result<(String, Secret), Failure> {
        if let Some((id, secret)) = given {
            self.write_root_key(&id, &secret)?;
            return Ok((id, Secret::new(secret)));
        }
        if self.join("credentials").exists() {
            let (id, secret) = read_root_key(&self.path)?;
            return Ok((id, Secret::new(secret)));
        }
        let id = format!("EBB{}", random_text(&SystemEntropy, 21));
        let secret = random_text(&SystemEntropy, 30);
        self.write_root_key(&id, &secret)?;
        Ok((id, Secret::new(secret)))
    }

    /// The pair that all servers on a store have: the given one is it from now on, else the one
    /// that is there, else this server's own. It is written down here too, for who calls from this
    /// machine.
    pub(crate) fn shared_root_key(
        &self,
        given: Option<(String, String)>,
        secrets: &Secrets<'_>,
    ) -> Result<(String, Secret), Failure> {
        let given = given.map(|(id, secret)| (id, Secret::new(secret)));
        let (id, secret) = secrets.root_key(given, || self.root_key(None))?;
        self.write_root_key(&id, secret.expose())?;
        Ok((id, secret))
    }

    fn write_root_key(&self, id: &str, secret: &str) -> Result<(), Failure> {
        let credentials =
            Credentials { access_key_id: id.to_owned(), access_key_secret: secret.to_owned() };
        Ok(write_durably(&self.join("credentials"), &toml::to_string(&credentials)?)?)
    }
}

impl DataDir {
    /// The master key that is here: 64 hexadecimal digits in a file. It is made where nothing has
    /// been sealed with one yet.
    pub(crate) fn master_key(&self, sealed: Sealed) -> Result<MasterKey, Failure> {
        let path = self.join("master.key");
        if !path.exists() {
            let how = "or say with --master-key-file, --master-key-command or EBB_MASTER_KEY \
                       where it is";
            let file = path.display();
            match sealed {
                Sealed::Nothing => {}
                Sealed::Here => Err(format!(
                    "{file} is missing, and secrets in this data directory are sealed with it: \
                     put it back from your backup, {how}"
                ))?,
                Sealed::ByOthers => Err(format!(
                    "{file} is missing, and secrets in the database are sealed with one: copy \
                     master.key here from the data directory of a server that uses this database, \
                     {how}"
                ))?,
            }
            let mut bytes = [0; 32];
            SystemEntropy.fill(&mut bytes);
            write_durably(&path, &format!("{}\n", hex(&bytes)))?;
        }
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        master_key::parse(&text, &path.display().to_string())
    }
}

/// Whether something is sealed with a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    Nothing,
    /// By a server on this data directory.
    Here,
    /// By a server on the same database: perhaps another.
    ByOthers,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Locks a data directory that is there, making nothing. None: no server has ever locked it, as
/// where somebody copied only the pool.
pub(crate) fn lock_existing(data_dir: &Path) -> Result<Option<File>, Failure> {
    let path = data_dir.join("lock");
    let failed = |error: io::Error| format!("cannot lock {}: {error}", path.display());
    let lock = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let what = "a server, or another check, is using";
            Err(format!("{what} {}: stop it first", data_dir.display()).into())
        }
        Err(error) => Err(failed(error.into()).into()),
    }
}

/// The pair of a data directory whose server may be running.
pub(crate) fn read_root_key(data_dir: &Path) -> Result<(String, String), Failure> {
    let path = data_dir.join("credentials");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let credentials: Credentials = toml::from_str(&text)
        .map_err(|error| format!("{}: {}", path.display(), error.message()))?;
    Ok((credentials.access_key_id, credentials.access_key_secret))
}

/// The pair that the environment sets: both or none.
pub(crate) fn root_key_from_environment() -> Result<Option<(String, String)>, Failure> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("EBB_ACCESS_KEY_ID"), variable("EBB_ACCESS_KEY_SECRET")) {
        (Some(id), Some(secret)) => Ok(Some((id, secret))),
        (None, None) => Ok(None),
        _ => Err("EBB_ACCESS_KEY_ID and EBB_ACCESS_KEY_SECRET go together: set both".into()),
    }
}

/// Writes a small file so that after a crash it is the old one or the new one, never half of
/// either.
pub(crate) fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
