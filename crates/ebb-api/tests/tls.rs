//! The API over TLS: certificates that are replaced, and clients that take their time.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Answer, Server, V1};
use ebb_api::{Tls, TlsError};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

/// A certificate that is its own authority, and its key, in PEM.
struct Own {
    certificate: String,
    key: String,
}

impl Own {
    fn new() -> Self {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, key: key.serialize_pem() }
    }

    fn tls(&self) -> Tls {
        Tls::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    fn replaces(&self, tls: &Tls) {
        tls.replace(self.certificate.as_bytes(), self.key.as_bytes()).unwrap();
    }

    /// What a client needs to trust it.
    fn trusted(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let pem = self.certificate.as_bytes();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A connection over which TLS has been agreed on.
fn connect(server: &Server, config: Arc<ClientConfig>) -> io::Result<Secured> {
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(config, name).unwrap();
    let mut stream = StreamOwned::new(session, server.connect());
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn echo(stream: &mut Secured) -> u16 {
    stream.write_all(&V1::new("Echo", &[]).bytes()).unwrap();
    Answer::read(stream).status
}

#[test]
fn both_versions_are_spoken_with_http_1_1_on_top() {
    let own = Own::new();
    let server = Server::over(Arc::new(own.tls()));
    let versions = [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)];
    for (version, spoken) in versions {
        let mut stream = connect(&server, own.trusted(&[version])).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(spoken));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..3 {
            assert_eq!(echo(&mut stream), 200);
        }
    }
    assert!(connect(&server, Own::new().trusted(&[&TLS13])).is_err(), "a stranger's certificate");
}

#[test]
fn a_new_certificate_is_for_new_connections_and_a_broken_one_changes_nothing() {
    let (first, second) = (Own::new(), Own::new());
    let tls = Arc::new(first.tls());
    let server = Server::over(Arc::clone(&tls));
    let mut old = connect(&server, first.trusted(&[&TLS13])).unwrap();
    assert_eq!(echo(&mut old), 200);
    let (certificate, key) = (second.certificate.as_bytes(), second.key.as_bytes());
    assert!(matches!(tls.replace(b"", key), Err(TlsError::NoCertificate)));
    assert!(matches!(tls.replace(certificate, b"no key"), Err(TlsError::Key(_))));
    assert!(matches!(tls.replace(certificate, first.key.as_bytes()), Err(TlsError::Refused(_))));
    assert!(connect(&server, first.trusted(&[&TLS13])).is_ok());
    second.replaces(&tls);
    assert!(connect(&server, first.trusted(&[&TLS13])).is_err());
    assert_eq!(echo(&mut connect(&server, second.trusted(&[&TLS13])).unwrap()), 200);
    assert_eq!(echo(&mut old), 200);
}

#[test]
fn what_is_not_tls_is_closed_without_a_word() {
    let server = Server::over(Arc::new(Own::new().tls()));
    let mut stream = server.connect();
    stream.write_all(&V1::new("Echo", &[]).bytes()).unwrap();
    assert_eq!(stream.read(&mut [0; 100]).unwrap(), 0);
    let mut stream = server.connect();
    stream.write_all(b"\x16\x03\x01\0\x05 lies").unwrap();
    let mut rest = Vec::new();
    // An alert at the most.
    stream.read_to_end(&mut rest).unwrap_or_default();
    assert!(rest.len() < 16 && rest.first().is_none_or(|byte| *byte == 0x15), "{rest:?}");
    assert_eq!(server.calls(), 0);
}

#[test]
fn a_handshake_has_an_end_and_keeps_nobody_waiting() {
    let own = Own::new();
    let patience = Duration::from_millis(700);
    let server = Server::over(Arc::new(own.tls().with_patience(patience)));
    let started = Instant::now();
    let silent = server.connect();
    let mut half = server.connect();
    half.write_all(&[0x16, 3, 1]).unwrap();
    assert_eq!(echo(&mut connect(&server, own.trusted(&[&TLS13])).unwrap()), 200);
    assert!(started.elapsed() < patience, "it waited for others: {:?}", started.elapsed());
    for mut stream in [silent, half] {
        assert!(matches!(stream.read(&mut [0; 100]), Ok(0) | Err(_)));
        assert!(started.elapsed() >= patience, "{:?}", started.elapsed());
    }
}

#[test]
fn at_the_end_requests_are_answered_and_handshakes_are_not_waited_for() {
    let own = Own::new();
    let mut server = Server::over(Arc::new(own.tls()));
    let _silent = server.connect();
    let mut stream = connect(&server, own.trusted(&[&TLS13])).unwrap();
    stream.write_all(&V1::new("Sleep", &[("Milliseconds", "500")]).bytes()).unwrap();
    while server.calls() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let started = Instant::now();
    server.signal();
    assert_eq!(Answer::read(&mut stream).status, 200);
    // The end is said, not only cut.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    drop(stream);
    server.join();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
