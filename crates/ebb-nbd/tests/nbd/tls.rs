//! TLS: who must begin it, what it protects, and other people's clients over it.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use ebb_nbd::client::{Client, ClientError, ClientOptions};
use ebb_nbd::negotiation::{Negotiation, Step, TlsMode};
use ebb_nbd::wire::{OptionHeader, OptionKind, OptionReply, rep};
use ebb_nbd::{Exports, Limits, Plaintext, TlsClient, TlsServer};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose as Usage,
};

use crate::fixture::{Fixture, Raw, SIZE};
use crate::volume::When;

/// An authority, and certificates from it, in PEM.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![Usage::KeyCertSign, Usage::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, purpose: Purpose) -> Identity {
        self.issue_to(&["localhost", "127.0.0.1"], purpose, 4000)
    }

    /// To clients, good until a year.
    fn issue_to(&self, names: &[&str], purpose: Purpose, until: i32) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        params.distinguished_name.push(DnType::CommonName, "one of two");
        params.key_usages = vec![Usage::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

impl Identity {
    fn pem(&self) -> (&[u8], &[u8]) {
        (self.certificate.as_bytes(), self.key.as_bytes())
    }
}

struct Secured {
    fixture: Fixture,
    authority: Authority,
    address: SocketAddr,
}

impl Secured {
    fn new(plaintext: Plaintext, client_authority: Option<&Authority>, limits: Limits) -> Self {
        let clients = client_authority.map(|authority| authority.certificate.as_bytes());
        Self::of(Authority::new(), plaintext, clients, limits)
    }

    /// One authority gives certificates to the server and to its clients.
    fn mutual() -> Self {
        let authority = Authority::new();
        let clients = authority.certificate.clone();
        Self::of(authority, Plaintext::Never, Some(clients.as_bytes()), Limits::default())
    }

    fn of(
        authority: Authority,
        plaintext: Plaintext,
        clients: Option<&[u8]>,
        limits: Limits,
    ) -> Self {
        let fixture = Fixture::with(Exports::new(), limits);
        let identity = authority.issue(Purpose::ServerAuth);
        let (certificate, key) = identity.pem();
        let tls = TlsServer::from_pem(certificate, key, clients).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        fixture.server.listen_tls(listener, tls, plaintext).unwrap();
        Self { fixture, authority, address }
    }

    fn forced() -> Self {
        Self::new(Plaintext::Never, None, Limits::default())
    }

    fn raw(&self) -> Raw {
        let mut raw = Raw::connect(self.address);
        raw.greet(3);
        raw
    }

    fn connect(&self, own: Option<&Identity>) -> Result<Client, ClientError> {
        self.connect_trusting(&self.authority, own, false)
    }

    fn connect_trusting(
        &self,
        authority: &Authority,
        own: Option<&Identity>,
        extended: bool,
    ) -> Result<Client, ClientError> {
        let authority = authority.certificate.as_bytes();
        let tls = TlsClient::from_pem(authority, "127.0.0.1", own.map(Identity::pem)).unwrap();
        let options = ClientOptions { extended, tls: Some(tls) };
        Client::connect_tcp_with(self.address, "disk", &options)
    }
}

fn write_and_read(client: &mut Client) {
    let data: Vec<u8> = (0..900_000_u32).map(|index| (index % 251) as u8).collect();
    client.write(4097, &data).unwrap();
    client.flush().unwrap();
    let mut read = vec![0; data.len()];
    client.read(4097, &mut read).unwrap();
    assert!(read == data);
}

#[test]
fn data_goes_both_ways_whenever_the_volume_completes() {
    let secured = Secured::forced();
    for when in [When::AtOnce, When::FlushElsewhere, When::Elsewhere] {
        secured.fixture.volume.completes(when);
        for extended in [false, true] {
            let authority = &secured.authority;
            let mut client = secured.connect_trusting(authority, None, extended).unwrap();
            assert_eq!(client.size_bytes(), SIZE as u64);
            write_and_read(&mut client);
            client.disconnect().unwrap();
        }
    }
}

#[test]
fn where_tls_is_required_nothing_is_told_before_it() {
    let secured = Secured::forced();
    let mut raw = secured.raw();
    for (kind, data) in [
        (OptionKind::List, &b""[..]),
        (OptionKind::Info, b""),
        (OptionKind::Go, b"\0\0\0\x04disk\0\0"),
        (OptionKind::StructuredReply, b""),
        (OptionKind::ExtendedHeaders, b""),
        (OptionKind::ListMetaContext, b""),
        (OptionKind::Unknown(99), b"data"),
        (OptionKind::Unknown(99), &[0; 70_000]),
    ] {
        assert_eq!(raw.ask(kind, data).0, rep::ERR_TLS_REQD, "{kind:?}");
    }
    assert_eq!(raw.ask(OptionKind::Abort, &[]).0, rep::ACK);
    let mut old = secured.raw();
    old.option(OptionKind::ExportName, b"disk");
    assert_eq!(old.rest(), b"");
    assert!(Client::connect_tcp(secured.address, "disk").is_err());
}

#[test]
fn where_tls_is_offered_it_is_the_client_that_chooses() {
    let secured = Secured::new(Plaintext::OnLoopback, None, Limits::default());
    write_and_read(&mut Client::connect_tcp(secured.address, "disk").unwrap());
    write_and_read(&mut secured.connect(None).unwrap());
    let refused = Secured { address: secured.fixture.address, ..secured };
    assert!(matches!(refused.connect(None), Err(ClientError::Refused { .. })), "no TLS there");
}

#[test]
fn only_this_machine_is_loopback() {
    let loopback = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
    let others = ["10.0.0.1", "0.0.0.0", "::", "fe80::1", "::ffff:10.0.0.1", "128.0.0.1"];
    for (addresses, local) in [(&loopback[..], true), (&others[..], false)] {
        for text in addresses {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(Plaintext::OnLoopback.allows(address), local, "{text}");
            assert!(Plaintext::Anywhere.allows(address) && !Plaintext::Never.allows(address));
        }
    }
}

#[test]
fn what_was_agreed_on_before_tls_does_not_hold_after_it() {
    let exports = Exports::new();
    let mut negotiation = Negotiation::new(3, TlsMode::Offered).unwrap();
    let mut ask = |kind, data: &[u8]| {
        let mut out = Vec::new();
        let step = negotiation.option(kind, data, &exports, &mut out);
        (step, OptionReply::decode(out[..20].try_into().unwrap()).unwrap().kind)
    };
    assert_eq!(ask(OptionKind::ExtendedHeaders, b"").1, rep::ACK);
    assert_eq!(ask(OptionKind::StartTls, b"data").1, rep::ERR_INVALID);
    let (step, kind) = ask(OptionKind::StartTls, b"");
    assert!(matches!(step, Step::Secure));
    assert_eq!(kind, rep::ACK);
    assert_eq!(ask(OptionKind::StartTls, b"").1, rep::ERR_INVALID);
    assert_eq!(ask(OptionKind::StructuredReply, b"").1, rep::ACK, "no extended headers any more");
    assert_eq!(ask(OptionKind::List, b"").1, rep::ACK);
}

#[test]
fn options_smuggled_in_before_tls_are_not_taken_for_the_clients() {
    let secured = Secured::forced();
    let mut raw = secured.raw();
    let start = OptionHeader { kind: OptionKind::StartTls, length: 0 }.encode();
    let list = OptionHeader { kind: OptionKind::List, length: 0 }.encode();
    raw.send(&[start, list].concat());
    assert_eq!(raw.option_reply(OptionKind::StartTls).0, rep::ACK);
    assert_eq!(raw.rest(), b"");
}

#[test]
fn a_client_that_begins_no_handshake_is_let_go() {
    let handshake = Duration::from_millis(300);
    let limits = Limits { handshake, ..Limits::default() };
    let secured = Secured::new(Plaintext::Never, None, limits);
    let began = Instant::now();
    let mut silent = secured.raw();
    assert_eq!(silent.ask(OptionKind::StartTls, &[]).0, rep::ACK);
    assert_eq!(silent.rest(), b"");
    assert!(began.elapsed() < 20 * handshake);
    let mut noisy = secured.raw();
    assert_eq!(noisy.ask(OptionKind::StartTls, &[]).0, rep::ACK);
    noisy.send(&[0xaa; 200]);
    // An alert may come before the end; no reply does.
    assert!(noisy.rest().len() < 20);
    secured.connect(None).unwrap().flush().unwrap();
}

#[test]
fn certificates_are_checked_on_both_sides() {
    let authority = Authority::new();
    let secured = Secured::new(Plaintext::Never, Some(&authority), Limits::default());
    let own = authority.issue(Purpose::ClientAuth);
    write_and_read(&mut secured.connect(Some(&own)).unwrap());
    let foreign = Authority::new().issue(Purpose::ClientAuth);
    let server = authority.issue(Purpose::ServerAuth);
    for bad in [None, Some(&foreign), Some(&server)] {
        assert!(matches!(secured.connect(bad), Err(ClientError::Io(_))));
    }
    let elsewhere = secured.connect_trusting(&Authority::new(), Some(&own), false);
    assert!(matches!(elsewhere, Err(ClientError::Io(_))));
}

#[test]
fn certificates_that_can_not_be_used_are_said_to_be_so() {
    let authority = Authority::new();
    let (first, second) =
        (authority.issue(Purpose::ServerAuth), authority.issue(Purpose::ServerAuth));
    let ((certificate, key), (_, other_key)) = (first.pem(), second.pem());
    assert!(TlsServer::from_pem(certificate, key, None).is_ok());
    for (certificate, key, clients) in [
        (certificate, other_key, None),
        (key, certificate, None),
        (&b""[..], key, None),
        (certificate, &b"nonsense"[..], None),
        (certificate, key, Some(&b"nonsense"[..])),
    ] {
        let error = TlsServer::from_pem(certificate, key, clients).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}

/// Clients show whose they are.
fn owned() -> Secured {
    let authority = Authority::new();
    let fixture = Fixture::new();
    let identity = authority.issue(Purpose::ServerAuth);
    let (certificate, key) = identity.pem();
    let clients = authority.certificate.as_bytes();
    let tls = TlsServer::from_pem(certificate, key, Some(clients)).unwrap().for_owners();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    fixture.server.listen_tls(listener, tls, Plaintext::Never).unwrap();
    Secured { fixture, authority, address }
}

fn owner(secured: &Secured, names: &[&str]) -> Identity {
    secured.authority.issue_to(names, Purpose::ClientAuth, 4000)
}

#[test]
fn an_owner_uses_only_what_is_its_own() {
    let secured = owned();
    let exports = &secured.fixture.exports;
    let (mine, other) = (owner(&secured, &["i-mine"]), owner(&secured, &["i-other"]));
    let no_export = |client| matches!(client, Err(ClientError::NoSuchExport(_)));
    assert!(no_export(secured.connect(Some(&mine))), "it is nobody's yet");
    exports.set_owners("disk", vec!["i-mine".into(), "i-third".into()]);
    write_and_read(&mut secured.connect(Some(&mine)).unwrap());
    assert!(no_export(secured.connect(Some(&other))));
    exports.set_owners("none", vec!["i-mine".into()]);
    // Without a certificate of the kind, and on other sockets, all is as it was.
    secured.fixture.client().flush().unwrap();
    for names in [&[][..], &["i-mine", "i-other"]] {
        let unclear = owner(&secured, names);
        assert!(matches!(secured.connect(Some(&unclear)), Err(ClientError::Io(_))), "{names:?}");
    }
    let expired = secured.authority.issue_to(&["i-mine"], Purpose::ClientAuth, 2020);
    assert!(matches!(secured.connect(Some(&expired)), Err(ClientError::Io(_))));
    assert!(matches!(secured.connect(None), Err(ClientError::Io(_))));
}

#[test]
fn who_is_an_owner_no_more_is_ended_and_others_are_not() {
    let secured = owned();
    let exports = &secured.fixture.exports;
    exports.set_owners("disk", vec!["i-one".into(), "i-two".into()]);
    let mut one = secured.connect(Some(&owner(&secured, &["i-one"]))).unwrap();
    let mut two = secured.connect(Some(&owner(&secured, &["i-two"]))).unwrap();
    let mut local = secured.fixture.client();
    exports.set_owners("disk", vec!["i-two".into()]);
    assert!(one.flush().is_err());
    two.flush().unwrap();
    local.flush().unwrap();
    exports.set_owners("disk", Vec::new());
    assert!(two.flush().is_err());
    local.flush().unwrap();
}

#[test]
fn a_certificate_is_replaced_for_new_connections() {
    let (first, second) = (Authority::new(), Authority::new());
    let identity = first.issue(Purpose::ServerAuth);
    let (certificate, key) = identity.pem();
    let tls = TlsServer::from_pem(certificate, key, None).unwrap();
    let fixture = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    fixture.server.listen_tls(listener, tls.clone(), Plaintext::Never).unwrap();
    let secured = Secured { fixture, authority: first, address };
    let mut before = secured.connect(None).unwrap();
    let identity = second.issue(Purpose::ServerAuth);
    let (certificate, key) = identity.pem();
    tls.replace_by(&TlsServer::from_pem(certificate, key, None).unwrap());
    assert!(secured.connect(None).is_err());
    secured.connect_trusting(&second, None, false).unwrap().flush().unwrap();
    before.flush().unwrap();
}

/// Runs another project's client; `None` where it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    match Program::new(program).args(arguments).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            println!("skipped: {program}: {error}");
            None
        }
    }
}

