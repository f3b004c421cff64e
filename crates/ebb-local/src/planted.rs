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
    /// A generation's first record is not synced before the superblock names it.
    StartNotSynced,
    /// What the superblock says is free is written over before the superblock is durable.
    SlotsNotSettled,
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
    /// What was born when the parent was frozen counts as born behind it.
    FreedAtLimit,
    /// A version frees what its ancestors own too.
    LimitIgnored,
    /// A page is born when it is written, not when its version was frozen or captured.
    BornWhenWritten,
    /// A version goes back to a page that its parent has lost.
    PageSeenAgain,
    /// A block that comes into a page is not alive.
    PlacedNotMarked,
    /// Pages that a merge replaced stay alive.
    OldPagesKept,
    /// What is under a page that a discard cut off is never freed.
    CutForgotten,
    /// Nobody looks whether a ghost's block is seen by another when one sees it no more.
    GhostForgotten,
    /// A walk frees what its viewers see.
    ViewersIgnored,
    /// A walk frees blocks, and not the pages that led to them.
    WalkedPagesKept,
    /// A version frees pages that a walk has not come to yet.
    PagesOfWalksFreed,
    /// A walk that is not done is not in the tables.
    WalksForgotten,
    /// Segments of the log behind the checkpoint count as dead.
    TailFreed,
    /// Extents are given away before the superblock says that they are free.
    ReleasedEarly,
    /// The tables do not say of an extent that it was given back to the host.
    PunchedCountsAsWritten,
    /// A segment is ready before its space is durable.
    SegmentNotSynced,
    /// The segment in which the checkpoint's place lies is packed too.
    TailPacked,
    /// Packing copies what is dead.
    DeadForAlive,
    /// A nonce is only the block's number in its segment.
    NonceReused,
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
