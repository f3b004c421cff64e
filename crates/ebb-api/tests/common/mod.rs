//! A server with operations of its own, and a client that can send anything at all.
//!
//! Signing is written out again here, from the documentation: what the crate signs by itself would
//! prove nothing about what it checks.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use ebb_api::{
    Api, ApiError, Authority, Context, Nonces, Operation, OperationDef, Params, Product, Tls,
    serve, serve_tls,
};
use ebb_control::{AccessKey, Asked, Caller, ControlError, Secret, Session};
use ebb_domain::{AccountId, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

pub(crate) const KEY: &str = "testid";
pub(crate) const SECRET: &str = "testsecret";
pub(crate) const ACCOUNT: &str = "1234567890123456";

/// What stands behind the API in these tests.
pub(crate) struct Backend {
    /// A fixed time, or the machine's.
    pub(crate) clock: Option<Timestamp>,
    pub(crate) calls: AtomicU64,
}

impl Authority for Backend {
    fn now(&self) -> Timestamp {
        self.clock.unwrap_or_else(now)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn catch_up(&self) -> Result<(), ControlError> {
        Ok(())
    }

    fn access_key(&self, id: &str) -> Result<Option<AccessKey>, ControlError> {
        let active = match id {
            KEY => true,
            "asleep" => false,
            _ => return Ok(None),
        };
        let account = AccountId::new(ACCOUNT);
        Ok(Some(AccessKey { secret: Secret::new(SECRET), caller: Caller::root(account), active }))
    }

    fn session(&self, _key_id: &str, _token: &str) -> Option<Arc<Session>> {
        None
    }

    fn permits(&self, _caller: &Caller, _asked: &Asked<'_>) -> Result<bool, ControlError> {
        Ok(true)
    }

    fn region_of(&self, _account: &AccountId, _kind: &str, _id: &str) -> String {
        "cn-hangzhou".to_owned()
    }

    fn name_of(&self, caller: &Caller) -> Result<String, ControlError> {
        Ok(caller.account.to_string())
    }

    fn key_was_used(&self, _id: &str) -> Result<(), ControlError> {
        Ok(())
    }
}

#[allow(clippy::disallowed_methods, reason = "a test is at the edge")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_millis(since.as_millis() as i64)
}

pub(crate) fn stamp(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.unix_millis()).unwrap();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[derive(Params)]
struct Echo {
    text: Option<String>,
    size: Option<u32>,
    tag: Vec<Tag>,
}

#[derive(Params)]
struct Tag {
    key: String,
    value: Option<String>,
}

impl Operation<Backend> for Echo {
    type Reply = Value;

    fn call(self, cx: &Context<Backend>) -> Result<Value, ApiError> {
        cx.control.calls.fetch_add(1, Ordering::SeqCst);
        let tags: Vec<_> =
            self.tag.iter().map(|tag| json!({"TagKey": tag.key, "TagValue": tag.value})).collect();
        Ok(json!({
            "Text": self.text,
            "Size": self.size,
            "Region": cx.region,
            "Account": cx.account.as_str(),
            "Tags": {"Tag": tags},
        }))
    }
}

#[derive(Params)]
struct NeedsDisk {
    disk_id: String,
}

impl Operation<Backend> for NeedsDisk {
    type Reply = Value;

    fn call(self, _cx: &Context<Backend>) -> Result<Value, ApiError> {
        Ok(json!({"DiskId": self.disk_id}))
    }
}

#[derive(Params)]
struct Panic {}

impl Operation<Backend> for Panic {
    type Reply = Value;

    fn call(self, _cx: &Context<Backend>) -> Result<Value, ApiError> {
        panic!("on purpose")
    }
}

#[derive(Params)]
struct Sleep {
    milliseconds: u64,
}

impl Operation<Backend> for Sleep {
    type Reply = Value;

    fn call(self, cx: &Context<Backend>) -> Result<Value, ApiError> {
        cx.control.calls.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.milliseconds));
        Ok(json!({}))
    }
}

