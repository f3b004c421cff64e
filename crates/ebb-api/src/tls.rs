//! The certificate that the API is served with, and whom a client of it trusts. The certificate can
//! be replaced while the server runs: connections that are there keep the one they began with.

use std::io;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take until TLS is agreed on.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The one protocol that goes over it.
const HTTP_1_1: &[u8] = b"http/1.1";
/// How every TLS record of a client's first message begins, and no HTTP request does.
const HANDSHAKE_RECORD: u8 = 0x16;

/// A certificate and its key, in use.
#[derive(Debug)]
pub struct Tls {
    config: RwLock<Arc<ServerConfig>>,
    patience: Duration,
}

/// Why a certificate and a key can not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate's text.
    #[error("the certificate is not in PEM form: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    /// It holds none.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// The key's text.
    #[error("there is no private key in PEM form: {0}")]
    Key(rustls::pki_types::pem::Error),
    /// They do not fit together, or are of a kind that is not supported.
    #[error("the certificate and its key can not be used: {0}")]
    Refused(#[from] rustls::Error),
}

/// Why a connection did not come to speak TLS.
#[derive(Debug)]
pub(crate) enum NoTls {
    /// It ended before anything came.
    Silent,
    /// Something else came, and this is where from.
    Plain(TcpStream),
    /// It failed, or took too long.
    Failed(io::Error),
}

impl Tls {
    /// From PEM: the certificate with those that lead to its authority, and its key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let config = RwLock::new(config(certificate, key)?);
        Ok(Self { config, patience: HANDSHAKE })
    }

    /// Lets clients take this long until TLS is agreed on, in place of 10 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// From now on connections begin with this certificate.
    ///
    /// # Errors
    /// [`TlsError`]; the former stays then.
    pub fn replace(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let config = config(certificate, key)?;
        *self.config.write().expect(NOT_POISONED) = config;
        Ok(())
    }

    /// Begins TLS on a connection.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, NoTls> {
        let late = |_| NoTls::Failed(io::Error::new(io::ErrorKind::TimedOut, "it took too long"));
        tokio::time::timeout(self.patience, self.handshake(stream)).await.map_err(late)?
    }

    async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, NoTls> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) => return Err(NoTls::Silent),
            Ok(_) if first[0] != HANDSHAKE_RECORD => return Err(NoTls::Plain(stream)),
            Ok(_) => {}
            Err(error) => return Err(NoTls::Failed(error)),
        }
        let config = Arc::clone(&self.config.read().expect(NOT_POISONED));
        TlsAcceptor::from(config).accept(stream).await.map_err(NoTls::Failed)
    }
}

const NOT_POISONED: &str = "nothing panics while it holds the certificate's lock";

/// What a client needs to trust whoever has a certificate from these authorities.
pub(crate) fn trusting(authorities: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots.add(certificate)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Certificate)?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}
