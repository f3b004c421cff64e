//! Answers that are none, and what is told of them; tokens that end; whom the token is shown to.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebb_kms::{KeyStore, KeyStoreError, Material, VaultConfig, VaultKeys, VaultToken};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use serde_json::json;

use crate::server::{Answer, TOKEN, Transit, described};
use crate::{config, runtime, vault};

const HELD: [Material; 1] = [Material { version: 1, sealed: None }];

const BLOB: &[u8] = b"\x02\0\0\0\x01sealed";

fn decrypt(store: &VaultKeys) -> KeyStoreError {
    store.decrypt("key-a", &HELD, b"c", BLOB).unwrap_err()
}

/// What is told of an answer to each operation: each is unavailable, and says the same.
fn unavailable(answer: &Answer) -> String {
    let server = Transit::start();
    let store = vault(&config(&server));
    let told = |call: &dyn Fn() -> Option<KeyStoreError>| {
        server.state().put.clear();
        server.put(vec![answer.clone(); 5]);
        match call() {
            Some(KeyStoreError::Unavailable(why)) => why,
            other => panic!("{answer:?}: {other:?}"),
        }
    };
    let whys = [
        told(&|| store.create("key-a").err()),
        told(&|| store.rotate("key-a", &HELD).err()),
        told(&|| store.encrypt("key-a", &HELD[0], b"c", b"x").err()),
        told(&|| store.decrypt("key-a", &HELD, b"c", BLOB).err()),
        told(&|| store.destroy("key-a").err()),
    ];
    assert!(whys.iter().all(|why| *why == whys[0]), "{whys:?}");
    let [why, ..] = whys;
    assert!(why.contains(&server.address().to_string()), "{why}");
    assert!(!why.contains(TOKEN), "{why}");
    why
}

#[test]
fn what_cannot_be_used_now_says_why_and_what_to_do() {
    let denied = "1 error occurred:\n\t* permission denied\n\n";
    let no_engine = "no handler for route \"transit/keys/x\". route entry not found.";
    let page = |status| Answer {
        status,
        headers: "content-type: text/html\r\n".to_owned(),
        body: "<html>a proxy</html>".to_owned(),
    };
    let cases = [
        (Answer::errors(503, &["Vault is sealed"]), "503, Vault is sealed): unseal it"),
        (Answer::errors(403, &[denied]), "1 error occurred: * permission denied): renew it"),
        (Answer::errors(404, &[no_engine]), "has no transit engine at transit (404, no handler"),
        (Answer::errors(429, &["rate limit quota exceeded"]), "raise its quota"),
        (Answer::errors(500, &["internal error"]), "failed (500, internal error): see its log"),
        (Answer::errors(400, &["something new"]), "failed (400, something new)"),
        (Answer::errors(501, &[]), "initialise"),
        (Answer::errors(472, &[]), "give the address of the primary"),
        (page(502), "failed (502)"),
        (page(404), "has no transit engine"),
    ];
    for (answer, words) in cases {
        let why = unavailable(&answer);
        assert!(why.contains(words), "{why}");
        assert!(!why.contains("proxy"), "{why}");
    }
}

#[test]
fn an_answer_in_another_form_is_no_key() {
    let server = Transit::start();
    let store = vault(&config(&server));
    let odd = [
        Answer { status: 200, headers: String::new(), body: "fine".to_owned() },
        Answer::json(200, &json!({})),
        Answer::data(&json!({ "latest_version": "1" })),
        Answer::data(&json!({ "plaintext": 7, "ciphertext": "vault:v1:*" })),
    ];
    for answer in odd {
        server.put([answer.clone()]);
        assert!(decrypt(&store).to_string().contains("not known here"), "{answer:?}");
        server.put([Answer::data(&described("ebbtide-key-a", 1, false)), answer.clone()]);
        let outcome = store.encrypt("key-a", &HELD[0], b"c", b"x").unwrap_err();
        assert!(outcome.to_string().contains("not known here"), "{answer:?}");
        server.put([answer]);
        assert!(matches!(store.destroy("key-a"), Err(KeyStoreError::Unavailable(_))));
    }
}

#[test]
fn what_does_not_decrypt_is_told_by_what_vault_says() {
    let server = Transit::start();
    let store = vault(&config(&server));
    let told = |said: &str| {
        server.put([Answer::errors(400, &[said])]);
        decrypt(&store)
    };
    for said in ["encryption key not found", "no existing key named x could be found"] {
        assert!(
            matches!(told(said), KeyStoreError::NotFound(why) if why.ends_with("no key key-a"))
        );
    }
    let policy = "ciphertext or signature version is disallowed by policy (too old)";
    for said in [policy, "invalid ciphertext: version is too new"] {
        assert!(matches!(told(said), KeyStoreError::NotFound(why) if why.contains("version 1")));
    }
    let forms = ["invalid ciphertext: no prefix", "invalid ciphertext: could not decrypt"];
    for said in forms.into_iter().chain(["cipher: message authentication failed"]) {
        assert!(matches!(told(said), KeyStoreError::Refused(_)), "{said}");
    }
    // The same words from something else are no judgement.
    server.put([Answer::errors(500, &["cipher: message authentication failed"])]);
    assert!(matches!(decrypt(&store), KeyStoreError::Unavailable(_)));
}

