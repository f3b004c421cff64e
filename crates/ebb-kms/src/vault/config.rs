//! Which Vault, and how it is asked.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::is_key_name;

/// Where the transit engine is mounted unless told otherwise: its own default.
const MOUNT: &str = "transit";

/// What names of keys begin with there, so that an operator knows whose they are.
const PREFIX: &str = "ebbtide-";

/// How long one request may take. An operation is at most five, and a call of the API waits.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A transit engine of Vault or OpenBao.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// `https://…`, with what its API is under, if it is not the root.
    pub address: String,
    /// Where the transit engine is mounted.
    pub mount: String,
    /// What the server shows of itself.
    pub token: VaultToken,
    /// The namespace that the engine is in.
    pub namespace: Option<String>,
    /// What the names of keys begin with there.
    pub prefix: String,
    /// Authorities in PEM, of which its certificate must be; none: those that this machine trusts.
    pub authority: Option<PathBuf>,
    /// Whether `http://…` may go beyond this machine: anybody on the way reads the token, and
    /// what is encrypted.
    pub allow_plaintext: bool,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A token, or where it is. It does not show itself in a log.
#[derive(Clone)]
pub enum VaultToken {
    /// The token itself, from the environment.
    Given(String),
    /// A file with it, which an agent may write anew: it is read again when a token is refused.
    File(PathBuf),
}

impl VaultConfig {
    /// With what is not said here as it is by default.
    #[must_use]
    pub fn new(address: impl Into<String>, token: VaultToken) -> Self {
        Self {
            address: address.into(),
            mount: MOUNT.to_owned(),
            token,
            namespace: None,
            prefix: PREFIX.to_owned(),
            authority: None,
            allow_plaintext: false,
            timeout: TIMEOUT,
        }
    }

    /// The address, without a slash at its end.
    pub(super) fn checked_address(&self) -> Result<String, String> {
        let address = &self.address;
        let no_address = || format!("Vault is at https://…, or http://…, not at {address:?}");
        let url = Url::parse(address).map_err(|_| no_address())?;
        let odd = !url.username().is_empty() || url.password().is_some();
        if odd || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{:?} and nothing more is the address", plain(&url)));
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_plaintext || is_this_machine(&url) => {}
            "http" => {
                return Err(format!(
                    "the token and the keys would be readable by anybody on the way to {address}: \
                     give an address that begins with https://"
                ));
            }
            _ => return Err(no_address()),
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The mount, and the prefix, which become part of paths.
    pub(super) fn checked_names(&self) -> Result<(String, String), String> {
        let mount = self.mount.trim_matches('/');
        if !mount.split('/').all(is_key_name) {
            return Err(format!("{:?} is not where an engine can be mounted", self.mount));
        }
        if !self.prefix.is_empty() && !is_key_name(&self.prefix) {
            return Err(format!("{:?} is not what a name of a key can begin with", self.prefix));
        }
        Ok((mount.to_owned(), self.prefix.clone()))
    }
}

fn plain(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

impl VaultToken {
    /// The token as it is now.
    pub(super) fn read(&self) -> Result<HeaderValue, String> {
        let (text, whose) = match self {
            Self::Given(text) => (text.clone(), "the token of Vault".to_owned()),
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|error| {
                    format!("cannot read the token of Vault, {}: {error}", path.display())
                })?;
                (text, format!("the token of Vault, {},", path.display()))
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{whose} is empty"));
        }
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| format!("{whose} has bytes that no token has"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Whether it may be another the next time.
    pub(super) fn may_change(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl fmt::Debug for VaultToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> VaultConfig {
        VaultConfig::new(address, VaultToken::Given("hvs.secret".to_owned()))
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_told_otherwise() {
        let fine = ["https://vault.example:8200/", "http://127.0.0.1:8200", "http://[::1]:8200"];
        for address in fine.into_iter().chain(["http://localhost:8200", "https://lb/vault/"]) {
            let checked = at(address).checked_address().expect(address);
            assert_eq!(checked, address.trim_end_matches('/'));
        }
        for address in ["http://10.0.0.1:8200", "http://vault:8200", "http://127.0.0.1.evil"] {
            assert!(at(address).checked_address().is_err(), "{address}");
            let told = VaultConfig { allow_plaintext: true, ..at(address) };
            assert!(told.checked_address().is_ok(), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_no_password_is_told() {
        for address in ["", "vault:8200", "ftp://vault", "unix:///vault", "https://v/?a=b"] {
            assert!(at(address).checked_address().is_err(), "{address}");
        }
        let refused = at("https://me:secret@vault").checked_address().expect_err("a password");
        assert!(!refused.contains("secret"), "{refused}");
    }

    #[test]
    fn mounts_and_prefixes_are_parts_of_paths() {
        let named = |mount: &str, prefix: &str| {
            let (mount, prefix) = (mount.to_owned(), prefix.to_owned());
            VaultConfig { mount, prefix, ..at("https://vault") }.checked_names()
        };
        assert_eq!(named("/team/transit/", ""), Ok(("team/transit".to_owned(), String::new())));
        for (mount, prefix) in [("", "a-"), ("a//b", "a-"), ("../sys", "a-"), ("transit", "a/")] {
            assert!(named(mount, prefix).is_err(), "{mount:?} {prefix:?}");
        }
    }

    #[test]
    fn a_token_does_not_show_itself() {
        let config = at("https://vault");
        assert!(!format!("{config:?}").contains("hvs"));
        let read = config.token.read().expect("a token");
        assert_eq!(read, "hvs.secret");
        assert!(!format!("{read:?}").contains("hvs"));
    }

    #[test]
    fn a_token_that_cannot_be_one_is_refused_without_being_told() {
        for text in ["", " \n", "hvs.a\nhvs.b"] {
            let refused = VaultToken::Given(text.to_owned()).read().expect_err(text);
            assert!(!refused.contains("hvs"), "{refused}");
        }
        let lost = VaultToken::File("/nowhere/token".into()).read().expect_err("no file");
        assert!(lost.contains("/nowhere/token"), "{lost}");
    }
}
