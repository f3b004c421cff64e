//! What the tests share: a volume, a server on loopback, and a client that sends raw bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::volume::MemoryVolume;
use ebb_nbd::client::Client;
use ebb_nbd::wire::{
    CHUNK_BYTES, Choice, Chunk, ChunkKind, Command, EXTENDED_CHUNK_BYTES, ErrorChunk, MetaQuery,
    OPTION_REPLY_BYTES, OptionHeader, OptionKind, OptionReply, Request, SIMPLE_REPLY_BYTES,
    SimpleReply, rep,
};
use ebb_nbd::{Exports, Limits, Server};

pub(crate) const SIZE: usize = 1 << 20;

/// No answer takes longer than this in a test that passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server with the export `disk`.
pub(crate) struct Fixture {
    pub(crate) volume: Arc<MemoryVolume>,
    pub(crate) exports: Arc<Exports>,
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Exports::new(), Limits::default())
    }

    pub(crate) fn with(exports: Exports, limits: Limits) -> Self {
        Self::serving(MemoryVolume::new(SIZE), exports, limits)
    }

    pub(crate) fn sized(size_bytes: usize) -> Self {
        Self::serving(MemoryVolume::new(size_bytes), Exports::new(), Limits::default())
    }

    fn serving(volume: Arc<MemoryVolume>, exports: Exports, limits: Limits) -> Self {
        let exports = Arc::new(exports);
        exports.publish("disk", volume.clone());
        let server = Server::start(Arc::clone(&exports), limits);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        server.listen_tcp(listener).unwrap();
        Self { volume, exports, server, address }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect_tcp(self.address, "disk").unwrap()
    }

    /// A raw connection on which nothing has been read or sent.
    pub(crate) fn raw(&self) -> Raw {
        Raw::connect(self.address)
    }

    /// A raw connection whose greeting has been read: connections that have ended leave soon, but
    /// not at once.
    pub(crate) fn connect_when_there_is_room(&self) -> Raw {
        let began = Instant::now();
        loop {
            let mut raw = self.raw();
            match raw.stream.read_exact(&mut [0; 18]) {
                Ok(()) => return raw,
                Err(error) => assert!(began.elapsed() < PATIENCE, "a connection leaked: {error}"),
            }
        }
    }

    /// A raw connection that uses `disk` with extended headers.
    pub(crate) fn extended(&self) -> Raw {
        let mut raw = self.raw();
        raw.greet(3);
        assert_eq!(raw.ask(OptionKind::ExtendedHeaders, &[]).0, rep::ACK);
        raw.go()
    }

    /// A raw connection that uses `disk` and has chosen `base:allocation`.
    pub(crate) fn with_allocation(&self, framing: OptionKind) -> Raw {
        self.raw().with_allocation(framing)
    }

    /// A raw connection that uses `disk`.
    pub(crate) fn transmission(&self, structured: bool) -> Raw {
        self.raw().into_transmission(structured)
    }

    /// A raw connection that uses `disk`, once connections that have ended have left.
    pub(crate) fn transmission_when_there_is_room(&self) -> Raw {
        self.connect_when_there_is_room().greeted_into_transmission(false)
    }
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Else the parts of a message wait for the server's delayed acknowledgements.
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    fn into_transmission(mut self, structured: bool) -> Self {
        let greeting: [u8; 18] = self.array();
        assert_eq!(greeting[16..], [0, 3], "fixed newstyle, no zeroes");
        self.greeted_into_transmission(structured)
    }

    fn greeted_into_transmission(mut self, structured: bool) -> Self {
        self.send(&3_u32.to_be_bytes());
        if structured {
            assert_eq!(self.ask(OptionKind::StructuredReply, &[]).0, rep::ACK);
        }
        self.go()
    }

    /// Chooses `base:allocation` of `disk`, and uses it.
    pub(crate) fn with_allocation(mut self, framing: OptionKind) -> Self {
        self.greet(3);
        assert_eq!(self.ask(framing, &[]).0, rep::ACK);
        let query = MetaQuery { name: "disk".into(), queries: vec!["base:allocation".into()] };
        let (kind, data) = self.ask(OptionKind::SetMetaContext, &query.encode());
        assert_eq!((kind, &data[..]), (rep::META_CONTEXT, &b"\0\0\0\x01base:allocation"[..]));
        assert_eq!(self.option_reply(OptionKind::SetMetaContext), (rep::ACK, vec![]));
        self.go()
    }

    pub(crate) fn go(mut self) -> Self {
        let choice = Choice { name: "disk".into(), wants: vec![] };
        self.option(OptionKind::Go, &choice.encode());
        assert_eq!(self.option_reply(OptionKind::Go).0, rep::INFO);
        assert_eq!(self.option_reply(OptionKind::Go).0, rep::ACK);
        self
    }
}

/// A client that sends whatever it is told.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) fn greet(&mut self, flags: u32) {
        let greeting: [u8; 18] = self.array();
        assert_eq!(&greeting[..16], b"NBDMAGICIHAVEOPT");
        assert_eq!(greeting[16..], [0, 3], "fixed newstyle, no zeroes");
        self.send(&flags.to_be_bytes());
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn bytes(&mut self, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn option(&mut self, kind: OptionKind, data: &[u8]) {
        self.send(&OptionHeader { kind, length: data.len() as u32 }.encode());
        self.send(data);
    }

    pub(crate) fn option_reply(&mut self, option: OptionKind) -> (u32, Vec<u8>) {
        let reply = OptionReply::decode(&self.array::<OPTION_REPLY_BYTES>()).unwrap();
        assert_eq!(reply.option, option);
        (reply.kind, self.bytes(reply.length))
    }

    pub(crate) fn ask(&mut self, kind: OptionKind, data: &[u8]) -> (u32, Vec<u8>) {
        self.option(kind, data);
        self.option_reply(kind)
    }

    pub(crate) fn request(
        &mut self,
        command: Command,
        flags: u16,
        cookie: u64,
        offset: u64,
        length: u32,
    ) {
        self.send(&Request { flags, command, cookie, offset, length: length.into() }.encode());
    }

    pub(crate) fn simple_reply(&mut self) -> SimpleReply {
        SimpleReply::decode(&self.array::<SIMPLE_REPLY_BYTES>()).unwrap()
    }

    pub(crate) fn chunk(&mut self) -> (Chunk, Vec<u8>) {
        let chunk = Chunk::decode(&self.array::<CHUNK_BYTES>()).unwrap();
        (chunk, self.bytes(chunk.length))
    }

    /// The one chunk of an extended reply to a request at `offset`.
    pub(crate) fn extended_chunk(&mut self, offset: u64) -> (Chunk, Vec<u8>) {
        let (chunk, payload) = self.next_extended_chunk(offset);
        assert!(chunk.done);
        (chunk, payload)
    }

    /// One of several.
    pub(crate) fn next_extended_chunk(&mut self, offset: u64) -> (Chunk, Vec<u8>) {
        let header = self.array::<EXTENDED_CHUNK_BYTES>();
        let (chunk, repeated) = Chunk::decode_extended(&header).unwrap();
        assert_eq!(repeated, offset);
        (chunk, self.bytes(chunk.length))
    }

    pub(crate) fn error_chunk(&mut self) -> (Chunk, ErrorChunk) {
        let (chunk, payload) = self.chunk();
        assert!(matches!(chunk.kind, ChunkKind::Error | ChunkKind::ErrorOffset), "{chunk:?}");
        (chunk, ErrorChunk::decode(chunk.kind, &payload).unwrap())
    }

    /// Asserts that the server has closed the connection, and returns what came before that.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        rest
    }
}
