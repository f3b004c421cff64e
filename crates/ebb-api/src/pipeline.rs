//! A request's way through: one ordered list, in [`Api::handle`].
//!
//! Whatever happens on the way, the answer has ECS's form, in the format the client asked for, and
//! one line in the log. The log never has a secret or a signature, and shows what the client chose
//! freely only quoted and cut.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebb_audit::{Entry, Log};
use ebb_control::{Caller, Control};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use crate::auth::authenticate;
use crate::authorize::{Subject, authorize};
use crate::need_ssl;
use crate::nonce::Nonces;
use crate::operation::Signed;
use crate::peer::Peer;
use crate::refusals::failed;
use crate::render::Format;
use crate::signature::Claim;
use crate::throttle::{RetryAfterMillis, Throttle};
use crate::wire::{self, Wire};
use crate::{ApiError, Authority, Context, OperationDef, Params, Product, RequestId};

/// Says why not, when the server is not well.
pub type Health = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the server counts, in Prometheus's text format.
pub type Metrics = Box<dyn Fn() -> String + Send + Sync>;

/// Everything a request needs.
pub struct Api<C: 'static = Control> {
    control: Arc<C>,
    families: &'static [&'static [OperationDef<C>]],
    nonces: Nonces,
    health: Health,
    metrics: Metrics,
    audit: Option<Arc<Log>>,
    throttle: Option<Throttle>,
}

/// Who a request is from and what it is about, as the audit log has it.
#[derive(Default)]
struct Noted {
    identity: String,
    resources: Vec<String>,
}

/// What is known of a request so far: for its answer and its line in the log.
struct Seen {
    request_id: RequestId,
    format: Format,
    product: Product,
    action: Option<String>,
    access_key_id: Option<String>,
    caller: Option<Caller>,
    user_agent: Option<String>,
    noted: Noted,
    retry_after: Option<RetryAfterMillis>,
    /// Whether the connection is where the next request begins.
    body_read: bool,
}

