//! Whom instances have their certificates from: an authority of the servers' own.
//!
//! One server has it in `DIR/instance-ca`, made when it is first needed, and its key never leaves
//! that folder. Servers that share a store have one together, in the store, sealed with the master
//! key: whichever of them an instance asks, its certificate is good at all.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use ebb_api::admin::ClientCertificate;
use ebb_control::{Clock, Secrets};
use ebb_domain::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::clock::SystemClock;
use crate::data_dir::{DataDir, write_durably};

/// The authority's name. What tells those of two servers apart is their keys.
const NAME: &str = "Ebbtide instances";
const DAY_MILLIS: i64 = 86_400_000;
/// The authority's own. Renewing it takes back all that it issued.
const AUTHORITY_DAYS: i64 = 7300;
/// Certificates are good since this long before: clocks differ.
const SKEW_MILLIS: i64 = 3_600_000;

/// Its name among the secrets that servers share.
const SECRET: &str = "instance authority";

/// Issues certificates.
pub(crate) enum InstanceAuthority {
    /// Made on first use.
    Own(Folder),
    Shared(Pair),
}

/// Where one server has it.
pub(crate) struct Folder {
    path: PathBuf,
    /// So that two of first use do not make two.
    making: Mutex<()>,
}

/// Its certificate and its key, in PEM.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Pair {
    certificate: String,
    key: String,
}

impl InstanceAuthority {
    /// That of a data directory.
    pub(crate) fn of(data_dir: &DataDir) -> Self {
        Self::Own(Folder::in_dir(data_dir))
    }

    /// The one that all servers have whose secrets these are. The first of them makes it, or gives
    /// the one that it has had by itself.
    pub(crate) fn shared(data_dir: &DataDir, secrets: &Secrets<'_>) -> Result<Self, Failure> {
        let own = || {
            let folder = Folder::in_dir(data_dir);
            let pair = if folder.has_one() { folder.pair()? } else { Pair::generate()? };
            Ok::<_, Failure>(toml::to_string(&pair)?.into_bytes())
        };
        let known = secrets.get_or_make(SECRET, own)?;
        Ok(Self::Shared(toml::from_str(&String::from_utf8(known)?)?))
    }

    fn pair(&self) -> Result<Pair, Failure> {
        match self {
            Self::Own(folder) => folder.pair(),
            Self::Shared(pair) => Ok(pair.clone()),
        }
    }

    /// Its certificate in PEM: what those of instances are verified with.
    pub(crate) fn certificate(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.pair()?.certificate.into_bytes())
    }

    /// Issues a certificate to an instance. The key is new and kept nowhere.
    pub(crate) fn issue(&self, instance: &str, days: u32) -> Result<ClientCertificate, Failure> {
        let pair = self.pair()?;
        let issuer = Issuer::new(authority(), KeyPair::from_pem(&pair.key)?);
        let now = SystemClock::default().now().unix_millis();
        let expires = now + i64::from(days) * DAY_MILLIS;
        // The DNS name is what the server reads; the common name is for people.
        let mut params = CertificateParams::new(vec![instance.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, instance);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        span(&mut params, now, expires);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        let expires_at = Timestamp::from_unix_millis(expires);
        let (key, authority) = (key.serialize_pem(), pair.certificate);
        Ok(ClientCertificate { certificate, key, authority, expires_at })
    }
}

impl Folder {
    fn in_dir(data_dir: &DataDir) -> Self {
        Self { path: data_dir.join("instance-ca"), making: Mutex::default() }
    }

    fn has_one(&self) -> bool {
        self.path.join("ca.key").exists()
    }

    /// The certificate is written before the key: where the key is, both are.
    fn pair(&self) -> Result<Pair, Failure> {
        let _one = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_one() {
            return Ok(Pair { certificate: self.read("ca.crt")?, key: self.read("ca.key")? });
        }
        let pair = Pair::generate()?;
        DataDir::make_folder(&self.path)?;
        write_durably(&self.path.join("ca.crt"), &pair.certificate)?;
        write_durably(&self.path.join("ca.key"), &pair.key)?;
        tracing::info!(folder = %self.path.display(), "made an authority for instances");
        Ok(pair)
    }

    fn read(&self, name: &str) -> Result<String, Failure> {
        let path = self.path.join(name);
        let text = std::fs::read_to_string(&path);
        Ok(text.map_err(|error| format!("cannot read {}: {error}", path.display()))?)
    }
}

impl Pair {
    fn generate() -> Result<Self, Failure> {
        let now = SystemClock::default().now().unix_millis();
        let key = KeyPair::generate()?;
        let mut params = authority();
        span(&mut params, now, now + AUTHORITY_DAYS * DAY_MILLIS);
        Ok(Self { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
    }
}

/// What is the same in each of its certificates.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, NAME);
    // It has none below it.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn span(params: &mut CertificateParams, now: i64, until: i64) {
    let moment = |millis: i64| UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs());
    params.not_before = moment(now - SKEW_MILLIS).into();
    params.not_after = moment(until).into();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_its_key_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        let authority = InstanceAuthority::of(&data_dir);
        let key = folder.path().join("instance-ca/ca.key");
        assert!(!key.exists());
        let certificate = authority.certificate().unwrap();
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let kept = std::fs::read(&key).unwrap();
        let again = InstanceAuthority::of(&data_dir);
        let issued = again.issue("i-1", 1).unwrap();
        assert_eq!(again.certificate().unwrap(), certificate);
        assert_eq!(std::fs::read(&key).unwrap(), kept);
        assert_ne!(again.issue("i-1", 1).unwrap().key, issued.key);
        let left = issued.expires_at.unix_millis() - SystemClock::default().now().unix_millis();
        assert!((DAY_MILLIS - 60_000..=DAY_MILLIS).contains(&left), "{left}");
        std::fs::remove_file(folder.path().join("instance-ca/ca.crt")).unwrap();
        assert!(again.certificate().is_err(), "a new one would shut out who has the old one's");
    }
}
