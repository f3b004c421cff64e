//! One engine at a time has a volume: it keeps the exclusive lock of the volume's image.
//!
//! ```text
//!   nobody has it, or who has it is gone     taken; one who is gone is blocklisted first
//!   an engine without a handle               asked to let go, then taken
//!   an engine with a handle, a stranger      it is in use there
//! ```
//! What is decided by the volume's row is decided after the lock is taken, because who had it may
//! have given the volume another image. The lock is kept until the head is closed: librbd does not
//! give it to who asks for it, and answers an error where it has lost it.
//!
//! Whether a client is alive is told by Ceph, by its watch on the image; a client that was killed
//! is alive until that ends (`osd_client_watch_timeout`, 30 s), unless it is fenced.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ebb_volume::{EngineError, OpId, VolumeId};

use crate::deadline;
use crate::engine::{RbdEngine, Shared};
use crate::ffi::{EROFS, ESHUTDOWN, Image};
use crate::head::Head;
use crate::peers::{Answer, Ask, Said, object_of};
use crate::records::{ImageRow, VolumeRow, image_key, volume_key};

/// How long one who neither uses a volume nor lets it go is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long each question to another engine waits for its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How long a client has to end the use of a volume before it is shut out.
const REVOKE_WITHIN: Duration = Duration::from_secs(10);

/// How long a client stays blocklisted, in seconds: a year. The cluster forgets it then, and what
/// was shut out could write again, if it still had something to write: a machine that was suspended
/// all that time and is woken. An entry takes some hundred bytes of the cluster's map.
const SHUT_OUT_SECONDS: u32 = 365 * 24 * 3600;

/// A volume whose image this engine has the lock of, or another.
pub(crate) enum Claim {
    Ours(VolumeRow, Arc<Head>, Arc<Image>),
    /// The client that has it. The image is open, without the lock.
    OpenAt(String, VolumeRow, Arc<Image>),
}

enum Lock {
    Taken,
    /// The client that has it does not give it.
    OpenAt(String),
    /// It may yet.
    Waiting(String),
}

impl Shared {
    fn volume_row(&self, volume: VolumeId) -> Result<VolumeRow, EngineError> {
        let row: Option<VolumeRow> = self.records().row(&volume_key(volume))?;
        row.ok_or(EngineError::NoSuchVolume(volume))
    }

