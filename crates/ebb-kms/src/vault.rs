//! Keys whose material never leaves Vault, or OpenBao: its transit engine encrypts and decrypts.
//!
//! ```text
//!   create   POST keys/NAME            {type, exportable: false, …}, then GET keys/NAME
//!   rotate   GET keys/NAME, and POST keys/NAME/rotate unless there is a further version already
//!   encrypt  GET keys/NAME, then POST encrypt/NAME  {plaintext, associated_data, key_version}
//!   decrypt  POST decrypt/NAME         {ciphertext, associated_data}
//!   destroy  GET keys/NAME, POST keys/NAME/config {deletion_allowed}, DELETE keys/NAME
//!   check    GET sys/health, without a token, then GET keys/NAME of a key that is not there
//! ```
//! all under `/v1/MOUNT/` but `sys/`, where NAME is the prefix and the key.
//!
//! - A version of ours is a version there: the caller keeps its number, and nothing sealed.
//! - Vault's ciphertext is text, `vault:v1:` and base64, which reads several texts as the same
//!   bytes. A blob has the bytes (`blob.rs`), so that each change of it is one.
//! - Vault makes a key anew that it is asked to encrypt with and does not have, if the token allows
//!   it. So each encrypt looks first, and a destroyed key stays away.
//! - That a key is not there is believed only of an answer in Vault's own form. What else answers
//!   404, or an engine that is not mounted there, is a store that cannot be used now.

mod config;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Handle;

pub use self::config::{VaultConfig, VaultToken};
use self::wire::{Answer, Wire};
use crate::blob::{self, REFUSED, TRANSIT};
use crate::store::{FIRST, check_name, next_version, no_key, no_version, of_version};
use crate::{KeyStore, KeyStoreError, Material, Opened};

const KEY_TYPE: &str = "aes256-gcm96";

/// The first of Vault 1 that authenticates `associated_data`; those before it ignore it. OpenBao
/// began with 2.
const FIRST_MINOR: u32 = 13;

/// The key that is looked for to see whether one can be. None is called so: ids are longer.
const NOBODY: &str = "check";

/// The transit engine of a Vault or an OpenBao.
pub struct VaultKeys {
    wire: Wire,
    mount: String,
    prefix: String,
}

/// What Vault says of a key.
struct Key {
    latest: u32,
    fits: bool,
}

impl VaultKeys {
    /// Nothing is asked yet: [`KeyStore::check`] does. The operations wait for what the runtime
    /// does, so they are not for its own tasks to call.
    ///
    /// # Errors
    /// What is wrong with the configuration or the files that it names, in words.
    pub fn open(config: &VaultConfig, runtime: &Handle) -> Result<Self, String> {
        let (mount, prefix) = config.checked_names()?;
        Ok(Self { wire: Wire::open(config, runtime)?, mount, prefix })
    }

    fn ask(
        &self,
        method: &Method,
        what: (&str, &str, &str),
        body: Option<&Value>,
    ) -> Result<Answer, KeyStoreError> {
        let (folder, key, rest) = what;
        let (mount, prefix) = (&self.mount, &self.prefix);
        self.wire.ask(method, &format!("{mount}/{folder}/{prefix}{key}{rest}"), body)
    }

    /// A change, whose answer says nothing more.
    fn change(
        &self,
        method: &Method,
        what: (&str, &str, &str),
        body: &Value,
    ) -> Result<(), KeyStoreError> {
        let body = (!body.is_null()).then_some(body);
        let answer = self.ask(method, what, body)?;
        if answer.is_fine() { Ok(()) } else { Err(self.unavailable(&answer)) }
    }

    fn look_up(&self, key: &str) -> Result<Option<Key>, KeyStoreError> {
        let answer = self.ask(&Method::GET, ("keys", key, ""), None)?;
        let errors = answer.body["errors"].as_array();
        if answer.status == 404 && errors.is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let data = &answer.body["data"];
        let latest = data["latest_version"].as_u64().and_then(|n| u32::try_from(n).ok());
        match latest {
            Some(latest) if answer.is_fine() => {
                let fits = data["type"] == KEY_TYPE && data["derived"] != true;
                Ok(Some(Key { latest, fits: fits && data["exportable"] != true }))
            }
            _ => Err(self.unavailable(&answer)),
        }
    }