static FAMILIES: &[&[OperationDef<Backend>]] = &[
    &[OperationDef::of::<Echo>(), OperationDef::of::<NeedsDisk>()],
    &[OperationDef::of::<Panic>(), OperationDef::of::<Sleep>()],
    &[OperationDef::of::<ebb_api::ops::sts::GetCallerIdentity>()],
];

/// A server on a port of its own; ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) backend: Arc<Backend>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(None, Nonces::in_memory(), Ok(()))
    }

    pub(crate) fn at(clock: Timestamp) -> Self {
        Self::with(Some(clock), Nonces::in_memory(), Ok(()))
    }

    /// One that speaks TLS.
    pub(crate) fn over(tls: Arc<Tls>) -> Self {
        Self::run(None, Nonces::in_memory(), Ok(()), Some(tls))
    }

    pub(crate) fn with(
        clock: Option<Timestamp>,
        nonces: Nonces,
        health: Result<(), String>,
    ) -> Self {
        Self::run(clock, nonces, health, None)
    }

    fn run(
        clock: Option<Timestamp>,
        nonces: Nonces,
        health: Result<(), String>,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let backend = Arc::new(Backend { clock, calls: AtomicU64::new(0) });
        let health = Box::new(move || health.clone());
        let api = Arc::new(Api::new(
            Arc::clone(&backend),
            FAMILIES,
            nonces,
            health,
            Box::new(|| "metrics\n".into()),
        ));
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let stopped = async { drop(stopped.await) };
                match tls {
                    None => serve(listener, api, stopped).await,
                    Some(tls) => serve_tls(listener, tls, api, stopped).await,
                }
            });
        });
        Self { address, backend, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.backend.calls.load(Ordering::SeqCst)
    }

    /// Asks it to end.
    pub(crate) fn signal(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has ended.
    pub(crate) fn join(&mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends the bytes as they are and reads one answer.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        Answer::read(&mut stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.join();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(stream: &mut impl Read) -> Self {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed in {head:?}");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: BTreeMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        Self { status, headers, body: String::from_utf8(body).unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json;charset=utf-8", "{self:?}");
        let json: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(json["RequestId"], self.headers["x-acs-request-id"]);
        json
    }

    /// The status and, of an error, its code, in whichever format.
    pub(crate) fn outcome(&self) -> (u16, String) {
        let code = if self.headers["content-type"].starts_with("application/json") {
            self.json()["Code"].as_str().unwrap_or_default().to_owned()
        } else {
            self.element("Code").unwrap_or_default()
        };
        (self.status, code)
    }

    /// The text of the first XML element of that name.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        assert_eq!(self.headers["content-type"], "text/xml;charset=utf-8", "{self:?}");
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    }
}

pub(crate) fn pct(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

pub(crate) fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{}={}", pct(k), pct(v))).collect();
    pairs.join("&")
}

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("nonce-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// A request of the older scheme; change what you like, then send it.
pub(crate) struct V1 {
    pub(crate) method: &'static str,
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) secret: &'static str,
}

impl V1 {
    pub(crate) fn new(action: &str, more: &[(&str, &str)]) -> Self {
        let (time, nonce) = (stamp(now()), unique());
        let system = [
            ("AccessKeyId", KEY),
            ("Action", action),
            ("Format", "JSON"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureNonce", &nonce),
            ("SignatureVersion", "1.0"),
            ("Timestamp", &time),
            ("Version", Product::ECS.version),
        ];
        let pairs = system.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Self { method: "GET", pairs: pairs.collect(), secret: SECRET }
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.pairs.retain(|(found, _)| found != name);
        self.pairs.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.pairs.retain(|(found, _)| found != name);
        self
    }

    pub(crate) fn string_to_sign(&self) -> String {
        let mut pairs = self.pairs.clone();
        pairs.sort();
        format!("{}&%2F&{}", self.method, pct(&joined(&pairs)))
    }

    /// All pairs and the signature.
    pub(crate) fn signed(&self) -> Vec<(String, String)> {
        let key = format!("{}&", self.secret);
        let text = self.string_to_sign();
        let sha256 = self.pairs.iter().any(|(_, value)| value == "HMAC-SHA256");
        let signature =
            if sha256 { mac::<Hmac<Sha256>>(&key, &text) } else { mac::<Hmac<Sha1>>(&key, &text) };
        let signature = base64::engine::general_purpose::STANDARD.encode(signature);
        let mut pairs = self.pairs.clone();
        pairs.push(("Signature".to_owned(), signature));
        pairs
    }

    /// All in the query.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.split(|_| true)
    }

