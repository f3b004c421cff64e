//! What vouches for a data block of a record.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One data block's part of a record's header.
pub(crate) trait Check: Copy {
    /// What the header says of its record.
    const KIND: u32;

    /// It as it is in the header.
    type Stored: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned;

    fn stored(self) -> Self::Stored;

    fn from_stored(stored: &Self::Stored) -> Self;
}

/// The CRC32C of a plain block.
impl Check for u32 {
    const KIND: u32 = 0;

    type Stored = U32;

    fn stored(self) -> U32 {
        self.into()
    }

    fn from_stored(stored: &U32) -> Self {
        stored.get()
    }
}

/// The tag that authenticated encryption (AES-256-GCM) makes of a block. It takes the place of the
/// CRC: whoever has the volume's key sees with it that the block is not what was written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub(crate) struct Tag(pub(crate) [u8; 16]);

impl Check for Tag {
    const KIND: u32 = 1;

    type Stored = Self;

    fn stored(self) -> Self {
        self
    }

    fn from_stored(stored: &Self) -> Self {
        *stored
    }
}
