//! The form of replies and of errors, byte by byte.

use std::sync::atomic::Ordering;

use ebb_nbd::wire::{ChunkKind, Command, Errno, MAX_PAYLOAD, command_flags as flag};
use ebb_volume::IoError;

use crate::fixture::{Fixture, SIZE};

#[test]
fn a_simple_read_is_a_reply_and_data() {
    let fixture = Fixture::new();
    fixture.client().write(100, b"content").unwrap();
    let mut raw = fixture.transmission(false);
    raw.request(Command::Read, 0, 9, 100, 7);
    let reply = raw.simple_reply();
    assert_eq!((reply.cookie, reply.error), (9, None));
    assert_eq!(raw.bytes(7), b"content");
}

#[test]
fn a_structured_read_is_one_chunk() {
    let fixture = Fixture::new();
    fixture.client().write(100, b"content").unwrap();
    let mut raw = fixture.transmission(true);
    for flags in [0, flag::DF, flag::FUA] {
        raw.request(Command::Read, flags, 9, 100, 7);
        let (chunk, payload) = raw.chunk();
        assert_eq!((chunk.kind, chunk.done, chunk.cookie), (ChunkKind::OffsetData, true, 9));
        assert_eq!(payload, b"\0\0\0\0\0\0\0\x64content");
    }
    raw.request(Command::Read, 0, 10, 100, 0);
    let (chunk, payload) = raw.chunk();
    assert_eq!((chunk.kind, chunk.done, payload), (ChunkKind::None, true, vec![]));
}

#[test]
fn fua_is_accepted_on_every_command() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    let commands = [Command::Write, Command::Flush, Command::Trim, Command::WriteZeroes];
    for command in commands {
        raw.request(command, flag::FUA, 1, 0, if command == Command::Flush { 0 } else { 4096 });
        if command == Command::Write {
            raw.send(&[1; 4096]);
        }
        assert_eq!(raw.simple_reply().error, None, "{command:?}");
    }
    raw.request(Command::WriteZeroes, flag::NO_HOLE | flag::FAST_ZERO | flag::FUA, 2, 0, 4096);
    assert_eq!(raw.simple_reply().error, None);
}

#[test]
fn what_is_not_served_is_invalid_and_the_connection_goes_on() {
    let fixture = Fixture::new();
    for structured in [false, true] {
        let mut raw = fixture.transmission(structured);
        let mut refused = |command, flags, length: u32, expected| {
            raw.request(command, flags, 3, 0, length);
            if command == Command::Write {
                raw.send(&vec![1; length as usize]);
            }
            let error = if structured {
                raw.error_chunk().1.error
            } else {
                raw.simple_reply().error.unwrap()
            };
            assert_eq!(error, expected, "{command:?} {flags:#x} {length}");
        };
        for unknown in [8, 99, u16::MAX] {
            refused(Command::Unknown(unknown), 0, 4096, Errno::Inval);
        }
        refused(Command::BlockStatus, 0, 4096, Errno::Inval);
        refused(Command::Read, 1 << 9, 4096, Errno::Inval);
        refused(Command::Write, 1 << 9, 4096, Errno::Inval);
        refused(Command::Write, flag::NO_HOLE, 0, Errno::Inval);
        refused(Command::Trim, flag::NO_HOLE, 4096, Errno::Inval);
        refused(Command::Cache, flag::DF, 4096, Errno::Inval);
        refused(Command::Cache, 0, SIZE as u32 + 1, Errno::Inval);
        refused(Command::Flush, flag::DF, 0, Errno::Inval);
        refused(Command::Read, 0, MAX_PAYLOAD + 1, Errno::Inval);
        refused(Command::Read, 0, u32::MAX, Errno::Inval);
        let with_df = if structured { Errno::Overflow } else { Errno::Inval };
        refused(Command::Read, flag::DF, MAX_PAYLOAD + 1, with_df);
        // Not more than 4 GiB, but more than the export.
        refused(Command::Trim, 0, u32::MAX, Errno::Inval);
        refused(Command::WriteZeroes, 0, u32::MAX, Errno::NoSpc);
    }
    assert_eq!(fixture.volume.content(), vec![0; SIZE]);
}

