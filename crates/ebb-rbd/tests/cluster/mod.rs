//! The cluster that the tests run against, which `cargo xtask ceph` starts.

use std::env;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ebb_rbd::{Options, RbdEngine, ResetMode};
use ebb_volume::conformance::Store;
use ebb_volume::{Engine, EngineError};

/// A namespace of its own.
pub(crate) struct Namespace {
    pub(crate) options: Options,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let conf = env::var_os("EBB_TEST_CEPH_CONF")
            .expect("there is no Ceph cluster: these tests are run by `cargo xtask ceph`");
        let namespace = format!("test-{}-{}", process::id(), LAST.fetch_add(1, Relaxed));
        let (pool, user) = ("rbd".into(), "admin".into());
        let (reset, flatten_rate) = (ResetMode::Auto, ebb_rbd::FLATTEN_RATE);
        let conf = conf.into();
        Self { options: Options { conf, pool, namespace, user, reset, flatten_rate } }
    }
}

impl Store for Namespace {
    fn open(&self) -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(RbdEngine::open(&self.options)?))
    }
}
