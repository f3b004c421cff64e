//! The key that a volume's bytes are encrypted with.

use std::fmt;

use zeroize::Zeroizing;

/// The key of an encrypted volume, for AES-256. Engines are lent it, and keep none on disk.
///
/// It is wiped from memory when it is dropped, and `Debug` says nothing of it.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for who encrypts with them.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debugging_does_not_tell_it() {
        assert_eq!(format!("{:?}", DataKey::new([7; 32])), "DataKey");
    }
}
