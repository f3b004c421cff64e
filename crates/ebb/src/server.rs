//! A whole server: everything is named and wired here, and nowhere else.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ebb_api::admin::{Helpers, Issue, Locate, serve_admin};
use ebb_api::{Api, DOCUMENTED_LIMITS, Health, Nonces, Throttle};
use ebb_audit::Log;
use ebb_control::{
    Activity, Clock, Control, ControlError, ExportTable, Exported, Parts, Place, Secret, Secrets,
    SystemEntropy,
};
use ebb_domain::{Ceiling, InstanceId, Performance, Region, RegionId};
use ebb_kms::MasterKey;
use ebb_nbd::{ExportCounters, Exports, Plaintext, Rate, RateLimit};
use ebb_objects::{Buckets, FolderBucket, FolderBuckets, S3Buckets};
use ebb_store::{Store, StoreError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::Failure;
use crate::audit;
use crate::certificates::Certificates;
use crate::config::{Config, NbdClients, Qos, ServeArgs};
use crate::data_dir::{DataDir, Sealed, root_key_from_environment};
use crate::engine_args::OpenEngine;
use crate::instance_authority::InstanceAuthority;
use crate::locate;
use crate::metrics;
use crate::qemu_img::QemuImg;

/// How long NBD connections have to end. Below the 10 s in which the whole process ends.
const NBD_GRACE: Duration = Duration::from_secs(5);

/// Files that are open beside NBD's connections, with some to spare: the pool, the database, API
/// calls under way.
const FILES_BESIDE_NBD: u64 = 256;

/// How a process ends that others have taken for gone: to be started again, EX_TEMPFAIL of
/// sysexits.h.
const SHUT_OUT: i32 = 75;

/// In the data directory.
const NBD_SOCKET: &str = "nbd.sock";

/// `ebb serve`.
pub(crate) async fn serve(args: ServeArgs) -> Result<(), Failure> {
    log_to_stderr();
    let config = args.resolve()?;
    let open = |address: SocketAddr| !address.ip().is_loopback();
    if open(config.listen) && config.tls.is_none() {
        let address = config.listen;
        tracing::warn!(%address, "the API listens beyond this machine, without encryption");
    }
    if open(config.nbd_listen) && config.nbd_allow_plaintext {
        let address = config.nbd_listen;
        tracing::warn!(%address, "NBD listens beyond this machine and does not insist on TLS");
    }
    open_as_many_files_as_may_be();
    // Before anything answers, so that no signal finds nobody listening.
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Without certificates there is nothing to read again, and it ends the process as ever.
    let certified = config.tls.is_some() || config.nbd_tls.is_some();
    let mut hup = certified.then(|| signal(SignalKind::hangup())).transpose()?;
    let server = Server::start(&config).await?;
    let mut is_shut_out = server.is_shut_out.clone();
    println!(
        "api {}://{}",
        if config.tls.is_some() { "https" } else { "http" },
        server.api_address
    );
    println!("nbd nbd://{}", server.nbd_address);
    println!("ready");
    loop {
        tokio::select! {
            _ = term.recv() => {
                tracing::info!("SIGTERM: stopping");
                return server.stop().await;
            }
            _ = int.recv() => {
                tracing::info!("SIGINT: stopping");
                return server.stop().await;
            }
            () = next(&mut hup) => server.certificates.reload(),
            Ok(_) = is_shut_out.wait_for(|gone| *gone) => {
                // Nothing that it would still write is taken, so it has nothing to end well.
                std::process::exit(SHUT_OUT);
            }
        }
    }
}

/// The next signal of a kind that may not be listened for.
async fn next(signals: &mut Option<Signal>) {
    let Some(signals) = signals else { return std::future::pending().await };
    signals.recv().await;
}

/// Asks for all the files that this process may have open. What a program gets unasked is 1,024 on
/// most machines, and that many NBD connections alone may be open: the API would answer nobody.
fn open_as_many_files_as_may_be() {
    let limits = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = ebb_nbd::Limits::default().connections as u64;
    if files < connections + FILES_BESIDE_NBD {
        tracing::warn!(files, connections, "fewer files may be open than NBD takes connections");
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EBB_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .init();
}

/// A server that answers.
pub(crate) struct Server {
    pub(crate) api_address: SocketAddr,
    pub(crate) nbd_address: SocketAddr,
    control: Arc<Control>,
    nbd: ebb_nbd::Server,
    certificates: Certificates,
    stop_api: oneshot::Sender<()>,
    api: JoinHandle<()>,
    admin: JoinHandle<()>,
    minutes: JoinHandle<()>,
    /// Whether others have taken this server for gone.
    is_shut_out: watch::Receiver<bool>,
    _data_dir: Arc<DataDir>,
}

impl Server {
    /// Starts a server: when this returns, the API and NBD answer.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let data_dir = Arc::new(DataDir::open(&config.data_dir)?);
        let Opened { store, master_key, root_key, instances } =
            open_store(config, &data_dir).await?;
        let instances = Arc::new(instances);
        let certificates = Certificates::open(config, &instances)?;
        let api_listener = bind(config.listen).await?;
        let nbd_listener = TcpListener::bind(config.nbd_listen)
            .map_err(|error| format!("cannot listen on {}: {error}", config.nbd_listen))?;
        let (api_address, nbd_address) = (api_listener.local_addr()?, nbd_listener.local_addr()?);
        let exports = Arc::new(Exports::new());
        let engine = config.engine.open(data_dir.path())?;
        let (shut_out, is_shut_out) = watch::channel(false);
        let place = config.cluster.place(
            data_dir.path(),
            (api_address, nbd_address),
            config.nbd_tls.is_some(),
            !store.is_shared(),
            Arc::new(move || {
                shut_out.send_replace(true);
            }),
        )?;
        let secrets = (root_key, master_key);
        let parts = parts(config, &data_dir, &exports, &engine, (store, place), secrets)?;
        let control = spawn_blocking(move || Control::start(parts)).await??;

        let nbd = ebb_nbd::Server::start(Arc::clone(&exports), ebb_nbd::Limits::default());
        match &certificates.nbd {
            None => nbd.listen_tcp(nbd_listener)?,
            Some(tls) => nbd.listen_tls(nbd_listener, tls.clone(), plaintext(config))?,
        }
        nbd.listen_unix(data_dir.socket(NBD_SOCKET)?)?;

        let admin_listener = data_dir.socket("admin.sock")?;
        admin_listener.set_nonblocking(true)?;
        let admin_listener = tokio::net::UnixListener::from_std(admin_listener)?;
        let issue: Issue = Arc::new(move |instance, days| {
            instances.issue(instance, days).map_err(|error| error.to_string())
        });
        let locate = located(config, &engine);
        let helpers = Helpers { issue, locate };
        let admin = tokio::spawn(serve_admin(admin_listener, Arc::clone(&control), helpers));

        let minutes = tokio::spawn(work_each_minute(Arc::clone(&control)));

        let nonces = nonces(&control, &data_dir, config).await?;
        let metrics = Box::new(move || metrics::text(&exports, &engine.stats()));
        let families = ebb_api::ops::FAMILIES;
        let now = config.clock.now().unix_millis();
        let log = Log::open(&data_dir.join(audit::FOLDER), config.audit, now)?;
        let log = Arc::new(log);
        let control_health = Arc::clone(&control);
        let audit_health = Arc::clone(&log);
        let health: Health =
            Box::new(move || control_health.health().and_then(|()| audit_health.health()));
        let api = Api::new(Arc::clone(&control), families, nonces, health, metrics).with_audit(log);
        let api = Arc::new(match config.throttle {
            true => api.with_throttle(match control.ledger() {
                None => Throttle::new(DOCUMENTED_LIMITS),
                Some(ledger) => Throttle::shared(DOCUMENTED_LIMITS, ledger),
            }),
            false => api,
        });
        let (stop_api, stopped) = oneshot::channel();
        let stopped = async {
            // Sent, or dropped with the server: both mean stop.
            let _ = stopped.await;
        };
        let api = match certificates.api.clone() {
            None => tokio::spawn(ebb_api::serve(api_listener, api, stopped)),
            Some(tls) => tokio::spawn(ebb_api::serve_tls(api_listener, tls, api, stopped)),
        };
        tracing::info!(%api_address, %nbd_address, dir = %data_dir.path().display(), "serving");
        let _data_dir = data_dir;
        Ok(Self {
            api_address,
            nbd_address,
            control,
            nbd,
            certificates,
            stop_api,
            api,
            admin,
            minutes,
            is_shut_out,
            _data_dir,
        })
    }

    /// Stops within 10 s: requests under way are answered, what NBD answered is made durable.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let Self { control, nbd, stop_api, api, admin, minutes, _data_dir, .. } = self;
        admin.abort();
        minutes.abort();
        // A server whose API task has ended already needs no telling.
        let _ = stop_api.send(());
        let nbd = spawn_blocking(move || nbd.shutdown(NBD_GRACE));
        api.await?;
        nbd.await?;
        spawn_blocking(move || control.stop()).await??;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Tells where disks are.
fn located(config: &Config, engine: &OpenEngine) -> Locate {
    let (engine, data_dir, config) =
        (engine.clone(), config.data_dir.clone(), config.engine.clone());
    Arc::new(move |disk| {
        locate::told(&engine, &config, &data_dir, disk).map_err(|error| error.to_string())
    })
}

/// Has the snapshots taken and deleted that are due, exports opened whose key can be had again, and
/// each minute's activity taken down when it has ended.
async fn work_each_minute(control: Arc<Control>) {
    const MINUTE_MILLIS: u64 = 60_000;
    loop {
        let due = Arc::clone(&control);
        // What a panic leaves half done stands in the record.
        if let Ok(Err(error)) = spawn_blocking(move || do_what_is_due(&due)).await {
            tracing::error!(%error, "cannot do what is due each minute");
        }
        let now = control.now().unix_millis().unsigned_abs();
        tokio::time::sleep(Duration::from_millis(MINUTE_MILLIS - now % MINUTE_MILLIS)).await;
        control.sample_activity();
        let usage = Arc::clone(&control);
        if let Ok(Err(error)) = spawn_blocking(move || usage.sample_snapshot_usage()).await {
            tracing::error!(%error, "cannot tell what snapshots take");
        }
    }
}

fn do_what_is_due(control: &Control) -> Result<(), ControlError> {
    let entry = control.enter();
    let work = || {
        control.open_waiting_exports()?;
        // Once for all servers that share the records.
        if control.has_duty("minutes")? {
            control.take_auto_snapshots()?;
            control.expire_snapshots()?;
            control.keep_keys()?;
        }
        Ok(())
    };
    work().inspect_err(|_| entry.failed())
}

/// Which NBD clients may go without the TLS that there is.
fn plaintext(config: &Config) -> Plaintext {
    match &config.nbd_tls {
        // Without TLS nobody can show which instance it is, on this machine neither.
        Some(tls) if tls.clients == NbdClients::Instances => Plaintext::Never,
        _ if config.nbd_allow_plaintext => Plaintext::Anywhere,
        _ => Plaintext::OnLoopback,
    }
}

async fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, Failure> {
    let listener = tokio::net::TcpListener::bind(address).await;
    Ok(listener.map_err(|error| format!("cannot listen on {address}: {error}"))?)
}

/// A store, and what belongs to it and is in it or in the data directory.
struct Opened {
    store: Store,
    master_key: MasterKey,
    root_key: (String, Secret),
    instances: InstanceAuthority,
}

/// Databases block.
async fn open_store(config: &Config, data_dir: &Arc<DataDir>) -> Result<Opened, Failure> {
    let (at, source) = (config.store.clone(), config.master_key.clone());
    let data_dir = Arc::clone(data_dir);
    let opened = spawn_blocking(move || {
        let store = at.open(data_dir.path())?;
        let is_new = store.read::<_, StoreError>(|tx| tx.master_key_seal())?.is_none();
        let master_key = source.read(
            &data_dir,
            match (is_new, store.is_shared()) {
                (true, _) => Sealed::Nothing,
                (false, false) => Sealed::Here,
                (false, true) => Sealed::ByOthers,
            },
        )?;
        let given = root_key_from_environment()?;
        let (root_key, instances) = if store.is_shared() {
            let secrets = Secrets::new(&store, &master_key, &SystemEntropy)?;
            let root_key = data_dir.shared_root_key(given, &secrets)?;
            (root_key, InstanceAuthority::shared(&data_dir, &secrets)?)
        } else {
            (data_dir.root_key(given)?, InstanceAuthority::of(&data_dir))
        };
        Ok::<_, Failure>(Opened { store, master_key, root_key, instances })
    });
    opened.await?
}

/// Of the requests that were answered: in the store where servers share one, else in a file.
async fn nonces(
    control: &Arc<Control>,
    data_dir: &DataDir,
    config: &Config,
) -> Result<Nonces, Failure> {
    let (path, now) = (data_dir.join("nonces"), config.clock.now());
    match control.ledger() {
        None => Ok(Nonces::kept_in(path, now)?),
        Some(ledger) => Ok(spawn_blocking(move || Nonces::shared(ledger, &path, now)).await??),
    }
}

fn parts(
    config: &Config,
    data_dir: &DataDir,
    exports: &Arc<Exports>,
    engine: &OpenEngine,
    (store, place): (Store, Place),
    (root_key, master_key): ((String, Secret), MasterKey),
) -> Result<Parts, Failure> {
    let region = |name: &String| Region { id: RegionId::new(name) };
    let archive = data_dir.join("archive");
    for folder in [&archive, &config.oss_dir] {
        DataDir::make_folder(folder)?;
    }
    let key_store = config.kms.open(&master_key, std::env::var("VAULT_TOKEN").ok())?;
    Ok(Parts {
        store,
        archive: Arc::new(FolderBucket::open(&archive)?),
        buckets: Arc::new(buckets(config, data_dir)?),
        converter: Arc::new(QemuImg::new(data_dir.join(NBD_SOCKET))),
        engine: engine.engine(),
        exports: Arc::new(Table { exports: Arc::clone(exports), qos: config.qos == Qos::On }),
        clock: Arc::new(config.clock),
        entropy: Arc::new(SystemEntropy),
        regions: config.regions.iter().map(region).collect(),
        root_key,
        master_key,
        key_store,
        place,
        probe: config.kill.probe(),
    })
}

/// Those of S3 before folders: a folder of such a name is one by chance.
fn buckets(config: &Config, data_dir: &DataDir) -> Result<Vec<Box<dyn Buckets>>, Failure> {
    let mut all: Vec<Box<dyn Buckets>> = Vec::new();
    if !config.s3.buckets.is_empty() {
        let folder = data_dir.path().to_owned();
        all.push(Box::new(S3Buckets::open(&config.s3, &Handle::current(), folder)?));
    }
    all.push(Box::new(FolderBuckets::open(&config.oss_dir)?));
    Ok(all)
}

fn rate_limit(performance: Performance) -> RateLimit {
    let rate = |Ceiling { iops, bytes_per_second }| Rate {
        requests_per_second: iops.into(),
        bytes_per_second,
    };
    match performance {
        Performance::Together(ceiling) => RateLimit::Together(rate(ceiling)),
        Performance::Apart { reads, writes } => {
            RateLimit::Apart { reads: rate(reads), writes: rate(writes) }
        }
    }
}

/// The NBD server's table, as ebb-control asks for it: neither crate knows the other.
struct Table {
    exports: Arc<Exports>,
    qos: bool,
}

impl Table {
    fn rate_limit(&self, performance: Option<Performance>) -> Option<RateLimit> {
        performance.filter(|_| self.qos).map(rate_limit)
    }
}

impl ExportTable for Table {
    fn publish(&self, name: &str, export: Exported) {
        let Exported { volume, snapshots, performance, instances } = export;
        self.exports.publish_with(name, volume, snapshots, self.rate_limit(performance));
        // Nobody's until here.
        self.bind(name, &instances);
    }

    fn bind(&self, name: &str, instances: &[InstanceId]) {
        let owners = instances.iter().map(|instance| instance.as_str().to_owned());
        self.exports.set_owners(name, owners.collect());
    }

    fn limit(&self, name: &str, performance: Option<Performance>) {
        self.exports.limit(name, self.rate_limit(performance));
    }

    fn withdraw(&self, name: &str) {
        self.exports.withdraw(name);
    }

    fn activity(&self) -> Vec<(String, Activity)> {
        let names = self.exports.names().into_iter();
        let counted = names.filter_map(|name| {
            let ExportCounters { read, write, .. } = self.exports.counters(&name)?;
            let activity = Activity {
                reads: read.completed,
                read_bytes: read.bytes,
                read_micros: read.took.as_micros() as u64,
                writes: write.completed,
                write_bytes: write.bytes,
                write_micros: write.took.as_micros() as u64,
            };
            Some((name, activity))
        });
        counted.collect()
    }

    fn forget(&self, name: &str) {
        self.exports.forget(name);
    }
}
