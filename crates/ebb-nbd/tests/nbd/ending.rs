//! Ends of connections, and clients that hold up nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ebb_nbd::client::{Client, ClientError};
use ebb_nbd::wire::{Command, MAX_PAYLOAD, Request};
use ebb_nbd::{Exports, Limits};

use crate::fixture::{Fixture, Raw, SIZE};
use crate::volume::{MemoryVolume, When};

const SOON: Duration = Duration::from_secs(3);

/// A client that asks for much and reads nothing, until the server can send it no more.
fn stuck(fixture: &Fixture) -> Raw {
    let mut raw = fixture.transmission(false);
    for cookie in 0..100 {
        raw.request(Command::Read, 0, cookie, 0, SIZE as u32);
    }
    // The sockets' buffers hold a few MiB of the 100.
    let mut before = usize::MAX;
    loop {
        thread::sleep(Duration::from_millis(50));
        let now = fixture.volume.submitted.load(Ordering::SeqCst);
        if now > 0 && now == before {
            assert!(now < 100, "the server holds all replies of a client that reads none");
            return raw;
        }
        before = now;
    }
}

#[test]
fn a_client_that_reads_no_replies_holds_up_nobody_else() {
    for when in [When::AtOnce, When::Elsewhere] {
        let fixture = Fixture::new();
        // Both clients' requests complete on one thread, which a blocked reply would stop.
        fixture.volume.completes(when);
        let mut stuck = stuck(&fixture);
        let mut other = fixture.transmission(false);
        other.request(Command::Write, 0, 1, 0, 4);
        other.send(b"more");
        assert_eq!(other.simple_reply().error, None);
        other.request(Command::Flush, 0, 2, 0, 0);
        assert_eq!(other.simple_reply().error, None);
        // The stuck client gets everything once it reads.
        for _ in 0..100 {
            assert_eq!(stuck.simple_reply().error, None);
            stuck.bytes(SIZE as u32);
        }
    }
}

#[test]
fn completing_for_a_client_that_reads_no_replies_does_not_block() {
    // More than the sockets' buffers hold, and less than the server lets be under way: its thread
    // waits for further requests meanwhile.
    for many in [1, 40] {
        let fixture = Fixture::new();
        fixture.volume.completes(When::Hold);
        let mut raw = fixture.transmission(false);
        for cookie in 0..many {
            raw.request(Command::Read, 0, cookie, 0, SIZE as u32);
        }
        fixture.volume.wait_until_held(many as usize);
        thread::sleep(Duration::from_millis(50));
        let volume = Arc::clone(&fixture.volume);
        let completing = thread::spawn(move || volume.release());
        let began = Instant::now();
        while !completing.is_finished() {
            assert!(began.elapsed() < SOON, "a completion waits for a socket");
            thread::yield_now();
        }
        for _ in 0..many {
            assert_eq!(raw.simple_reply().error, None);
            raw.bytes(SIZE as u32);
        }
    }
}

#[test]
fn what_does_not_go_out_at_once_of_a_lone_reply_follows() {
    let fixture = Fixture::new();
    let volume = MemoryVolume::new(MAX_PAYLOAD as usize);
    fixture.exports.publish("large", volume.clone());
    let mut client = Client::connect_tcp(fixture.address, "large").unwrap();
    let data: Vec<u8> = (0..MAX_PAYLOAD as usize).map(|index| (index % 241) as u8).collect();
    client.write(0, &data).unwrap();
    volume.completes(When::Hold);
    for length in [4096, data.len(), 8192] {
        let mut read = vec![0; length];
        thread::scope(|scope| {
            let reading = scope.spawn(|| client.read(0, &mut read));
            volume.wait_until_held(1);
            // Until the connection's thread waits for input.
            thread::sleep(Duration::from_millis(50));
            volume.release();
            reading.join().unwrap().unwrap();
        });
        assert!(read == data[..length], "{length} bytes");
    }
}

#[test]
fn withdraw_cuts_a_stuck_client_after_the_grace() {
    for when in [When::AtOnce, When::Elsewhere] {
        let grace = Duration::from_millis(300);
        let fixture = Fixture::with(Exports::with_grace(grace), Limits::default());
        fixture.volume.completes(when);
        let _stuck = stuck(&fixture);
        let began = Instant::now();
        fixture.exports.withdraw("disk");
        assert!(began.elapsed() >= grace);
        assert!(began.elapsed() < grace + Duration::from_millis(900), "it left before the margin");
        assert_eq!(Arc::strong_count(&fixture.volume), 1);
    }
}

