//! What becomes of dropped versions, and which blocks come back when.
//!
//! ```text
//!   p ── n ── c      n is dropped: c stands on p, and a walk through n's pages takes back
//!    epoch(p) < birth      what was born behind p and is not in c
//!   p ── n ─┬ c      n is dropped: it stays, as a ghost; a walk takes back what was born
//!           └ d            behind p and is in none of its viewers, c and d here
//! ```
//! A block belongs to the version in which it was born: *n* owns what was born after its parent was
//! frozen. Whoever else can read it stands on *n*. So an owned block is dead once it is in no
//! version that is there; and one that an ancestor owns is none of *n*'s business. Pages follow the
//! same rule, and one that was born at or before the limit has nothing younger under it: a walk
//! passes over it with all below. So a walk costs what changed since the parent, whatever the size.
//!
//! Taking back says "not alive" of an address, and an address is never given again: to say it twice
//! is no mistake. So a walk needs no list of what is left to do but the block that it has come to,
//! a crash repeats a part of it, and walks for several reasons may meet.
//!
//! But a walk reads pages, and they have to be there until it has. The version that now stands in
//! the place of *n* owns what *n* did. Blocks that it sees no more it frees; pages that the walk
//! through *n* has not passed it leaves to that walk ([`Pending`]).
//!
//! A version goes out of the tree when a checkpoint begins. What its memtable alone knew was never
//! alive: only what is in pages is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use super::{Catalog, Version, VersionId};
use crate::check::Report;
use crate::map::page::PageRef;
use crate::map::{HEIGHT, Map, Places, Stored};

/// A walk through pages, taking back what was born in them and nobody sees any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) of: VersionId,
    pub(crate) kind: WalkKind,
    pub(crate) lineage: u64,
    pub(crate) root: Option<PageRef>,
    /// Where the root is in the map.
    pub(crate) level: u32,
    pub(crate) index: u64,
    /// What was born up to then belongs to others. None: nothing does.
    pub(crate) limit: Option<u32>,
    /// When the version was frozen: nothing in its pages was born later.
    pub(crate) epoch: u32,
    /// All before this place of the map is done.
    pub(crate) next: u64,
}

/// Why there is a walk, and who may still see what it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WalkKind {
    /// The version is gone. Nobody stood on it but this one.
    Gone(Option<VersionId>),
    /// The version is a ghost: those who stand on it see it. Its own pages stay.
    Ghost,
    /// A part of a map was cut off, as by a discard.
    Cut,
}

impl Walk {
    /// Whether what was born then is the walk's to take back.
    pub(crate) fn owns(&self, birth: u32) -> bool {
        owns(self.limit, birth)
    }
}

/// A walk through a version that another stood on, as far as it has not come yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) of: VersionId,
    limit: Option<u32>,
    epoch: u32,
    next: u64,
}

impl Pending {
    fn is_in(&self, birth: u32) -> bool {
        owns(self.limit, birth) && birth <= self.epoch
    }

    /// Whether it will come to the end of a page for these blocks, and free it if nobody sees it.
    pub(crate) fn will_pass(&self, birth: u32, blocks: &Range<u64>) -> bool {
        self.is_in(birth) && blocks.end > self.next
    }

    /// Whether it is under way in these blocks.
    pub(crate) fn is_within(&self, birth: u32, blocks: &Range<u64>) -> bool {
        self.is_in(birth) && blocks.start < self.next && self.next < blocks.end
    }
}

/// Whether a version with this limit owns what was born then.
pub(crate) fn owns(limit: Option<u32>, birth: u32) -> bool {
    limit.is_none_or(|limit| birth > limit)
}

impl Catalog {
    /// Takes the dropped versions out of the tree on which no more than one stands, and asks for
    /// walks. Their maps are the caller's to drop.
    ///
    /// What this changes is in the checkpoint that begins now, or it did not happen.
    pub(super) fn retire(&mut self) -> Vec<Map> {
        let mut children = self.children();
        let dropped = self.versions.iter().filter(|(_, version)| version.is_dropped);
        // Children are younger: what a version is left with is known when it is its turn.
        let dropped: Vec<VersionId> = dropped.map(|(id, _)| *id).rev().collect();
        let mut gone = Vec::new();
        // From where upwards somebody sees less of what the ghosts own. They are asked for together
        // at the end: most of the dropped versions of a long chain go in their turn.
        let mut seen_less = BTreeSet::new();
        for id in dropped {
            let on_it = children.get(&id).map_or(&[][..], Vec::as_slice);
            if on_it.len() > 1 {
                seen_less.extend(self.leave_as_ghost(id));
            } else {
                let child = on_it.first().copied();
                gone.extend(self.take_out(id, child, &mut children, &mut seen_less));
            }
        }
        self.ask_for_ghosts(seen_less);
        gone
    }

    /// Says which it is, if it was none before: it sees no more of what the ghosts above it own.
    fn leave_as_ghost(&mut self, id: VersionId) -> Option<VersionId> {
        let version = self.versions.get_mut(&id)?;
        (!std::mem::replace(&mut version.is_ghost, true)).then_some(id)
    }

