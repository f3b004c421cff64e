//! HTTP/1.1 on a listener, with TLS under it or without.
//!
//! Each connection is read by hyper: a head that is no HTTP gets hyper's own bare 400, 414 or 431,
//! because there is no request to answer in any format.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::linger::linger;
use crate::peer::Peer;
use crate::tls::{NoTls, Tls};
use crate::{Api, Authority};

/// More wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// For a whole head to arrive; also how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A query may be long: older SDKs send every parameter in it, user data included.
const MAX_HEAD: usize = 128 << 10;
/// For requests under way at the end. Below the 10 s in which the whole process ends.
const GRACE: Duration = Duration::from_secs(8);

/// Serves until `shutdown` is ready. Then no connection is accepted, idle ones are closed, and
/// requests under way are answered; what is left after 8 s is dropped. An operation that has begun
/// goes on on the runtime's blocking pool even so.
pub async fn serve<C: Authority>(
    listener: TcpListener,
    api: Arc<Api<C>>,
    shutdown: impl Future<Output = ()>,
) {
    serve_over(listener, None, api, shutdown).await;
}

/// The same over TLS alone. A handshake counts as a connection and has a time of its own.
pub async fn serve_tls<C: Authority>(
    listener: TcpListener,
    tls: Arc<Tls>,
    api: Arc<Api<C>>,
    shutdown: impl Future<Output = ()>,
) {
    serve_over(listener, Some(tls), api, shutdown).await;
}

async fn serve_over<C: Authority>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    api: Arc<Api<C>>,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            (stream, address, permit) = accept(&listener, &permits) => {
                let (tls, api, stopped) = (tls.clone(), Arc::clone(&api), stopped.clone());
                connections.spawn(async move {
                    accepted(stream, address, tls.as_deref(), api, stopped).await;
                    drop(permit);
                });
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task failed");
                }
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let all_end = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_end).await.is_err() {
        tracing::warn!(connections = connections.len(), "dropped connections that did not end");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("it is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, permit),
            Err(error) => {
                // Usually too many open files: trying again at once would only burn the processor.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn accepted<C: Authority>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<&Tls>,
    api: Arc<Api<C>>,
    mut stopped: watch::Receiver<bool>,
) {
    // Only delays the answer where it fails.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return connection(stream, Peer { address, tls: false }, api, stopped).await;
    };
    let outcome = tokio::select! {
        outcome = tls.accept(stream) => outcome,
        // A client that has asked nothing yet is owed nothing.
        _ = stopped.wait_for(|stopped| *stopped) => return,
    };
    match outcome {
        Ok(stream) => connection(stream, Peer { address, tls: true }, api, stopped).await,
        Err(NoTls::Silent) => tracing::debug!(%address, "a connection ended before TLS"),
        Err(NoTls::Failed(error)) => {
            tracing::info!(%address, %error, "a client and the API did not agree on TLS");
        }
        Err(NoTls::Plain(stream)) => {
            tracing::info!(%address, "closed a connection that began without TLS: use https://");
            end(stream, stopped).await;
        }
    }
}

async fn connection<C: Authority>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    api: Arc<Api<C>>,
    mut stopped: watch::Receiver<bool>,
) {
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        let api = Arc::clone(&api);
        Box::pin(async move { Ok::<_, Infallible>(route(&api, peer, request).await) })
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    let mut stopping = false;
    loop {
        tokio::select! {
            // What went wrong on one connection is the client's to see.
            _ = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break,
            _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                stopping = true;
                // hyper closes what is idle, but takes a connection for busy until its first
                // request has come.
                if !asked.load(Ordering::Relaxed) {
                    break;
                }
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    end(connection.into_parts().io.into_inner(), stopped).await;
}

/// Ends a connection politely, as long as there is time for it.
async fn end(stream: impl AsyncRead + AsyncWrite + Unpin, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        biased; // Our side is closed in any case.
        () = linger(stream) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// What an operator's own tools ask is not signed. `/healthz` tells nobody anything; `/metrics`
/// names disks, and is there only for who asks from this machine.
async fn route<C: Authority>(
    api: &Arc<Api<C>>,
    peer: Peer,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/healthz" if is_get => api.health().await,
        "/metrics" if is_get && peer.address.ip().to_canonical().is_loopback() => api.metrics(),
        _ => api.answer(request, peer).await,
    }
}
