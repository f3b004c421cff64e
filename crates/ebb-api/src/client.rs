//! A client of the API: signs and sends, over plain HTTP, or HTTPS where it is told whom to trust.
//! For `ebb demo`, `ebb call` and tests.
//!
//! Deliberately not here: retries, pooled connections. A call is one connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ebb_control::Secret;
use ebb_domain::Timestamp;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::percent::encode;
use crate::signature::{sha256_hex, v1, v3};
use crate::{Product, TlsError, ops, time, tls, uuid};

/// For the whole of a call.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// HMAC-SHA1 over the parameters, all in a form body.
    V1,
    /// ACS3-HMAC-SHA256, parameters in the query.
    #[default]
    V3,
}

/// Calls operations at one endpoint with one key.
#[derive(Clone)]
pub struct Client {
    endpoint: String,
    access_key_id: String,
    secret: Secret,
    scheme: Scheme,
    trusted: Option<Arc<ClientConfig>>,
}

/// Why a call gave no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused.
    #[error("{code} ({status}): {message} [request {request_id}]")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The ECS code.
        code: String,
        /// For people.
        message: String,
        /// As in the server's log.
        request_id: String,
    },
    /// There was no answer, or none of this API's.
    #[error("cannot call {endpoint}: {reason}")]
    Failed {
        /// The endpoint as given.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
}

impl ClientError {
    /// The ECS code, where the server answered one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Failed { .. } => None,
        }
    }
}