/// A folder with the names that libnbd and QEMU look for.
fn folder(secured: &Secured, own: &Identity) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("ca-cert.pem", &secured.authority.certificate);
    put("client-cert.pem", &own.certificate);
    put("client-key.pem", &own.key);
    folder
}

fn uri(secured: &Secured, scheme: &str, folder: &Path) -> String {
    format!("{scheme}://{}/disk?tls-certificates={}", secured.address, folder.display())
}

#[test]
fn libnbd_speaks_tls_with_it() {
    let authority = Authority::new();
    let secured = Secured::new(Plaintext::Never, Some(&authority), Limits::default());
    let own = folder(&secured, &authority.issue(Purpose::ClientAuth));
    let nbds = uri(&secured, "nbds", own.path());
    let Some((fine, text)) = run("nbdinfo", &[&nbds]) else { return };
    assert!(fine && text.contains("export-size: 1048576"), "{text}");
    let (_, size) = run("nbdinfo", &["--size", &nbds]).unwrap();
    assert_eq!(size.trim(), "1048576");
    let (fine, text) = run("nbdinfo", &[&uri(&secured, "nbd", own.path())]).unwrap();
    assert!(!fine, "without TLS: {text}");
    let foreign = folder(&secured, &Authority::new().issue(Purpose::ClientAuth));
    let (fine, text) = run("nbdinfo", &[&uri(&secured, "nbds", foreign.path())]).unwrap();
    assert!(!fine, "with another authority's certificate: {text}");
}

