//! Reads, writes and the other commands, through the client.

use std::os::unix::net::UnixListener;

use crate::fixture::{Fixture, SIZE};
use crate::volume::When;
use ebb_nbd::client::{Client, ClientError};
use ebb_nbd::wire::Errno;

fn refusal<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> Errno {
    match outcome {
        Err(ClientError::Refused { error, .. }) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_is_written_is_read_whenever_the_volume_completes() {
    for when in [When::AtOnce, When::FlushElsewhere, When::Elsewhere] {
        let fixture = Fixture::new();
        fixture.volume.completes(when);
        let mut client = fixture.client();
        assert_eq!(client.size_bytes(), SIZE as u64);
        let data: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
        client.write(4097, &data).unwrap();
        client.write_durably(10, b"head").unwrap();
        client.flush().unwrap();
        let mut read = vec![0; data.len()];
        client.read(4097, &mut read).unwrap();
        assert!(read == data);
        assert_eq!(&fixture.volume.content()[10..14], b"head");
        client.disconnect().unwrap();
    }
}

#[test]
fn trim_is_inward_and_write_zeroes_is_exact() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    client.write(0, &[7; 16384]).unwrap();
    client.cache(0, 16384).unwrap();
    client.trim(100, 8192).unwrap();
    client.write_zeroes(12_289, 4_094).unwrap();
    let content = fixture.volume.content();
    assert!(content[..4096].iter().all(|byte| *byte == 7));
    assert!(content[4096..8192].iter().all(|byte| *byte == 0));
    assert!(content[8192..12_289].iter().all(|byte| *byte == 7));
    assert!(content[12_289..16_383].iter().all(|byte| *byte == 0));
    assert_eq!(content[16_383], 7);
}

#[test]
fn past_the_end_is_refused_and_the_connection_goes_on() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let end = SIZE as u64;
    assert_eq!(refusal(client.read(end - 1, &mut [0; 2])), Errno::Inval);
    assert_eq!(refusal(client.trim(end - 1, 2)), Errno::Inval);
    assert_eq!(refusal(client.write(end - 1, &[1; 2])), Errno::NoSpc);
    assert_eq!(refusal(client.write_zeroes(end - 1, 2)), Errno::NoSpc);
    assert_eq!(refusal(client.read(u64::MAX, &mut [0; 2])), Errno::Inval);
    client.write(end - 1, &[1]).unwrap();
}

#[test]
fn a_unix_socket_serves_the_same_exports() {
    let fixture = Fixture::new();
    let folder = std::env::temp_dir().join(format!("ebb-nbd-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("nbd.sock");
    fixture.server.listen_unix(UnixListener::bind(&path).unwrap()).unwrap();
    let mut unix = Client::connect_unix(&path, "disk").unwrap();
    unix.write(0, b"by unix").unwrap();
    let mut read = [0; 7];
    fixture.client().read(0, &mut read).unwrap();
    assert_eq!(&read, b"by unix");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_export_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let error = Client::connect_tcp(fixture.address, "other").unwrap_err();
    assert!(matches!(error, ClientError::NoSuchExport(name) if name == "other"));
}
