//! Why a call was refused or failed.

use ebb_domain::Denied;
use ebb_objects::ObjectError;
use ebb_store::StoreError;
use ebb_volume::EngineError;

/// A refusal, which the caller can do something about, or a failure, which is ours.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A rule said no; nothing changed.
    #[error("denied: {0:?}")]
    Denied(Denied),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[source] StoreError),
    /// The store cannot be reached, or takes nothing of this server any more: nothing changed, but
    /// for what an earlier step of the same call did, and the same may succeed later.
    #[error("{0}")]
    Unavailable(#[source] StoreError),
    /// The store was lost while it committed: whether it changed is not known.
    #[error("{0}")]
    OutcomeUnknown(#[source] StoreError),
    /// The engine failed.
    #[error("the engine failed: {0}")]
    Engine(#[from] EngineError),
    /// Where objects are failed.
    #[error("objects: {0}")]
    Objects(#[from] ObjectError),
    /// The records and the pool do not belong together.
    #[error("{0}")]
    Mismatch(String),
}

/// A failure that passes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// What was asked for has not been done.
    Unchanged,
    /// It may have been.
    OutcomeUnknown,
}

impl ControlError {
    /// Whether the store or the engine is away for the moment, so that the same may succeed later.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        match self {
            // In use by a server that is gone, until it is shut out.
            Self::Unavailable(_) | Self::Engine(EngineError::Failed(_) | EngineError::InUse(_)) => {
                Some(Outage::Unchanged)
            }
            Self::OutcomeUnknown(_) | Self::Engine(EngineError::OutcomeUnknown(_)) => {
                Some(Outage::OutcomeUnknown)
            }
            _ => None,
        }
    }

    /// Whether the engine has done nothing and goes on, so that the call can be taken back. One
    /// that has stopped, or does not know, may have done it; the intent then stays until it is
    /// settled.
    pub(crate) fn is_undone(&self) -> bool {
        let Self::Engine(error) = self else { return false };
        !matches!(error, EngineError::Stopped(_) | EngineError::OutcomeUnknown(_))
    }
}

impl From<Denied> for ControlError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadToken => Self::Denied(Denied::NextToken),
            // Somebody changed the row between our reading and our writing it.
            StoreError::Stale { .. } => Self::Denied(Denied::Conflict),
            StoreError::Unavailable(_) | StoreError::ShutOut => Self::Unavailable(error),
            StoreError::OutcomeUnknown(_) => Self::OutcomeUnknown(error),
            other => Self::Store(other),
        }
    }
}
