//! A server that speaks what Vault documents of its transit engine, in this process.
//!
//! ```text
//!   a request ──► seen, to be asserted ──► an answer that was put first, if any
//!                                     └──► else what the engine answers, from keys in memory
//! ```
//! It is written from the documentation and the error messages of the engine's source, and is as
//! lax as the engine where that matters: it makes keys that are only encrypted with, and takes
//! base64 with what is behind its end.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// What a client shows of itself, unless a test says otherwise.
pub(crate) const TOKEN: &str = "hvs.CAESIJ";

const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

pub(crate) struct Transit {
    address: SocketAddr,
    engine: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    keys: BTreeMap<String, Key>,
    pub(crate) token: String,
    /// What came, the first first.
    pub(crate) seen: Vec<Request>,
    /// Answers that are given before the engine is asked.
    pub(crate) put: VecDeque<Answer>,
}

#[derive(Default)]
struct Key {
    versions: Vec<[u8; 32]>,
    deletion_allowed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// `POST /v1/…`.
    pub(crate) line: String,
    /// By lower-case names.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self { status, headers, body: body.to_string() }
    }

    pub(crate) fn errors(status: u16, errors: &[&str]) -> Self {
        Self::json(status, &json!({ "errors": errors }))
    }

    pub(crate) fn none() -> Self {
        Self { status: 204, headers: String::new(), body: String::new() }
    }

    /// What a request that did something is answered: the envelope, with the data in it.
    pub(crate) fn data(data: &Value) -> Self {
        let envelope = json!({
            "request_id": "3f4c2b1e-6f4f-0a1e-3f7c-8e2a5d0b9c11",
            "lease_id": "",
            "renewable": false,
            "lease_duration": 0,
            "data": data,
            "wrap_info": null,
            "warnings": null,
            "auth": null,
        });
        Self::json(200, &envelope)
    }
}

impl Transit {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    pub(crate) fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let engine = Arc::new(Mutex::new(State { token: TOKEN.to_owned(), ..State::default() }));
        let served = Arc::clone(&engine);
        // Ends with the process: it is a test's.
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that gives up is no failure of the server.
                let _ = answer_one(stream.unwrap(), tls.clone(), &served);
            }
        });
        Self { address, engine }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.engine.lock().unwrap()
    }

    pub(crate) fn put(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().put.extend(answers);
    }

    /// What came since this was called last.
    pub(crate) fn seen(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().seen)
    }
}

fn answer_one(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    engine: &Mutex<State>,
) -> io::Result<()> {
    match tls {
        None => exchange(&stream, &stream, engine),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            let request = read(&mut BufReader::new(&mut stream))?;
            let answer = engine.lock().unwrap().answer(&request);
            write(&mut stream, &answer)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
    }
}

fn exchange(from: impl Read, mut to: impl Write, engine: &Mutex<State>) -> io::Result<()> {
    let request = read(&mut BufReader::new(from))?;
    let answer = engine.lock().unwrap().answer(&request);
    write(&mut to, &answer)
}

