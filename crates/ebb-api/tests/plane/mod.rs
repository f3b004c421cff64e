//! The real server over the real control plane, on the engine in memory, which can be made to fail.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../../ebb-control/tests/control/engine.rs"]
pub(crate) mod engine;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebb_api::client::Client;
use ebb_api::{Api, Nonces, ops, serve};
use ebb_control::{
    Activity, Clock, Control, ExportTable, Exported, Parts, Place, Secret, SystemEntropy,
};
use ebb_domain::{DiskId, InstanceId, Performance, Region, RegionId, Timestamp};
use ebb_objects::{FolderBucket, FolderBuckets};
use ebb_store::Store;
use ebb_volume::{Engine, Io, MemoryEngine, Volume, VolumeId, run};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::common::{Answer, KEY, SECRET, V1, now};
use engine::TestEngine;

/// The machine's, and as many seconds ahead of it as a test says.
#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        now().plus_seconds(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
struct Exports(Mutex<BTreeMap<String, Arc<dyn Volume>>>);

impl ExportTable for Exports {
    fn publish(&self, name: &str, Exported { volume, .. }: Exported) {
        self.0.lock().unwrap().insert(name.to_owned(), volume);
    }

    fn withdraw(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }

    fn limit(&self, _name: &str, _performance: Option<Performance>) {}

    fn bind(&self, _name: &str, _instances: &[InstanceId]) {}

    fn activity(&self) -> Vec<(String, Activity)> {
        Vec::new()
    }

    fn forget(&self, _name: &str) {}
}

pub(crate) struct Plane {
    pub(crate) control: Arc<Control>,
    pub(crate) engine: Arc<TestEngine>,
    pub(crate) address: SocketAddr,
    clock: Arc<TestClock>,
    /// To look at what the API does not show.
    records: Store,
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Plane {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("metadata.db");
        let engine = TestEngine::over(MemoryEngine::new());
        let (archive, oss) = (folder.path().join("archive"), folder.path().join("oss"));
        for folder in [&archive, &oss] {
            std::fs::create_dir(folder).unwrap();
        }
        let clock = Arc::new(TestClock::default());
        let control = Control::start(Parts {
            store: Store::open(&path).unwrap(),
            archive: Arc::new(FolderBucket::open(&archive).unwrap()),
            buckets: Arc::new(FolderBuckets::open(&oss).unwrap()),
            converter: Arc::new(()),
            engine: Arc::clone(&engine) as _,
            exports: Arc::new(Exports::default()),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(SystemEntropy),
            regions: ["cn-hangzhou", "cn-beijing"]
                .map(|id| Region { id: RegionId::new(id) })
                .to_vec(),
            root_key: (KEY.to_owned(), Secret::new(SECRET)),
            master_key: ebb_kms::MasterKey::new([7; 32]),
            key_store: Arc::new(ebb_kms::EmbeddedKeys::new(
                ebb_kms::MasterKey::new([7; 32]),
                |bytes| bytes.fill(1),
            )),
            place: Place {
                home: "home".into(),
                nbd: "nbd://127.0.0.1:10809".into(),
                api: "127.0.0.1:8080".into(),
                is_alone: true,
                lease: Duration::from_secs(10),
                shut_out: Arc::new(|| ()),
            },
            probe: Arc::new(|_| ()),
        })
        .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let health = Box::new(|| Ok(()));
        let api = Arc::new(Api::new(
            Arc::clone(&control),
            ops::FAMILIES,
            Nonces::in_memory(),
            health,
            Box::new(String::new),
        ));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                serve(listener, api, async { drop(stopped.await) }).await;
            });
        });
        Self {
            control,
            engine,
            address,
            clock,
            records: Store::open(&path).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
            _folder: folder,
        }
    }

    /// From now on the server's clock is so far ahead of the machine's.
    pub(crate) fn ahead(&self, seconds: i64) {
        self.clock.0.store(seconds, Ordering::SeqCst);
    }

    /// One request as it is, answered in the format.
    pub(crate) fn ask(&self, action: &str, params: &[(&str, &str)], format: &str) -> Answer {
        self.send(&V1::new(action, params).set("Format", format).bytes())
    }

    /// One request, byte for byte.
    pub(crate) fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request).unwrap();
        Answer::read(&mut stream)
    }

    /// One request through the client, which must succeed.
    #[track_caller]
    pub(crate) fn call(&self, action: &str, params: &[(&str, &str)]) -> Value {
        let client = Client::new(self.address.to_string(), KEY, SECRET);
        self.runtime.block_on(client.call(action, params)).unwrap()
    }

    /// An instance that runs, and its id.
    pub(crate) fn run_instance(&self, more: &[(&str, &str)]) -> String {
        let always = [
            ("RegionId", "cn-hangzhou"),
            ("ImageId", "ebb_blank_20G.raw"),
            ("InstanceType", "ecs.g7.large"),
        ];
        let params: Vec<_> = always.iter().chain(more).copied().collect();
        let reply = self.call("RunInstances", &params);
        let id = reply["InstanceIdSets"]["InstanceIdSet"][0].as_str().unwrap().to_owned();
        self.until_instance(&id, "Running");
        id
    }

    pub(crate) fn until_instance(&self, id: &str, status: &str) {
        until(&format!("{id} is {status}"), || {
            let ids = format!("[\"{id}\"]");
            let params = [("RegionId", "cn-hangzhou"), ("InstanceIds", ids.as_str())];
            let reply = self.call("DescribeInstances", &params);
            reply["Instances"]["Instance"][0]["Status"] == status
        });
    }

    pub(crate) fn create_disk(&self, more: &[(&str, &str)]) -> String {
        let always = [
            ("RegionId", "cn-hangzhou"),
            ("ZoneId", "cn-hangzhou-a"),
            ("Size", "20"),
            ("DiskCategory", "cloud_essd"),
        ];
        let given = |name| more.iter().any(|(other, _)| *other == name);
        let always = always.into_iter().filter(|(name, _)| !given(*name));
        let params: Vec<_> = always.chain(more.iter().copied()).collect();
        self.call("CreateDisk", &params)["DiskId"].as_str().unwrap().to_owned()
    }

    /// The disk as DescribeDisks shows it.
    pub(crate) fn disk(&self, id: &str) -> Value {
        let ids = format!("[\"{id}\"]");
        let params = [("RegionId", "cn-hangzhou"), ("DiskIds", ids.as_str())];
        self.call("DescribeDisks", &params)["Disks"]["Disk"][0].clone()
    }

    pub(crate) fn until_disk(&self, id: &str, status: &str) {
        until(&format!("{id} is {status}"), || self.disk(id)["Status"] == status);
    }

    fn handle(&self, disk: &str) -> Arc<dyn Volume> {
        let found = self.records.read(|tx| tx.disk(&DiskId::new(disk))).unwrap().unwrap();
        self.engine.inner.open(VolumeId(found.volume), None).unwrap()
    }

    pub(crate) fn fill(&self, disk: &str, byte: u8) {
        let data = Bytes::from(vec![byte; 8192]);
        run(self.handle(disk).as_ref(), Io::Write { offset: 4096, data, fua: true }).unwrap();
    }

    pub(crate) fn content(&self, disk: &str) -> Vec<u8> {
        let read = Io::Read { offset: 0, length: 16_384 };
        run(self.handle(disk).as_ref(), read).unwrap().to_vec()
    }

    /// What the engine has, which no refusal may change.
    pub(crate) fn inventory(&self) -> ebb_volume::Inventory {
        self.engine.inventory().unwrap()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
