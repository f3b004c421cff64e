//! How a task that goes on after its call comes to an end other than a good one.

use ebb_domain::Denied;
use ebb_objects::ObjectError;
use ebb_store::StoreError;
use ebb_volume::{EngineError, IoError};

use crate::ControlError;

#[derive(Debug)]
pub(crate) enum TaskEnd {
    /// The server stops. The task stays in the record and is begun again by the next start.
    Stopping,
    /// It was cancelled, or its resource is gone.
    Cancelled,
    /// It cannot be done, for a reason that whoever waits for it is told.
    Failed(String),
    /// Ours.
    Broken(ControlError),
}

impl From<ControlError> for TaskEnd {
    fn from(error: ControlError) -> Self {
        match error {
            // Its owner's doing, who can do something about it.
            ControlError::Denied(Denied::KeyNotFound) => {
                Self::Failed("the key that it is encrypted by is gone".to_owned())
            }
            other => Self::Broken(other),
        }
    }
}

impl From<StoreError> for TaskEnd {
    fn from(error: StoreError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<EngineError> for TaskEnd {
    fn from(error: EngineError) -> Self {
        match error {
            stopped @ EngineError::Stopped(_) => Self::Broken(stopped.into()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<IoError> for TaskEnd {
    fn from(error: IoError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<ObjectError> for TaskEnd {
    fn from(error: ObjectError) -> Self {
        Self::Failed(error.to_string())
    }
}
