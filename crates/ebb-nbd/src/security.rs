//! Who may talk to the server without TLS, and with which certificates it speaks TLS.

use std::net::IpAddr;
use std::sync::{Arc, RwLock};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use webpki::EndEntityCert;

/// Which TCP clients may go on without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plaintext {
    /// None: for a server behind a forwarder on the same machine.
    Never,
    /// Those on this machine.
    OnLoopback,
    /// All.
    Anywhere,
}

impl Plaintext {
    /// Whether a client at `peer` may.
    #[must_use]
    pub fn allows(self, peer: IpAddr) -> bool {
        match self {
            Self::Never => false,
            // A listener on `::` sees IPv4 clients at mapped addresses.
            Self::OnLoopback => peer.to_canonical().is_loopback(),
            Self::Anywhere => true,
        }
    }
}

/// A server's certificate and key, and whom it asks for a certificate. Its clones are one: what is
/// replaced in one is in all.
#[derive(Debug, Clone)]
pub struct TlsServer {
    config: Arc<RwLock<Arc<ServerConfig>>>,
    owners: bool,
}

/// What a client needs to trust a server, and to be trusted.
#[derive(Debug, Clone)]
pub struct TlsClient {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server: ServerName<'static>,
}

/// Why certificates and keys can not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not PEM, or holds nothing of the kind.
    #[error("no {what} in PEM form: {error}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// What was found.
        error: rustls::pki_types::pem::Error,
    },
    /// It holds no certificate.
    #[error("it holds no certificate")]
    NoCertificate,
    /// The name is neither a DNS name nor an address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    Name(String),
    /// They do not fit together, or are of a kind that is not supported.
    #[error(transparent)]
    Refused(#[from] rustls::Error),
    /// The authority's certificates can not be used.
    #[error("the authority's certificates: {0}")]
    Authority(#[from] rustls::server::VerifierBuilderError),
}

impl TlsServer {
    /// From PEM: the certificate with those that lead to its authority, its key, and, if clients
    /// must have a certificate, the authorities whom they may have it from.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        client_authority: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(roots(authority)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (certificates, key) = identity(certificate, key)?;
        let mut config = builder.with_single_cert(certificates, key)?;
        if client_authority.is_some() {
            // A session that is taken up again has its client's certificate looked at no more.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Self { config: Arc::new(RwLock::new(Arc::new(config))), owners: false })
    }

    /// Each client's certificate names whose it is, as its one DNS name, and the client uses and
    /// sees only the exports of that owner ([`crate::Exports::set_owners`]).
    #[must_use]
    pub fn for_owners(self) -> Self {
        Self { owners: true, ..self }
    }

    /// Whose a client with this certificate is, where that is asked.
    pub(crate) fn owner(
        &self,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<Option<String>, &'static str> {
        if !self.owners {
            return Ok(None);
        }
        let certificate = certificate.ok_or("a client without a certificate")?;
        let certificate = EndEntityCert::try_from(certificate).map_err(|_| "no certificate")?;
        let mut names = certificate.valid_dns_names();
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(Some(name.to_owned())),
            _ => Err("a certificate of no owner, or of several"),
        }
    }

    /// From now on connections begin with what `other` has; those that are there go on as before.
    pub fn replace_by(&self, other: &Self) {
        let config = other.config();
        *self.config.write().expect(NOT_POISONED) = config;
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().expect(NOT_POISONED))
    }
}

const NOT_POISONED: &str = "nothing panics while it holds the lock of a configuration";

impl TlsClient {
    /// From PEM: the authorities whom `server`, a DNS name or an address, may have its certificate
    /// from, and this client's certificate and key if it has one.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(
        authority: &[u8],
        server: &str,
        own: Option<(&[u8], &[u8])>,
    ) -> Result<Self, TlsError> {
        let roots = Arc::new(roots(authority)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_webpki_verifier(verifier);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (certificates, key) = identity(certificate, key)?;
                builder.with_client_auth_cert(certificates, key)?
            }
        };
        let server =
            ServerName::try_from(server).map_err(|_| TlsError::Name(server.into()))?.to_owned();
        Ok(Self { config: Arc::new(config), server })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn identity(
    certificate: &[u8],
    key: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| TlsError::Pem { what: "private key", error })?;
    Ok((certificates(certificate)?, key))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem { what: "certificate", error })?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}
