//! A request as it came: its head and body within limits, names and values decoded.
//!
//! Parameters travel in the query, in a form body, or in both at once; which is which matters to
//! the signatures alone.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use crate::ApiError;
use crate::percent::{decode_pairs, peek};
use crate::render::Format;

/// Larger than any request of ECS: user data is at most 16 KiB.
const MAX_BODY: usize = 1 << 20;

/// For a whole body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request within limits.
pub(crate) struct Wire {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Wire {
    /// # Errors
    /// 400 `InvalidParameter` for what cannot be decoded and for a body that is no form.
    pub(crate) fn read(head: &Parts, body: Bytes) -> Result<Self, ApiError> {
        let form = if body.is_empty() {
            Vec::new()
        } else if is_form(&head.headers) {
            decode_pairs(&body)?
        } else {
            // The older scheme does not sign such a body, and parameters in it would be lost.
            return Err(ApiError::new(
                400,
                "InvalidParameter",
                "The request body must be of type application/x-www-form-urlencoded.",
            ));
        };
        Ok(Self {
            method: head.method.clone(),
            headers: head.headers.clone(),
            query: decode_pairs(head.uri.query().unwrap_or_default().as_bytes())?,
            form,
            body,
        })
    }

    /// All names and values, query first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().chain(&self.form).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The Authorization header of the newer scheme.
    pub(crate) fn authorization(&self) -> Option<&str> {
        acs_authorization(&self.headers)
    }
}

/// Tells the newer scheme: any algorithm of it, so that one not known gets its own error. Another
/// kind of Authorization is a proxy's business.
fn acs_authorization(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.starts_with("ACS").then_some(value)
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Refuses before the body is read what no body could mend.
///
/// # Errors
/// 400 `UnsupportedHTTPMethod`, 404 `InvalidAction.NotFound` for another path than `/`.
pub(crate) fn check_line(head: &Parts) -> Result<(), ApiError> {
    if head.method != Method::GET && head.method != Method::POST {
        let message =
            format!("The HTTP method is not supported: {}. Use GET or POST.", head.method);
        return Err(ApiError::new(400, "UnsupportedHTTPMethod", message));
    }
    // An absolute URI may have no path at all.
    if !matches!(head.uri.path(), "/" | "") {
        return Err(no_such_action());
    }
    Ok(())
}

/// 404 `InvalidAction.NotFound`.
pub(crate) fn no_such_action() -> ApiError {
    let message = "Specified api is not found, please check your url and method.";
    ApiError::new(404, "InvalidAction.NotFound", message)
}

/// Reads the body. One that announces too great a length is refused unread.
///
/// # Errors
/// 413 `RequestEntityTooLarge`, 408 `RequestTimeout`, 400 `InvalidParameter` where it breaks off.
pub(crate) async fn read_body(body: Incoming) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("The request body is larger than {MAX_BODY} bytes.");
        ApiError::new(413, "RequestEntityTooLarge", message)
    };
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            Err(ApiError::new(400, "InvalidParameter", "The request body cannot be read."))
        }
        Err(_) => Err(ApiError::new(408, "RequestTimeout", "The request body did not arrive.")),
    }
}

/// What to answer in. Found without judging the request, because its errors have a format too.
pub(crate) fn format(head: &Parts, body: &[u8]) -> Format {
    if acs_authorization(&head.headers).is_some() {
        return Format::Json;
    }
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let form = if is_form(&head.headers) { body } else { &[] };
    match peek(query, "Format").or_else(|| peek(form, "Format")) {
        // One SDK sends the word `None` where no format was chosen.
        Some(format) if format.eq_ignore_ascii_case("json") => Format::Json,
        _ => Format::Xml,
    }
}

/// The host that the client called, for error answers.
pub(crate) fn host(head: &Parts) -> &str {
    let header = head.headers.get(HOST).and_then(|value| value.to_str().ok());
    header.filter(|host| !host.is_empty()).unwrap_or("ecs.aliyuncs.com")
}
