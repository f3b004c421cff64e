//! What the control plane is given, and what outlives it: time, randomness, the key store.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ebb_control::{Clock, Entropy};
use ebb_domain::Timestamp;

use crate::key_store::TestKeys;

/// What goes on when a process ends.
#[derive(Clone)]
pub(crate) struct Universe {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) entropy: Arc<TestEntropy>,
    pub(crate) keys: Arc<TestKeys>,
}

impl Default for Universe {
    fn default() -> Self {
        Self {
            clock: Arc::new(TestClock {
                millis: AtomicI64::new(1_735_689_600_000),
                hook: Mutex::default(),
            }),
            entropy: Arc::new(TestEntropy(AtomicU64::new(7))),
            keys: Arc::default(),
        }
    }
}

/// 2025-01-01T00:00:00Z, and a millisecond more each time it is asked.
pub(crate) struct TestClock {
    millis: AtomicI64,
    hook: Mutex<Option<ClockHook>>,
}

type ClockHook = Arc<dyn Fn() + Send + Sync>;

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.millis.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Called on whichever thread asks for the time.
    pub(crate) fn look(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let hook = self.hook.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook();
        }
        Timestamp::from_unix_millis(self.millis.fetch_add(1, Ordering::SeqCst))
    }
}

/// Bytes that look random and never come again: splitmix64.
pub(crate) struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
