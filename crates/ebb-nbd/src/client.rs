//! A small blocking client: one request at a time, for demonstrations and tests.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::security::TlsClient;
use crate::socket::Socket;
use crate::stream::{Stream, write_all_vectored};
use crate::wire::{
    CHUNK_BYTES, CHUNK_MAGIC, Choice, Chunk, ChunkKind, Command, Errno, ErrorChunk, FIXED_NEWSTYLE,
    Framing, MAGIC, MAX_PAYLOAD, Malformed, NO_ZEROES, OPTION_MAGIC, OPTION_REPLY_BYTES,
    OptionHeader, OptionKind, OptionReply, Request, SIMPLE_REPLY_BYTES, SimpleReply, command_flags,
    info, rep,
};

/// The most bytes of an option reply or an error chunk that this client takes.
const SMALL_BYTES: u32 = 64 << 10;

/// How long a server may take to begin TLS.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A connection that uses one export.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    size_bytes: u64,
    framing: Framing,
    next_cookie: u64,
}

/// What a client asks for beyond an export.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Extended headers, so that `trim` and `write_zeroes` take any length in one request. Where
    /// the server has none, the client goes on without.
    pub extended: bool,
    /// TLS, before anything is asked. Where the server has none, the client does not go on.
    pub tls: Option<TlsClient>,
}

/// Why the client could not do something.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed or was closed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The server does not know the export.
    #[error("there is no export {0:?}")]
    NoSuchExport(String),
    /// The server refused a request or an option.
    #[error("the server refused: {message} ({error:?})")]
    Refused {
        /// The protocol's number for it.
        error: Errno,
        /// The server's words, or this client's.
        message: String,
    },
    /// The server sent what the protocol does not allow here.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
}

impl From<Malformed> for ClientError {
    fn from(error: Malformed) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl Client {
    /// Connects over TCP.
    ///
    /// # Errors
    /// [`ClientError::NoSuchExport`], [`ClientError::Io`], [`ClientError::Protocol`].
    pub fn connect_tcp(address: impl ToSocketAddrs, export: &str) -> Result<Self, ClientError> {
        Self::connect_tcp_with(address, export, &ClientOptions::default())
    }

    /// Connects over TCP and asks for `options`.
    ///
    /// # Errors
    /// [`ClientError::NoSuchExport`], [`ClientError::Io`], [`ClientError::Protocol`].
    pub fn connect_tcp_with(
        address: impl ToSocketAddrs,
        export: &str,
        options: &ClientOptions,
    ) -> Result<Self, ClientError> {
        Self::connect(Stream::new(Socket::tcp(TcpStream::connect(address)?)?), export, options)
    }

    /// Connects over a Unix socket.
    ///
    /// # Errors
    /// [`ClientError::NoSuchExport`], [`ClientError::Io`], [`ClientError::Protocol`].
    pub fn connect_unix(path: impl AsRef<Path>, export: &str) -> Result<Self, ClientError> {
        Self::connect(
            Stream::new(Socket::Unix(UnixStream::connect(path)?)),
            export,
            &ClientOptions::default(),
        )
    }

    fn connect(stream: Stream, export: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let mut client = Self { stream, size_bytes: 0, framing: Framing::Simple, next_cookie: 0 };
        let greeting: [u8; 18] = client.read_array()?;
        if greeting[..8] != MAGIC.to_be_bytes() || greeting[8..16] != OPTION_MAGIC.to_be_bytes() {
            return Err(ClientError::Protocol("not a newstyle NBD server".into()));
        }
        let flags = u16::from_be_bytes([greeting[16], greeting[17]]) & (FIXED_NEWSTYLE | NO_ZEROES);
        if flags & FIXED_NEWSTYLE == 0 {
            return Err(ClientError::Protocol("not a fixed newstyle NBD server".into()));
        }
        (&client.stream).write_all(&u32::from(flags).to_be_bytes())?;
        if let Some(tls) = &options.tls {
            client.start_tls(tls)?;
        }
        client.agree_on_framing(options.extended)?;
        client.go(export)?;
        Ok(client)
    }

    /// The export's size in bytes when this client connected.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// How requests and replies are framed, as agreed with the server.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Reads `buffer.len()` bytes at `offset`.
    ///
    /// # Errors
    /// [`ClientError`]; part of the buffer may have been filled.
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), ClientError> {
        let mut at = offset;
        for part in buffer.chunks_mut(MAX_PAYLOAD as usize) {
            self.request(Command::Read, 0, at, part.len() as u64, &[], part)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Writes `data` at `offset`. It is durable once a later [`Client::flush`] returns.
    ///
    /// # Errors
    /// [`ClientError`]; of more than 32 MiB, a part may have been written.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), ClientError> {
        self.write_parts(offset, data, 0)
    }

    /// Writes `data` at `offset`; it is durable when this returns.
    ///
    /// # Errors
    /// [`ClientError`]; of more than 32 MiB, a part may have been written.
    pub fn write_durably(&mut self, offset: u64, data: &[u8]) -> Result<(), ClientError> {
        self.write_parts(offset, data, command_flags::FUA)
    }

    /// Makes all completed writes durable, those of other clients included.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn flush(&mut self) -> Result<(), ClientError> {
        self.request(Command::Flush, 0, 0, 0, &[], &mut [])
    }