    /// Those that `in_query` picks in the query, the others in a form.
    pub(crate) fn split(&self, in_query: impl Fn(&str) -> bool) -> Vec<u8> {
        let (query, form): (Vec<_>, Vec<_>) =
            self.signed().into_iter().partition(|(name, _)| in_query(name));
        let form = joined(&form);
        format!(
            "{} /?{} HTTP/1.1\r\nHost: ecs.test\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.method,
            joined(&query),
            form.len()
        )
        .into_bytes()
    }
}

/// A request of the newer scheme.
pub(crate) struct V3 {
    pub(crate) method: &'static str,
    pub(crate) query: String,
    /// As signed, which is as sent unless a test sends another.
    pub(crate) canonical_query: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) unsigned: Vec<&'static str>,
    pub(crate) body: String,
    pub(crate) sent_body: Option<String>,
    pub(crate) secret: &'static str,
    pub(crate) algorithm: &'static str,
    pub(crate) key: &'static str,
}

impl V3 {
    pub(crate) fn new(action: &str, params: &[(&str, &str)]) -> Self {
        let mut pairs: Vec<_> =
            params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        pairs.sort();
        Self {
            method: "POST",
            query: joined(&pairs),
            canonical_query: joined(&pairs),
            headers: vec![
                ("host", "ecs.test".to_owned()),
                ("x-acs-action", action.to_owned()),
                ("x-acs-date", stamp(now())),
                ("x-acs-signature-nonce", unique()),
                ("x-acs-version", Product::ECS.version.to_owned()),
                ("user-agent", "test".to_owned()),
                ("accept", "application/json".to_owned()),
            ],
            unsigned: vec![],
            body: String::new(),
            sent_body: None,
            secret: SECRET,
            algorithm: "ACS3-HMAC-SHA256",
            key: KEY,
        }
    }

    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(found, _)| *found != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| *found != name);
        self
    }

    pub(crate) fn unsigned(mut self, name: &'static str) -> Self {
        self.unsigned.push(name);
        self
    }

    pub(crate) fn form(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.set("content-type", "application/x-www-form-urlencoded; charset=utf-8")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let hash = hex(&Sha256::digest(&self.body));
        let mut headers = self.headers.clone();
        if !headers.iter().any(|(name, _)| *name == "x-acs-content-sha256") {
            headers.push(("x-acs-content-sha256", hash.clone()));
        }
        headers.sort();
        let signed: Vec<_> =
            headers.iter().filter(|(name, _)| !self.unsigned.contains(name)).collect();
        let names: Vec<_> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String =
            signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let canonical =
            format!("{}\n/\n{}\n{lines}\n{names}\n{hash}", self.method, self.canonical_query);
        let text = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical)));
        let signature = hex(&mac::<Hmac<Sha256>>(self.secret, &text));
        let body = self.sent_body.as_ref().unwrap_or(&self.body);
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "{} /?{} HTTP/1.1\r\n{lines}content-length: {}\r\nAuthorization: {} Credential={},\
             SignedHeaders={names},Signature={signature}\r\n\r\n{body}",
            self.method,
            self.query,
            body.len(),
            self.algorithm,
            self.key
        )
        .into_bytes()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac<M: Mac + KeyInit>(key: &str, text: &str) -> Vec<u8> {
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}