    /// The versions that stand on each.
    fn children(&self) -> BTreeMap<VersionId, Vec<VersionId>> {
        let mut children: BTreeMap<VersionId, Vec<VersionId>> = BTreeMap::new();
        for (id, version) in &self.versions {
            if let Some(parent) = version.parent {
                children.entry(parent).or_default().push(*id);
            }
        }
        children
    }

    fn take_out(
        &mut self,
        id: VersionId,
        child: Option<VersionId>,
        children: &mut BTreeMap<VersionId, Vec<VersionId>>,
        seen_less: &mut BTreeSet<VersionId>,
    ) -> Option<Map> {
        let limit = self.limit(id);
        let Version { parent, map, epoch, .. } = self.versions.remove(&id)?;
        self.walks.push_back(Walk {
            of: id,
            kind: WalkKind::Gone(child),
            lineage: map.lineage,
            root: map.root,
            level: HEIGHT,
            index: 0,
            limit,
            epoch: epoch.unwrap_or(self.epoch),
            next: 0,
        });
        if let Some(siblings) = parent.and_then(|parent| children.get_mut(&parent)) {
            siblings.retain(|sibling| *sibling != id);
            siblings.extend(child);
        }
        if let Some(child) = child
            && let Some(version) = self.versions.get_mut(&child)
        {
            version.parent = parent;
            if version.is_ghost {
                // It owns what this one did, from now on.
                seen_less.insert(child);
            }
        }
        seen_less.extend(parent);
        Some(map)
    }

    /// The dropped versions right above one another, from `id` upwards.
    fn ghosts_from(&self, id: Option<VersionId>) -> impl Iterator<Item = VersionId> + '_ {
        let ghost = |id: Option<VersionId>| {
            id.filter(|id| self.versions.get(id).is_some_and(|version| version.is_dropped))
        };
        let parent = |id: &VersionId| self.versions.get(id).and_then(|version| version.parent);
        std::iter::successors(ghost(id), move |id| ghost(parent(id)))
    }

    /// Asks for walks through the ghosts from each of these upwards, one through each: somebody
    /// sees less of what they own than before. What is no ghost ends the way up.
    pub(crate) fn ask_for_ghosts(&mut self, from: BTreeSet<VersionId>) {
        let mut ghosts = BTreeSet::new();
        for id in from {
            let new = self.ghosts_from(Some(id)).take_while(|ghost| !ghosts.contains(ghost));
            ghosts.extend(new.collect::<Vec<_>>());
        }
        let is_asked = |walk: &Walk| walk.kind == WalkKind::Ghost && ghosts.contains(&walk.of);
        // One that has begun has passed by some of it; it goes on, or might never come to an end.
        self.walks.retain(|walk| !is_asked(walk) || walk.next > 0);
        let walks = ghosts.iter().filter_map(|id| self.ghost_walk(*id));
        self.walks.extend(walks.collect::<Vec<_>>());
    }

    fn ghost_walk(&self, id: VersionId) -> Option<Walk> {
        let ghost = self.versions.get(&id)?;
        Some(Walk {
            of: id,
            kind: WalkKind::Ghost,
            lineage: ghost.map.lineage,
            // Not merged yet, perhaps.
            root: None,
            level: HEIGHT,
            index: 0,
            limit: self.limit(id),
            epoch: ghost.epoch.unwrap_or(self.epoch),
            next: 0,
        })
    }

    /// When what others than this version own was born at the latest.
    pub(crate) fn limit(&self, id: VersionId) -> Option<u32> {
        let parent = self.versions.get(&id)?.parent?;
        self.versions.get(&parent)?.epoch
    }

    pub(crate) fn parent(&self, id: VersionId) -> Option<VersionId> {
        self.versions.get(&id)?.parent
    }

    /// Whether a version stands on a ghost.
    pub(crate) fn is_on_ghost(&self, id: VersionId) -> bool {
        self.ghosts_from(self.parent(id)).next().is_some()
    }

    /// The walks through versions in whose place this one stands now.
    pub(crate) fn pending(&self, id: VersionId) -> Vec<Pending> {
        let (mut below, mut pending) = (BTreeSet::from([id]), Vec::new());
        // Who stood on it went later, if at all.
        for walk in self.walks.iter().rev() {
            if let WalkKind::Gone(Some(child)) = walk.kind
                && below.contains(&child)
            {
                below.insert(walk.of);
                let Walk { of, limit, epoch, next, .. } = *walk;
                pending.push(Pending { of, limit, epoch, next });
            }
        }
        pending
    }

    /// Has the walk through a version that is gone go back to a block.
    pub(crate) fn rewind(&mut self, of: VersionId, to: u64) {
        for walk in &mut self.walks {
            if walk.of == of && matches!(walk.kind, WalkKind::Gone(_)) {
                walk.next = walk.next.min(to);
            }
        }
    }

    /// The walk to go on with, its root and those of its viewers. All maps have to be merged.
    pub(crate) fn next_walk(&mut self) -> Option<(Walk, Vec<PageRef>)> {
        loop {
            let mut walk = self.walks.pop_front()?;
            let viewers = match walk.kind {
                WalkKind::Cut => Vec::new(),
                WalkKind::Gone(child) => {
                    child.and_then(|child| self.root(child)).into_iter().collect()
                }
                WalkKind::Ghost => match self.versions.get(&walk.of) {
                    Some(ghost) => {
                        walk.root = ghost.map.root;
                        self.viewers(walk.of)
                    }
                    // It has gone since, and has another walk.
                    None => continue,
                },
            };
            return Some((walk, viewers));
        }
    }

    /// The root of a version, or of one whose own walk is still to come.
    fn root(&self, id: VersionId) -> Option<PageRef> {
        let is_its = |walk: &&Walk| walk.of == id && matches!(walk.kind, WalkKind::Gone(_));
        match self.versions.get(&id) {
            Some(version) => version.map.root,
            None => self.walks.iter().find(is_its)?.root,
        }
    }

    /// The roots of the versions nearest above a ghost's owned blocks that somebody asks for.
    fn viewers(&self, ghost: VersionId) -> Vec<PageRef> {
        let children = self.children();
        let mut viewers = Vec::new();
        let mut left: VecDeque<VersionId> =
            children.get(&ghost).into_iter().flatten().copied().collect();
        while let Some(id) = left.pop_front() {
            match self.versions.get(&id) {
                Some(version) if !version.is_dropped => viewers.extend(version.map.root),
                _ => left.extend(children.get(&id).into_iter().flatten()),
            }
        }
        viewers
    }

    /// A block that `id` does not see any more and does not own: the ghosts that may own it with
    /// their limits, and the roots of those who may see it, in the order in which to ask. Whoever
    /// stands in between and is no ghost sees it, and nothing comes behind.
    pub(crate) fn owners(&self, id: VersionId) -> Vec<(Option<u32>, Vec<PageRef>)> {
        self.ghosts_from(self.parent(id))
            .map(|ghost| (self.limit(ghost), self.viewers(ghost)))
            .collect()
    }
}

