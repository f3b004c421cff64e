//! The table of exports: which names answer, and with which volume.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ebb_volume::{SnapshotNames, Volume};

use crate::counters::{Counters, ExportCounters};
use crate::rate::{Limiter, RateLimit};
use crate::registry::Registry;

/// How long withdrawn connections may take to answer what they have under way.
const GRACE: Duration = Duration::from_secs(5);

/// A table of exports, shared by servers and by whoever publishes and withdraws.
#[derive(Debug)]
pub struct Exports {
    grace: Duration,
    table: Mutex<BTreeMap<String, Arc<Export>>>,
    /// By the names that were ever published and not forgotten.
    counters: Mutex<BTreeMap<String, Arc<Counters>>>,
}

/// A volume under a name.
pub struct Export {
    name: String,
    volume: Arc<dyn Volume>,
    snapshots: Arc<dyn SnapshotNames>,
    connections: Arc<Registry>,
    counters: Arc<Counters>,
    limiter: Limiter,
    owners: Mutex<Vec<String>>,
}

impl Default for Exports {
    fn default() -> Self {
        Self::new()
    }
}

impl Exports {
    /// An empty table. Withdrawn connections have 5 seconds to answer what they have under way.
    #[must_use]
    pub fn new() -> Self {
        Self::with_grace(GRACE)
    }

    /// An empty table with another grace for withdrawn connections.
    #[must_use]
    pub fn with_grace(grace: Duration) -> Self {
        Self { grace, table: Mutex::default(), counters: Mutex::default() }
    }

    /// Makes `volume` answer under `name`. A former export of that name is withdrawn.
    pub fn publish(&self, name: &str, volume: Arc<dyn Volume>) {
        self.publish_with(name, volume, Arc::new(()), None);
    }

    /// The same of a volume that clients may compare with snapshots, of these names, and that does
    /// so much in a second.
    pub fn publish_with(
        &self,
        name: &str,
        volume: Arc<dyn Volume>,
        snapshots: Arc<dyn SnapshotNames>,
        limit: Option<RateLimit>,
    ) {
        let limiter = Limiter::default();
        limiter.set(limit);
        let export = Export {
            name: name.to_owned(),
            volume,
            snapshots,
            connections: Arc::default(),
            counters: Arc::clone(self.all_counters().entry(name.to_owned()).or_default()),
            limiter,
            owners: Mutex::default(),
        };
        let former = self.table().insert(name.to_owned(), Arc::new(export));
        if let Some(former) = former {
            self.end(&former);
        }
    }

    /// Makes `name` unknown and ends its connections; returns when they are gone.
    ///
    /// They read no new request; what they have under way is completed and answered; then they are
    /// closed. One whose client does not take its answers, or whose volume does not complete, is
    /// cut after the grace. This returns at the latest one second after the grace, so the caller
    /// revokes the volume's handle before it relies on nothing being written any more. Where it
    /// returns before that, the table and its connections hold the volume no longer.
    ///
    /// A name that is not published is no error.
    pub fn withdraw(&self, name: &str) {
        let former = self.table().remove(name);
        if let Some(former) = former {
            self.end(&former);
        }
    }

    /// Sets what an export does in a second at most, from now on. A name that is not published is
    /// no error.
    pub fn limit(&self, name: &str, limit: Option<RateLimit>) {
        if let Some(export) = self.find(name) {
            export.limiter.set(limit);
        }
    }

    /// Says whose an export is, from now on: of clients that show a certificate of an owner only
    /// theirs may use it. Those that may no longer are ended as [`Exports::withdraw`] does. An
    /// export that nobody was named for is nobody's; a name that is not published is no error.
    pub fn set_owners(&self, name: &str, owners: Vec<String>) {
        let Some(export) = self.find(name) else { return };
        *export.owners() = owners;
        let remaining = export.connections.end(self.grace, |link| !export.admits(link.owner()));
        if remaining > 0 {
            tracing::warn!(export = name, remaining, "cut connections await the volume");
        }
    }

    /// The names that answer, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.table().keys().cloned().collect()
    }

    /// The export of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Export>> {
        self.table().get(name).cloned()
    }

    /// What was done under this name since it was first published, withdrawn meanwhile or not.
    #[must_use]
    pub fn counters(&self, name: &str) -> Option<ExportCounters> {
        let connections = self.find(name).map_or(0, |export| export.connections.len());
        self.all_counters().get(name).map(|counters| counters.read(connections))
    }

    /// The names that were ever published.
    #[must_use]
    pub fn counted(&self) -> Vec<String> {
        self.all_counters().keys().cloned().collect()
    }

    /// Forgets what was done under a name that will not be published again.
    pub fn forget(&self, name: &str) {
        self.all_counters().remove(name);
    }

    fn all_counters(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Counters>>> {
        self.counters.lock().expect("nothing panics while it holds the counters' lock")
    }

    fn end(&self, export: &Export) {
        let remaining = export.connections.close(self.grace);
        if remaining > 0 {
            tracing::warn!(export = export.name, remaining, "cut connections await the volume");
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Export>>> {
        self.table.lock().expect("nothing panics while it holds the table's lock")
    }
}

impl Export {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes now.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.volume.size_bytes()
    }

    /// Whether a client may use it: one that shows whose it is only where that is an owner.
    pub(crate) fn admits(&self, owner: Option<&str>) -> bool {
        owner.is_none_or(|owner| self.owners().iter().any(|one| one == owner))
    }

    fn owners(&self) -> MutexGuard<'_, Vec<String>> {
        self.owners.lock().expect("nothing panics while it holds the owners' lock")
    }

    pub(crate) fn volume(&self) -> &dyn Volume {
        &*self.volume
    }

    pub(crate) fn snapshots(&self) -> &dyn SnapshotNames {
        &*self.snapshots
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn connections(&self) -> &Arc<Registry> {
        &self.connections
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("name", &self.name).finish_non_exhaustive()
    }
}
