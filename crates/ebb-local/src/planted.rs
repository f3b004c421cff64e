//! Bugs that the simulator must find. Only a test can switch one on: elsewhere [`Planted::has`] is
//! constant and false. A simulator that finds none of them would prove nothing.

/// One way to break a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A flush is answered without a sync.
    SkipFlushSync,
    /// A write with FUA is answered when it is written.
    FuaAnsweredEarly,
    /// An engine call is answered when it is written.
    ChangeNotSynced,
    /// The header says durable what is only written.
    WatermarkAhead,
    /// A new generation begins in the segment where the log was cut.
    ReuseCutSegment,
    /// Recovery takes all it finds of an older generation, also behind its cut.
    IgnoreCut,
    /// Recovery trusts data behind the watermark without reading it.
    SkipDataCheck,
    /// What recovery built on is not synced.
    RecoveryNotSynced,
    /// Only one superblock slot is written.
    SkipSecondSlot,
    /// The superblock is not synced before serving.
    SkipSuperblockSync,
    /// A new generation has the number of the one before.
    SameLogGeneration,
    /// Segment ids go on at the last one seen.
    SegmentIdsReused,
    /// Recovery passes over zeroed runs.
    ZeroNotReplayed,
    /// A discard takes the blocks that it touches only in part.
    DiscardRoundsOutward,
    /// A read returns what it finds.
    SkipReadCheck,
    /// A revoked handle goes on writing.
    StaleHandleWrites,
    /// The superblock names a checkpoint whose pages are not synced.
    CheckpointNotSynced,
    /// The checkpoint's place in the log is where the log was when its pages were written.
    CheckpointPlacedLate,
    /// A page that was on disk before keeps its old content.
    DirtyPageMissed,
    /// A checkpoint forgets what was zeroed or discarded.
    HolesNotMerged,
    /// A page is taken as it is read.
    PageNotVerified,
}

/// The bug switched on, if any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Planted {
    #[cfg(test)]
    pub(crate) bug: Option<Bug>,
}

impl Planted {
    #[cfg(test)]
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(test))]
    pub(crate) fn has(self, _: Bug) -> bool {
        false
    }
}
