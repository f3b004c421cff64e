//! What `ebb serve` is told: by flags, by `EBB_…` variables, by a TOML file. Flags win, then
//! variables, then the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ebb_objects::S3Options;
use serde::Deserialize;

use crate::certificates::CertificateFiles;
use crate::clock::{ClockArgs, SystemClock};
use crate::cluster_args::{ClusterArgs, ClusterConfig};
use crate::engine_args::{EngineArgs, EngineConfig, EngineKind, RbdReset};
use crate::kill_at::KillArgs;
use crate::kms_args::{KmsArgs, KmsKind};
use crate::master_key::{MasterKeyArgs, MasterKeySource};
use crate::pool_args::PoolArgs;
use crate::size::{Rate, Size};
use crate::store_args::{StoreAddress, StoreArgs, StoreAt};
use crate::{Failure, audit};

/// Where the API listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// Where NBD listens unless told otherwise: the protocol's own port.
const NBD_LISTEN: &str = "127.0.0.1:10809";

/// The region of a server that was given none.
const REGION: &str = "cn-hangzhou";

/// Flags and variables of `ebb serve`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    /// Holds everything; made on first start.
    #[arg(long, env = "EBB_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the API [default: 127.0.0.1:8080].
    #[arg(long, env = "EBB_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The certificate of the API in PEM, with those that lead to its authority: the API speaks
    /// HTTPS then, and nothing else. SIGHUP has it, and that of NBD, read again.
    #[arg(long, env = "EBB_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The key of that certificate in PEM.
    #[arg(long, env = "EBB_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Address of NBD [default: 127.0.0.1:10809].
    #[arg(long, env = "EBB_NBD_LISTEN", value_name = "ADDRESS")]
    pub nbd_listen: Option<SocketAddr>,
    /// The certificate of NBD in PEM, with those that lead to its authority. With it clients may
    /// speak TLS, and those beyond this machine must.
    #[arg(long, env = "EBB_NBD_TLS_CERT", value_name = "FILE")]
    pub nbd_tls_cert: Option<PathBuf>,
    /// The key of that certificate in PEM.
    #[arg(long, env = "EBB_NBD_TLS_KEY", value_name = "FILE")]
    pub nbd_tls_key: Option<PathBuf>,
    /// Authorities in PEM; with them, TLS clients must have a certificate from one of them.
    #[arg(long, env = "EBB_NBD_TLS_CA", value_name = "FILE")]
    pub nbd_tls_ca: Option<PathBuf>,
    /// Whether NBD clients must show a certificate of an instance, by which they use its disks
    /// alone: `ebb admin instance certificate` issues them [default: off].
    #[arg(long, env = "EBB_NBD_INSTANCE_CERTIFICATES", value_enum, value_name = "require|off")]
    pub nbd_instance_certificates: Option<InstanceCertificates>,
    /// Serves NBD without TLS beyond this machine too: anybody on the way can read and change it.
    #[arg(long, env = "EBB_NBD_ALLOW_PLAINTEXT")]
    pub nbd_allow_plaintext: bool,
    /// A region to serve; may be given several times [default: cn-hangzhou].
    #[arg(long, env = "EBB_REGION", value_delimiter = ',', value_name = "REGION")]
    pub region: Vec<String>,
    /// Whether disks are kept to the IOPS and the throughput that ECS documents for their
    /// category, performance level and size [default: off].
    #[arg(long, env = "EBB_QOS", value_enum, value_name = "on|off")]
    pub qos: Option<Qos>,
    /// Whether accounts that call too often are refused, at the documented rates: ResetDisk 500 in
    /// a minute [default: on, but off where only this machine can call].
    #[arg(long, env = "EBB_THROTTLE", value_enum, value_name = "on|off")]
    pub throttle: Option<Qos>,
    /// Where the buckets are that ExportSnapshot and ImportImage name: a folder with a folder for
    /// each [default: oss in the data directory].
    #[arg(long, env = "EBB_OSS_DIR", value_name = "DIR")]
    pub oss_dir: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub s3: S3Args,
    #[command(flatten)]
    pub master_key: MasterKeyArgs,
    #[command(flatten)]
    pub kms: KmsArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub clock: ClockArgs,
    #[command(flatten)]
    pub kill: KillArgs,
    /// How much of the audit log is kept: when its newest file is full, the oldest are deleted that
    /// there is no more room for. At least 128MiB [default: all].
    #[arg(long, env = "EBB_AUDIT_KEEP", value_name = "SIZE")]
    pub audit_keep: Option<Size>,
    /// A TOML file with the same names: data_dir, listen, tls_cert, tls_key, nbd_listen,
    /// nbd_tls_cert, nbd_tls_key, nbd_tls_ca, nbd_instance_certificates, nbd_allow_plaintext,
    /// region, qos, throttle, oss_dir, store, store_file, s3_bucket, s3_endpoint, s3_region,
    /// master_key_file, master_key_command, kms, vault_addr, vault_token_file, vault_mount,
    /// vault_namespace, vault_ca, engine, ceph_conf, ceph_user, rbd_pool, rbd_namespace, rbd_reset,
    /// rbd_flatten_rate, cache_size, pool_size, pool_reserve, keep_free, scrub_rate, audit_keep,
    /// nbd_address, api_address, lease.
    #[arg(long, env = "EBB_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Buckets of an object store that speaks S3.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct S3Args {
    /// A bucket that ExportSnapshot and ImportImage may name; may be given several times. The keys
    /// are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.
    #[arg(long, env = "EBB_S3_BUCKET", value_delimiter = ',', value_name = "NAME")]
    pub s3_bucket: Vec<String>,
    /// Where the buckets are, if not at AWS: https://… or http://…
    #[arg(long, env = "EBB_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// The region of the buckets [default: AWS_REGION, us-east-1].
    #[arg(long, env = "EBB_S3_REGION", value_name = "REGION")]
    pub s3_region: Option<String>,
}

