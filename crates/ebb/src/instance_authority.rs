//! Whom instances have their certificates from: an authority of this server's own, in
//! `DIR/instance-ca`. Its key never leaves that folder.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use ebb_api::admin::ClientCertificate;
use ebb_control::Clock;
use ebb_domain::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

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

/// Issues certificates; made on first use.
pub(crate) struct InstanceAuthority {
    folder: PathBuf,
    /// So that two of first use do not make two.
    making: Mutex<()>,
}

impl InstanceAuthority {
    /// That of a data directory.
    pub(crate) fn of(data_dir: &DataDir) -> Self {
        Self { folder: data_dir.join("instance-ca"), making: Mutex::default() }
    }

    /// Its certificate in PEM: what those of instances are verified with.
    pub(crate) fn certificate(&self) -> Result<Vec<u8>, Failure> {
        self.key()?;
        Ok(self.read("ca.crt")?.into_bytes())
    }

    /// Issues a certificate to an instance. The key is new and kept nowhere.
    pub(crate) fn issue(&self, instance: &str, days: u32) -> Result<ClientCertificate, Failure> {
        let issuer = Issuer::new(authority(), self.key()?);
        let authority = self.read("ca.crt")?;
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
        Ok(ClientCertificate { certificate, key: key.serialize_pem(), authority, expires_at })
    }

    /// Its key. The certificate is written before: where the key is, both are.
    fn key(&self) -> Result<KeyPair, Failure> {
        let _one = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.folder.join("ca.key").exists() {
            return Ok(KeyPair::from_pem(&self.read("ca.key")?)?);
        }
        let now = SystemClock::default().now().unix_millis();
        let key = KeyPair::generate()?;
        let mut params = authority();
        span(&mut params, now, now + AUTHORITY_DAYS * DAY_MILLIS);
        let certificate = params.self_signed(&key)?.pem();
        DataDir::make_folder(&self.folder)?;
        write_durably(&self.folder.join("ca.crt"), &certificate)?;
        write_durably(&self.folder.join("ca.key"), &key.serialize_pem())?;
        tracing::info!(folder = %self.folder.display(), "made an authority for instances");
        Ok(key)
    }

    fn read(&self, name: &str) -> Result<String, Failure> {
        let path = self.folder.join(name);
        let text = std::fs::read_to_string(&path);
        Ok(text.map_err(|error| format!("cannot read {}: {error}", path.display()))?)
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