    /// A key that is there and has the version.
    fn look_up_version(&self, key: &str, version: u32) -> Result<Key, KeyStoreError> {
        let found = self.look_up(key)?.ok_or_else(|| no_key(key))?;
        if found.latest < version { Err(no_version(key, version)) } else { Ok(found) }
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Why an answer is none, and what an operator does about it.
    fn unavailable(&self, answer: &Answer) -> KeyStoreError {
        let (address, mount, prefix) = (self.wire.address(), &self.mount, &self.prefix);
        let status = answer.status;
        let said = match answer.said() {
            said if said.is_empty() => format!("{status}"),
            said => format!("{status}, {said}"),
        };
        let (what, then) = match status {
            200..300 => (
                "answered in a form that is not known here".to_owned(),
                "see that it is Vault or OpenBao, and that the mount is a transit engine"
                    .to_owned(),
            ),
            300..400 => (
                format!("sends elsewhere ({status}), where the token is not taken to"),
                "give the address of the active node, or of what is before all nodes".to_owned(),
            ),
            403 => (
                format!("refuses the token ({said})"),
                format!(
                    "renew it, or give it a policy for {mount}/…/{prefix}* as in \
                     docs/decisions/0092"
                ),
            ),
            404 => (
                format!("has no transit engine at {mount} ({said})"),
                "mount one there, or name the mount and the namespace that have one".to_owned(),
            ),
            429 => (format!("has too much to do ({said})"), "raise its quota".to_owned()),
            472 => (
                "is a secondary for disaster recovery".to_owned(),
                "give the address of the primary".to_owned(),
            ),
            501 => ("is not initialised".to_owned(), "initialise and unseal it".to_owned()),
            503 => (format!("is sealed, or not ready ({said})"), "unseal it".to_owned()),
            _ => (format!("failed ({said})"), "see its log".to_owned()),
        };
        KeyStoreError::Unavailable(format!("Vault at {address} {what}: {then}"))
    }

    /// Why something was not decrypted.
    fn not_decrypted(&self, key: &str, version: u32, answer: &Answer) -> KeyStoreError {
        let said = answer.said();
        let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
        match answer.status {
            400 if says(&["key not found", "no existing key"]) => no_key(key),
            // Newer than any, or below what an operator set as the oldest that decrypts.
            400 if says(&["version is too new", "too old", "larger than the latest"]) => {
                no_version(key, version)
            }
            400 if says(&["message authentication failed", "invalid ciphertext"]) => REFUSED,
            _ => self.unavailable(answer),
        }
    }
}

/// That material is Vault's to have.
fn check_material(key: &str, material: &Material) -> Result<(), KeyStoreError> {
    if material.sealed.is_none() {
        return Ok(());
    }
    Err(KeyStoreError::Unavailable(format!(
        "version {} of the key {key} is in the server's own records, not in Vault: start the \
         server with its own key store",
        material.version
    )))
}

/// The bytes of a ciphertext of the version, of which Vault writes `vault:v1:` and base64.
fn from_text(version: u32, text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix(&format!("vault:v{version}:"))?).ok()
}

fn to_text(version: u32, bytes: &[u8]) -> String {
    format!("vault:v{version}:{}", STANDARD.encode(bytes))
}

/// Whether a version of Vault takes `associated_data` and does not authenticate it.
fn is_too_old(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(1)), Some(Ok(minor))) => minor < FIRST_MINOR,
        (Some(Ok(major)), _) => major < 1,
        _ => false,
    }
}

impl KeyStore for VaultKeys {
    fn create(&self, key: &str) -> Result<Material, KeyStoreError> {
        check_name(key)?;
        let body = json!({
            "type": KEY_TYPE,
            "derived": false,
            "exportable": false,
            "allow_plaintext_backup": false,
        });
        self.change(&Method::POST, ("keys", key, ""), &body)?;
        // One that was there already is left as it was.
        let made = self.look_up_version(key, FIRST)?;
        if !made.fits {
            return Err(KeyStoreError::Unavailable(format!(
                "Vault at {} has a key {} of another kind already: give another prefix",
                self.wire.address(),
                self.name(key)
            )));
        }
        Ok(Material { version: FIRST, sealed: None })
    }

