//! Going through the pages of every version, each page once, and reading every block they lead to.

use std::ops::Range;

use ebb_volume::{BLOCK_BYTES, EngineError};

use super::Report;
use crate::catalog::drops::Walk;
use crate::layout::{Address, BLOCK, crc32c};
use crate::map::page::{self, Block, Identity, PageRef};
use crate::map::{HEIGHT, Places, Stored, WAYS};
use crate::recovery::Recovered;
use crate::space::Space;
use crate::storage::Storage;
use crate::superblock::Superblock;

/// What pages lead to, themselves included.
pub(super) struct Reached {
    /// From versions that somebody asks for, or did at the checkpoint.
    pub(super) seen: Space,
    /// Pages of ghosts.
    pub(super) ghost_pages: Space,
    /// Blocks that ghosts lead to.
    pub(super) ghost_blocks: Space,
    /// What walks that are not done have before them.
    pub(super) left: Space,
}

/// For whom pages are gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Seen,
    Ghost,
    Walk,
}

struct Trees<'a, S> {
    storage: &'a S,
    superblock: &'a Superblock,
    recovered: &'a Recovered,
    report: &'a mut Report,
    reached: Reached,
    /// Blocks of data that were compared, or could not be.
    compared: Space,
    whose: For,
    name: String,
    places: Places,
}

pub(super) fn reach(
    storage: &impl Storage,
    superblock: &Superblock,
    recovered: &Recovered,
    report: &mut Report,
) -> Result<Reached, EngineError> {
    let none = || Space::new(superblock.geometry.segment_blocks);
    let reached = Reached { seen: none(), ghost_pages: none(), ghost_blocks: none(), left: none() };
    let mut trees = Trees {
        storage,
        superblock,
        recovered,
        report,
        reached,
        compared: none(),
        whose: For::Seen,
        name: String::new(),
        places: Places::default(),
    };
    for (id, version) in recovered.catalog.versions() {
        trees.whose = if version.is_ghost() { For::Ghost } else { For::Seen };
        trees.name = recovered.catalog.name(id);
        trees.places = version.map.places();
        let identity = trees.root(version.map.lineage);
        if let Some(root) = version.map.root {
            trees.page(root, identity)?;
        }
        for (lba, stored) in version.map.in_memory() {
            trees.compare(&[(lba, stored)])?;
        }
    }
    trees.whose = For::Walk;
    for walk in &recovered.catalog.walks {
        trees.walk(walk)?;
    }
    Ok(trees.reached)
}

