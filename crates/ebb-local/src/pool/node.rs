//! A place in the map of a version: what is in memory, over what is on disk. Walks over several
//! maps at once are made of these.

use std::sync::Arc;

use ebb_volume::IoError;

use super::Pool;
use crate::layout::Address;
use crate::map::page::layers::{Entry, Layers};
use crate::map::page::{self, Block, Identity, PageRef};
use crate::map::{HEIGHT, Map};
use crate::storage::Storage;

/// Where something is.
pub(super) struct Node<'a> {
    layers: Layers<'a>,
    page: Option<PageRef>,
    identity: Identity,
    /// Read when the first of its entries is asked for.
    block: Option<Arc<Block>>,
}

impl<'a> Node<'a> {
    /// None: there is nothing at this place.
    fn new(layers: Layers<'a>, page: Option<PageRef>, identity: Identity) -> Option<Self> {
        let is_nothing = layers.is_empty() && page.is_none();
        (!is_nothing).then_some(Self { layers, page, identity, block: None })
    }

    /// The root of a map, where anything is in it.
    pub(super) fn root(pool_id: [u8; 16], map: &'a Map) -> Option<Self> {
        let lineage = map.lineage;
        let identity = Identity { pool_id, lineage, level: HEIGHT, index: 0 };
        Self::new(Layers::of(map), map.root, identity)
    }

    /// Whether both are the same pages, in memory and on disk: then so is all that is under them.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.layers.is_same(&other.layers)
            && self.page.map(|page| page.address) == other.page.map(|page| page.address)
    }

    /// Where a block is, of a leaf.
    pub(super) fn stored<S: Storage>(
        &mut self,
        pool: &Pool<S>,
        i: usize,
    ) -> Result<Option<Address>, IoError> {
        match self.layers.entry(i as u8) {
            Entry::Stored(stored) => Ok(Some(stored.address)),
            Entry::Hole | Entry::Instead(_) => Ok(None),
            Entry::Over(_) => {
                let block = self.load(pool)?;
                Ok(block.and_then(|block| page::stored(block, i)).map(|stored| stored.address))
            }
        }
    }

    /// What is under an entry, of a page that is no leaf.
    pub(super) fn child<S: Storage>(
        &mut self,
        pool: &Pool<S>,
        i: usize,
    ) -> Result<Option<Node<'a>>, IoError> {
        let (layers, page) = match self.layers.entry(i as u8) {
            Entry::Hole | Entry::Stored(_) => return Ok(None),
            Entry::Instead(layers) => (layers, None),
            Entry::Over(layers) => {
                let block = self.load(pool)?;
                (layers, block.and_then(|block| page::child(block, i)))
            }
        };
        Ok(Node::new(layers, page, self.identity.child(i)))
    }

    fn load<S: Storage>(&mut self, pool: &Pool<S>) -> Result<Option<&Block>, IoError> {
        if let (Some(page), None) = (self.page, &self.block) {
            self.block = Some(pool.load_page(page, self.identity)?);
        }
        Ok(self.block.as_deref())
    }
}
