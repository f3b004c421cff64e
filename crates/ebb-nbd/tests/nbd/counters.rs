//! What the counters of an export say.

use ebb_nbd::OperationCounters;
use ebb_nbd::wire::{Command, OptionKind, command_flags as flag};
use ebb_volume::IoError;

use crate::fixture::{Fixture, SIZE};
use crate::volume::{MemoryVolume, When};

fn facts(counters: &OperationCounters) -> (u64, u64, u64) {
    assert_eq!(counters.latency.iter().sum::<u64>(), counters.completed);
    (counters.completed, counters.errors, counters.bytes)
}

#[test]
fn each_answer_counts_once() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    client.write(0, &[1; 10_000]).unwrap();
    client.write(0, &[1; 24]).unwrap();
    client.read(5, &mut [0; 300]).unwrap();
    assert!(client.read(SIZE as u64, &mut [0; 300]).is_err());
    client.flush().unwrap();
    client.trim(0, 8192).unwrap();
    client.write_zeroes(0, 100).unwrap();
    client.cache(0, 4096).unwrap();
    let mut raw = fixture.with_allocation(OptionKind::StructuredReply);
    raw.request(Command::BlockStatus, flag::REQ_ONE, 1, 8192, 16_384);
    raw.chunk();
    raw.request(Command::BlockStatus, 0, 1, 8192, SIZE as u32);
    raw.error_chunk();
    fixture.volume.fails(Some(IoError::Failed));
    assert!(client.flush().is_err());
    fixture.volume.fails(None);
    let mut raw = fixture.transmission(false);
    raw.request(Command::Unknown(77), 0, 1, 0, 0);
    raw.simple_reply();
    raw.request(Command::Trim, flag::DF, 1, 0, 0);
    raw.simple_reply();
    let counters = fixture.exports.counters("disk").unwrap();
    assert_eq!((counters.connections, counters.in_flight), (3, 0));
    assert_eq!(facts(&counters.write), (2, 0, 10_024));
    assert_eq!(facts(&counters.read), (1, 1, 300));
    assert_eq!(facts(&counters.flush), (1, 1, 0));
    assert_eq!(facts(&counters.trim), (1, 1, 8192));
    assert_eq!(facts(&counters.write_zeroes), (1, 0, 100));
    assert_eq!(facts(&counters.cache), (1, 0, 4096));
    // What was told of: the one block that is stored there, not all that was asked about.
    assert_eq!(facts(&counters.block_status), (1, 1, 4096));
    assert_eq!(facts(&counters.unknown), (0, 1, 0));
}

#[test]
fn what_is_under_way_is_in_flight_and_its_wait_is_latency() {
    let fixture = Fixture::new();
    fixture.volume.completes(When::Hold);
    let mut raw = fixture.transmission(false);
    for cookie in 0..3 {
        raw.request(Command::Read, 0, cookie, 0, 8);
    }
    fixture.volume.wait_until_held(3);
    assert_eq!(fixture.exports.counters("disk").unwrap().in_flight, 3);
    std::thread::sleep(std::time::Duration::from_millis(20));
    fixture.volume.release();
    for _ in 0..3 {
        raw.simple_reply();
        raw.bytes(8);
    }
    let counters = fixture.exports.counters("disk").unwrap();
    assert_eq!(counters.in_flight, 0);
    // 16,384 µs are 2 to the 14th.
    assert_eq!(counters.read.latency[15..].iter().sum::<u64>(), 3);
}

#[test]
fn a_request_that_never_arrives_whole_counts_for_nothing() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    raw.request(Command::Write, 0, 1, 0, 4096);
    raw.send(&[9; 100]);
    raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
    raw.rest();
    let counters = fixture.exports.counters("disk").unwrap();
    assert_eq!((facts(&counters.write), counters.in_flight), ((0, 0, 0), 0));
}

#[test]
fn counters_of_a_name_go_on_until_it_is_forgotten() {
    let fixture = Fixture::new();
    let written = || fixture.exports.counters("disk").map(|counters| counters.write.completed);
    fixture.client().write(0, &[1; 10]).unwrap();
    assert_eq!(written(), Some(1));
    fixture.exports.withdraw("disk");
    assert_eq!(written(), Some(1));
    fixture.exports.publish("disk", MemoryVolume::new(SIZE));
    fixture.client().write(0, &[1; 10]).unwrap();
    assert_eq!(written(), Some(2));
    assert_eq!(fixture.exports.counted(), ["disk"]);
    fixture.exports.withdraw("disk");
    fixture.exports.forget("disk");
    assert_eq!((written(), fixture.exports.counters("other")), (None, None));
}
