//! The server's end of the admin socket.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ebb_control::{Control, Import};
use ebb_domain::Denied;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::task::spawn_blocking;

use crate::linger::linger;

use super::{Command, Helpers, ImportCommand, Refusal};

/// A command is a few hundred bytes.
const MAX_COMMAND: usize = 64 << 10;

/// An image is written in pieces of about this size, so that small chunks cost no write each.
const PIECE: usize = 1 << 20;

/// Serves for ever. Dropping the future ends it: a command under way is carried out all the same,
/// an import under way is broken off and its snapshot is failed.
pub async fn serve_admin(listener: UnixListener, control: Arc<Control>, helpers: Helpers) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept on the admin socket");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let (control, helpers) = (Arc::clone(&control), helpers.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                Box::pin(answer(request, Arc::clone(&control), helpers.clone()))
            });
            let http = http1::Builder::new();
            let mut connection = http.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await {
                tracing::debug!(%error, "an admin connection ended");
            }
            // An import may be refused while its image is still sent.
            linger(connection.into_parts().io.into_inner()).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    control: Arc<Control>,
    helpers: Helpers,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let outcome = match (request.method(), request.uri().path()) {
        (&Method::POST, "/") => command(request.into_body(), control, helpers).await,
        (&Method::POST, "/import") => import(request, control).await,
        _ => Err(Refusal("the admin socket has no such path".into())),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal(why)) => (StatusCode::BAD_REQUEST, json!({ "error": why })),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

async fn command(
    body: Incoming,
    control: Arc<Control>,
    helpers: Helpers,
) -> Result<Value, Refusal> {
    let body = Limited::new(body, MAX_COMMAND).collect().await;
    let body = body.map_err(|error| Refusal(error.to_string()))?.to_bytes();
    let command: Command =
        serde_json::from_slice(&body).map_err(|error| Refusal(error.to_string()))?;
    blocking(move || {
        let changed = command.run(&control, &helpers)?;
        tracing::info!(?command, "an operator's command was carried out");
        Ok(changed)
    })
    .await
}

async fn import(request: Request<Incoming>, control: Arc<Control>) -> Result<Value, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let json = percent_encoding::percent_decode_str(query).decode_utf8();
    let json = json.map_err(|error| Refusal(error.to_string()))?;
    let command: ImportCommand =
        serde_json::from_str(&json).map_err(|error| Refusal(error.to_string()))?;
    let mut import = Held::of(blocking(move || begin(&command, &control)).await?);
    let mut body = request.into_body();
    let mut piece = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // A stream that breaks drops the import, which makes its snapshot failed.
        let frame = frame.map_err(|error| Refusal(format!("the stream broke: {error}")))?;
        piece.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if piece.len() >= PIECE {
            import = import.write(piece.split().freeze()).await?;
        }
    }
    import = import.write(piece.freeze()).await?;
    let id = blocking(move || Ok(import.take().finish()?)).await?;
    Ok(json!({ "snapshot": id.as_str(), "status": "accomplished" }))
}

fn begin(command: &ImportCommand, control: &Arc<Control>) -> Result<Import, Refusal> {
    let entry = control.enter();
    let request = command.request()?;
    let fits = |bytes: u64| command.length_bytes.is_none_or(|length| length <= bytes);
    // Asked before anything is made, so that an image known to be too long leaves nothing behind.
    if !fits(control.disk_size_bytes(&request.disk)?) {
        return Err(ebb_control::ControlError::from(Denied::SizeNotOffered).into());
    }
    Ok(control.import_snapshot(&request).inspect_err(|_| entry.failed())?)
}

/// An import between two of its pieces. Its end, where it breaks off, asks the engine and the
/// store, which block: neither may be asked on a thread of the runtime, and that of PostgreSQL
/// panics there.
struct Held(Option<Import>);

impl Held {
    fn of(import: Import) -> Self {
        Self(Some(import))
    }

    fn take(mut self) -> Import {
        self.0.take().expect("it is held until it is taken, once")
    }

    async fn write(self, piece: Bytes) -> Result<Self, Refusal> {
        blocking(move || {
            let mut import = self.take();
            import.write(piece)?;
            Ok(Self::of(import))
        })
        .await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(import) = self.0.take() {
            // Nobody waits for it.
            drop(spawn_blocking(move || drop(import)));
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(Refusal(format!("the server failed: {error}"))))
}