#[test]
fn a_flush_under_way_is_answered_before_its_export_goes() {
    let fixture = Fixture::new();
    fixture.volume.completes(When::HoldFlush);
    let mut raw = fixture.transmission(false);
    raw.request(Command::Flush, 0, 42, 0, 0);
    fixture.volume.wait_until_held(1);
    let exports = Arc::clone(&fixture.exports);
    let withdrawing = thread::spawn(move || exports.withdraw("disk"));
    while !fixture.exports.names().is_empty() {
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(100));
    assert!(!withdrawing.is_finished(), "the flush has not completed");
    // Sent after the withdrawal began: it is never read.
    raw.request(Command::WriteZeroes, 0, 43, 0, 4096);
    fixture.volume.release();
    let reply = raw.simple_reply();
    assert_eq!((reply.cookie, reply.error), (42, None));
    assert_eq!(raw.rest(), b"");
    withdrawing.join().unwrap();
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 1);
    assert_eq!(Arc::strong_count(&fixture.volume), 1, "the handle is let go");
    let error = Client::connect_tcp(fixture.address, "disk").unwrap_err();
    assert!(matches!(error, ClientError::NoSuchExport(_)));
}

#[test]
fn a_request_that_came_before_the_withdrawal_but_was_not_begun_is_not_made() {
    let limits = Limits { requests_under_way: 1, ..Limits::default() };
    let fixture = Fixture::with(Exports::new(), limits);
    fixture.volume.completes(When::HoldFlush);
    let mut raw = fixture.transmission(false);
    let request =
        |command, cookie| Request { flags: 0, command, cookie, offset: 0, length: 0 }.encode();
    // In one piece, so that both are in the server's buffer.
    raw.send(&[request(Command::Flush, 42), request(Command::Flush, 43)].concat());
    fixture.volume.wait_until_held(1);
    thread::scope(|scope| {
        scope.spawn(|| fixture.exports.withdraw("disk"));
        while !fixture.exports.names().is_empty() {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(100));
        fixture.volume.release();
        assert_eq!(raw.simple_reply().cookie, 42);
        assert_eq!(raw.rest(), b"");
    });
    assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), 1);
}

