//! The polite end of a connection: the answer is sent, then our side is closed, and what the client
//! still sends is read and dropped for a while. Closed at once, the kernel would answer that with a
//! reset, and a client in the middle of too large a body would never see why it was refused.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long to read on after the last answer.
const LINGER: Duration = Duration::from_secs(5);

/// Closes our side, then reads until the client closes its own, or too long. Dropped before it has
/// ever waited, it has still closed our side.
pub(crate) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let end = async {
        // Over TLS it sends something, for which a client need not make room.
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut scrap = vec![0; 16 << 10];
        while matches!(stream.read(&mut scrap).await, Ok(1..)) {}
    };
    // Either way there is nobody left to be told.
    let _ = tokio::time::timeout(LINGER, end).await;
}
