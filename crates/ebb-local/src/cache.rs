//! Pages of maps in memory, up to a budget. Which goes first is chosen by a clock: a page that was
//! used since the hand passed it last is spared once.
//!
//! A page at an address never changes, so nothing here is ever stale, and dropping one costs only
//! the reading of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::layout::{Address, BLOCK};
use crate::map::page::Block;

struct Place {
    address: Address,
    block: Arc<Block>,
    used: bool,
}

pub(crate) struct Cache {
    places: Vec<Place>,
    by_address: HashMap<Address, usize>,
    hand: usize,
    most: usize,
}

impl Cache {
    /// One that keeps at most so many bytes of pages, and at least one page.
    pub(crate) fn new(bytes: u64) -> Self {
        let most = usize::try_from(bytes / BLOCK as u64).unwrap_or(usize::MAX).max(1);
        Self { places: Vec::new(), by_address: HashMap::new(), hand: 0, most }
    }

    pub(crate) fn get(&mut self, address: Address) -> Option<Arc<Block>> {
        let place = &mut self.places[*self.by_address.get(&address)?];
        place.used = true;
        Some(Arc::clone(&place.block))
    }

    pub(crate) fn insert(&mut self, address: Address, block: Arc<Block>) {
        if self.by_address.contains_key(&address) {
            return;
        }
        let place = Place { address, block, used: false };
        if self.places.len() < self.most {
            self.by_address.insert(address, self.places.len());
            self.places.push(place);
            return;
        }
        while std::mem::take(&mut self.places[self.hand].used) {
            self.hand = (self.hand + 1) % self.most;
        }
        self.by_address.remove(&self.places[self.hand].address);
        self.by_address.insert(address, self.hand);
        self.places[self.hand] = place;
        self.hand = (self.hand + 1) % self.most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_to_its_budget_and_what_was_used_stays_longer() {
        let address = |n| Address::new(n, 1);
        let mut cache = Cache::new(4 * BLOCK as u64);
        for n in 1..=4 {
            cache.insert(address(n), Arc::new([n as u8; BLOCK]));
        }
        assert!(cache.get(address(1)).is_some());
        cache.insert(address(5), Arc::new([5; BLOCK]));
        assert!(cache.get(address(2)).is_none(), "the first that was not used");
        for n in [1, 3, 4, 5] {
            assert_eq!(cache.get(address(n)).unwrap()[0], n as u8);
        }
        for n in 6..100 {
            cache.insert(address(n), Arc::new([n as u8; BLOCK]));
            assert_eq!(cache.places.len(), 4);
            assert_eq!(cache.by_address.len(), 4);
        }
    }
}