/// Whether disks are kept to what ECS documents for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Qos {
    #[default]
    Off,
    On,
}

/// Whether NBD clients must show which instance they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InstanceCertificates {
    #[default]
    Off,
    Require,
}

/// The TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    nbd_listen: Option<SocketAddr>,
    nbd_tls_cert: Option<PathBuf>,
    nbd_tls_key: Option<PathBuf>,
    nbd_tls_ca: Option<PathBuf>,
    nbd_instance_certificates: Option<InstanceCertificates>,
    #[serde(default)]
    nbd_allow_plaintext: bool,
    #[serde(default)]
    region: Vec<String>,
    qos: Option<Qos>,
    throttle: Option<Qos>,
    oss_dir: Option<PathBuf>,
    store: Option<StoreAddress>,
    store_file: Option<PathBuf>,
    #[serde(default)]
    s3_bucket: Vec<String>,
    s3_endpoint: Option<String>,
    s3_region: Option<String>,
    master_key_file: Option<PathBuf>,
    master_key_command: Option<String>,
    kms: Option<KmsKind>,
    vault_addr: Option<String>,
    vault_token_file: Option<PathBuf>,
    vault_mount: Option<String>,
    vault_namespace: Option<String>,
    vault_ca: Option<PathBuf>,
    engine: Option<EngineKind>,
    ceph_conf: Option<PathBuf>,
    ceph_user: Option<String>,
    rbd_pool: Option<String>,
    rbd_namespace: Option<String>,
    rbd_reset: Option<RbdReset>,
    rbd_flatten_rate: Option<u32>,
    cache_size: Option<Size>,
    pool_size: Option<Size>,
    pool_reserve: Option<Size>,
    keep_free: Option<Size>,
    scrub_rate: Option<Rate>,
    audit_keep: Option<Size>,
    nbd_address: Option<String>,
    api_address: Option<String>,
    lease: Option<u64>,
}

impl File {
    fn kms(&self) -> KmsArgs {
        KmsArgs {
            kms: self.kms,
            vault_addr: self.vault_addr.clone(),
            vault_token_file: self.vault_token_file.clone(),
            vault_mount: self.vault_mount.clone(),
            vault_namespace: self.vault_namespace.clone(),
            vault_ca: self.vault_ca.clone(),
        }
    }

    fn engine(&self) -> EngineArgs {
        EngineArgs {
            engine: self.engine,
            ceph_conf: self.ceph_conf.clone(),
            ceph_user: self.ceph_user.clone(),
            rbd_pool: self.rbd_pool.clone(),
            rbd_namespace: self.rbd_namespace.clone(),
            rbd_reset: self.rbd_reset,
            rbd_flatten_rate: self.rbd_flatten_rate,
        }
    }