#[test]
fn a_start_is_told_what_is_wrong() {
    let health = |version: &str| {
        Answer::json(200, &json!({ "initialized": true, "sealed": false, "version": version }))
    };
    let sealed = json!({ "initialized": true, "sealed": true, "version": "2.4.4" });
    let cases = [
        (vec![Answer::json(503, &sealed)], "is sealed"),
        (vec![health("1.12.3")], "Vault 1.13 and every OpenBao do"),
        (vec![Answer::json(200, &json!({ "status": "ok" }))], "see that it is Vault or OpenBao"),
        (vec![health("2.4.4"), Answer::errors(403, &["permission denied"])], "renew it"),
        (vec![health("2.4.4"), Answer::errors(404, &["unsupported path"])], "no transit engine"),
    ];
    for (answers, words) in cases {
        let server = Transit::start();
        server.put(answers);
        let why = vault(&config(&server)).check().unwrap_err().to_string();
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn a_token_that_was_renewed_in_its_file_is_used_from_then_on() {
    let server = Transit::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let told = VaultConfig { token: VaultToken::File(path.clone()), ..config(&server) };
    let store = vault(&told);
    store.create("key-a").unwrap();
    server.state().token = "hvs.new".to_owned();
    server.seen();
    // Not renewed yet: asked once, not twice with the same.
    let why = store.destroy("key-b").unwrap_err().to_string();
    assert!(why.contains("refuses the token"), "{why}");
    assert_eq!(server.seen().len(), 1);
    fs::write(&path, "hvs.new\n").unwrap();
    store.destroy("key-b").unwrap();
    assert_eq!(server.seen().len(), 2);
    store.destroy("key-b").unwrap();
    assert_eq!(server.seen().len(), 1);
    fs::remove_file(&path).unwrap();
    store.destroy("key-b").unwrap();
    server.state().token = "hvs.newer".to_owned();
    let why = store.destroy("key-b").unwrap_err().to_string();
    assert!(why.contains("cannot read the token of Vault"), "{why}");
    assert!(!why.contains("hvs"), "{why}");
}

#[test]
fn no_redirect_is_followed() {
    let (server, other) = (Transit::start(), Transit::start());
    let store = vault(&config(&server));
    for status in [301, 302, 303, 307, 308] {
        for address in [other.address(), server.address()] {
            let headers = format!("location: http://{address}/v1/transit/decrypt/x\r\n");
            server.put([Answer { status, headers, body: String::new() }]);
            let why = decrypt(&store).to_string();
            assert!(why.contains("give the address of the active node"), "{why}");
        }
    }
    assert_eq!(server.seen().len(), 10);
    assert_eq!(other.seen(), []);
}

#[test]
fn what_never_answers_is_waited_for_only_so_long() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let token = VaultToken::Given(TOKEN.to_owned());
    let mut told = VaultConfig::new(format!("http://{}", silent.local_addr().unwrap()), token);
    told.timeout = Duration::from_millis(200);
    let began = Instant::now();
    let why = decrypt(&vault(&told)).to_string();
    assert!(why.contains("does not answer"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(silent);
    let why = decrypt(&vault(&told)).to_string();
    assert!(why.contains("Connection refused") && why.contains("see that it runs"), "{why}");
    assert!(!why.contains(TOKEN) && !why.contains("key-a"), "{why}");
}

#[test]
fn tls_and_whose_certificate_it_is() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let server = Transit::start_with(Some(Arc::new(tls)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    fs::write(&path, cert.pem()).unwrap();
    let port = server.address().port();
    let trusting = VaultConfig {
        authority: Some(path.clone()),
        ..VaultConfig::new(format!("https://localhost:{port}"), VaultToken::Given(TOKEN.to_owned()))
    };
    let store = vault(&trusting);
    store.check().unwrap();
    assert_eq!(store.create("key-a").unwrap(), HELD[0]);
    // Another name than that of the certificate, and no reason to trust it.
    let other = VaultConfig { address: format!("https://127.0.0.1:{port}"), ..trusting.clone() };
    let doubting = VaultConfig { authority: None, ..trusting.clone() };
    server.seen();
    for told in [other, doubting] {
        let why = vault(&told).check().unwrap_err().to_string();
        assert!(why.contains("ertificate"), "{why}");
    }
    assert_eq!(server.seen(), []);
    fs::write(&path, "no certificate").unwrap();
    let why = VaultKeys::open(&trusting, runtime().handle()).err().unwrap();
    assert!(why.contains("has no certificate in PEM"), "{why}");
}