impl<C: Authority> Api<C> {
    /// Answers the operations of `families`, usually [`crate::ops::FAMILIES`].
    pub fn new(
        control: Arc<C>,
        families: &'static [&'static [OperationDef<C>]],
        nonces: Nonces,
        health: Health,
        metrics: Metrics,
    ) -> Self {
        Self { control, families, nonces, health, metrics, audit: None, throttle: None }
    }

    /// Writes every call down, before it is answered. A call that could not be written down is not
    /// made.
    #[must_use]
    pub fn with_audit(self, log: Arc<Log>) -> Self {
        Self { audit: Some(log), ..self }
    }

    /// Refuses accounts that call too often.
    #[must_use]
    pub fn with_throttle(self, throttle: Throttle) -> Self {
        Self { throttle: Some(throttle), ..self }
    }

    async fn handle(
        self: &Arc<Self>,
        head: &Parts,
        body: Incoming,
        peer: Peer,
        seen: &mut Seen,
    ) -> Result<String, ApiError> {
        self.check_audit()?;
        wire::check_line(head)?; // method, path
        let body = wire::read_body(body).await?; // size, patience
        seen.body(head, &body);
        let wire = Wire::read(head, body)?; // escapes, UTF-8
        let params = Params::from_pairs(wire.pairs())?; // no name twice
        let claim = Claim::read(&wire, &params)?; // the scheme, and all it needs
        seen.claim(&claim);
        let (claim, caller) = self
            .where_it_may_block(move |api| {
                let caller = authenticate(&claim, &*api.control, &api.nonces)?;
                Ok((claim, caller))
            })
            .await?;
        seen.caller = Some(caller.clone());
        let operation = self.find(&claim, seen)?; // version, action
        if need_ssl::refuses(&operation.product, operation.name, &peer) {
            return Err(need_ssl::refusal());
        }
        self.check_rate(&caller, operation, seen).await?;
        let params = params.business();
        let id = seen.request_id.clone();
        let control = Arc::clone(&self.control);
        let host = wire::host(head);
        let signed = Signed { caller, access_key_id: claim.access_key_id, peer };
        let cx = Context::new(control, signed, id, host, &params);
        // permission, typed parameters, operation
        let reply = call(operation, params, cx, &mut seen.noted).await?;
        seen.format.success(operation.name, &seen.request_id, reply)
    }

    /// # Errors
    /// 503 `ServiceUnavailable` where what is done could not be written down.
    fn check_audit(&self) -> Result<(), ApiError> {
        let health = self.audit.as_ref().map_or(Ok(()), |log| log.health());
        health.map_err(|_| {
            let message = "The request has failed due to a temporary failure of the server.";
            ApiError::new(503, "ServiceUnavailable", message)
        })
    }

    /// Runs what waits for a database where servers share one, and only then goes elsewhere for it.
    async fn where_it_may_block<T: Send + 'static>(
        self: &Arc<Self>,
        f: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        if !self.control.is_shared() {
            return f(self);
        }
        let api = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || f(&api));
        task.await.unwrap_or_else(|failure| Err(ApiError::internal(failure)))
    }

    /// # Errors
    /// 400 `Throttling.User`; 503 `ServiceUnavailable`.
    async fn check_rate(
        self: &Arc<Self>,
        caller: &Caller,
        operation: &OperationDef<C>,
        seen: &mut Seen,
    ) -> Result<(), ApiError> {
        let (product, name) = (operation.product, operation.name);
        if !self.throttle.as_ref().is_some_and(|throttle| throttle.limits(product, name)) {
            return Ok(());
        }
        let account = caller.account.clone();
        seen.retry_after = self
            .where_it_may_block(move |api| {
                let Some(throttle) = &api.throttle else { return Ok(None) };
                throttle.check(&account, product, name, api.control.now())
            })
            .await?;
        seen.retry_after.map_or(Ok(()), |after| Err(after.refusal()))
    }

    /// Writes a call down. Of one that cannot be, the client is not told how it ended: whatever
    /// was done is done, and every call after it is refused until an operator has looked.
    fn write_down(&self, seen: &Seen, peer: Peer, took: Duration, status: u16, code: &str) -> bool {
        let Some(log) = &self.audit else { return true };
        let source = peer.address.ip().to_canonical().to_string();
        let account = seen.caller.as_ref().map(|caller| caller.account.to_string());
        let entry = Entry {
            account: account.as_deref().unwrap_or_default(),
            identity: &seen.noted.identity,
            access_key_id: seen.access_key_id.as_deref().unwrap_or_default(),
            source_ip: &source,
            user_agent: seen.user_agent.as_deref(),
            tls: peer.tls,
            product: seen.product.name,
            action: seen.action.as_deref().unwrap_or_default(),
            resources: &seen.noted.resources,
            status,
            code,
            request_id: seen.request_id.as_str(),
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        match log.append(self.control.now().unix_millis(), &entry) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be written: calls are refused");
                false
            }
        }
    }

    fn find(&self, claim: &Claim, seen: &mut Seen) -> Result<&'static OperationDef<C>, ApiError> {
        let missing =
            |code, name| ApiError::new(400, code, format!("{name} is mandatory for this action."));
        let version =
            claim.version.as_deref().ok_or_else(|| missing("MissingVersion", "Version"))?;
        let action = claim.action.as_deref().ok_or_else(|| missing("MissingAction", "Action"))?;
        let all = || self.families.iter().copied().flatten();
        let same_product = |operation: &&OperationDef<C>| operation.product.version == version;
        let Some(any) = all().find(same_product) else {
            let message = "Specified parameter Version is not valid.";
            return Err(ApiError::new(404, "InvalidVersion", message));
        };
        seen.product = any.product;
        all()
            .filter(same_product)
            .find(|operation| operation.name == action)
            .ok_or_else(wire::no_such_action)
    }

    /// What is counted. The version is that of the text's format.
    pub(crate) fn metrics(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from((self.metrics)()));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// 200, or 503 and why. A database is asked, where it may block.
    pub(crate) async fn health(self: &Arc<Self>) -> Response<Full<Bytes>> {
        let api = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || (api.health)()).await;
        let (status, text) = match asked.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => (StatusCode::OK, "ok".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        let mut response = Response::new(Full::from(text + "\n"));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("text/plain;charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// Answers one request, whatever it is. In a task of its own: a client that goes away must not
    /// take its line of the audit log with it.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Response<Full<Bytes>> {
        let api = Arc::clone(self);
        let task = tokio::spawn(api.answer_here(request, peer));
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request was not answered");
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }

    async fn answer_here(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Response<Full<Bytes>> {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let mut seen = Seen::new(&head);
        let mut outcome = self.handle(&head, body, peer, &mut seen).await;
        let (status, code) = match &outcome {
            Ok(_) => (200, String::new()),
            Err(error) => (error.status, error.code.to_string()),
        };
        if !self.write_down(&seen, peer, started.elapsed(), status, &code) {
            outcome = Err(ApiError::internal("the call is not in the audit log"));
        }
        let status = outcome.as_ref().map_or_else(|error| error.status, |_| 200);
        seen.log(status, outcome.as_ref().err(), started);
        let text = outcome.unwrap_or_else(|error| {
            let host = wire::host(&head);
            seen.format.failure(&error, &seen.request_id, host, seen.product.name)
        });
        seen.response(status, text)
    }
}

/// Runs the operation where it may block. If the client goes away meanwhile, the operation does
/// not: half of it would be worse than an answer nobody reads.
async fn call<C: Authority>(
    operation: &'static OperationDef<C>,
    params: Params,
    mut cx: Context<C>,
    noted: &mut Noted,
) -> Result<Value, ApiError> {
    let about = (operation.product, operation.name);
    let task = tokio::task::spawn_blocking(move || {
        let entry = cx.control.enter();
        cx.subject = Subject::of(&*cx.control, &cx.caller, about, &params);
        let (authority, caller) = (&*cx.control, &cx.caller);
        // Before the operation, which may give the caller another name.
        let identity = caller.arn(&authority.name_of(caller).unwrap_or_default());
        let outcome = authority
            .key_was_used(&cx.access_key_id)
            .map_err(failed)
            .and_then(|()| authorize(authority, caller, about, &cx.subject, cx.peer))
            .and_then(|()| operation.invoke(&params, &cx));
        if let (Some(entry), Err(error)) = (entry, &outcome)
            && error.status >= 500
        {
            entry.failed();
        }
        (Noted { identity, resources: cx.subject.resources }, outcome)
    });
    match task.await {
        Ok((what, outcome)) => {
            *noted = what;
            outcome
        }
        Err(failure) => {
            let why = match failure.try_into_panic() {
                Ok(panic) => panic_message(&*panic).to_owned(),
                Err(cancelled) => cancelled.to_string(),
            };
            Err(ApiError::internal(format_args!("{} panicked: {why}", operation.name)))
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl Seen {
    fn new(head: &Parts) -> Self {
        Self {
            request_id: RequestId::random(),
            format: wire::format(head, &[]),
            product: Product::ECS,
            action: None,
            access_key_id: None,
            caller: None,
            user_agent: user_agent(head),
            noted: Noted::default(),
            retry_after: None,
            body_read: false,
        }
    }

    fn body(&mut self, head: &Parts, body: &[u8]) {
        self.format = wire::format(head, body);
        self.body_read = true;
    }

    fn claim(&mut self, claim: &Claim) {
        self.action.clone_from(&claim.action);
        self.access_key_id = Some(claim.access_key_id.clone());
    }

    fn log(&self, status: u16, error: Option<&ApiError>, started: Instant) {
        let id = &self.request_id;
        if let Some(detail) = error.and_then(ApiError::detail) {
            match status {
                503 => tracing::warn!(request_id = %id, detail, "not answered for now"),
                _ => tracing::error!(request_id = %id, detail, "internal error"),
            }
        }
        tracing::info!(
            request_id = %id,
            action = ?shown(self.action.as_deref()),
            account = self.caller.as_ref().map(|caller| tracing::field::display(&caller.account)),
            access_key_id = ?shown(self.access_key_id.as_deref()),
            status,
            code = error.map_or("", |error| &error.code),
            milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
    }

    fn response(&self, status: u16, text: String) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.format.content_type()));
        let id = HeaderValue::from_str(self.request_id.as_str()).expect("a UUID is ASCII");
        headers.insert("x-acs-request-id", id);
        if let Some(RetryAfterMillis(millis)) = self.retry_after {
            headers.insert(RetryAfterMillis::HEADER, HeaderValue::from(millis));
        }
        if !self.body_read {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn user_agent(head: &Parts) -> Option<String> {
    head.headers.get(USER_AGENT)?.to_str().ok().map(str::to_owned)
}

/// At most 64 characters of what a client chose.
fn shown(text: Option<&str>) -> &str {
    let text = text.unwrap_or_default();
    text.char_indices().nth(64).map_or(text, |(end, _)| &text[..end])
}
