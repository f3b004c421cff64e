//! What the log says, and what it must never say.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use common::{ACCOUNT, KEY, SECRET, Server, V1, V3};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One test, because a process has one log.
#[test]
fn one_line_a_request_and_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let server = Server::start();
    let good = V1::new("Echo", &[("Text", "not-for-the-log")]);
    let signature = good.signed().last().unwrap().1.clone();
    let wrong = V1 { secret: "wrongsecret", ..V1::new("Echo", &[]) };
    let wrong_signature = wrong.signed().last().unwrap().1.clone();
    let forged = V1::new("Echo", &[]).set("Action", "Bad\nrequest status=200");
    let long = V1::new(&"x".repeat(1000), &[]);
    let v3 = V3::new("Echo", &[]).bytes();
    let v3_text = String::from_utf8(v3.clone()).unwrap();
    let v3_signature = v3_text.split_once("Signature=").unwrap().1[..64].to_owned();
    let requests = [
        good.bytes(),
        wrong.bytes(),
        forged.bytes(),
        long.bytes(),
        v3,
        V1::new("Panic", &[]).bytes(),
    ];
    let answers: Vec<_> = requests.iter().map(|request| server.raw(request)).collect();
    drop(server);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(" request ")).collect();
    assert_eq!(lines.len(), requests.len(), "{text}");
    for (answer, line) in answers.iter().zip(&lines) {
        assert!(line.contains(&answer.headers["x-acs-request-id"]), "{line}");
        assert!(line.contains(&format!("status={}", answer.status)), "{line}");
        assert!(line.contains("milliseconds="), "{line}");
        assert!(line.len() < 500, "{line}");
    }
    assert!(lines[0].contains("action=\"Echo\""), "{}", lines[0]);
    assert!(lines[0].contains(&format!("access_key_id=\"{KEY}\"")), "{}", lines[0]);
    assert!(lines[0].contains(&format!("account={ACCOUNT}")), "{}", lines[0]);
    assert!(lines[1].contains("SignatureDoesNotMatch"), "{}", lines[1]);
    assert!(lines[2].contains("action=\"Bad\\nrequest status=200\""), "{}", lines[2]);
    let internal = text.lines().find(|line| line.contains("internal error")).unwrap();
    assert!(internal.contains("Panic panicked: on purpose"), "{internal}");
    assert!(internal.contains(&answers[5].headers["x-acs-request-id"]), "{internal}");
    let never =
        [SECRET, "wrongsecret", &signature, &wrong_signature, &v3_signature, "not-for-the-log"];
    for hidden in never {
        assert!(!text.contains(hidden), "{hidden} is in the log:\n{text}");
    }
}