    fn rotate(&self, key: &str, held: &[Material]) -> Result<Material, KeyStoreError> {
        check_name(key)?;
        let version = next_version(key, held)?;
        // A version that nobody holds is of a rotation whose outcome was not written down.
        if self.look_up_version(key, version - 1)?.latest < version {
            self.change(&Method::POST, ("keys", key, "/rotate"), &Value::Null)?;
        }
        Ok(Material { version, sealed: None })
    }

    fn encrypt(
        &self,
        key: &str,
        material: &Material,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        check_name(key)?;
        check_material(key, material)?;
        let version = material.version;
        self.look_up_version(key, version)?;
        let body = json!({
            "plaintext": STANDARD.encode(plain),
            "associated_data": STANDARD.encode(blob::bound(TRANSIT, version, key, context)),
            "key_version": version,
        });
        let answer = self.ask(&Method::POST, ("encrypt", key, ""), Some(&body))?;
        let text = answer.body["data"]["ciphertext"].as_str().filter(|_| answer.is_fine());
        let made = text.and_then(|text| from_text(version, text));
        Ok(blob::join(TRANSIT, version, &made.ok_or_else(|| self.unavailable(&answer))?))
    }

    fn decrypt(
        &self,
        key: &str,
        held: &[Material],
        context: &[u8],
        blob: &[u8],
    ) -> Result<Opened, KeyStoreError> {
        check_name(key)?;
        let (version, made) = blob::split(TRANSIT, blob)?;
        check_material(key, of_version(key, held, version)?)?;
        let body = json!({
            "ciphertext": to_text(version, made),
            "associated_data": STANDARD.encode(blob::bound(TRANSIT, version, key, context)),
        });
        let answer = self.ask(&Method::POST, ("decrypt", key, ""), Some(&body))?;
        let text = answer.body["data"]["plaintext"].as_str().filter(|_| answer.is_fine());
        let plain = text.and_then(|text| STANDARD.decode(text).ok());
        let plain = plain.ok_or_else(|| self.not_decrypted(key, version, &answer))?;
        Ok(Opened { version, plain })
    }

    fn destroy(&self, key: &str) -> Result<(), KeyStoreError> {
        check_name(key)?;
        if self.look_up(key)?.is_none() {
            return Ok(());
        }
        let allowed = json!({ "deletion_allowed": true });
        let deleted = self
            .change(&Method::POST, ("keys", key, "/config"), &allowed)
            .and_then(|()| self.change(&Method::DELETE, ("keys", key, ""), &Value::Null));
        match deleted {
            // Somebody else was faster.
            Err(_) if self.look_up(key)?.is_none() => Ok(()),
            outcome => outcome,
        }
    }

    fn check(&self) -> Result<(), KeyStoreError> {
        let health = self.wire.ask_openly("sys/health")?;
        // 429 and 473 are nodes that hand on what they cannot do themselves.
        if !matches!(health.status, 200 | 429 | 473) || health.body["sealed"] != false {
            return Err(self.unavailable(&health));
        }
        let version = health.body["version"].as_str().unwrap_or_default();
        if is_too_old(version) {
            return Err(KeyStoreError::Unavailable(format!(
                "Vault at {} is {version}, which does not bind what it encrypts to its context: \
                 Vault 1.{FIRST_MINOR} and every OpenBao do",
                self.wire.address()
            )));
        }
        self.look_up(NOBODY).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphertext_is_text_there_and_bytes_here() {
        assert_eq!(from_text(12, "vault:v12:AQID"), Some(vec![1, 2, 3]));
        assert_eq!(to_text(12, &[1, 2, 3]), "vault:v12:AQID");
        for text in ["vault:v1:AQID", "vault:v12:*", "bao:v12:AQID", "AQID", ""] {
            assert_eq!(from_text(12, text), None, "{text}");
        }
    }

    #[test]
    fn a_vault_that_binds_nothing_is_told_by_its_version() {
        for version in ["0.6.1", "1.0.0", "1.12.11+ent"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["1.13.0", "1.21.1+ent", "2.0.0", "2.4.4", "", "main"] {
            assert!(!is_too_old(version), "{version}");
        }
    }
}
