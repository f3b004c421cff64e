//! The one object behind every call.

use std::sync::{Arc, Mutex};

use ebb_domain::{
    Account, AccountId, Denied, Disk, DiskFound, DiskId, Instance, InstanceId, Region, RegionId,
    Timestamp,
};
use ebb_kms::{KeyStore, MasterKey};
use ebb_objects::{Bucket, Buckets};
use ebb_store::{Durability, Store, StoreError, Tx};
use ebb_volume::{Engine, OpId};

use crate::cluster::{Cluster, Place};
use crate::export::Exporter;
use crate::key::{Keys, new_account_id};
use crate::monitor::Monitor;
use crate::ram::Permits;
use crate::seen::Seen;
use crate::usage::UsageBook;
use crate::work::Work;
use crate::{
    AccessKey, Caller, Clock, ControlError, Converter, Entropy, ExportTable, Secret, Step,
};

/// The key of the root account's id in the store.
const ROOT: &str = "root_account";

/// What a [`Control`] is made of.
pub struct Parts {
    /// Records.
    pub store: Store,
    /// Bytes.
    pub engine: Arc<dyn Engine>,
    /// Sockets.
    pub exports: Arc<dyn ExportTable>,
    /// Where archived snapshots go.
    pub archive: Arc<dyn Bucket>,
    /// Where snapshots are exported to and images come from.
    pub buckets: Arc<dyn Buckets>,
    /// What reads images that are not raw.
    pub converter: Arc<dyn Converter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The regions served, at least one.
    pub regions: Vec<Region>,
    /// The root account's key: its id and its secret.
    pub root_key: (String, Secret),
    /// What other secrets are sealed with.
    pub master_key: MasterKey,
    /// What has the material of the key service's keys.
    pub key_store: Arc<dyn KeyStore>,
    /// Where this server is, among those that share the records.
    pub place: Place,
    /// Called at every [`Step`]; does nothing outside tests.
    pub probe: Arc<dyn Fn(Step) + Send + Sync>,
}

/// Who asks, and of which region if one was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Who asks.
    pub account: AccountId,
    /// RegionId, where the operation need not have one.
    pub region: Option<String>,
}

/// The use cases.
pub struct Control {
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) cluster: Cluster,
    pub(crate) exporter: Exporter,
    pub(crate) work: Work,
    pub(crate) monitor: Mutex<Monitor>,
    pub(crate) usage: UsageBook,
    pub(crate) archive: Arc<dyn Bucket>,
    pub(crate) buckets: Arc<dyn Buckets>,
    pub(crate) converter: Arc<dyn Converter>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    regions: Vec<Region>,
    root: AccountId,
    pub(crate) keys: Keys,
    pub(crate) permits: Permits,
    pub(crate) seen: Seen,
    pub(crate) key_store: Arc<dyn KeyStore>,
    /// Held by whoever makes a key's next version.
    pub(crate) rotating: Mutex<()>,
    probe: Arc<dyn Fn(Step) + Send + Sync>,
}

