//! What a server says of itself to those that share its records, and how long it may be silent.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ebb_control::{Place, SystemEntropy, random_text};

use crate::Failure;
use crate::data_dir::write_durably;

/// In the data directory: which it is, whatever it is called and wherever it is mounted.
const HOME: &str = "home";

const LEASE_SECONDS: u64 = 10;

/// With less, a server that waits for a sync would be taken for gone.
const LEASE_SECONDS_LEAST: u64 = 2;

/// Flags and variables of servers that share their records.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ClusterArgs {
    /// Where clients reach this server's exports, as DescribeDisks tells them [default: where NBD
    /// listens].
    #[arg(long, env = "EBB_NBD_ADDRESS", value_name = "HOST:PORT")]
    pub nbd_address: Option<String>,
    /// Where other servers and operators reach its API [default: where it listens].
    #[arg(long, env = "EBB_API_ADDRESS", value_name = "HOST:PORT")]
    pub api_address: Option<String>,
    /// How long a server that shares its records with others may be silent before they take it for
    /// gone and open its disks [default: 10].
    #[arg(long, env = "EBB_LEASE", value_name = "SECONDS")]
    pub lease: Option<u64>,
}

/// The same, checked.
#[derive(Debug, Clone)]
pub(crate) struct ClusterConfig {
    nbd_address: Option<String>,
    api_address: Option<String>,
    lease: Duration,
}

impl ClusterArgs {
    /// These, and where one is not given the other's.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            nbd_address: self.nbd_address.or(other.nbd_address),
            api_address: self.api_address.or(other.api_address),
            lease: self.lease.or(other.lease),
        }
    }

    pub(crate) fn checked(self) -> Result<ClusterConfig, Failure> {
        let lease = self.lease.unwrap_or(LEASE_SECONDS);
        if lease < LEASE_SECONDS_LEAST {
            return Err(format!(
                "a lease of {lease} s is too short to tell a slow server from one that is gone: \
                 give at least {LEASE_SECONDS_LEAST}"
            )
            .into());
        }
        for address in self.nbd_address.iter().chain(&self.api_address) {
            if address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                return Err(format!("{address} is no address: give HOST:PORT").into());
            }
        }
        Ok(ClusterConfig {
            nbd_address: self.nbd_address,
            api_address: self.api_address,
            lease: Duration::from_secs(lease),
        })
    }
}

impl ClusterConfig {
    /// Where a server is that listens there, with that data directory.
    pub(crate) fn place(
        &self,
        data_dir: &Path,
        (api, nbd): (SocketAddr, SocketAddr),
        nbd_has_tls: bool,
        is_alone: bool,
        shut_out: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Place, Failure> {
        Ok(Place {
            home: home(data_dir)?,
            nbd: format!(
                "{}://{}",
                if nbd_has_tls { "nbds" } else { "nbd" },
                self.nbd_address.clone().unwrap_or_else(|| nbd.to_string())
            ),
            api: self.api_address.clone().unwrap_or_else(|| api.to_string()),
            is_alone,
            lease: self.lease,
            shut_out,
        })
    }
}

/// Made once, and kept in the data directory.
fn home(data_dir: &Path) -> Result<String, Failure> {
    let path = data_dir.join(HOME);
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot read {}: {error}", path.display()).into());
        }
        _ => {}
    }
    let home = random_text(&SystemEntropy, 24);
    write_durably(&path, &home)?;
    Ok(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(lease: Option<u64>, nbd: Option<&str>) -> ClusterArgs {
        ClusterArgs { lease, nbd_address: nbd.map(str::to_owned), api_address: None }
    }

    #[test]
    fn a_short_lease_and_half_an_address_are_refused() {
        let refused = |args: ClusterArgs| args.checked().unwrap_err().to_string();
        assert!(refused(args(Some(1), None)).contains("at least 2"));
        assert!(refused(args(None, Some("disks.example.com"))).contains("HOST:PORT"));
        let config = args(None, Some("disks.example.com:10809")).checked().unwrap();
        assert_eq!(config.lease, Duration::from_secs(10));
    }

    #[test]
    fn a_data_directory_stays_the_same_home() {
        let folder = tempfile::tempdir().unwrap();
        let first = home(folder.path()).unwrap();
        assert_eq!(first.len(), 24);
        assert_eq!(home(folder.path()).unwrap(), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(home(other.path()).unwrap(), first);
    }
}