fn read(from: &mut impl BufRead) -> io::Result<Request> {
    let mut line = || {
        let mut line = String::new();
        from.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = BTreeMap::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Ok(Request { line: first.trim_end_matches(" HTTP/1.1").to_owned(), headers, body })
}

fn write(to: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let Answer { status, headers, body } = answer;
    let length = body.len();
    let length =
        if *status == 204 { String::new() } else { format!("content-length: {length}\r\n") };
    to.write_all(
        format!("HTTP/1.1 {status} said\r\n{headers}{length}connection: close\r\n\r\n{body}")
            .as_bytes(),
    )?;
    to.flush()
}

fn gcm(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

fn bytes(body: &Value, name: &str) -> Vec<u8> {
    STANDARD.decode(body[name].as_str().unwrap_or_default()).unwrap()
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        self.seen.push(request.clone());
        if let Some(answer) = self.put.pop_front() {
            return answer;
        }
        let (method, path) = request.line.split_once(' ').unwrap();
        if path == "/v1/sys/health" {
            let health = json!({
                "initialized": true, "sealed": false, "standby": false, "version": "2.4.4",
                "cluster_name": "vault-cluster-5515c810", "server_time_utc": 1_790_000_000,
            });
            return Answer::json(200, &health);
        }
        if request.headers.get("x-vault-token") != Some(&self.token) {
            return Answer::errors(403, &["permission denied"]);
        }
        let Some(path) = path.strip_prefix("/v1/transit/") else {
            return Answer::errors(404, &["no handler for route. route entry not found."]);
        };
        let parts: Vec<&str> = path.split('/').collect();
        match (method, &parts[..]) {
            ("POST", ["keys", name]) => {
                self.key_or_new(name);
                self.describe(name)
            }
            ("GET", ["keys", name]) => self.describe(name),
            ("DELETE", ["keys", name]) => self.delete(name),
            ("POST", ["keys", name, "config"]) => match self.keys.get_mut(*name) {
                None => {
                    let said = format!("no existing key named {name} could be found");
                    Answer::errors(400, &[&said])
                }
                Some(key) => {
                    key.deletion_allowed = request.body["deletion_allowed"] == true;
                    self.describe(name)
                }
            },
            ("POST", ["keys", name, "rotate"]) => match self.keys.get_mut(*name) {
                None => Answer::errors(400, &["key not found"]),
                Some(key) => {
                    key.versions.push(random());
                    self.describe(name)
                }
            },
            ("POST", ["encrypt", name]) => self.encrypt(name, &request.body),
            ("POST", ["decrypt", name]) => self.decrypt(name, &request.body),
            _ => Answer::errors(404, &["unsupported path"]),
        }
    }

    fn key_or_new(&mut self, name: &str) -> &mut Key {
        let fresh = || Key { versions: vec![random()], deletion_allowed: false };
        self.keys.entry(name.to_owned()).or_insert_with(fresh)
    }

    fn describe(&self, name: &str) -> Answer {
        let Some(key) = self.keys.get(name) else { return Answer::errors(404, &[]) };
        Answer::data(&described(name, key.versions.len(), key.deletion_allowed))
    }

    fn delete(&mut self, name: &str) -> Answer {
        let said = match self.keys.get(name) {
            None => "could not delete key; not found",
            Some(key) if !key.deletion_allowed => "deletion is not allowed for this key",
            Some(_) => {
                self.keys.remove(name);
                return Answer::none();
            }
        };
        Answer::errors(400, &[&format!("error deleting policy {name}: {said}")])
    }

    fn encrypt(&mut self, name: &str, body: &Value) -> Answer {
        let key = self.key_or_new(name);
        let version = body["key_version"].as_u64().unwrap() as usize;
        let Some(material) = key.versions.get(version - 1) else {
            let said = "requested version for encryption is higher than the latest key version";
            return Answer::errors(400, &[said]);
        };
        let nonce: [u8; 12] = random();
        let mut text = bytes(body, "plaintext");
        let aad = Aad::from(bytes(body, "associated_data"));
        let unique = Nonce::assume_unique_for_key(nonce);
        gcm(material).seal_in_place_append_tag(unique, aad, &mut text).unwrap();
        let made = STANDARD.encode([&nonce[..], &text].concat());
        let ciphertext = format!("vault:v{version}:{made}");
        Answer::data(&json!({ "ciphertext": ciphertext, "key_version": version }))
    }

    fn decrypt(&mut self, name: &str, body: &Value) -> Answer {
        let Some(key) = self.keys.get(name) else {
            return Answer::errors(400, &["encryption key not found"]);
        };
        let text = body["ciphertext"].as_str().unwrap();
        let (version, made) = text.strip_prefix("vault:v").unwrap().split_once(':').unwrap();
        let version: usize = version.parse().unwrap();
        if version == 0 {
            // Of the time before there were versions: it is the first.
            return Answer::errors(400, &["cipher: message authentication failed"]);
        }
        let Some(material) = key.versions.get(version - 1) else {
            return Answer::errors(400, &["invalid ciphertext: version is too new"]);
        };
        let made = STANDARD.decode(made).unwrap();
        let Some((nonce, sealed)) = made.split_first_chunk::<12>() else {
            return Answer::errors(400, &["invalid ciphertext: too short"]);
        };
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(bytes(body, "associated_data"));
        let nonce = Nonce::assume_unique_for_key(*nonce);
        match gcm(material).open_in_place(nonce, aad, &mut sealed) {
            Err(_) => Answer::errors(400, &["cipher: message authentication failed"]),
            Ok(plain) => Answer::data(&json!({ "plaintext": STANDARD.encode(plain) })),
        }
    }
}

/// A key as the engine describes it.
pub(crate) fn described(name: &str, versions: usize, deletion_allowed: bool) -> Value {
    let keys: BTreeMap<String, u64> =
        (1..=versions).map(|version| (version.to_string(), 1_790_000_000)).collect();
    json!({
        "name": name, "type": "aes256-gcm96", "derived": false, "exportable": false,
        "allow_plaintext_backup": false, "deletion_allowed": deletion_allowed,
        "min_available_version": 0, "min_decryption_version": 1, "min_encryption_version": 0,
        "latest_version": versions, "keys": keys, "supports_encryption": true,
        "supports_decryption": true, "supports_derivation": true, "supports_signing": false,
        "auto_rotate_period": 0, "imported_key": false,
    })
}