    /// Says that a range is not needed; its whole blocks read zero afterwards.
    ///
    /// # Errors
    /// [`ClientError`]; of 4 GiB or more, a part may have been done.
    pub fn trim(&mut self, offset: u64, length: u64) -> Result<(), ClientError> {
        self.without_payload(Command::Trim, offset, length)
    }

    /// Says that a range will be read soon.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn cache(&mut self, offset: u64, length: u64) -> Result<(), ClientError> {
        self.without_payload(Command::Cache, offset, length)
    }

    /// Makes a range read zero, exactly.
    ///
    /// # Errors
    /// [`ClientError`]; of 4 GiB or more, a part may have been done.
    pub fn write_zeroes(&mut self, offset: u64, length: u64) -> Result<(), ClientError> {
        self.without_payload(Command::WriteZeroes, offset, length)
    }

    /// Ends the session as the protocol asks. Dropping a client only closes its socket.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn disconnect(mut self) -> Result<(), ClientError> {
        let request = self.next_request(Command::Disconnect, 0, 0, 0);
        self.send(&request, &[])
    }

    fn write_parts(&mut self, offset: u64, data: &[u8], flags: u16) -> Result<(), ClientError> {
        let mut at = offset;
        for part in data.chunks(MAX_PAYLOAD as usize) {
            self.request(Command::Write, flags, at, part.len() as u64, part, &mut [])?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn without_payload(
        &mut self,
        command: Command,
        offset: u64,
        length: u64,
    ) -> Result<(), ClientError> {
        // Whole blocks, so that where a long range is cut no block is left half trimmed.
        const MOST: u64 = (4 << 30) - (1 << 20);
        let most = if self.framing == Framing::Extended { u64::MAX } else { MOST };
        let mut done = 0;
        while done < length {
            let part = most.min(length - done);
            self.request(command, 0, offset + done, part, &[], &mut [])?;
            done += part;
        }
        Ok(())
    }

    fn next_request(&mut self, command: Command, flags: u16, offset: u64, length: u64) -> Request {
        self.next_cookie += 1;
        Request { flags, command, cookie: self.next_cookie, offset, length }
    }

    fn request(
        &mut self,
        command: Command,
        flags: u16,
        offset: u64,
        length: u64,
        data: &[u8],
        into: &mut [u8],
    ) -> Result<(), ClientError> {
        let request = self.next_request(command, flags, offset, length);
        self.send(&request, data)?;
        self.receive(&request, into)
    }

    fn send(&mut self, request: &Request, data: &[u8]) -> Result<(), ClientError> {
        if self.framing != Framing::Extended {
            return self.send_parts(&request.encode(), data);
        }
        let write = request.command == Command::Write;
        let payload = if write { command_flags::PAYLOAD_LEN } else { 0 };
        let request = Request { flags: request.flags | payload, ..*request };
        self.send_parts(&request.encode_extended(), data)
    }

    fn send_parts(&mut self, header: &[u8], data: &[u8]) -> Result<(), ClientError> {
        let parts = &mut [IoSlice::new(header), IoSlice::new(data)];
        Ok(write_all_vectored(&self.stream, parts, |_| false)?)
    }

    fn receive(&mut self, request: &Request, into: &mut [u8]) -> Result<(), ClientError> {
        let mut failure = None;
        loop {
            let Some(chunk) = self.receive_header(request, into)? else { return Ok(()) };
            self.check_cookie(chunk.cookie, request)?;
            if let Err(error) = self.receive_chunk(&chunk, request, into) {
                if !matches!(error, ClientError::Refused { .. }) {
                    return Err(error);
                }
                failure = Some(error);
            }
            if chunk.done {
                return failure.map_or(Ok(()), Err);
            }
        }
    }

    /// The header of a chunk; `None` after a simple reply, which is all of it.
    fn receive_header(
        &mut self,
        request: &Request,
        into: &mut [u8],
    ) -> Result<Option<Chunk>, ClientError> {
        if self.framing == Framing::Extended {
            let (chunk, offset) = Chunk::decode_extended(&self.read_array()?)?;
            if offset != request.offset {
                return Err(ClientError::Protocol("a reply with another offset".into()));
            }
            return Ok(Some(chunk));
        }
        let magic: [u8; 4] = self.read_array()?;
        if u32::from_be_bytes(magic) != CHUNK_MAGIC {
            return self.receive_simple(magic, request, into).map(|()| None);
        }
        Ok(Some(Chunk::decode(&self.read_rest::<CHUNK_BYTES>(magic)?)?))
    }

    fn receive_simple(
        &mut self,
        magic: [u8; 4],
        request: &Request,
        into: &mut [u8],
    ) -> Result<(), ClientError> {
        let reply = SimpleReply::decode(&self.read_rest::<SIMPLE_REPLY_BYTES>(magic)?)?;
        self.check_cookie(reply.cookie, request)?;
        match reply.error {
            None => Ok((&self.stream).read_exact(into)?),
            Some(error) => Err(ClientError::Refused { error, message: error.message().to_owned() }),
        }
    }

    fn receive_chunk(
        &mut self,
        chunk: &Chunk,
        request: &Request,
        into: &mut [u8],
    ) -> Result<(), ClientError> {
        match chunk.kind {
            ChunkKind::None if chunk.length == 0 => Ok(()),
            ChunkKind::OffsetData if chunk.length >= 8 => {
                let offset = u64::from_be_bytes(self.read_array()?);
                let range = part(request, offset, chunk.length - 8, into)?;
                Ok((&self.stream).read_exact(range)?)
            }
            ChunkKind::OffsetHole if chunk.length == 12 => {
                let offset = u64::from_be_bytes(self.read_array()?);
                let length = u32::from_be_bytes(self.read_array()?);
                part(request, offset, length, into)?.fill(0);
                Ok(())
            }
            ChunkKind::Error | ChunkKind::ErrorOffset => {
                let payload = self.read_small(chunk.length)?;
                let ErrorChunk { error, message, .. } = ErrorChunk::decode(chunk.kind, &payload)?;
                Err(ClientError::Refused { error, message })
            }
            _ => Err(ClientError::Protocol("a chunk of a kind that was not asked for".into())),
        }
    }

    fn start_tls(&mut self, tls: &TlsClient) -> Result<(), ClientError> {
        self.option(OptionKind::StartTls, &[])?;
        let (kind, data) = self.option_reply(OptionKind::StartTls)?;
        if kind != rep::ACK {
            let message = String::from_utf8_lossy(&data).into_owned();
            return Err(ClientError::Refused { error: Errno::NotSup, message });
        }
        let session = rustls::ClientConnection::new(Arc::clone(&tls.config), tls.server.clone())
            .map_err(io::Error::other)?;
        self.stream.secure(session.into(), Instant::now() + HANDSHAKE)?;
        Ok(self.stream.set_read_timeout(None)?)
    }

    fn agree_on_framing(&mut self, extended: bool) -> Result<(), ClientError> {
        let wishes = [
            (extended, OptionKind::ExtendedHeaders, Framing::Extended),
            (true, OptionKind::StructuredReply, Framing::Structured),
        ];
        for (_, kind, framing) in wishes.into_iter().filter(|(wished, ..)| *wished) {
            self.option(kind, &[])?;
            // An error is fine: there is the next best, and simple replies in the end.
            if self.option_reply(kind)?.0 == rep::ACK {
                self.framing = framing;
                break;
            }
        }
        Ok(())
    }

    fn go(&mut self, export: &str) -> Result<(), ClientError> {
        let choice = Choice { name: export.to_owned(), wants: vec![info::BLOCK_SIZE] };
        self.option(OptionKind::Go, &choice.encode())?;
        loop {
            let (kind, data) = self.option_reply(OptionKind::Go)?;
            match kind {
                rep::ACK => return Ok(()),
                rep::INFO if data.len() == 12 && data[..2] == info::EXPORT.to_be_bytes() => {
                    let size = data[2..10].try_into().expect("eight bytes");
                    self.size_bytes = u64::from_be_bytes(size);
                }
                rep::ERR_UNKNOWN => return Err(ClientError::NoSuchExport(export.to_owned())),
                error if error & rep::ERROR_BIT != 0 => {
                    let message = String::from_utf8_lossy(&data).into_owned();
                    return Err(ClientError::Refused { error: Errno::Inval, message });
                }
                _ => {}
            }
        }
    }

    fn option(&mut self, kind: OptionKind, data: &[u8]) -> Result<(), ClientError> {
        let length = u32::try_from(data.len())
            .map_err(|_| ClientError::Protocol("the export's name is too long".into()))?;
        let header = OptionHeader { kind, length }.encode();
        self.send_parts(&header, data)
    }

    fn option_reply(&mut self, option: OptionKind) -> Result<(u32, Vec<u8>), ClientError> {
        let reply = OptionReply::decode(&self.read_array::<OPTION_REPLY_BYTES>()?)?;
        if reply.option != option {
            return Err(ClientError::Protocol("a reply to another option".into()));
        }
        Ok((reply.kind, self.read_small(reply.length)?))
    }

    fn check_cookie(&self, cookie: u64, request: &Request) -> Result<(), ClientError> {
        if cookie == request.cookie {
            return Ok(());
        }
        Err(ClientError::Protocol("a reply to a request that was not made".into()))
    }

    fn read_small(&mut self, length: u32) -> Result<Vec<u8>, ClientError> {
        if length > SMALL_BYTES {
            return Err(ClientError::Protocol(format!("a message of {length} bytes")));
        }
        let mut data = vec![0; length as usize];
        (&self.stream).read_exact(&mut data)?;
        Ok(data)
    }

    fn read_array<const N: usize>(&mut self) -> Result<[u8; N], ClientError> {
        let mut bytes = [0; N];
        (&self.stream).read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The rest of a message of `N` bytes whose magic number has been read.
    fn read_rest<const N: usize>(&mut self, magic: [u8; 4]) -> Result<[u8; N], ClientError> {
        let mut bytes = [0; N];
        bytes[..4].copy_from_slice(&magic);
        (&self.stream).read_exact(&mut bytes[4..])?;
        Ok(bytes)
    }
}

/// The part of a read's buffer that a chunk fills.
fn part<'a>(
    request: &Request,
    offset: u64,
    length: u32,
    into: &'a mut [u8],
) -> Result<&'a mut [u8], ClientError> {
    offset
        .checked_sub(request.offset)
        .and_then(|start| usize::try_from(start).ok())
        .and_then(|start| into.get_mut(start..start.checked_add(length as usize)?))
        .ok_or_else(|| ClientError::Protocol("data outside of what was asked for".into()))
}