#[test]
fn a_list_has_only_what_is_the_owners() {
    let secured = owned();
    let exports = &secured.fixture.exports;
    exports.publish("hidden", secured.fixture.volume.clone());
    exports.set_owners("disk", vec!["i-mine".into()]);
    let own = folder(&secured, &owner(&secured, &["i-mine"]));
    let folder = own.path().display();
    let all = format!("nbds://{}/?tls-certificates={folder}", secured.address);
    let Some((fine, text)) = run("nbdinfo", &["--list", &all]) else { return };
    assert!(fine && text.contains("disk") && !text.contains("hidden"), "{text}");
}

#[test]
fn qemu_reads_back_over_tls_what_it_wrote() {
    let secured = Secured::mutual();
    let own = folder(&secured, &secured.authority.issue(Purpose::ClientAuth));
    let object = format!("tls-creds-x509,id=tls,endpoint=client,dir={}", own.path().display());
    let image = format!(
        "driver=nbd,server.type=inet,server.host=127.0.0.1,server.port={},\
         export=disk,tls-creds=tls",
        secured.address.port()
    );
    let arguments = ["--object", &object, "--image-opts", &image];
    let commands = ["-c", "write -P 0x5a 4096 600k", "-c", "flush", "-c", "read -P 0x5a 4096 600k"];
    let Some((fine, text)) = run("qemu-io", &[&arguments[..], &commands].concat()) else { return };
    assert!(fine && !text.contains("failed"), "{text}");
    let content = secured.fixture.volume.content();
    assert!(content[4096..4096 + 600 * 1024].iter().all(|byte| *byte == 0x5a));
}