    fn cluster(&self) -> ClusterArgs {
        ClusterArgs {
            nbd_address: self.nbd_address.clone(),
            api_address: self.api_address.clone(),
            lease: self.lease,
        }
    }

    fn pool(&self) -> PoolArgs {
        PoolArgs {
            cache_size: self.cache_size,
            pool_size: self.pool_size,
            pool_reserve: self.pool_reserve,
            keep_free: self.keep_free,
            scrub_rate: self.scrub_rate,
        }
    }
}

/// What a server needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub tls: Option<CertificateFiles>,
    pub nbd_listen: SocketAddr,
    pub nbd_tls: Option<NbdTls>,
    pub nbd_allow_plaintext: bool,
    /// At least one, none twice.
    pub regions: Vec<String>,
    pub qos: Qos,
    /// Whether accounts that call too often are refused.
    pub throttle: bool,
    pub oss_dir: PathBuf,
    pub store: StoreAt,
    pub s3: S3Options,
    pub master_key: MasterKeySource,
    pub kms: KmsArgs,
    pub engine: EngineConfig,
    pub cluster: ClusterConfig,
    pub clock: SystemClock,
    pub kill: KillArgs,
    pub audit: ebb_audit::Options,
}

/// TLS for NBD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NbdTls {
    pub files: CertificateFiles,
    pub clients: NbdClients,
}

/// Which certificate NBD clients must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NbdClients {
    /// None.
    Any,
    /// One of the authorities in this file.
    Of(PathBuf),
    /// That of an instance.
    Instances,
}

impl ServeArgs {
    pub(crate) fn resolve(self) -> Result<Config, Failure> {
        let file = match &self.config {
            None => File::default(),
            Some(path) => read(path)?,
        };
        let pool = self.pool.or(file.pool()).options()?;
        let engine = self.engine.or(file.engine()).resolve(pool)?;
        let kms = self.kms.or(file.kms());
        let cluster = self.cluster.or(file.cluster()).checked()?;
        let of_file = StoreArgs { store: file.store, store_file: file.store_file };
        let store = self.store.resolve(of_file)?;
        let data_dir = self.data_dir.or(file.data_dir).ok_or(
            "no data directory: give --data-dir DIR, EBB_DATA_DIR, or data_dir in the file",
        )?;
        let nbd_listen =
            self.nbd_listen.or(file.nbd_listen).map_or_else(|| NBD_LISTEN.parse(), Ok)?;
        let nbd_allow_plaintext = self.nbd_allow_plaintext || file.nbd_allow_plaintext;
        let tls = pair(self.tls_cert.or(file.tls_cert), self.tls_key.or(file.tls_key))
            .ok_or("TLS for the API needs both --tls-cert and --tls-key")?;
        let nbd_tls = nbd_tls(
            pair(self.nbd_tls_cert.or(file.nbd_tls_cert), self.nbd_tls_key.or(file.nbd_tls_key)),
            self.nbd_tls_ca.or(file.nbd_tls_ca),
            self.nbd_instance_certificates.or(file.nbd_instance_certificates).unwrap_or_default(),
        )?;
        let instances = nbd_tls.as_ref().is_some_and(|tls| tls.clients == NbdClients::Instances);
        if instances && nbd_allow_plaintext {
            let message = "--nbd-allow-plaintext would let clients in without the certificates \
                           that --nbd-instance-certificates requires";
            return Err(message.into());
        }
        if nbd_tls.is_none() && !nbd_allow_plaintext && !nbd_listen.ip().is_loopback() {
            return Err(format!(
                "NBD would be readable by anybody on the way to {nbd_listen}: give --nbd-tls-cert \
                 and --nbd-tls-key, or --nbd-allow-plaintext"
            )
            .into());
        }
        let given = if self.region.is_empty() { file.region } else { self.region };
        let s3 = S3Options {
            buckets: if self.s3.s3_bucket.is_empty() { file.s3_bucket } else { self.s3.s3_bucket },
            endpoint: self.s3.s3_endpoint.or(file.s3_endpoint),
            region: self.s3.s3_region.or(file.s3_region),
        };
        let master_key = MasterKeySource::of(MasterKeyArgs {
            master_key_file: self.master_key.master_key_file.or(file.master_key_file),
            master_key_command: self.master_key.master_key_command.or(file.master_key_command),
        })?;
        let oss_dir = self.oss_dir.or(file.oss_dir).unwrap_or_else(|| data_dir.join("oss"));
        let listen = self.listen.or(file.listen).map_or_else(|| LISTEN.parse(), Ok)?;
        let throttle = match self.throttle.or(file.throttle) {
            Some(wanted) => wanted == Qos::On,
            None => !listen.ip().is_loopback(),
        };
        Ok(Config {
            throttle,
            data_dir,
            oss_dir,
            store,
            s3,
            master_key,
            kms,
            listen,
            tls,
            nbd_listen,
            nbd_tls,
            nbd_allow_plaintext,
            regions: regions(given)?,
            qos: self.qos.or(file.qos).unwrap_or_default(),
            engine,
            cluster,
            clock: self.clock.into(),
            kill: self.kill,
            audit: audit::options(self.audit_keep.or(file.audit_keep))?,
        })
    }
}

