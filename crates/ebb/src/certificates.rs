//! The certificates that the server shows, and where they are read from: at the start, and again
//! when the operator says so.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebb_api::Tls;
use ebb_nbd::TlsServer;

use crate::Failure;
use crate::config::{Config, NbdClients, NbdTls};
use crate::instance_authority::InstanceAuthority;

/// Where a certificate and its key are, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What is served with now.
pub(crate) struct Certificates {
    pub(crate) api: Option<Arc<Tls>>,
    pub(crate) nbd: Option<TlsServer>,
    api_files: Option<CertificateFiles>,
    nbd_files: Option<NbdTls>,
    instances: Arc<InstanceAuthority>,
}

impl Certificates {
    /// Reads all that the configuration names.
    pub(crate) fn open(
        config: &Config,
        instances: &Arc<InstanceAuthority>,
    ) -> Result<Self, Failure> {
        let api = config.tls.as_ref().map(|files| {
            let (certificate, key) = files.read()?;
            let tls = Tls::from_pem(&certificate, &key);
            tls.map(Arc::new).map_err(|error| files.failure("the API", &error))
        });
        Ok(Self {
            api: api.transpose()?,
            nbd: config.nbd_tls.as_ref().map(|tls| nbd(tls, instances)).transpose()?,
            api_files: config.tls.clone(),
            nbd_files: config.nbd_tls.clone(),
            instances: Arc::clone(instances),
        })
    }

    /// Reads them again. What can not be used leaves the former in place, and the log says so: a
    /// server that serves is worth more than one that is right.
    pub(crate) fn reload(&self) {
        if let (Some(tls), Some(files)) = (&self.api, &self.api_files) {
            let replaced = files.read().and_then(|(certificate, key)| {
                let replaced = tls.replace(&certificate, &key);
                replaced.map_err(|error| files.failure("the API", &error))
            });
            report("the API", files, replaced);
        }
        if let (Some(tls), Some(files)) = (&self.nbd, &self.nbd_files) {
            let replaced = nbd(files, &self.instances).map(|new| tls.replace_by(&new));
            report("NBD", &files.files, replaced);
        }
    }
}

fn report(whose: &str, files: &CertificateFiles, replaced: Result<(), Failure>) {
    match replaced {
        Ok(()) => {
            let file = files.certificate.display();
            tracing::info!(whose, %file, "SIGHUP: the certificate was read again");
        }
        Err(error) => {
            tracing::error!(whose, %error, "SIGHUP: the former certificate stays in use");
        }
    }
}

fn nbd(tls: &NbdTls, instances: &InstanceAuthority) -> Result<TlsServer, Failure> {
    let authority = match &tls.clients {
        NbdClients::Any => None,
        NbdClients::Of(file) => Some(read(file)?),
        NbdClients::Instances => Some(instances.certificate()?),
    };
    let (certificate, key) = tls.files.read()?;
    let server = TlsServer::from_pem(&certificate, &key, authority.as_deref())
        .map_err(|error| tls.files.failure("NBD", &error))?;
    Ok(if tls.clients == NbdClients::Instances { server.for_owners() } else { server })
}

impl CertificateFiles {
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let pair = (read(&self.certificate)?, read(&self.key)?);
        warn_if_open(&self.key);
        Ok(pair)
    }

    fn failure(&self, whose: &str, error: &dyn std::error::Error) -> Failure {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("TLS for {whose}, from {certificate} and {key}: {error}").into()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?)
}

/// Whoever reads the key can pass for this server. Only a warning: a group of its own is how some
/// systems hand keys to servers.
fn warn_if_open(key: &Path) {
    let mode = std::fs::metadata(key).map_or(0, |file| file.permissions().mode());
    if mode & 0o007 != 0 {
        let mode = format!("{:o}", mode & 0o777);
        tracing::warn!(key = %key.display(), mode, "anybody on this machine can read a TLS key");
    }
}
