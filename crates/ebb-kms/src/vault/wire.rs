//! One request to Vault and its answer.
//!
//! ```text
//!   a caller's thread ── waits for ──► the server's runtime ──► reqwest ──► Vault
//!        403? read the token again; if it is another, ask once more
//! ```
//! - The token goes to the address that was given and nowhere else: no redirect is followed, and
//!   no proxy of the environment asked.
//! - No error tells a token, or anything that was sent.

use std::error::Error;
use std::fs;
use std::sync::RwLock;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method};
use serde_json::Value;
use tokio::runtime::Handle;

use super::config::{VaultConfig, VaultToken};
use crate::KeyStoreError;

/// More than any answer here is long.
const LONGEST_ANSWER: usize = 4 << 20;

pub(super) struct Wire {
    client: Client,
    runtime: Handle,
    address: String,
    namespace: Option<HeaderValue>,
    source: VaultToken,
    token: RwLock<HeaderValue>,
}

/// What came back, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Null where there was no JSON.
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn is_fine(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What Vault says of an error, in one line.
    pub(super) fn said(&self) -> String {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let words = errors.iter().filter_map(Value::as_str).flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Wire {
    pub(super) fn open(config: &VaultConfig, runtime: &Handle) -> Result<Self, String> {
        // There may be one already, and then it is this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(config.timeout)
            .connect_timeout(config.timeout);
        if let Some(path) = &config.authority {
            let pem = fs::read(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let authorities = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if authorities.is_empty() {
                return Err(format!("{} has no certificate in PEM", path.display()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        let namespace = config.namespace.as_deref().map(HeaderValue::from_str).transpose();
        Ok(Self {
            client: builder.build().map_err(|error| format!("Vault: {}", chain(&error)))?,
            runtime: runtime.clone(),
            address: config.checked_address()?,
            namespace: namespace.map_err(|_| "no namespace of Vault has such a name")?,
            token: RwLock::new(config.token.read()?),
            source: config.token.clone(),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks as who has the token.
    pub(super) fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, KeyStoreError> {
        let token = self.token();
        let answer = self.send(method, path, body, Some(&token))?;
        if answer.status != 403 || !self.source.may_change() {
            return Ok(answer);
        }
        let read = self.source.read().map_err(KeyStoreError::Unavailable)?;
        if read == token {
            return Ok(answer);
        }
        *self.token.write().expect("no holder of the token panics") = read.clone();
        self.send(method, path, body, Some(&read))
    }

    /// Asks as anybody may, and of no namespace.
    pub(super) fn ask_openly(&self, path: &str) -> Result<Answer, KeyStoreError> {
        self.send(&Method::GET, path, None, None)
    }

    fn token(&self) -> HeaderValue {
        self.token.read().expect("no holder of the token panics").clone()
    }

    /// Blocks; never to be called by what runs in the runtime.
    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&HeaderValue>,
    ) -> Result<Answer, KeyStoreError> {
        let url = format!("{}/v1/{path}", self.address);
        // What an agent in between asks for, so that no page in a browser can have it ask.
        let mut request =
            self.client.request(method.clone(), url).header("X-Vault-Request", "true");
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token);
            if let Some(namespace) = &self.namespace {
                request = request.header("X-Vault-Namespace", namespace);
            }
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let exchange = async {
            let mut response = request.send().await?;
            let mut text = Vec::new();
            while let Some(piece) = response.chunk().await? {
                if text.len() + piece.len() > LONGEST_ANSWER {
                    return Ok((response.status().as_u16(), None));
                }
                text.extend_from_slice(&piece);
            }
            Ok((response.status().as_u16(), Some(text)))
        };
        let (status, text) = self.runtime.block_on(exchange).map_err(|error: reqwest::Error| {
            KeyStoreError::Unavailable(format!(
                "Vault at {} does not answer: {}: see that it runs and can be reached from here",
                self.address,
                chain(&error.without_url())
            ))
        })?;
        let body = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Answer { status, body })
    }
}

/// What an error says and what is behind it.
fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        let more = error.to_string();
        if !said.ends_with(&more) {
            said = format!("{said}: {more}");
        }
        inner = error.source();
    }
    said
}