    /// Takes the lock of the volume's image. The caller has made the volume busy. A rollback that
    /// was begun may not be done.
    pub(crate) fn lock(&self, volume: VolumeId) -> Result<Claim, EngineError> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.serving()?;
            let locked = self.is_locked(volume)?;
            let row = self.volume_row(volume)?;
            let (head, image) = self.head(volume, &row)?;
            if locked && head.is_of(&image) {
                return Ok(Claim::Ours(row, head, image));
            }
            match self.take_lock(volume, &image)? {
                Lock::Taken => {}
                Lock::OpenAt(owner) => {
                    // Nobody here uses it: it would keep the image from being removed.
                    self.shut(volume);
                    return Ok(Claim::OpenAt(owner, row, image));
                }
                Lock::Waiting(owner) if Instant::now() > until => {
                    self.shut(volume);
                    return Ok(Claim::OpenAt(owner, row, image));
                }
                Lock::Waiting(_) => {}
            }
        }
    }

    /// Whether this engine has the lock already, so that nobody else can give the volume another
    /// image.
    fn is_locked(&self, volume: VolumeId) -> Result<bool, EngineError> {
        let image = self.open_head(volume).and_then(|head| head.image());
        Ok(match image {
            Some(image) if image.has_lock()? => {
                // One that librbd has taken for a change is not kept yet.
                image.keep_lock()?;
                true
            }
            _ => false,
        })
    }

    fn take_lock(&self, volume: VolumeId, image: &Image) -> Result<Lock, EngineError> {
        let id = image.id()?;
        if let Some(locker) = self.records().pool.locker(&id)?
            && locker.address != self.peers.address
        {
            let owner = locker.address.clone();
            if self.peers.has_shut_out(&owner) {
                self.records().pool.break_lock(&id, &locker)?;
            } else if !image.watchers()?.contains(&owner) {
                if self.records().pool.locker(&id)?.as_ref() != Some(&locker) {
                    // It has just closed the image, as one that lives does, and is not to blame.
                    return Ok(Lock::Waiting(owner));
                }
                // librbd would do it for an hour; of 16.2, it can not for any other time.
                self.blocklist(&owner)?;
                self.records().pool.break_lock(&id, &locker)?;
            } else {
                let ask = Ask::LetGo { volume: volume.0 };
                match self.peers.ask(&owner, &ask, ANSWER_WITHIN)? {
                    Said::Answer(Answer::Done) => {}
                    Said::Answer(Answer::InUse) | Said::Nobody => return Ok(Lock::OpenAt(owner)),
                    Said::Answer(_) | Said::Silent => return Ok(Lock::Waiting(owner)),
                }
            }
        }
        match image.keep_lock() {
            Ok(()) => Ok(Lock::Taken),
            Err(error) if error.is(ESHUTDOWN) => Err(error.into()),
            Err(error) if error.is(EROFS) => {
                thread::sleep(Duration::from_millis(50));
                Ok(Lock::Waiting("another client".into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the volume, as its row says that it is: a rollback that was begun is done, a growth
    /// that was not committed undone. The caller has made it busy.
    pub(crate) fn claim(&self, volume: VolumeId) -> Result<Claim, EngineError> {
        let mut claim = self.lock(volume)?;
        if let Claim::Ours(row, ..) = &claim
            && row.rollback.is_some()
        {
            self.finish_rollback(volume)?;
            claim = self.lock(volume)?;
        }
        if let Claim::Ours(row, head, image) = &claim {
            if image.size_bytes()? != row.size {
                image.resize(row.size)?;
            }
            // Another engine may have grown it since this one opened it.
            head.grown(row.size);
        }
        Ok(claim)
    }

    /// The same, where it has to be this engine that has it.
    pub(crate) fn own(
        &self,
        volume: VolumeId,
    ) -> Result<(VolumeRow, Arc<Head>, Arc<Image>), EngineError> {
        match self.claim(volume)? {
            Claim::Ours(row, head, image) => Ok((row, head, image)),
            Claim::OpenAt(owner, ..) => {
                tracing::info!("{volume:?} is in use at {owner}");
                Err(EngineError::InUse(volume))
            }
        }
    }

    /// Ends the use of a volume by another client: one that does not end it is shut out.
    pub(crate) fn evict(&self, volume: VolumeId) -> Result<(), EngineError> {
        let row = self.volume_row(volume)?;
        let image: Option<ImageRow> = self.records().row(&image_key(&row.image))?;
        let Some(image) = image else { return Ok(()) };
        let locker = self.records().pool.locker(&image.id)?;
        let Some(locker) = locker.filter(|locker| locker.address != self.peers.address) else {
            return Ok(());
        };
        let owner = locker.address;
        if self.peers.has_shut_out(&owner) {
            return Ok(());
        }
        let ask = Ask::Revoke { volume: volume.0 };
        match self.peers.ask(&owner, &ask, REVOKE_WITHIN)? {
            Said::Answer(Answer::Done) => return Ok(()),
            said => tracing::warn!(
                "{volume:?} is not let go by {owner} ({said:?}): it is blocklisted, see \
                 `ceph osd blocklist ls`"
            ),
        }
        self.shut_out(&owner)
    }

    /// Has a client blocklisted. When this returns, the OSDs that this engine asks know of it, so
    /// what this engine sees from now on does not change by that client.
    pub(crate) fn shut_out(&self, client: &str) -> Result<(), EngineError> {
        if client == self.peers.address {
            return Err(EngineError::Failed("an engine does not shut itself out".into()));
        }
        if !is_one_client(client) {
            return Err(EngineError::Failed(format!("{client:?} is not the name of a client")));
        }
        deadline::commits()?;
        self.blocklist(client)
    }

    fn blocklist(&self, client: &str) -> Result<(), EngineError> {
        let pool = &self.records().pool;
        pool.blocklist(client, SHUT_OUT_SECONDS)?;
        self.peers.shuts_out(client);
        if let Err(error) = pool.remove_object(&object_of(client)) {
            tracing::info!("{error}");
        }
        Ok(())
    }

    /// Asks other engines to close an image that is to be removed.
    pub(crate) fn have_closed(&self, image: &str) -> Result<(), EngineError> {
        let opened = Image::open(&self.records().pool, image)?;
        let mut watchers = opened.watchers()?;
        drop(opened);
        watchers.retain(|watcher| *watcher != self.peers.address);
        watchers.dedup();
        for watcher in watchers {
            let ask = Ask::Close { image: image.to_owned() };
            self.peers.ask(&watcher, &ask, ANSWER_WITHIN)?;
        }
        Ok(())
    }
}

impl RbdEngine {
    /// Grows a volume, by the engine that has it open.
    pub(crate) fn make_larger(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        let shared = &self.shared;
        loop {
            let outcome = shared.make_larger_here(op, volume, size_bytes);
            let Err(EngineError::InUse(_)) = outcome else { return outcome };
            let busy = shared.busy(&[volume]);
            let claim = shared.claim(volume)?;
            drop(busy);
            let Claim::OpenAt(owner, ..) = claim else { continue };
            deadline::commits()?;
            let ask = Ask::Grow { op: op.0, volume: volume.0, size_bytes };
            match shared.peers.ask(&owner, &ask, REVOKE_WITHIN)? {
                Said::Answer(Answer::NotHere) => {}
                said => return grown(volume, size_bytes, &owner, said),
            }
        }
    }
}

/// Whether this is the address of one client, with the number that is its alone: without it Ceph
/// would shut out a whole machine, or a network.
fn is_one_client(address: &str) -> bool {
    let Some((host, number)) = address.rsplit_once('/') else { return false };
    let Some((host, port)) = host.rsplit_once(':') else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_host = host.parse::<std::net::IpAddr>().is_ok_and(|ip| !ip.is_unspecified());
    is_host && port.parse::<u16>().is_ok() && number.parse::<u64>().is_ok_and(|number| number > 0)
}

fn grown(volume: VolumeId, size_bytes: u64, owner: &str, said: Said) -> Result<(), EngineError> {
    let answer = match said {
        Said::Answer(answer) => answer,
        Said::Nobody => {
            let what = format!("{volume:?} is in use by {owner}, which is no server of Ebbtide");
            return Err(EngineError::Failed(what));
        }
        Said::Silent => Answer::Unknown(format!("{owner}, which has {volume:?}, is silent")),
    };
    match answer {
        Answer::Done => Ok(()),
        Answer::BadSize => Err(EngineError::BadSize(size_bytes)),
        Answer::IdTaken => Err(EngineError::IdTaken),
        Answer::NoSpace => Err(EngineError::NoSpace),
        Answer::NoSuchVolume => Err(EngineError::NoSuchVolume(volume)),
        Answer::InUse | Answer::Busy | Answer::NotHere => {
            Err(EngineError::Failed(format!("{owner} is at work on {volume:?}")))
        }
        Answer::Failed(reason) => Err(EngineError::Failed(reason)),
        // It may be done, or yet be: the same operation's repetition finds out.
        Answer::Unknown(reason) => Err(EngineError::OutcomeUnknown(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_one_client;

    #[test]
    fn only_one_client_is_shut_out() {
        for one in ["10.0.0.1:0/3710147553", "[fd00::1]:0/12", "127.0.0.1:6800/1"] {
            assert!(is_one_client(one), "{one}");
        }
        for more in ["", "no", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:0/0", "10.0.0.0/8", "a:0/1"] {
            assert!(!is_one_client(more), "{more}");
        }
        assert!(!is_one_client("0.0.0.0:0/5") && !is_one_client("10.0.0.1:0/1 "));
    }
}
