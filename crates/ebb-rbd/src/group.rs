//! Snapshots of several volumes at one instant, wherever they are open.
//!
//! ```text
//!   claim each ──► hold requests back, here and at others ──► snapshots ──► go on ──► commit
//!                                                    were they all the time? else undone
//! ```
//! Who has a volume open holds its requests back, and its calls on the volume too: so no reset of
//! it begins meanwhile. If this engine dies it goes on by itself, and says so when it is asked.

use std::time::Duration;

use ebb_volume::{EngineError, VolumeId};

use crate::engine::Shared;
use crate::head::Frozen;
use crate::peers::{Answer, Ask, Said};

/// How long another engine has to hold its requests back, or to let them go on.
const WITHIN: Duration = Duration::from_secs(8);

/// Requests to volumes that are held back. Dropping it lets them go on.
pub(crate) struct Held<'a> {
    shared: &'a Shared,
    here: Vec<Frozen>,
    /// Who holds back what, and the freeze's name there.
    there: Vec<(String, VolumeId, String)>,
}

impl Shared {
    /// Holds the requests to a volume back, at the engine that has it open. False: it is open to
    /// a stranger.
    pub(crate) fn freeze_at<'a>(
        &'a self,
        held: &mut Held<'a>,
        owner: String,
        volume: VolumeId,
    ) -> Result<bool, EngineError> {
        let freeze = self.peers.freeze_name();
        let ask = Ask::Freeze { volume: volume.0, freeze: freeze.clone() };
        // It may begin to, whatever is heard of it.
        held.there.push((owner.clone(), volume, freeze));
        match self.peers.ask(&owner, &ask, WITHIN)? {
            Said::Answer(Answer::Done) => Ok(true),
            Said::Nobody => {
                held.there.pop();
                Ok(false)
            }
            said => Err(EngineError::Failed(format!(
                "{owner}, where {volume:?} is open, does not hold its requests back: {said:?}"
            ))),
        }
    }

    pub(crate) fn hold(&self) -> Held<'_> {
        Held { shared: self, here: Vec::new(), there: Vec::new() }
    }
}

impl Held<'_> {
    pub(crate) fn freeze_here(&mut self, volume: VolumeId) {
        self.here.extend(self.shared.open_head(volume).map(|head| head.freeze()));
    }

    /// Lets all go on, and tells whether all were held back until now.
    pub(crate) fn go_on(mut self) -> Result<(), EngineError> {
        self.here.clear();
        let mut outcome = Ok(());
        for (owner, volume, freeze) in std::mem::take(&mut self.there) {
            let said = self.shared.peers.ask(&owner, &Ask::Thaw { freeze }, WITHIN);
            if said != Ok(Said::Answer(Answer::Done)) {
                outcome = Err(EngineError::Failed(format!(
                    "{owner} has not held the requests to {volume:?} back long enough: {said:?}"
                )));
            }
        }
        outcome
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for (owner, _, freeze) in std::mem::take(&mut self.there) {
            // It goes on by itself if it does not hear of it.
            let _ = self.shared.peers.ask(&owner, &Ask::Thaw { freeze }, Duration::from_secs(1));
        }
    }
}
