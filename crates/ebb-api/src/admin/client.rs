//! The operator's end of the admin socket.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;

use super::{Command, ImportCommand};

/// Bytes of an image in one chunk.
const CHUNK: usize = 256 << 10;

/// Sends commands to the server of one data directory.
pub struct AdminClient {
    socket: PathBuf,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// There is no server, or it went away.
    #[error("cannot reach the server at {}: {reason}", socket.display())]
    Failed {
        /// The socket.
        socket: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl AdminClient {
    /// A client of the server whose admin socket is at `socket`.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Has a command carried out; answers what it changed.
    ///
    /// # Errors
    /// The server refused, or cannot be reached.
    pub async fn run(&self, command: &Command) -> Result<Value, AdminError> {
        let body = serde_json::to_vec(command).map_err(|error| self.failed(error))?;
        self.send("/".to_owned(), Full::from(body)).await
    }

    /// Streams an image; answers when the snapshot is accomplished and durable.
    ///
    /// # Errors
    /// The server refused, cannot be reached, or the image could not be read to its end; the
    /// snapshot is then failed or was never made.
    pub async fn import(
        &self,
        command: &ImportCommand,
        image: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<Value, AdminError> {
        let json = serde_json::to_string(command).map_err(|error| self.failed(error))?;
        let path = format!("/import?{}", utf8_percent_encode(&json, NON_ALPHANUMERIC));
        let pieces = futures_util::stream::unfold(Some(image), |image| async {
            let mut image = image?;
            let mut piece = vec![0; CHUNK];
            match image.read(&mut piece).await {
                Ok(0) => None,
                Ok(length) => {
                    piece.truncate(length);
                    Some((Ok(Frame::data(Bytes::from(piece))), Some(image)))
                }
                // The error ends the request in its middle, which the server sees as a broken
                // stream.
                Err(error) => Some((Err(error), None)),
            }
        });
        self.send(path, StreamBody::new(pieces)).await
    }

    async fn send<B>(&self, path: String, body: B) -> Result<Value, AdminError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.failed(error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.failed(error))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, "admin")
            .body(Box::pin(body))
            .map_err(|error| self.failed(error))?;
        let response = sender.send_request(request).await.map_err(|error| self.failed(error))?;
        let refused = !response.status().is_success();
        let body =
            response.into_body().collect().await.map_err(|error| self.failed(error))?.to_bytes();
        connection.abort();
        let reply: Value = serde_json::from_slice(&body).map_err(|error| self.failed(error))?;
        if refused {
            let why = reply["error"].as_str().unwrap_or("the server refused");
            return Err(AdminError::Refused(why.to_owned()));
        }
        Ok(reply)
    }

    fn failed(&self, error: impl std::fmt::Display) -> AdminError {
        AdminError::Failed { socket: self.socket.clone(), reason: error.to_string() }
    }
}
