//! The codec: bytes known from proto.md, round trips, and arbitrary input.

use ebb_nbd::wire::{
    Choice, Chunk, ChunkKind, Command, Descriptor, Errno, ErrorChunk, Malformed, MetaQuery,
    OptionHeader, OptionKind, OptionReply, Reply, ReplyTo, Request, SimpleReply,
    decode_meta_context, decode_server, decode_status, encode_meta_context, encode_server,
    encode_status,
};
use proptest::prelude::*;

#[test]
fn a_request_has_the_bytes_of_the_protocol() {
    let request =
        Request { flags: 1, command: Command::WriteZeroes, cookie: 2, offset: 3, length: 4 };
    let expected = [
        0x25, 0x60, 0x95, 0x13, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0,
        0, 4,
    ];
    assert_eq!(request.encode(), expected);
}

#[test]
fn replies_have_the_bytes_of_the_protocol() {
    let simple = Reply::simple(7, Some(Errno::NoSpc), bytes::Bytes::new());
    assert_eq!(simple.head(), [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 7]);
    let to = ReplyTo { cookie: 7, offset: 9, extended: false };
    let data = Reply::data(to, bytes::Bytes::from_static(b"xyz"));
    let expected = [
        0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0,
        0, 9,
    ];
    assert_eq!(data.head(), expected);
    assert_eq!(data.body(), b"xyz");
}

#[test]
fn extended_headers_have_the_bytes_of_the_protocol() {
    let request = Request {
        flags: 0x20,
        command: Command::Write,
        cookie: 2,
        offset: 3,
        length: 0x1_0000_0004,
    };
    let expected = [
        0x21, 0xe4, 0x1c, 0x71, 0, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0,
        0, 0, 1, 0, 0, 0, 4,
    ];
    assert_eq!(request.encode_extended(), expected);
    let to = ReplyTo { cookie: 7, offset: 9, extended: true };
    let expected = [
        0x6e, 0x8a, 0x27, 0x8c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0,
        0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 9,
    ];
    assert_eq!(Reply::data(to, bytes::Bytes::from_static(b"xyz")).head(), expected);
    let none = Reply::none(to);
    assert_eq!((none.head().len(), none.body().len()), (32, 0));
    let mut long = [0; 32];
    long[..4].copy_from_slice(&expected[..4]);
    long[27] = 1;
    assert_eq!(Chunk::decode_extended(&long), Err(Malformed::Length(1 << 32)));
}

#[test]
fn lengths_that_do_not_add_up_are_malformed() {
    let choice = Choice { name: "disk".into(), wants: vec![0, 3] }.encode();
    for end in 0..choice.len() {
        assert_eq!(Choice::decode(&choice[..end]), Err(Malformed::Short), "{end}");
    }
    assert_eq!(Choice::decode(&[&choice[..], &[0]].concat()), Err(Malformed::Long));
    assert_eq!(Choice::decode(&[0xff; 9]), Err(Malformed::LongString));
    assert_eq!(Choice::decode(&[0, 0, 0, 1, 0xff, 0, 0]), Err(Malformed::Text));
    // Four thousand million queries are announced; none is there.
    assert_eq!(MetaQuery::decode(&[0, 0, 0, 0, 255, 255, 255, 255]), Err(Malformed::Short));
}