impl Client {
    /// `endpoint` is `host:port`, with or without `http://` before it; or with `https://`, for
    /// which somebody must be [trusted](Client::trusting).
    pub fn new(
        endpoint: impl Into<String>,
        access_key_id: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            access_key_id: access_key_id.into(),
            secret: Secret::new(secret),
            scheme: Scheme::default(),
            trusted: None,
        }
    }

    /// Trusts the servers whose certificates are from these authorities, in PEM.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn trusting(self, authorities: &[u8]) -> Result<Self, TlsError> {
        Ok(Self { trusted: Some(tls::trusting(authorities)?), ..self })
    }

    /// Signs in another way.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// Calls `action` and answers its reply. The version is that of the operation in
    /// [`ops::FAMILIES`], and ECS's for any other name.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the server's code, [`ClientError::Failed`] without one.
    pub async fn call(&self, action: &str, params: &[(&str, &str)]) -> Result<Value, ClientError> {
        let exchange = async {
            let authority = self.authority()?;
            let request = self.request(&authority, action, params, now(), &uuid::random())?;
            self.exchange(&authority, request).await
        };
        let timed = tokio::time::timeout(TIMEOUT, exchange);
        let outcome = timed.await.unwrap_or_else(|_| Err("no answer within 60 s".to_owned()));
        let (status, body) = outcome.map_err(|reason| self.failed(reason))?;
        self.reply(status, &body)
    }

    /// The signed request as it goes over a connection, for who keeps one open. Its head is all
    /// there is of it: parameters are in the query.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where the endpoint is none.
    pub fn wire_request(
        &self,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Vec<u8>, ClientError> {
        let signed = || {
            let authority = self.authority()?;
            let with_query = Self { scheme: Scheme::V3, ..self.clone() };
            with_query.request(&authority, action, params, now(), &uuid::random())
        };
        let (head, _) = signed().map_err(|reason| self.failed(reason))?.into_parts();
        let mut bytes = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
        for (name, value) in &head.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"content-length: 0\r\n\r\n");
        Ok(bytes)
    }

    fn failed(&self, reason: String) -> ClientError {
        ClientError::Failed { endpoint: self.endpoint.clone(), reason }
    }

    /// `host:port` as in the Host header.
    fn authority(&self) -> Result<String, String> {
        let uri: Uri = self.endpoint.parse().map_err(|error| format!("{error}"))?;
        if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
            return Err("only http and https are supported".to_owned());
        }
        let authority = uri.authority().ok_or("the endpoint has no host")?;
        Ok(authority.to_string())
    }

    async fn exchange(
        &self,
        authority: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<(u16, Bytes), String> {
        let text = |error: std::io::Error| error.to_string();
        let uri: Uri = authority.parse().map_err(|error| format!("{error}"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_tls = self.endpoint.starts_with("https:");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(text)?;
        if !is_tls {
            return send(stream, request).await;
        }
        let trusted = self.trusted.as_ref().ok_or("https needs an authority to trust: --ca")?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let secured = TlsConnector::from(Arc::clone(trusted)).connect(name, stream).await;
        send(secured.map_err(text)?, request).await
    }

    fn reply(&self, status: u16, body: &[u8]) -> Result<Value, ClientError> {
        let reply: Value = serde_json::from_slice(body).map_err(|_| {
            let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
            self.failed(format!("status {status} and no JSON: {start}"))
        })?;
        if status == 200 {
            return Ok(reply);
        }
        let text = |name| reply[name].as_str().unwrap_or_default().to_owned();
        Err(ClientError::Refused {
            status,
            code: text("Code"),
            message: text("Message"),
            request_id: text("RequestId"),
        })
    }

    /// The signed request.
    fn request(
        &self,
        authority: &str,
        action: &str,
        params: &[(&str, &str)],
        now: Timestamp,
        nonce: &str,
    ) -> Result<Request<Full<Bytes>>, String> {
        let all = ops::FAMILIES.iter().copied().flatten();
        let product = all.into_iter().find(|operation| operation.name == action);
        let version = product.map_or(Product::ECS, |operation| operation.product).version;
        let (date, secret) = (time::seconds(now), self.secret.expose());
        let request = match self.scheme {
            Scheme::V1 => {
                let system = [
                    ("AccessKeyId", self.access_key_id.as_str()),
                    ("Action", action),
                    ("Format", "JSON"),
                    ("SignatureMethod", "HMAC-SHA1"),
                    ("SignatureNonce", nonce),
                    ("SignatureVersion", "1.0"),
                    ("Timestamp", &date),
                    ("Version", version),
                ];
                let pairs = || system.iter().chain(params).copied();
                let text = v1::string_to_sign("POST", pairs());
                let signature = v1::sign(v1::Method::HmacSha1, secret, &text);
                let form = joined(pairs().chain([("Signature", signature.as_str())]));
                Request::post("/")
                    .header(HOST, authority)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(Full::from(form))
            }
            Scheme::V3 => {
                let hash = sha256_hex(b"");
                let values = [authority, action, &hash, &date, nonce, version];
                let headers = || v3::REQUIRED.into_iter().zip(values);
                let lines: String =
                    headers().map(|(name, value)| format!("{name}:{value}\n")).collect();
                let signed = v3::REQUIRED.join(";");
                let query = params.iter().copied();
                let canonical = v3::canonical_request("POST", query, &lines, &signed, &hash);
                let signature = v3::sign(secret, &v3::string_to_sign(&canonical));
                let authorization = format!(
                    "{} Credential={},SignedHeaders={signed},Signature={signature}",
                    v3::ALGORITHM,
                    self.access_key_id
                );
                let uri = format!("/?{}", joined(params.iter().copied()));
                let request = Request::post(uri).header("authorization", authorization);
                headers()
                    .fold(request, |request, (name, value)| request.header(name, value))
                    .body(Full::default())
            }
        };
        request.map_err(|error| error.to_string())
    }
}

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a client is at the edge itself")]
    let now = std::time::SystemTime::now();
    let since_1970 = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

fn joined<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(text)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(text)?;
        Ok((status, body.to_bytes()))
    };
    // Driven beside the exchange, which alone says how it went.
    tokio::pin!(exchange);
    tokio::select! {
        outcome = &mut exchange => outcome,
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::signature::Claim;
    use crate::wire::Wire;
    use crate::{ApiError, Params};

    const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    /// The parameters that the server would see, if the signature is good.
    fn receive(
        request: Request<Full<Bytes>>,
        secret: &str,
    ) -> Result<(Claim, Vec<(String, String)>), ApiError> {
        let (head, body) = request.into_parts();
        let body = whole(body);
        let wire = Wire::read(&head, body)?;
        let claim = Claim::read(&wire, &Params::from_pairs(wire.pairs())?)?;
        claim.proof.check(secret)?;
        let business = wire.pairs().filter(|(name, _)| name.starts_with('X'));
        let pairs = business.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok((claim, pairs))
    }

    /// A whole body is there at once.
    fn whole(body: Full<Bytes>) -> Bytes {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(body.collect()).unwrap().to_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_signed_is_received(
            texts in vec((any::<String>(), any::<String>()), 0..6),
            secret in any::<String>(),
            older in any::<bool>(),
        ) {
            let scheme = if older { Scheme::V1 } else { Scheme::V3 };
            let client = Client::new("h:80", "id", secret.clone()).with_scheme(scheme);
            // Numbered, so that no two are the same name in different case.
            let sent: Vec<_> = texts
                .into_iter()
                .enumerate()
                .map(|(i, (name, value))| (format!("X{i}-{name}"), value))
                .collect();
            let pairs: Vec<_> = sent.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let request = || client.request("h:80", "Probe", &pairs, NOW, "nonce").unwrap();
            let (claim, received) = receive(request(), &secret).unwrap();
            prop_assert_eq!(&received, &sent);
            prop_assert_eq!(claim.action.as_deref(), Some("Probe"));
            prop_assert_eq!(claim.timestamp.as_str(), "2023-11-14T22:13:20Z");
            prop_assert_eq!(claim.nonce.as_str(), "nonce");
            let other = receive(request(), &format!("{secret}x")).err().unwrap();
            prop_assert_eq!(&*other.code, "SignatureDoesNotMatch");
        }
    }
}