#[test]
fn each_error_of_the_volume_has_its_number() {
    let fixture = Fixture::new();
    let mut simple = fixture.transmission(false);
    let mut structured = fixture.transmission(true);
    for (error, expected, has_offset) in [
        (IoError::NoSpace, Errno::NoSpc, false),
        (IoError::Stale, Errno::Shutdown, false),
        (IoError::Corrupt, Errno::Io, true),
        (IoError::Failed, Errno::Io, true),
        (IoError::OutOfRange, Errno::Inval, false),
    ] {
        fixture.volume.fails(Some(error));
        simple.request(Command::Read, 0, 4, 8192, 16);
        assert_eq!(simple.simple_reply().error, Some(expected));
        structured.request(Command::Read, 0, 4, 8192, 16);
        let (chunk, payload) = structured.error_chunk();
        assert_eq!((chunk.done, chunk.cookie, payload.error), (true, 4, expected));
        assert_eq!(payload.offset, has_offset.then_some(8192));
        assert_eq!(payload.message, error.to_string());
        structured.request(Command::Flush, 0, 5, 0, 0);
        assert_eq!(structured.error_chunk().1.error, expected);
    }
    fixture.volume.fails(Some(IoError::OutOfRange));
    simple.request(Command::WriteZeroes, 0, 4, 0, 4096);
    assert_eq!(simple.simple_reply().error, Some(Errno::NoSpc));
}

#[test]
fn cache_is_answered_without_data_and_reads_no_more_than_a_read_may() {
    let fixture = Fixture::sized(2 * MAX_PAYLOAD as usize);
    for structured in [false, true] {
        let mut raw = fixture.transmission(structured);
        for length in [0, 1, 4096, 2 * MAX_PAYLOAD] {
            raw.request(Command::Cache, 0, 1, 0, length);
            // Data would be read as the next reply.
            assert_eq!(raw.simple_reply().error, None);
        }
    }
    assert_eq!(fixture.volume.longest_read.load(Ordering::SeqCst), u64::from(MAX_PAYLOAD));
    fixture.volume.fails(Some(IoError::Corrupt));
    let mut raw = fixture.transmission(false);
    raw.request(Command::Cache, 0, 1, 0, 4096);
    assert_eq!(raw.simple_reply().error, Some(Errno::Io));
}

#[test]
fn fast_zero_is_refused_where_it_would_be_a_write() {
    let fixture = Fixture::new();
    fixture.client().write(0, &[7; 16384]).unwrap();
    let mut raw = fixture.transmission(false);
    for (offset, length, fast) in [
        (0, 4096, true),
        (4097, 8191, true),
        (0, 4095, false),
        (1, 4096, false),
        (4095, 4096, false),
        (12_289, 4095, false),
        (100, 0, true),
    ] {
        raw.request(Command::WriteZeroes, flag::FAST_ZERO, 1, offset, length);
        let expected = if fast { None } else { Some(Errno::NotSup) };
        assert_eq!(raw.simple_reply().error, expected, "{offset} {length}");
    }
    let content = fixture.volume.content();
    assert!(content[12_288..16_384].iter().all(|byte| *byte == 7), "refused, and done");
}

#[test]
fn a_request_of_no_bytes_changes_nothing_and_is_answered() {
    let fixture = Fixture::new();
    let mut raw = fixture.transmission(false);
    for command in [Command::Read, Command::Write, Command::Trim, Command::WriteZeroes] {
        raw.request(command, 0, 1, SIZE as u64, 0);
        assert_eq!(raw.simple_reply().error, None);
        raw.request(command, 0, 1, SIZE as u64 + 1, 0);
        assert!(raw.simple_reply().error.is_some());
    }
}

#[test]
fn a_request_that_the_volume_loses_is_answered() {
    let fixture = Fixture::new();
    fixture.volume.loses();
    let mut raw = fixture.transmission(false);
    raw.request(Command::Flush, 0, 6, 0, 0);
    let reply = raw.simple_reply();
    assert_eq!((reply.cookie, reply.error), (6, Some(Errno::Io)));
}
