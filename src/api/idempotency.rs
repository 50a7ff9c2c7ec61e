//! `Idempotency-Key`: a request that is sent again has its effect once. The answer is kept in the
//! change that has the effect ([`Once::commit`]).

use std::convert::Infallible;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::App;
use super::auth::Caller;
use super::problem::{Kind, Problem};
use crate::ledger::Tx;
use crate::ledger::idempotency::{self, Kept, KeptAnswer, KeyUse};

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

/// The name that a caller gave a request, if any.
pub(super) fn name_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if !(1..=100).contains(&text.len()) {
        return Err(Problem::invalid(
            "The Idempotency-Key is not valid.",
            "Use 1 to 100 printable ASCII characters, for example a UUID.",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// A request that is to have its effect once, if its caller gave it a name. Every POST ends with
/// [`Self::commit`].
#[derive(Debug, Clone, Default)]
pub(super) struct Once(Option<KeyUse>);

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

impl Once {
    pub(super) fn new(caller: &Caller, name: Option<String>, fingerprint: String) -> Self {
        Self(name.map(|name| KeyUse {
            account: caller.account_id.to_string(),
            name,
            fingerprint,
        }))
    }

    /// What the same request was answered before.
    pub(super) async fn before(&self, app: &App) -> Result<Option<Response>, Problem> {
        let Some(key) = &self.0 else { return Ok(None) };
        let kept = app.ledger.kept_answer(&key.account, &key.name).await?;
        kept.map(|kept| replay(key, kept)).transpose()
    }

    /// Commits a change together with its answer. Of the same request sent twice at once, the
    /// slower one changes nothing and gets the answer of the other.
    pub(super) async fn commit(&self, mut tx: Tx, answer: Response) -> Result<Response, Problem> {
        let Some(key) = &self.0 else {
            tx.commit().await?;
            return Ok(answer);
        };
        let (kept, answer) = keepable(answer).await?;
        match idempotency::keep(&mut tx, key, &kept).await? {
            None => {
                tx.commit().await?;
                Ok(answer)
            }
            Some(before) => replay(key, before),
        }
    }

    /// The answer after all: the caller waited for more than the change itself.
    pub(super) async fn answered(&self, app: &App, answer: Response) -> Result<Response, Problem> {
        let Some(key) = &self.0 else {
            return Ok(answer);
        };
        let (kept, answer) = keepable(answer).await?;
        if let Err(error) = app.ledger.change_kept_answer(key, &kept).await {
            // the answer that was kept with the change is right, too
            tracing::warn!(%error, "the last answer to an upload is not kept");
        }
        Ok(answer)
    }

    /// Refuses a name for a request with a secret, in it or in its answer: neither is kept.
    pub(super) fn keep_nothing(&self) -> Result<(), Problem> {
        if self.0.is_none() {
            return Ok(());
        }
        Err(Problem::invalid(
            "A request with a secret in it or in its answer takes no Idempotency-Key: the secret \
             would be kept.",
            "Send it without one. If the answer is lost, look what there is before sending it again.",
        ))
    }
}

/// Whether an answer is one of before.
pub(super) fn is_replay(answer: &Response) -> bool {
    answer.headers().contains_key(REPLAYED)
}

async fn keepable(answer: Response) -> Result<(KeptAnswer, Response), Problem> {
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, MAX_ANSWER)
        .await
        .map_err(|e| Problem::fault(&e))?;
    let text = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let kept = KeptAnswer {
        status: parts.status.as_u16(),
        location: text(header::LOCATION),
        etag: text(header::ETAG),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    Ok((kept, Response::from_parts(parts, Body::from(bytes))))
}

fn replay(key: &KeyUse, kept: Kept) -> Result<Response, Problem> {
    if kept.fingerprint != key.fingerprint {
        return Err(Problem::new(
            Kind::Conflict,
            "This Idempotency-Key was used for another request.",
            "Use a new key for a new request.",
        ));
    }
    let answer = kept.answer;
    let status = StatusCode::from_u16(answer.status).map_err(|e| Problem::fault(&e))?;
    let json = (!answer.body.is_empty()).then_some(HeaderValue::from_static("application/json"));
    let mut response = (status, Body::from(answer.body)).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    let header = |text: Option<String>| text.and_then(|t| HeaderValue::from_str(&t).ok());
    for (name, value) in [
        (header::CONTENT_TYPE, json),
        (header::LOCATION, header(answer.location)),
        (header::ETAG, header(answer.etag)),
    ] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// For every POST with a JSON body. Pictures sent to a camera have no effect of their own, nor has a
/// search; uploads make their [`Once`] when they have read the form.
pub(super) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    match pass(&app, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn pass(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    let path = request.uri().path().to_owned();
    let form = [
        "/photos",
        "/frames",
        "/bank/samples",
        "/bank/search",
        "/bank/import",
    ];
    if request.method() != Method::POST || form.iter().any(|end| path.ends_with(end)) {
        return Ok(next.run(request).await);
    }
    let name = name_of(request.headers())?;
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(_), Some(caller)) = (&name, caller) else {
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
    let once = Once::new(&caller, name, fingerprint);
    if let Some(answer) = once.before(app).await? {
        return Ok(answer);
    }
    let mut request = Request::from_parts(parts, Body::from(bytes));
    request.extensions_mut().insert(once.clone());
    let answer = next.run(request).await;
    if answer.status().is_success() {
        return Ok(answer);
    }
    // the same request, sent twice at once, may fail where the other was faster
    Ok(once.before(app).await?.unwrap_or(answer))
}
