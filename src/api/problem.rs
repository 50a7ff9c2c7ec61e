//! What a caller is told when something is not done: RFC 9457 problem details. Every problem says
//! what to do next; none shows the inside of the service.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// Tells kinds of problems apart; leads to the page about them.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The kind in a few words.
    pub(super) title: String,
    /// The HTTP status again.
    pub(super) status: u16,
    /// What is wrong this time.
    pub(super) detail: String,
    /// What to do next.
    pub(super) next: String,
    /// The request, for whoever reads the service's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    next: Cow<'static, str>,
    retry_after: Option<Duration>,
}

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Malformed,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    TooLarge,
    WrongMediaType,
    Invalid,
    PreconditionRequired,
    TooMany,
    Fault,
    NotReady,
    Timeout,
    DiskFull,
}

impl Kind {
    /// All, in the order of their declaration.
    pub(super) const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::WrongMediaType,
        Self::Invalid,
        Self::PreconditionRequired,
        Self::TooMany,
        Self::Fault,
        Self::NotReady,
        Self::Timeout,
        Self::DiskFull,
    ];

    /// Status, name in the address of the page about it, title.
    pub(super) const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "malformed",
                "The request cannot be read",
            ),
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Who is asking is not known",
            ),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This address does not take this method",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "conflict",
                "This does not go with the present state",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "It has changed in the meantime",
            ),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Self::WrongMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "wrong-media-type",
                "This kind of content is not taken",
            ),
            Self::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "A value is not valid",
            ),
            Self::PreconditionRequired => (
                StatusCode::PRECONDITION_REQUIRED,
                "precondition-required",
                "The version that is meant is missing",
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many",
                "Too much at once",
            ),
            Self::Fault => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "fault",
                "A fault in the service",
            ),
            Self::NotReady => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not-ready",
                "The service is not ready",
            ),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout", "It took too long"),
            Self::DiskFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "disk-full",
                "There is no room for new work",
            ),
        }
    }
}

impl Problem {
    pub(super) fn new(
        kind: Kind,
        detail: impl Into<Cow<'static, str>>,
        next: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            detail: detail.into(),
            next: next.into(),
            retry_after: None,
        }
    }

    /// A value that was given is not valid.
    pub(super) fn invalid(
        detail: impl Into<Cow<'static, str>>,
        next: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Invalid, detail, next)
    }

    /// No such thing, or not within the caller's view: the two look the same.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(
            Kind::NotFound,
            format!("There is no such {what}, or you may not see it."),
            "Check the id; list what you may see; or ask an administrator for access.",
        )
    }

    pub(super) fn unauthenticated(detail: &'static str) -> Self {
        Self::new(
            Kind::Unauthenticated,
            detail,
            "Send `Authorization: Bearer <API key>`, or sign in at POST /api/v1/session.",
        )
    }

    pub(super) fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            Kind::Forbidden,
            detail,
            "Use an account that has the role for it, or ask an administrator.",
        )
    }

    pub(super) fn too_many(detail: &'static str, retry_after: Duration) -> Self {
        let mut problem = Self::new(
            Kind::TooMany,
            detail,
            "Wait as long as Retry-After says, then send the request again. What was accepted \
             earlier is kept.",
        );
        problem.retry_after = Some(retry_after);
        problem
    }

    /// A fault of ours: the log has the cause, the caller has the request's id.
    pub(super) fn fault(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::bare_fault()
    }

    pub(super) fn bare_fault() -> Self {
        Self::new(
            Kind::Fault,
            "The service could not do this.",
            "Try again; if it happens again, give the request_id to whoever runs the service.",
        )
    }

    /// Changes what the caller is told to do.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.kind.parts().0
    }

    /// For the label of a metric.
    pub(super) const fn name(&self) -> &'static str {
        self.kind.parts().1
    }

    /// The body, for this request.
    pub(super) fn body(&self, request_id: Option<String>) -> ProblemBody {
        let (status, name, title) = self.kind.parts();
        ProblemBody {
            kind: format!("/docs#problem-{name}"),
            title: title.into(),
            status: status.as_u16(),
            detail: self.detail.to_string(),
            next: self.next.to_string(),
            request_id,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.detail, self.next)
    }
}

impl std::error::Error for Problem {}

/// The id of the request is not known here: the outermost layer takes the problem out of the
/// response's extensions and writes the body again, with the id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body(None))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.kind == Kind::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer realm=\"sitewarden\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The media type of problem details.
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let next = "Compare the body with the schema at /docs and send it as application/json.";
        match rejection {
            JsonRejection::JsonDataError(e) => Self::new(Kind::Invalid, e.body_text(), next),
            JsonRejection::JsonSyntaxError(e) => Self::new(Kind::Malformed, e.body_text(), next),
            JsonRejection::MissingJsonContentType(e) => {
                Self::new(Kind::WrongMediaType, e.body_text(), next)
            }
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                Kind::TooLarge,
                "The body is larger than this address takes.",
                "Send less at once.",
            ),
            _ => Self::new(Kind::Malformed, "The body could not be read.", next),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let next = "Compare the query with the parameters at /docs.";
        Self::new(Kind::Malformed, rejection.body_text(), next)
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::not_found("address")
    }
}

impl From<crate::ledger::Error> for Problem {
    fn from(error: crate::ledger::Error) -> Self {
        use crate::ledger::Error;
        match error {
            Error::NotFound { what, .. } => Self::not_found(what),
            Error::Conflict { .. } => super::etag::changed(),
            Error::Refused(refusal) => Self::new(
                Kind::Conflict,
                format!("{refusal}."),
                "Get it again to see how it stands now and what it can do from there.",
            ),
            Error::Invalid { field, problem } => Self::invalid(
                format!("{field}: {problem}."),
                "Correct the value and send the request again.",
            ),
            Error::Duplicate {
                what,
                value,
                existing,
            } => Self::new(
                Kind::Conflict,
                format!("There is already a {what} with {value:?}."),
                format!("Use that one ({existing}), or choose another value."),
            ),
            Error::DiskFull => Self::new(
                Kind::DiskFull,
                "The disk of the service is full: nothing of this request was kept.",
                "Ask whoever runs the service to make room, then send the request again.",
            ),
            Error::Busy => Self::new(
                Kind::NotReady,
                "The ledger is busy.",
                "Send the request again when Retry-After says.",
            )
            .retry_after(Duration::from_secs(2)),
            other => Self::fault(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_to_do_next_and_when() {
        let problem = Problem::too_many("The queue is full.", Duration::from_millis(1500));
        let response = problem.clone().into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        let body = problem.body(Some("r-1".into()));
        assert_eq!(body.status, 429);
        assert!(body.next.contains("Retry-After"));
        assert_eq!(body.request_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn every_kind_is_on_the_list() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
        assert_eq!(Kind::DiskFull as usize + 1, Kind::ALL.len(), "the last one");
    }

    #[test]
    fn a_fault_keeps_its_cause_to_itself() {
        let body = Problem::fault(&"secret table is locked").body(None);
        assert_eq!(body.status, 500);
        assert!(!format!("{body:?}").contains("secret"));
    }

    #[test]
    fn who_is_not_known_is_told_how_to_be() {
        let response = Problem::unauthenticated("No key was sent.").into_response();
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
