//! Requests that come in together go to the volume together, and nothing waits for that.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use ebb_nbd::wire::{Command, Request};
use ebb_nbd::{Exports, Limits};

use crate::fixture::{Fixture, Raw};
use crate::volume::When;

/// So many writes of a block each, to be sent by one call.
fn writes(many: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for cookie in 0..many {
        let (flags, command, length) = (0, Command::Write, 4096);
        let request = Request { flags, command, cookie, offset: 4096 * cookie, length };
        bytes.extend_from_slice(&request.encode());
        bytes.extend_from_slice(&[cookie as u8 + 1; 4096]);
    }
    bytes
}

/// Takes so many replies, in any order; each is of success and comes once.
fn take_replies(raw: &mut Raw, many: u64) {
    let mut cookies = BTreeSet::new();
    for _ in 0..many {
        let reply = raw.simple_reply();
        assert_eq!(reply.error, None);
        assert!(cookies.insert(reply.cookie), "{} came twice", reply.cookie);
    }
    assert_eq!(cookies, (0..many).collect());
}

#[test]
fn writes_that_come_in_together_are_submitted_together() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    let mut most = 0;
    // How much of it one read returns is the system's to say.
    for _ in 0..100 {
        raw.send(&writes(8));
        take_replies(&mut raw, 8);
        most = fixture.volume.most_together.load(Ordering::SeqCst);
        if most > 1 {
            break;
        }
    }
    assert!((2..=8).contains(&most), "{most} at most went together");
    for (block, bytes) in fixture.volume.content().chunks(4096).take(8).enumerate() {
        assert!(bytes.iter().all(|byte| *byte == block as u8 + 1), "block {block}");
    }
}

#[test]
fn as_many_as_a_guest_has_under_way_go_together() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    let mut most = 0;
    for _ in 0..1000 {
        raw.send(&writes(32));
        take_replies(&mut raw, 32);
        most = fixture.volume.most_together.load(Ordering::SeqCst);
        // They are twice what the server reads ahead.
        if most > 20 {
            break;
        }
    }
    assert!((21..=32).contains(&most), "{most} at most went together");
}

#[test]
fn half_a_request_keeps_none_before_it_waiting() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    let bytes = writes(4);
    let (whole, half) = (3 * bytes.len() / 4, 3 * bytes.len() / 4 + 100);
    for cut in [whole + 5, half] {
        raw.send(&bytes[..cut]);
        take_replies(&mut raw, 3);
        raw.send(&bytes[cut..]);
        assert_eq!(raw.simple_reply().cookie, 3);
    }
}

#[test]
fn more_than_may_be_under_way_are_all_answered() {
    for (requests, bytes) in [(3, 1 << 20), (100, 10_000)] {
        for elsewhere in [false, true] {
            let limits = Limits {
                requests_under_way: requests,
                bytes_under_way: bytes,
                server_requests_under_way: requests,
                server_bytes_under_way: bytes,
                ..Limits::default()
            };
            let fixture = Fixture::with(Exports::new(), limits);
            if elsewhere {
                fixture.volume.completes(When::Elsewhere);
            }
            let mut raw = fixture.transmission(false);
            raw.send(&writes(50));
            take_replies(&mut raw, 50);
        }
    }
}

#[test]
fn what_came_in_before_an_end_is_done() {
    for violation in [false, true] {
        let fixture = Fixture::new();
        let mut raw = fixture.transmission(false);
        let mut bytes = writes(5);
        let (command, length) = (Command::Disconnect, 0);
        let end = Request { flags: 0, command, cookie: 9, offset: 0, length }.encode();
        match violation {
            true => bytes.extend_from_slice(&[0xee; 28]),
            false => bytes.extend_from_slice(&end),
        }
        raw.send(&bytes);
        take_replies(&mut raw, 5);
        assert!(raw.rest().is_empty(), "nothing follows");
        assert_eq!(fixture.volume.content()[4 * 4096], 5);
    }
}
