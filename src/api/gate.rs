//! What every request passes on its way in, and every answer on its way out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{ConnectInfo, MatchedPath, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{OpenApi, RefOr};

use super::App;
use super::auth::Caller;
use super::problem::{Kind, PROBLEM_JSON, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A request that asks for no more than rows is answered by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Uploads come over slow lines, and a caller may wait for the result.
const UPLOAD_WITHIN: Duration = Duration::from_secs(600);

/// Outermost: names the request, times it, turns a panic into a problem, writes the request's
/// name into problems, sets the headers that every answer has.
pub(super) async fn outermost(State(app): State<App>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let route = route(&request);
    let uploads = [
        "/photos",
        "/bank/samples",
        "/bank/search",
        "/bank/import",
        "/frames",
    ];
    let is_upload = uploads.iter().any(|end| route.ends_with(end));
    let limit = if is_upload && method == Method::POST {
        UPLOAD_WITHIN
    } else {
        ANSWER_WITHIN
    };
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!(request_id = id, route, "a handler panicked");
            Problem::bare_fault().into_response()
        }
        Err(_elapsed) => Problem::new(
            Kind::Timeout,
            "The request was not done in time.",
            "Send it again, or ask for less at once.",
        )
        .into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        app.metrics.refused(problem.name());
        let (parts, _) = response.into_parts();
        let mut body = Json(problem.body(Some(id.clone()))).into_response();
        // the new body has its own length
        body.headers_mut().remove(header::CONTENT_TYPE);
        *body.status_mut() = parts.status;
        for (name, value) in &parts.headers {
            if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
                body.headers_mut().append(name.clone(), value.clone());
            }
        }
        body.headers_mut()
            .insert(header::CONTENT_TYPE, PROBLEM_JSON);
        response = body;
    }
    let took = start.elapsed();
    let status = response.status().as_u16();
    tracing::info!(
        request_id = id,
        %method,
        route,
        status,
        duration_ms = took.as_secs_f64() * 1e3,
        "answered"
    );
    app.metrics.request(method.as_str(), &route, status, took);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // what one caller may see must not be kept for another
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-store"));
    response
}

/// The caller's name for the request where it is a plain word, else a new one.
fn request_id(request: &Request) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(|v| (1..=64).contains(&v.len()) && v.chars().all(plain))
        .map_or_else(|| format!("{:016x}", fastrand::u64(..)), str::to_owned)
}

/// The pattern of the address, never the address: ids do not belong into labels.
fn route(request: &Request) -> String {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned())
}

/// The parameters of the query that each operation knows, by method and path.
pub(super) struct Parameters(HashMap<(Method, String), Vec<String>>);

impl Parameters {
    /// Those that the description of the API names.
    pub(super) fn of(document: &OpenApi) -> Self {
        let mut all = HashMap::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                let named = operation.parameters.iter().flatten();
                // all are written in place
                let named = named.filter_map(|p| match p {
                    RefOr::T(parameter) => Some(parameter),
                    RefOr::Ref(_) => None,
                });
                let query = named.filter(|p| p.parameter_in == ParameterIn::Query);
                let names = query.map(|p| p.name.clone()).collect();
                all.insert((method, path.clone()), names);
            }
        }
        Self(all)
    }

    /// The first parameter of the query that is not known, with those that are.
    fn unknown(&self, request: &Request) -> Option<(String, &[String])> {
        request.uri().query()?;
        let path = route(request);
        let path = path.strip_prefix("/api/v1").unwrap_or(&path).to_owned();
        let known = self.0.get(&(request.method().clone(), path))?;
        // one that cannot be read is refused by whoever reads it
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).ok()?;
        let mut names = pairs.into_iter().map(|(name, _)| name);
        Some((names.find(|name| !known.contains(name))?, known))
    }
}

/// Refuses a query with a parameter that would be ignored: a filter that filters nothing shows too much.
pub(super) async fn parameters(
    State(known): State<Arc<Parameters>>,
    request: Request,
    next: Next,
) -> Response {
    let Some((name, known)) = known.unknown(&request) else {
        return next.run(request).await;
    };
    let next = match known {
        [] => "Leave it out: this address takes none.".to_owned(),
        known => format!("This address takes {}.", known.join(", ")),
    };
    Problem::invalid(format!("There is no parameter {name:?} here."), next).into_response()
}

/// Holds every caller to a rate.
pub(super) async fn rate(State(app): State<App>, request: Request, next: Next) -> Response {
    let key = match request.extensions().get::<Caller>() {
        Some(caller) => caller.account_id.to_string(),
        None => peer(&request),
    };
    match app.rates.check(&key) {
        Ok(()) => next.run(request).await,
        Err(wait) => Problem::too_many("You send more requests than the service takes.", wait)
            .into_response(),
    }
}

/// Where a request came from.
pub(super) fn peer(request: &Request) -> String {
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string())
}
