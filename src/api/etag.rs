//! Versions: `ETag` on what can change, `If-Match` on what changes it.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::IntoParams;

use super::extract::Json;
use super::problem::{Kind, Problem};

/// For the description of the API.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read from the headers directly")]
pub(super) struct IfMatch {
    /// The ETag of the version that you have seen. If it has changed since: 412.
    #[param(rename = "If-Match")]
    if_match: String,
}

/// A strong tag.
pub(super) fn of(version: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(&format!("\"{version}\"")).map_err(|e| Problem::fault(&e))
}

/// An answer with the version that a change of it must name.
pub(super) fn versioned<T: Serialize>(
    status: StatusCode,
    version: i64,
    body: T,
) -> Result<Response, Problem> {
    let tag = of(&version.to_string())?;
    Ok((status, [(header::ETAG, tag)], Json(body)).into_response())
}

/// An answer with what was made, and never changes.
pub(super) fn created(body: impl Serialize) -> Response {
    (StatusCode::CREATED, Json(body)).into_response()
}

/// The version that a change means: two people who change one thing must not overwrite each other.
pub(super) fn if_match(headers: &HeaderMap) -> Result<i64, Problem> {
    let missing = || {
        Problem::new(
            Kind::PreconditionRequired,
            "The version that you have seen is missing.",
            "Get it first, and send its ETag in the header If-Match.",
        )
    };
    let text = headers
        .get(header::IF_MATCH)
        .ok_or_else(missing)?
        .to_str()
        .unwrap_or_default();
    text.trim()
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .and_then(|t| t.parse().ok())
        .ok_or_else(changed)
}

/// Somebody was faster.
pub(super) fn changed() -> Problem {
    Problem::new(
        Kind::PreconditionFailed,
        "It has changed since you have seen it.",
        "Get it again, look whether your change still makes sense, and send the new ETag.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_comes_back_as_it_was_given() {
        let mut headers = HeaderMap::new();
        assert_eq!(if_match(&headers).unwrap_err().status(), 428);
        headers.insert(header::IF_MATCH, of("17").unwrap());
        assert_eq!(if_match(&headers).unwrap(), 17);
        for wrong in ["17", "W/\"17\"", "\"x\"", "*"] {
            headers.insert(header::IF_MATCH, HeaderValue::from_static(wrong));
            assert_eq!(if_match(&headers).unwrap_err().status(), 412, "{wrong}");
        }
    }
}