/// A certificate and its key, or neither. `None` where one is without the other.
fn pair(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Option<Option<CertificateFiles>> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Some(CertificateFiles { certificate, key })),
        (None, None) => Some(None),
        _ => None,
    }
}

fn nbd_tls(
    files: Option<Option<CertificateFiles>>,
    authority: Option<PathBuf>,
    instances: InstanceCertificates,
) -> Result<Option<NbdTls>, Failure> {
    let clients = match (authority, instances) {
        (None, InstanceCertificates::Off) => NbdClients::Any,
        (Some(authority), InstanceCertificates::Off) => NbdClients::Of(authority),
        (None, InstanceCertificates::Require) => NbdClients::Instances,
        (Some(_), InstanceCertificates::Require) => {
            let message = "--nbd-tls-ca and --nbd-instance-certificates exclude each other: \
                           clients have their certificates from one of them";
            return Err(message.into());
        }
    };
    match files {
        Some(Some(files)) => Ok(Some(NbdTls { files, clients })),
        Some(None) if clients == NbdClients::Any => Ok(None),
        _ => Err("TLS for NBD needs both --nbd-tls-cert and --nbd-tls-key".into()),
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Region names are lower-case words with hyphens, as they become part of zones and of answers.
fn regions(given: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut regions: Vec<String> = Vec::new();
    for name in given {
        let fine = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !fine {
            return Err(format!("{name:?} is not a region name such as cn-hangzhou").into());
        }
        if !regions.contains(&name) {
            regions.push(name);
        }
    }
    if regions.is_empty() {
        regions.push(REGION.to_owned());
    }
    Ok(regions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(region: &[&str]) -> ServeArgs {
        ServeArgs {
            data_dir: Some("d".into()),
            region: region.iter().map(ToString::to_string).collect(),
            ..ServeArgs::default()
        }
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let config = args(&[]).resolve().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.nbd_listen.to_string(), "127.0.0.1:10809");
        assert_eq!(config.regions, ["cn-hangzhou"]);
    }

    #[test]
    fn a_data_directory_is_needed() {
        assert!(ServeArgs::default().resolve().is_err());
    }

    #[test]
    fn nbd_goes_beyond_this_machine_only_with_tls_or_when_told_to() {
        let on =
            |address: &str| ServeArgs { nbd_listen: Some(address.parse().unwrap()), ..args(&[]) };
        for loopback in ["127.0.0.1:1", "[::1]:1"] {
            assert!(on(loopback).resolve().is_ok());
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(on(open).resolve().is_err(), "{open}");
            assert!(ServeArgs { nbd_allow_plaintext: true, ..on(open) }.resolve().is_ok());
            let files = ("c".into(), "k".into());
            let tls =
                ServeArgs { nbd_tls_cert: Some(files.0), nbd_tls_key: Some(files.1), ..on(open) };
            assert!(tls.resolve().unwrap().nbd_tls.is_some());
        }
    }

    #[test]
    fn a_certificate_and_its_key_are_given_together() {
        let some = || Some(PathBuf::from("f"));
        let cases = [(some(), None, None), (None, some(), None), (None, None, some())];
        for (nbd_tls_cert, nbd_tls_key, nbd_tls_ca) in cases {
            let given = ServeArgs { nbd_tls_cert, nbd_tls_key, nbd_tls_ca, ..args(&[]) };
            assert!(given.resolve().is_err());
        }
        for (tls_cert, tls_key) in [(some(), None), (None, some())] {
            assert!(ServeArgs { tls_cert, tls_key, ..args(&[]) }.resolve().is_err());
        }
        let alone = ServeArgs {
            nbd_instance_certificates: Some(InstanceCertificates::Require),
            ..args(&[])
        };
        assert!(alone.clone().resolve().is_err());
        let with = ServeArgs { nbd_tls_cert: some(), nbd_tls_key: some(), ..alone };
        assert_eq!(with.clone().resolve().unwrap().nbd_tls.unwrap().clients, NbdClients::Instances);
        assert!(ServeArgs { nbd_tls_ca: some(), ..with.clone() }.resolve().is_err());
        assert!(ServeArgs { nbd_allow_plaintext: true, ..with }.resolve().is_err());
        let both = ServeArgs { tls_cert: some(), tls_key: some(), ..args(&[]) };
        assert!(both.resolve().unwrap().tls.is_some());
    }

    #[test]
    fn regions_are_names_and_none_is_there_twice() {
        assert_eq!(args(&["cn-a", "cn-b", "cn-a"]).resolve().unwrap().regions, ["cn-a", "cn-b"]);
        for bad in ["", "CN", "a b", "a/b"] {
            assert!(args(&[bad]).resolve().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn flags_win_over_the_file_and_unknown_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ebb.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\nregion = [\"cn-x\"]\n").unwrap();
        let with = |listen: Option<&str>| ServeArgs {
            listen: listen.map(|text| text.parse().unwrap()),
            config: Some(path.clone()),
            ..args(&[])
        };
        assert_eq!(with(None).resolve().unwrap().listen.port(), 1);
        assert_eq!(with(None).resolve().unwrap().regions, ["cn-x"]);
        assert_eq!(with(Some("127.0.0.1:2")).resolve().unwrap().listen.port(), 2);
        std::fs::write(&path, "lisen = 1\n").unwrap();
        assert!(with(None).resolve().is_err());
    }

    #[test]
    fn the_master_key_has_one_source_in_flags_and_file_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ebb.toml");
        std::fs::write(&path, "master_key_file = \"f\"\n").unwrap();
        let with = |file: Option<&str>, command: Option<&str>| {
            let master_key = MasterKeyArgs {
                master_key_file: file.map(PathBuf::from),
                master_key_command: command.map(str::to_owned),
            };
            let given = ServeArgs { master_key, config: Some(path.clone()), ..args(&[]) };
            given.resolve().map(|config| config.master_key)
        };
        assert_eq!(with(None, None).unwrap(), MasterKeySource::File("f".into()));
        assert_eq!(with(Some("g"), None).unwrap(), MasterKeySource::File("g".into()));
        assert!(with(None, Some("c")).is_err());
    }

    #[test]
    fn the_audit_log_is_kept_as_long_as_flag_or_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ebb.toml");
        std::fs::write(&path, "audit_keep = \"256MiB\"\n").unwrap();
        let keep = |config: Option<&Path>, audit_keep| {
            let config = config.map(Path::to_owned);
            let given = ServeArgs { config, audit_keep, ..args(&[]) };
            given.resolve().map(|config| config.audit.keep.map_or(0, u64::from))
        };
        assert_eq!(keep(None, None).unwrap(), 0);
        assert_eq!(keep(Some(&path), None).unwrap(), 4);
        assert_eq!(keep(Some(&path), Some(Size(128 << 20))).unwrap(), 2);
        assert!(keep(None, Some(Size(1))).is_err());
    }

    #[test]
    fn the_pool_is_told_by_flags_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ebb.toml");
        std::fs::write(&path, "cache_size = \"1MiB\"\nkeep_free = 5\nscrub_rate = \"off\"\n")
            .unwrap();
        let cache_size = Some(Size(2 << 20));
        let pool = PoolArgs { cache_size, ..PoolArgs::default() };
        let given = ServeArgs { config: Some(path), pool, ..args(&[]) };
        let EngineConfig::Local(pool) = given.resolve().unwrap().engine else {
            panic!("it is the embedded engine")
        };
        assert_eq!((pool.cache_bytes, pool.keep_free_bytes), (2 << 20, Some(5)));
        assert_eq!(pool.scrub_bytes_per_second, 0);
    }
}