impl Control {
    /// Takes up what the records and the engine hold: finishes or undoes what was under way, and
    /// exports the disks of every running instance.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where the records are new and the engine is not empty; whatever
    /// the store or the engine answers.
    pub fn start(parts: Parts) -> Result<Arc<Self>, ControlError> {
        let root = root_account(&parts)?;
        let (root_key_id, secret) = parts.root_key;
        let first = AccessKey { secret, caller: Caller::root(root.clone()), active: true };
        let entropy = parts.entropy.as_ref();
        let keys = Keys::open(parts.master_key, entropy, &parts.store, (root_key_id, first))?;
        let (work, inbox) = Work::new();
        let engine = parts.engine.as_ref();
        let (cluster, gone) = Cluster::join(&parts.store, engine, parts.place, entropy)?;
        let store = Arc::new(parts.store);
        let control = Arc::new(Self {
            exporter: Exporter::new(parts.exports, Arc::clone(&parts.engine), Arc::clone(&store)),
            store,
            engine: parts.engine,
            cluster,
            work,
            monitor: Mutex::default(),
            usage: UsageBook::default(),
            archive: parts.archive,
            buckets: parts.buckets,
            converter: parts.converter,
            clock: parts.clock,
            entropy: parts.entropy,
            regions: parts.regions,
            root,
            keys,
            permits: Permits::default(),
            seen: Seen::default(),
            key_store: parts.key_store,
            rotating: Mutex::default(),
            probe: parts.probe,
        });
        control.start_beating(gone);
        // Another server that starts at the same time may ask this one about an export.
        control.work.start(&control, inbox);
        control.reconcile()?;
        Ok(control)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The root account's id.
    #[must_use]
    pub fn root(&self) -> &AccountId {
        &self.root
    }

    /// The regions served.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// `Err` with the reason once the engine has stopped, or while the store is away. It may block
    /// for some seconds.
    ///
    /// # Errors
    /// What the engine says, or the store.
    pub fn health(&self) -> Result<(), String> {
        if self.cluster.is_shut_out() {
            return Err("this server was shut out by another".into());
        }
        self.engine.health().map_err(|error| error.to_string())?;
        self.store.check().map_err(|error| match error {
            // Where it is is nobody's business.
            StoreError::Unavailable(_) => "the metadata store cannot be reached".into(),
            other => other.to_string(),
        })
    }

    /// Ends background work and makes everything durable. Transitions under way stay in the records
    /// and are carried on by the next start.
    ///
    /// # Errors
    /// Whatever the engine or the store answers.
    pub fn stop(&self) -> Result<(), ControlError> {
        self.work.begin_to_stop();
        self.buckets.give_up();
        self.work.stop();
        self.stop_beating();
        self.engine.close()?;
        // Not before: from here on others open what this server had open.
        self.leave()?;
        self.store.close()?;
        Ok(())
    }

    pub(crate) fn pass(&self, step: Step) {
        (self.probe)(step);
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.entropy.as_ref()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A new id for the engine. Random, because a number taken from a sequence in a commit that was
    /// lost would be given again, and the engine's ids are never used twice.
    pub(crate) fn new_engine_id(&self) -> u64 {
        u64::from_be_bytes(self.random()) >> 1
    }

    pub(crate) fn new_op(&self) -> OpId {
        OpId(self.random())
    }

    /// The region of that name, where it says what is looked at.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`].
    pub fn region(&self, id: &RegionId) -> Result<&Region, Denied> {
        self.regions.iter().find(|region| region.id == *id).ok_or(Denied::RegionNotFound)
    }

    /// The region given with an operation that need not have one.
    pub(crate) fn given_region(&self, scope: &Scope) -> Result<Option<RegionId>, Denied> {
        match scope.region.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => {
                let id = RegionId::new(text);
                self.region(&id).map_err(|_| Denied::RegionMalformed)?;
                Ok(Some(id))
            }
        }
    }
}

/// The root account's id: made once, 16 digits, by the first of all servers.
fn root_account(parts: &Parts) -> Result<AccountId, ControlError> {
    let known = parts.store.read(|tx| tx.meta(ROOT))?;
    if let Some(id) = known {
        return Ok(AccountId::new(id));
    }
    let held = parts.engine.inventory()?;
    if !held.volumes.is_empty() || !held.snapshots.is_empty() {
        return Err(ControlError::Mismatch(format!(
            "the pool holds {} volumes and {} snapshots, but the database beside it is new; \
             put the database back that belongs to this pool, or move the pool away",
            held.volumes.len(),
            held.snapshots.len()
        )));
    }
    let id = new_account_id(parts.entropy.as_ref());
    parts.store.write(Durability::Durable, |tx| {
        if let Some(id) = tx.meta(ROOT)? {
            return Ok(AccountId::new(id));
        }
        tx.put_account(&Account::new(id.clone()))?;
        tx.put_meta(ROOT, id.as_str())?;
        Ok(id)
    })
}

/// The account that asks.
pub(crate) fn account(tx: &Tx<'_>, id: &AccountId) -> Result<Account, ControlError> {
    Ok(tx.account(id)?.unwrap_or_else(|| Account::new(id.clone())))
}

/// Refuses so many GiB more where the account's disks would be too large together. They are summed
/// up only where there is a quota.
pub(crate) fn check_disk_quota(
    tx: &Tx<'_>,
    account: &Account,
    more_gib: u64,
) -> Result<(), ControlError> {
    if account.disk_quota_gib.is_none() {
        return Ok(());
    }
    Ok(account.check_disk_quota(tx.disk_gib(&account.id)?.saturating_add(more_gib))?)
}

/// The disk of that id, as far as this account and region may know of it.
pub(crate) fn find_disk(
    tx: &Tx<'_>,
    account: &AccountId,
    region: Option<&RegionId>,
    id: &DiskId,
) -> Result<DiskFound, ControlError> {
    if let Some(disk) = tx.disk(id)? {
        let theirs = disk.account == *account && region.is_none_or(|r| disk.region == *r);
        return Ok(if theirs { DiskFound::Here(Box::new(disk)) } else { DiskFound::Never });
    }
    match tx.disk_was_deleted(account, id)? {
        Some(was_in) if region.is_none_or(|r| was_in == *r) => Ok(DiskFound::Deleted),
        _ => Ok(DiskFound::Never),
    }
}

/// The disk of that id, where it does not matter whether there ever was one.
pub(crate) fn get_disk(
    tx: &Tx<'_>,
    account: &AccountId,
    region: Option<&RegionId>,
    id: &DiskId,
) -> Result<Disk, ControlError> {
    match find_disk(tx, account, region, id)? {
        DiskFound::Here(disk) => Ok(*disk),
        DiskFound::Never | DiskFound::Deleted => Err(Denied::DiskNotFound.into()),
    }
}

/// The instance of that id, as far as this account and region may know of it.
pub(crate) fn find_instance(
    tx: &Tx<'_>,
    account: &AccountId,
    region: Option<&RegionId>,
    id: &InstanceId,
) -> Result<Option<Instance>, ControlError> {
    Ok(tx.instance(id)?.filter(|instance| {
        instance.account == *account && region.is_none_or(|r| instance.region == *r)
    }))
}

/// The instances that a disk names; `None` for one that is gone.
pub(crate) fn instances_of(
    tx: &Tx<'_>,
    disk: &Disk,
) -> Result<Vec<Option<Instance>>, ControlError> {
    let mut instances = Vec::with_capacity(disk.attachments.len());
    for attachment in &disk.attachments {
        instances.push(tx.instance(&attachment.instance)?);
    }
    Ok(instances)
}
