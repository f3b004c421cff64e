//! Which engine a server has, and what is told to that of Ceph.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use ebb_local::{LocalEngine, Stats};
use ebb_rbd::{Options, RbdEngine, ResetMode};
use ebb_volume::Engine;
use serde::Deserialize;

use crate::Failure;

/// Flags and variables of the engine.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EngineArgs {
    /// Where disks are: in the data directory, or in Ceph, as images of RBD [default: local].
    #[arg(long, env = "EBB_ENGINE", value_enum, value_name = "local|rbd")]
    pub engine: Option<EngineKind>,
    /// The configuration file of the Ceph cluster, which names its monitors and the keyring
    /// [default: /etc/ceph/ceph.conf].
    #[arg(long, env = "EBB_CEPH_CONF", value_name = "FILE")]
    pub ceph_conf: Option<PathBuf>,
    /// The Ceph user, without `client.` [default: admin].
    #[arg(long, env = "EBB_CEPH_USER", value_name = "NAME")]
    pub ceph_user: Option<String>,
    /// The pool of the images.
    #[arg(long, env = "EBB_RBD_POOL", value_name = "NAME")]
    pub rbd_pool: Option<String>,
    /// The namespace in that pool; made if it is not there [default: none].
    #[arg(long, env = "EBB_RBD_NAMESPACE", value_name = "NAME")]
    pub rbd_namespace: Option<String>,
    /// How ResetDisk works on RBD: by a rollback in place where that takes seconds, else by a clone
    /// that takes the disk's place; or always by a clone [default: auto].
    #[arg(long, env = "EBB_RBD_RESET", value_enum, value_name = "auto|clone")]
    pub rbd_reset: Option<RbdReset>,
    /// How many objects of 4 MiB a second are copied, in the background, to make disks on RBD
    /// that were reset by a clone or made from a snapshot independent of it; none at 0
    /// [default: 16].
    #[arg(long, env = "EBB_RBD_FLATTEN_RATE", value_name = "OBJECTS")]
    pub rbd_flatten_rate: Option<u32>,
}

/// The engines that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EngineKind {
    #[default]
    Local,
    Rbd,
}

/// How a volume goes back on RBD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RbdReset {
    #[default]
    Auto,
    Clone,
}

/// An engine, before it is opened.
#[derive(Debug, Clone)]
pub(crate) enum EngineConfig {
    Local(ebb_local::Options),
    Rbd(Options),
}

/// What an engine counts.
pub(crate) enum EngineStats {
    Local(Stats),
    Rbd(ebb_rbd::Stats),
}

/// An engine that is open.
#[derive(Clone)]
pub(crate) enum OpenEngine {
    Local(Arc<LocalEngine>),
    Rbd(Arc<RbdEngine>),
}

impl EngineArgs {
    /// These, and where one is not given the other's.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            engine: self.engine.or(other.engine),
            ceph_conf: self.ceph_conf.or(other.ceph_conf),
            ceph_user: self.ceph_user.or(other.ceph_user),
            rbd_pool: self.rbd_pool.or(other.rbd_pool),
            rbd_namespace: self.rbd_namespace.or(other.rbd_namespace),
            rbd_reset: self.rbd_reset.or(other.rbd_reset),
            rbd_flatten_rate: self.rbd_flatten_rate.or(other.rbd_flatten_rate),
        }
    }

    /// What is opened; `local` is that of the embedded engine.
    pub(crate) fn resolve(self, local: ebb_local::Options) -> Result<EngineConfig, Failure> {
        let told = self.ceph_conf.is_some()
            || self.ceph_user.is_some()
            || self.rbd_pool.is_some()
            || self.rbd_namespace.is_some()
            || self.rbd_reset.is_some()
            || self.rbd_flatten_rate.is_some();
        match self.engine.unwrap_or_default() {
            EngineKind::Local if told => {
                Err("--ceph-conf, --ceph-user and --rbd-… are for --engine rbd".into())
            }
            EngineKind::Local => Ok(EngineConfig::Local(local)),
            EngineKind::Rbd => {
                let pool = self.rbd_pool.ok_or("--engine rbd needs --rbd-pool NAME")?;
                let reset = match self.rbd_reset.unwrap_or_default() {
                    RbdReset::Auto => ResetMode::Auto,
                    RbdReset::Clone => ResetMode::Clone,
                };
                Ok(EngineConfig::Rbd(Options {
                    conf: self.ceph_conf.unwrap_or_else(|| "/etc/ceph/ceph.conf".into()),
                    user: self.ceph_user.unwrap_or_else(|| "admin".into()),
                    namespace: self.rbd_namespace.unwrap_or_default(),
                    pool,
                    reset,
                    flatten_rate: self.rbd_flatten_rate.unwrap_or(ebb_rbd::FLATTEN_RATE),
                }))
            }
        }
    }
}

impl EngineConfig {
    pub(crate) fn open(&self, data_dir: &Path) -> Result<OpenEngine, Failure> {
        match self {
            Self::Local(options) => {
                let engine = LocalEngine::open(data_dir, options.clone())?;
                Ok(OpenEngine::Local(Arc::new(engine)))
            }
            Self::Rbd(options) => Ok(OpenEngine::Rbd(Arc::new(RbdEngine::open(options)?))),
        }
    }
}

impl OpenEngine {
    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        match self {
            Self::Local(engine) => Arc::clone(engine) as Arc<dyn Engine>,
            Self::Rbd(engine) => Arc::clone(engine) as Arc<dyn Engine>,
        }
    }

    /// What the engine counts.
    pub(crate) fn stats(&self) -> EngineStats {
        match self {
            Self::Local(engine) => EngineStats::Local(engine.stats()),
            Self::Rbd(engine) => EngineStats::Rbd(engine.stats()),
        }
    }
}
