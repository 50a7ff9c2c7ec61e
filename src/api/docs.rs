//! The description of the API, and a page that shows it. Nothing is fetched from elsewhere.

use std::sync::Arc;

use axum::Extension;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};

use super::problem::Kind;

/// The document as JSON, made once.
#[derive(Clone)]
pub(super) struct Document(pub(super) Arc<str>);

/// What the document says about the API as a whole.
pub(super) fn heading() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key."))
        .build();
    let cookie = ApiKeyValue::with_description(
        super::auth::COOKIE,
        "A session; changes also need the header X-CSRF-Token.",
    );
    let components = utoipa::openapi::ComponentsBuilder::new()
        .security_scheme("api_key", SecurityScheme::Http(bearer))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("sitewarden")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Photos of a site become candidate findings in an inspection ledger, which \
                     people work through to closure. A person decides; the machine proposes. \
                     Times are UTC. Whatever is not done is answered by problem details \
                     (RFC 9457) that say what to do next.",
                ))
                .build(),
        )
        .components(Some(components))
        .security(Some([
            SecurityRequirement::new("api_key", Vec::<String>::new()),
            SecurityRequirement::new("session", Vec::<String>::new()),
        ]))
        .build()
}

/// `GET /api/v1/openapi.json`
pub(super) async fn openapi(Extension(document): Extension<Document>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], document.0.to_string()).into_response()
}

/// `GET /docs`: holds no secret, so it is shown to everybody; what it loads is not.
pub(super) async fn page() -> Response {
    let policy = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    let page = include_str!("../../templates/api/docs.html").replace(PROBLEMS, &problems());
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// In the page: where the kinds of problems go.
const PROBLEMS: &str = "<!-- problems -->";

/// What the `type` of problem details leads to.
fn problems() -> String {
    let row = |kind: Kind| {
        let (status, name, title) = kind.parts();
        format!(
            "<tr id=\"problem-{name}\"><td><code>{name}</code><td>{}<td>{title}\n",
            status.as_u16()
        )
    };
    Kind::ALL.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::problem::Problem;
    use super::*;

    #[test]
    fn every_type_of_a_problem_leads_to_a_place_on_the_page() {
        assert!(include_str!("../../templates/api/docs.html").contains(PROBLEMS));
        for kind in Kind::ALL {
            let address = Problem::new(kind, "", "").body(None).kind;
            let place = address.strip_prefix("/docs#").unwrap();
            assert!(problems().contains(&format!("id=\"{place}\"")), "{address}");
        }
    }
}
