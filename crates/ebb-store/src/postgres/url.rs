//! Where a PostgreSQL store is, and how a connection to it is secured.
//!
//! `postgres://user:password@host:port/database?sslmode=…`, as libpq has it. What goes over a
//! network is encrypted, and the server shows a certificate for its name, unless it is asked for
//! otherwise: libpq's own default is to take what it gets. Over a socket in the file system or to
//! this machine there is no TLS unless it is asked for.

use std::error::Error as _;
use std::fmt::{self, Debug, Display, Formatter};
use std::net::IpAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;

/// To one address; a name may have several.
const CONNECT: Duration = Duration::from_secs(3);

/// What was sent and is not acknowledged for so long is lost.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Where a PostgreSQL store is. Shown, it has neither user nor password.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Config,
    /// Where connections are to be encrypted.
    tls: Option<MakeRustlsConnect>,
}

/// What carries a client's questions and answers; it ends with the connection.
type Carrier = Pin<Box<dyn Future<Output = ()> + Send>>;

impl PostgresUrl {
    /// Whether a text is meant as one.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }

    /// Whether whoever sees the address could use it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    pub(super) async fn connect(&self) -> Result<(Client, Carrier), Error> {
        // Errors of a connection are also those of what is asked over it.
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok((client, Box::pin(async { drop(connection.await) })))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, Box::pin(async { drop(connection.await) })))
            }
        }
    }
}

impl FromStr for PostgresUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if !Self::is_meant_by(text) {
            return Err(bad("it does not begin with postgres://"));
        }
        let Options { url, roots, mode } = Options::of(text)?;
        let mut config: Config = url.parse().map_err(|error: Error| bad(&told(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(bad("it names no host"));
        }
        let stays_here = config.get_hosts().iter().all(stays_here);
        config.ssl_mode(match mode {
            Some(mode) => mode,
            None if stays_here && roots.is_none() => SslMode::Disable,
            None => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if config.get_application_name().is_none() {
            config.application_name("ebbtide");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(client(roots.as_deref())?)),
        };
        Ok(Self { config, tls })
    }
}

impl Display for PostgresUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                Host::Unix(folder) => write!(f, "{comma}{}", folder.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(n).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl Debug for PostgresUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

/// The options about TLS, and the rest of an address.
struct Options {
    url: String,
    /// `sslrootcert`: the file with the certificates that are trusted, in place of the system's.
    roots: Option<String>,
    mode: Option<SslMode>,
}

impl Options {
    fn of(text: &str) -> Result<Self, StoreError> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let mut found = Self { url: address.to_owned(), roots: None, mode: None };
        let mut rest = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslrootcert", file)) => {
                    let file = percent_decode_str(file).decode_utf8();
                    found.roots = Some(file.map_err(|_| bad("sslrootcert is not UTF-8"))?.into());
                }
                Some(("sslmode", mode)) => found.mode = Some(parse_mode(mode)?),
                _ => rest.push(option),
            }
        }
        if !rest.is_empty() {
            found.url = format!("{address}?{}", rest.join("&"));
        }
        Ok(found)
    }
}

/// There is no encryption here to whoever answers: a certificate is always verified, and a
/// connection never falls back to plain text.
fn parse_mode(name: &str) -> Result<SslMode, StoreError> {
    match name {
        "disable" => Ok(SslMode::Disable),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        _ => Err(bad("sslmode is disable, require or verify-full")),
    }
}

fn stays_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address: Result<IpAddr, _> = name.parse();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    }
}

fn client(roots: Option<&str>) -> Result<ClientConfig, StoreError> {
    let mut trusted = RootCertStore::empty();
    match roots {
        Some(file) => {
            let unreadable = |error: &dyn Display| bad(&format!("sslrootcert {file}: {error}"));
            let all = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
            for certificate in all {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                trusted.add(certificate).map_err(|error| unreadable(&error))?;
            }
            if trusted.is_empty() {
                return Err(unreadable(&"there is no certificate in it"));
            }
        }
        None => {
            // A system may have some that this cannot read; what counts is whether the server's
            // is among the others, and that is told when it is asked.
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error.to_string()))?;
    Ok(config.with_root_certificates(trusted).with_no_client_auth())
}

fn bad(why: &str) -> StoreError {
    StoreError::Unsuitable(format!("its address is not one of PostgreSQL: {why}"))
}

fn told(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(text: &str) -> SslMode {
        PostgresUrl::from_str(text).expect("a good address").config.get_ssl_mode()
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        assert_eq!(mode("postgres://u@db.example.com/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@localhost,db.example.com/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example.com/d?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example.com/d?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@127.0.0.1:5433/d"), SslMode::Disable);
        assert_eq!(mode("postgres://u@%2Frun%2Fpostgresql/d"), SslMode::Disable);
        assert_eq!(mode("postgres://u@localhost/d?sslmode=require"), SslMode::Require);
    }

    #[test]
    fn no_secret_is_shown() {
        let url = PostgresUrl::from_str("postgresql://me:hush@a:1,b:2/d?connect_timeout=2");
        let url = url.expect("a good address");
        assert_eq!(
            format!("{url} {url:?}"),
            "postgres://a:1,b:2/d PostgresUrl(postgres://a:1,b:2/d)"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_secrets() {
        for text in [
            "sqlite:x",
            "postgres://me:hush@host/d?colour=blue",
            "postgres://me:hush@host:port/d",
            "postgres://me:hush@host/d?sslmode=prefer",
            "postgres://me:hush@host/d?sslrootcert=/no/such/file",
            "postgres:///d",
        ] {
            let error = PostgresUrl::from_str(text).expect_err(text).to_string();
            assert!(error.contains("address") && !error.contains("hush"), "{error}");
        }
    }
}