#[test]
fn withdraw_under_load_loses_no_answered_write() {
    for when in [When::AtOnce, When::FlushElsewhere, When::Elsewhere] {
        let fixture = Fixture::new();
        fixture.volume.completes(when);
        let writers: Vec<_> = (0..4_u64)
            .map(|index| {
                let mut client = fixture.client();
                thread::spawn(move || {
                    let start = index * 4096;
                    let mut answered = 0_u32;
                    loop {
                        let next = (answered + 1).to_be_bytes();
                        let flushed = client.write(start, &next).and_then(|()| client.flush());
                        match flushed {
                            Ok(()) => answered += 1,
                            Err(ClientError::Io(_)) => return (start, answered),
                            Err(other) => panic!("not a lost connection: {other}"),
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        fixture.exports.withdraw("disk");
        assert!(began.elapsed() < SOON);
        let content = fixture.volume.content();
        let submitted = fixture.volume.submitted.load(Ordering::SeqCst);
        for writer in writers {
            let (start, answered) = writer.join().unwrap();
            let start = start as usize;
            let found = u32::from_be_bytes(content[start..start + 4].try_into().unwrap());
            assert!(answered > 0);
            assert!((answered..=answered + 1).contains(&found), "{answered} {found}");
        }
        assert_eq!(fixture.volume.content(), content, "nothing was written after the withdrawal");
        assert_eq!(fixture.volume.submitted.load(Ordering::SeqCst), submitted);
    }
}

#[test]
fn a_volume_that_does_not_complete_delays_withdraw_by_the_grace_alone() {
    let grace = Duration::from_millis(200);
    let fixture = Fixture::with(Exports::with_grace(grace), Limits::default());
    fixture.volume.completes(When::Hold);
    let mut raw = fixture.transmission(false);
    raw.request(Command::Flush, 0, 1, 0, 0);
    fixture.volume.wait_until_held(1);
    let began = Instant::now();
    fixture.exports.withdraw("disk");
    assert!(began.elapsed() >= grace && began.elapsed() < grace + SOON);
    assert_eq!(raw.rest(), b"", "the connection was cut");
    // The thread that waits for the volume goes when the volume completes.
    fixture.volume.release();
    let began = Instant::now();
    while Arc::strong_count(&fixture.volume) > 1 {
        assert!(began.elapsed() < SOON);
        thread::yield_now();
    }
}

#[test]
fn publishing_again_ends_the_former_connections() {
    let fixture = Fixture::new();
    let mut former = fixture.client();
    former.write(0, b"former").unwrap();
    let volume = MemoryVolume::new(4096);
    fixture.exports.publish("disk", volume);
    assert!(matches!(former.write(0, b"x"), Err(ClientError::Io(_))));
    let mut client = fixture.client();
    assert_eq!(client.size_bytes(), 4096);
    client.write(0, b"later!").unwrap();
    assert_eq!(&fixture.volume.content()[..6], b"former");
}

#[test]
fn withdrawing_one_export_leaves_the_others() {
    let fixture = Fixture::new();
    fixture.exports.publish("other", MemoryVolume::new(4096));
    let mut other = Client::connect_tcp(fixture.address, "other").unwrap();
    let _disk = fixture.client();
    fixture.exports.withdraw("disk");
    fixture.exports.withdraw("never there");
    other.flush().unwrap();
    assert_eq!(fixture.exports.names(), ["other"]);
}

#[test]
fn shutdown_is_not_delayed_by_idle_connections() {
    let fixture = Fixture::new();
    let mut idle = fixture.transmission(false);
    let mut negotiating = fixture.raw();
    negotiating.greet(3);
    let mut silent = fixture.raw();
    assert_eq!(silent.bytes(18).len(), 18);
    let began = Instant::now();
    fixture.server.shutdown(Duration::from_secs(10));
    assert!(began.elapsed() < SOON);
    for raw in [&mut idle, &mut negotiating, &mut silent] {
        assert_eq!(raw.rest(), b"");
    }
    assert!(std::net::TcpStream::connect(fixture.address).is_err(), "nobody listens");
}

#[test]
fn shutdown_answers_what_is_under_way() {
    let fixture = Fixture::new();
    fixture.volume.completes(When::HoldFlush);
    let mut raw = fixture.transmission(true);
    raw.request(Command::Flush, 0, 42, 0, 0);
    fixture.volume.wait_until_held(1);
    thread::scope(|scope| {
        scope.spawn(|| fixture.server.shutdown(Duration::from_secs(10)));
        thread::sleep(Duration::from_millis(100));
        fixture.volume.release();
        assert_eq!(raw.simple_reply().cookie, 42);
        assert_eq!(raw.rest(), b"");
    });
}

#[test]
fn a_client_that_says_goodbye_gets_its_answers_first() {
    let fixture = Fixture::new();
    fixture.volume.completes(When::HoldFlush);
    let mut raw = fixture.transmission(false);
    raw.request(Command::Flush, 0, 1, 0, 0);
    raw.request(Command::Disconnect, 0, 2, 0, 0);
    fixture.volume.wait_until_held(1);
    fixture.volume.release();
    assert_eq!(raw.simple_reply().cookie, 1);
    assert_eq!(raw.rest(), b"");
}

#[test]
fn requests_under_way_are_bounded_in_number_and_bytes() {
    for (limits, length, most) in [
        (Limits { requests_under_way: 5, ..Limits::default() }, 4096, 5),
        (Limits { bytes_under_way: 64 << 10, ..Limits::default() }, 16 << 10, 4),
        (Limits { bytes_under_way: 1024, ..Limits::default() }, 4096, 1),
    ] {
        let fixture = Fixture::with(Exports::new(), limits);
        fixture.volume.completes(When::Hold);
        let mut raw = fixture.transmission(false);
        for cookie in 0..20 {
            raw.request(Command::Write, 0, cookie, 0, length);
            raw.send(&vec![1; length as usize]);
        }
        let mut answered = 0;
        while answered < 20 {
            fixture.volume.wait_until_held(most.min(20 - answered));
            thread::sleep(Duration::from_millis(20));
            let submitted = fixture.volume.submitted.load(Ordering::SeqCst);
            assert!(submitted - answered <= most, "{submitted} - {answered} > {most}");
            fixture.volume.release();
            for _ in answered..submitted {
                assert_eq!(raw.simple_reply().error, None);
            }
            answered = submitted;
        }
    }
}

#[test]
fn many_connections_come_and_go_under_load() {
    let fixture = Fixture::new();
    fixture.volume.completes(When::FlushElsewhere);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for index in 0..4_u64 {
            let (fixture, done) = (&fixture, &done);
            scope.spawn(move || {
                let mut count = 0_u8;
                while !done.load(Ordering::SeqCst) {
                    count = count.wrapping_add(1);
                    let mut client = fixture.client();
                    client.write(index * 4096, &[count; 4096]).unwrap();
                    client.flush().unwrap();
                    let mut read = [0; 4096];
                    client.read(index * 4096, &mut read).unwrap();
                    assert!(read.iter().all(|byte| *byte == count));
                    if count.is_multiple_of(2) {
                        client.disconnect().unwrap();
                    }
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        done.store(true, Ordering::SeqCst);
    });
    fixture.exports.withdraw("disk");
    assert_eq!(Arc::strong_count(&fixture.volume), 1);
}

#[test]
fn the_largest_read_and_write_are_served() {
    let fixture = Fixture::new();
    let length = MAX_PAYLOAD as usize;
    fixture.exports.publish("large", MemoryVolume::new(length + 4096));
    let mut client = Client::connect_tcp(fixture.address, "large").unwrap();
    let data: Vec<u8> = (0..length + 4096).map(|index| (index % 241) as u8).collect();
    client.write(0, &data).unwrap();
    let mut read = vec![0; data.len()];
    client.read(0, &mut read).unwrap();
    assert!(read == data);
}