#[test]
fn block_status_has_the_bytes_of_the_protocol() {
    let told = [Descriptor { length: 4096, state: 3 }, Descriptor { length: 1 << 31, state: 0 }];
    let expected = [0, 0, 0, 7, 0, 0, 16, 0, 0, 0, 0, 3, 0x80, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(encode_status(7, &told, false), expected);
    let expected = [
        0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0x80,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(encode_status(7, &told, true), expected);
    let to = ReplyTo { cookie: 7, offset: 9, extended: false };
    let head = [0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 20];
    let told = told.to_vec();
    assert_eq!(Reply::status(to, &[(1, told.clone())]).head(), head);
    let both = Reply::status(to, &[(1, told.clone()), (2, told)]);
    let (first, second) = both.body().split_at(20);
    assert_eq!(both.head()[4..6], [0, 0], "another chunk follows");
    assert_eq!((&first[..4], &second[..20]), (&[0, 0, 0, 1][..], &head[..]));
    assert_eq!((&second[20..24], second.len()), (&[0, 0, 0, 2][..], 40));
    let hole = Reply::hole(to, 0x0102_0304);
    let head = [0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 12];
    assert_eq!((hole.head(), hole.body()), (&head[..], &[0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4][..]));
    assert_eq!(Command::BlockStatus.code(), 7);
    assert_eq!(encode_meta_context(1, "a:b"), b"\0\0\0\x01a:b");
}

#[test]
fn every_error_number_is_read_back() {
    for error in [
        Errno::Perm,
        Errno::Io,
        Errno::NoMem,
        Errno::Inval,
        Errno::NoSpc,
        Errno::Overflow,
        Errno::NotSup,
        Errno::Shutdown,
    ] {
        assert_eq!(Errno::from_wire(error as u32), error);
    }
    assert_eq!(Errno::from_wire(4711), Errno::Inval);
}

proptest! {
    #[test]
    fn headers_come_back(a: u16, b: u16, cookie: u64, offset: u64, length: u32, done: bool) {
        let command = Command::from_code(b);
        prop_assert_eq!(command.code(), b);
        let request = Request { flags: a, command, cookie, offset, length: length.into() };
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));

        let long = Request { length: offset, ..request };
        prop_assert_eq!(Request::decode_extended(&long.encode_extended()), Ok(long));

        let chunk = Chunk { done, kind: ChunkKind::from_code(a), cookie, length };
        prop_assert_eq!(chunk.kind.code(), a);
        prop_assert_eq!(Chunk::decode(&chunk.encode()), Ok(chunk));

        let extended = Chunk::decode_extended(&chunk.encode_extended(offset));
        prop_assert_eq!(extended, Ok((chunk, offset)));

        // Small numbers are the known options.
        let kind = OptionKind::from_code(u32::from(a) % 16);
        prop_assert_eq!(kind.code(), u32::from(a) % 16);
        let header = OptionHeader { kind, length };
        prop_assert_eq!(OptionHeader::decode(&header.encode()), Ok(header));
        let reply = OptionReply { option: kind, kind: length, length };
        prop_assert_eq!(OptionReply::decode(&reply.encode()), Ok(reply));

        let simple = SimpleReply { error: done.then_some(Errno::Io), cookie };
        prop_assert_eq!(SimpleReply::decode(&simple.encode()), Ok(simple));
    }

    #[test]
    fn option_data_comes_back(
        name in ".{0,40}",
        wants in proptest::collection::vec(any::<u16>(), 0..20),
        queries in proptest::collection::vec(".{0,20}", 0..8),
    ) {
        let choice = Choice { name: name.clone(), wants };
        prop_assert_eq!(Choice::decode(&choice.encode()), Ok(choice));
        let server = encode_server(&name);
        prop_assert_eq!(decode_server(&server), Ok(name.as_str()));
        let query = MetaQuery { name, queries };
        prop_assert_eq!(MetaQuery::decode(&query.encode()), Ok(query));
    }

    #[test]
    fn statuses_come_back(
        told in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..9),
        id: u32,
        name in ".{0,40}",
    ) {
        let descriptor = |(length, state): (u32, u32)| Descriptor { length: length.into(), state };
        let told: Vec<_> = told.into_iter().map(descriptor).collect();
        for extended in [false, true] {
            let payload = encode_status(id, &told, extended);
            prop_assert_eq!(decode_status(&payload, extended), Ok((id, told.clone())));
        }
        let context = encode_meta_context(id, &name);
        prop_assert_eq!(decode_meta_context(&context), Ok((id, &name[..])));
    }

    #[test]
    fn errors_come_back(message in ".{0,60}", offset: Option<u64>) {
        let error = ErrorChunk { error: Errno::Io, message, offset };
        let kind = if offset.is_some() { ChunkKind::ErrorOffset } else { ChunkKind::Error };
        prop_assert_eq!(ErrorChunk::decode(kind, &error.encode()), Ok(error));
    }

    #[test]
    fn arbitrary_bytes_are_decoded_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        code: u16,
    ) {
        if let Ok(choice) = Choice::decode(&bytes) {
            prop_assert_eq!(choice.encode(), &bytes[..]);
        }
        if let Ok(query) = MetaQuery::decode(&bytes) {
            prop_assert_eq!(query.encode(), &bytes[..]);
        }
        let _ = decode_server(&bytes);
        let _ = decode_meta_context(&bytes);
        let _ = decode_status(&bytes, code % 2 == 0);
        let _ = ErrorChunk::decode(ChunkKind::from_code(code), &bytes);
    }
}