impl<S: Storage> Trees<'_, S> {
    fn root(&self, lineage: u64) -> Identity {
        Identity { pool_id: self.superblock.pool_id, lineage, level: HEIGHT, index: 0 }
    }

    fn walk(&mut self, walk: &Walk) -> Result<(), EngineError> {
        self.name = format!("a walk through version {}", walk.of.number());
        let (level, index) = (walk.level, walk.index);
        let identity = Identity { level, index, ..self.root(walk.lineage) };
        match walk.root {
            Some(root) => self.page_of_walk(root, identity, walk),
            None => Ok(()),
        }
    }

    /// As the walk goes: what is before its next block may be dead, and so unreadable.
    fn page_of_walk(
        &mut self,
        page: PageRef,
        identity: Identity,
        walk: &Walk,
    ) -> Result<(), EngineError> {
        let alive = self.recovered.space.is_alive(page.address);
        if !walk.owns(page.birth) || !alive || !self.enter(page.address) {
            return Ok(());
        }
        let Some(block) = self.load(page, identity)? else {
            return Ok(());
        };
        for i in 0..WAYS {
            if identity.level > 0 {
                if let Some(below) = page::child(&block, i) {
                    self.page_of_walk(below, identity.child(i), walk)?;
                }
            } else if let Some(stored) = page::stored(&block, i) {
                self.reached.left.mark(stored.address);
            }
        }
        Ok(())
    }

    /// Notes a page or block. False: all from there on is known.
    fn enter(&mut self, address: Address) -> bool {
        let Reached { seen, ghost_pages, left, .. } = &mut self.reached;
        let space = match self.whose {
            For::Seen => seen,
            For::Ghost => ghost_pages,
            For::Walk => left,
        };
        let is_new = !space.is_alive(address);
        space.mark(address);
        is_new
    }

    fn page(&mut self, page: PageRef, identity: Identity) -> Result<(), EngineError> {
        if !self.enter(page.address) {
            return Ok(());
        }
        let Some(block) = self.load(page, identity)? else {
            return Ok(());
        };
        if identity.level == 0 {
            return self.leaf(&block, page, identity);
        }
        for i in 0..WAYS {
            if let Some(below) = page::child(&block, i) {
                self.born_in(below.birth, page, identity);
                self.page(below, identity.child(i))?;
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        block: &Block,
        page: PageRef,
        identity: Identity,
    ) -> Result<(), EngineError> {
        let (mut blocks, first) = (Vec::new(), identity.first());
        for i in 0..WAYS {
            let Some(stored) = page::stored(block, i) else { continue };
            self.born_in(stored.birth, page, identity);
            match self.whose {
                For::Seen => self.reached.seen.mark(stored.address),
                _ => self.reached.ghost_blocks.mark(stored.address),
            }
            blocks.push((self.places.before(first + i as u64), stored));
        }
        match self.whose {
            For::Seen => self.compare(&blocks),
            // What nobody sees may be gone.
            _ => Ok(()),
        }
    }

    /// Nothing under a page is younger than the page.
    fn born_in(&mut self, birth: u32, page: PageRef, identity: Identity) {
        if birth > page.birth {
            self.report.found(format!(
                "{}: below {} something was born at epoch {birth}, behind the page's {}",
                self.name,
                place(identity),
                page.birth
            ));
        }
    }

    /// None: it is damaged.
    fn load(
        &mut self,
        page: PageRef,
        identity: Identity,
    ) -> Result<Option<Box<Block>>, EngineError> {
        let Recovered { segments, .. } = self.recovered;
        let mut block = Box::new([0; BLOCK]);
        let why = match segments.offset(self.superblock.geometry, page.address) {
            None => Some("its segment is not known"),
            Some(offset) => match read(self.storage, offset, &mut block[..])? {
                true => identity.verify(&block, page).err(),
                false => Some("it is behind the end of the file"),
            },
        };
        self.report.pages += 1;
        if let Some(why) = why {
            let what = format!(
                "{}: {} is damaged: {why}: segment {}, block {}",
                self.name,
                place(identity),
                page.address.segment_id(),
                page.address.block()
            );
            self.report.found(what);
            return Ok(None);
        }
        Ok(Some(block))
    }

    /// Compares blocks with their checksums.
    fn compare(&mut self, blocks: &[(u64, Stored)]) -> Result<(), EngineError> {
        let geometry = self.superblock.geometry;
        let mut bytes = vec![0; BLOCK];
        for (lba, stored) in blocks {
            if self.compared.is_alive(stored.address) {
                continue;
            }
            self.compared.mark(stored.address);
            self.report.blocks += 1;
            let whole = match self.recovered.segments.offset(geometry, stored.address) {
                Some(offset) => read(self.storage, offset, &mut bytes)?,
                None => false,
            };
            if !whole || crc32c(&bytes) != stored.crc {
                let what = format!(
                    "{}: the block at byte {} is damaged: segment {}, block {}",
                    self.name,
                    lba * BLOCK_BYTES,
                    stored.address.segment_id(),
                    stored.address.block()
                );
                self.report.found(what);
            }
        }
        Ok(())
    }
}

/// False: behind the end of the file.
fn read(storage: &impl Storage, offset: u64, into: &mut [u8]) -> Result<bool, EngineError> {
    match storage.read_at(offset, into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(EngineError::Stopped(format!("reading pool.dat: {error}"))),
    }
}

fn place(identity: Identity) -> String {
    let blocks: Range<u64> = identity.first()..identity.first() + WAYS as u64;
    format!("the page of level {} for places from {} on", identity.level, blocks.start)
}
