//! Object maps: which of an image's objects exist, and which changed since its last snapshot.
//!
//! librbd keeps one for each image and each snapshot, two bits an object, and updates it before the
//! objects. It has no call that answers for a large image at once: what it tells, it tells object
//! by object (64 TiB have 16.7 million), so the engine asks the map's class for it, 4 MiB at most,
//! and passes over holes eight bytes of it at a time.
//!
//! ```text
//!   header, its length first | 2 bits an object, the first in a byte's high bits | checksums
//!   0: not there   1: there, written since the snapshot before   2: going away   3: there, not
//! ```

use ebb_volume::EngineError;

use crate::ffi::{ENOENT, Pool};

/// Bytes of an image that one object has: the default, which the engine's images have.
pub(crate) const OBJECT_BYTES: u64 = 4 << 20;

/// Beyond what the largest volume's map takes.
const MOST_BYTES: usize = (8 << 20) + 4096;

/// The map of an image or of one of its snapshots.
#[derive(Clone)]
pub(crate) struct ObjectMap {
    packed: Vec<u8>,
    objects: u64,
}

impl ObjectMap {
    /// Of the image with this id, or of its snapshot of this number.
    pub(crate) fn load(pool: &Pool, id: &str, snap: Option<u64>) -> Result<Self, EngineError> {
        let missing =
            || EngineError::Failed(format!("image id {id} has no object map at {snap:?}"));
        Self::find(pool, id, snap)?.ok_or_else(missing)
    }

    /// The same; `None` where it is not there, of a snapshot that was removed.
    pub(crate) fn find(
        pool: &Pool,
        id: &str,
        snap: Option<u64>,
    ) -> Result<Option<Self>, EngineError> {
        let object = match snap {
            None => format!("rbd_object_map.{id}"),
            Some(snap) => format!("rbd_object_map.{id}.{snap:016x}"),
        };
        match pool.call(&object, c"rbd", c"object_map_load", MOST_BYTES) {
            Ok(bytes) => Self::parse(&bytes)
                .ok_or_else(|| EngineError::Corrupt(format!("{object} is no object map")))
                .map(Some),
            Err(error) if error.is(ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        const BEFORE_SIZE: usize = 6;
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (header, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let objects = u64::from_le_bytes(*header.get(BEFORE_SIZE..)?.first_chunk()?);
        let packed = rest.get(..usize::try_from(objects.div_ceil(4)).ok()?)?.to_vec();
        Some(Self { packed, objects })
    }

    fn state(&self, object: u64) -> u8 {
        if object >= self.objects {
            return 0;
        }
        let byte = self.packed.get((object / 4) as usize).copied().unwrap_or_default();
        byte >> (6 - object % 4 * 2) & 3
    }

    pub(crate) fn exists(&self, object: u64) -> bool {
        self.state(object) != 0
    }

    /// Whether the object may differ from what it was in the snapshot before, whose map is given.
    pub(crate) fn changed_since(&self, before: &Self, object: u64) -> bool {
        const CLEAN: u8 = 3;
        let state = self.state(object);
        (state != 0) != before.exists(object) || (state != 0 && state != CLEAN)
    }

    /// The first object from `object` on that exists.
    pub(crate) fn next(&self, object: u64) -> Option<u64> {
        let mut at = object;
        while at < self.objects {
            let byte = (at / 4) as usize;
            if at.is_multiple_of(4) {
                let rest = self.packed.get(byte..)?;
                let zero = rest.chunks_exact(8).take_while(|eight| **eight == [0; 8]).count();
                if zero > 0 {
                    at += zero as u64 * 32;
                    continue;
                }
            }
            if self.exists(at) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// How many objects exist.
    pub(crate) fn count(&self) -> u64 {
        let in_byte = |byte: &u8| (0..4).filter(|n| byte >> (6 - n * 2) & 3 != 0).count() as u64;
        self.packed.iter().filter(|byte| **byte != 0).map(in_byte).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// As the class answers: the states given, in a map of so many objects.
    fn encoded(objects: u64, states: &[(u64, u8)]) -> Vec<u8> {
        let mut bytes = vec![14, 0, 0, 0, 1, 1, 8, 0, 0, 0];
        bytes.extend(objects.to_le_bytes());
        let data = bytes.len();
        bytes.resize(data + objects.div_ceil(4) as usize, 0);
        for (object, state) in states {
            bytes[data + (object / 4) as usize] |= state << (6 - object % 4 * 2);
        }
        bytes.extend([0xff; 12]);
        bytes
    }

    #[test]
    fn states_are_found_wherever_they_are() {
        let states = [(0, 1), (3, 3), (70, 2), (999, 1)];
        let map = ObjectMap::parse(&encoded(1000, &states)).unwrap();
        let found: Vec<u64> =
            std::iter::successors(map.next(0), |object| map.next(object + 1)).collect();
        assert_eq!(found, [0, 3, 70, 999]);
        assert_eq!(map.count(), 4);
        assert!(map.exists(70) && !map.exists(71) && !map.exists(5000));
        assert_eq!(map.next(1000), None);
    }

    #[test]
    fn what_was_written_or_came_or_went_is_changed() {
        let before = ObjectMap::parse(&encoded(8, &[(0, 1), (1, 1), (2, 3)])).unwrap();
        let after = ObjectMap::parse(&encoded(8, &[(0, 3), (1, 1), (4, 3)])).unwrap();
        let changed: Vec<u64> = (0..9).filter(|n| after.changed_since(&before, *n)).collect();
        assert_eq!(changed, [1, 2, 4]);
    }

    #[test]
    fn what_is_cut_short_is_no_map() {
        let whole = encoded(1000, &[]);
        assert!(ObjectMap::parse(&whole[..260]).is_none());
        assert!(ObjectMap::parse(&whole[..10]).is_none());
        assert!(ObjectMap::parse(&[]).is_none());
    }
}