/// A version whose pages are to be read.
pub(crate) struct Target {
    pub(crate) version: VersionId,
    /// What it is to somebody who reads the log.
    pub(crate) name: String,
    pub(crate) lineage: u64,
    pub(crate) places: Places,
    pub(crate) root: Option<PageRef>,
    pub(crate) limit: Option<u32>,
    pub(crate) is_ghost: bool,
}

impl Catalog {
    /// The first version from one on.
    pub(crate) fn target(&self, from: Option<VersionId>) -> Option<Target> {
        let from = from.unwrap_or(VersionId(0));
        let (id, version) = self.versions.range(from..).next()?;
        Some(Target {
            version: *id,
            name: self.name(*id),
            lineage: version.map.lineage,
            places: version.map.places(),
            root: version.map.root,
            limit: self.limit(*id),
            is_ghost: version.is_dropped,
        })
    }

    /// What a version is to somebody who reads of it.
    pub(crate) fn name(&self, id: VersionId) -> String {
        let mut snapshots = self.snapshots.iter();
        if let Some((volume, _)) = self.volumes.iter().find(|(_, record)| record.head == id) {
            return format!("{volume:?}");
        }
        match snapshots.find(|(_, record)| record.version == id) {
            Some((snapshot, _)) => format!("{snapshot:?}"),
            None => format!("version {} that others stand on", id.0),
        }
    }

    /// What of the tree of versions can not be.
    pub(crate) fn check_tree(&self, report: &mut Report) {
        for (id, version) in &self.versions {
            let Some(parent) = version.parent else { continue };
            let Some(frozen) = self.versions.get(&parent).map(|parent| parent.epoch) else {
                report.found(format!("version {}: its parent {} is not there", id.0, parent.0));
                continue;
            };
            match frozen {
                None => report.found(format!("version {}: its parent is not frozen", id.0)),
                Some(epoch) if parent >= *id || epoch > version.epoch.unwrap_or(self.epoch) => {
                    report.found(format!("version {} is older than its parent {}", id.0, parent.0));
                }
                Some(_) => {}
            }
        }
        let heads = self.volumes.values().map(|volume| volume.head);
        let kept = self.snapshots.values().map(|snapshot| snapshot.version);
        for id in heads.chain(kept) {
            if self.versions.get(&id).is_none_or(|version| version.is_dropped) {
                report.found(format!("version {} is asked for and not there", id.0));
            }
        }
    }
}

impl Version {
    pub(crate) fn is_ghost(&self) -> bool {
        self.is_ghost
    }
}

impl VersionId {
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A block that a version on a ghost does not see any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lost {
    pub(crate) by: VersionId,
    /// Where it is in the maps.
    pub(crate) place: u64,
    pub(crate) stored: Stored,
}
