//! `Idempotency-Key`: a request that is sent again has its effect once.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::time::Duration;
use utoipa::IntoParams;

use super::App;
use super::auth::Caller;
use super::problem::{Kind, Problem};
use crate::ledger::idempotency::{KeptAnswer, KeyState};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest body of a request that is no upload, bytes.
pub(super) const MAX_BODY: usize = 1 << 20;
/// Longest answer that is kept, bytes.
const MAX_ANSWER: usize = 4 << 20;

/// For the description of the API.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read from the headers directly")]
pub(super) struct Header {
    /// A name for this request, up to 100 characters. Sent again with the same body within a day,
    /// it gets the same answer and has no second effect; with another body it gets 409.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// The key that a caller sent, if any.
pub(super) struct Key(Option<String>);

impl Key {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(KEY) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default();
        if !(1..=100).contains(&text.len()) {
            return Err(Problem::invalid(
                "The Idempotency-Key is not valid.",
                "Use 1 to 100 printable ASCII characters, for example a UUID.",
            ));
        }
        Ok(Self(Some(text.to_owned())))
    }
}

/// Does `work` unless the same was done under this key; then gives the answer of that time. Goes on
/// when the caller hangs up: an effect and its answer belong together.
pub(super) async fn once(
    app: &App,
    caller: &Caller,
    key: Key,
    fingerprint: String,
    work: impl Future<Output = Result<Response, Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let Key(Some(key)) = key else {
        return work.await;
    };
    let (app, account) = (app.clone(), caller.account_id.to_string());
    let task =
        tokio::spawn(async move { under_key(&app, &account, &key, &fingerprint, work).await });
    task.await.map_err(|e| Problem::fault(&e))?
}

async fn under_key(
    app: &App,
    account: &str,
    key: &str,
    fingerprint: &str,
    work: impl Future<Output = Result<Response, Problem>>,
) -> Result<Response, Problem> {
    match app.ledger.begin_key(account, key, fingerprint).await? {
        KeyState::New => {}
        KeyState::Running => {
            return Err(Problem::new(
                Kind::Conflict,
                "A request with this Idempotency-Key is still being worked on.",
                "Wait as long as Retry-After says and send it again.",
            )
            .retry_after(Duration::from_secs(1)));
        }
        KeyState::OtherRequest => {
            return Err(Problem::new(
                Kind::Conflict,
                "This Idempotency-Key was used for another request.",
                "Use a new key for a new request.",
            ));
        }
        KeyState::Done(answer) => return replay(answer),
    }
    let response = match work.await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    if !status.is_success() {
        // what had no effect may be tried again under the same key
        app.ledger.forget_key(account, key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_ANSWER)
        .await
        .map_err(|e| Problem::fault(&e))?;
    let text = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let answer = KeptAnswer {
        status: status.as_u16(),
        location: text(header::LOCATION),
        etag: text(header::ETAG),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    app.ledger.finish_key(account, key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(answer: KeptAnswer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answer.status).map_err(|e| Problem::fault(&e))?;
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    for (name, value) in [
        (header::LOCATION, answer.location),
        (header::ETAG, answer.etag),
    ] {
        if let Some(value) = value.and_then(|v| HeaderValue::from_str(&v).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// For every POST with a JSON body. Uploads call [`once`] themselves, when they have read the form.
pub(super) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    match pass(&app, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn pass(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    let path = request.uri().path().to_owned();
    if request.method() != Method::POST || path.ends_with("/photos") {
        return Ok(next.run(request).await);
    }
    let key = Key::of(request.headers())?;
    let caller = request.extensions().get::<Caller>().cloned();
    let (Key(Some(_)), Some(caller)) = (&key, caller) else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|_| {
        Problem::new(
            Kind::TooLarge,
            "The body is too large.",
            "Send less at once.",
        )
    })?;
    let mut digest = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), path.as_bytes(), &bytes] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let fingerprint = crate::pipeline::photo::hex(&digest.finalize());
    let request = Request::from_parts(parts, Body::from(bytes));
    once(app, &caller, key, fingerprint, async {
        Ok(next.run(request).await)
    })
    .await
}
