//! `/session`: signing in and out with a password.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::secret::{self, Secret};
use super::{COOKIE, Caller, Role, cookie};
use crate::api::App;
use crate::api::accounts;
use crate::api::extract::Json;
use crate::api::problem::Problem;
use crate::id::Id;

/// What anybody may call.
pub(in crate::api) fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sign_in))
}

/// What a caller may call.
pub(in crate::api) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(who_am_i, sign_out))
        .routes(routes!(change_password))
}

/// A sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// Name of the account.
    login: String,
    /// Its password.
    #[schema(format = Password)]
    password: String,
}

/// A session that began.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    /// To be sent in the header `X-CSRF-Token` with every change.
    csrf_token: String,
    /// When the session ends, UTC.
    expires_at: String,
    /// Who signed in.
    account: Me,
}

/// The account that asks.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// Its id.
    account_id: Id,
    /// What it may do.
    roles: Vec<Role>,
    /// The enterprises that it sees; null for all.
    enterprises: Option<Vec<Id>>,
}

impl From<Caller> for Me {
    fn from(caller: Caller) -> Self {
        Self {
            account_id: caller.account_id,
            enterprises: caller.enterprises(),
            roles: caller.roles,
        }
    }
}

/// Signs in
///
/// Answers with a cookie and the token that every change must send along.
#[utoipa::path(post, path = "/session", tag = "session", security(()), request_body = SignIn,
    responses(
        (status = 201, body = SignedIn, description = "Signed in"),
        Problem,
    ))]
async fn sign_in(
    State(app): State<App>,
    peer: Option<axum::Extension<ConnectInfo<std::net::SocketAddr>>>,
    Json(sent): Json<SignIn>,
) -> Result<Response, Problem> {
    let wrong = || Problem::unauthenticated("The login or the password is wrong.");
    let address = peer.map_or_else(|| "unknown".to_owned(), |p| p.0.0.ip().to_string());
    for key in [
        format!("login {}", sent.login),
        format!("address {address}"),
    ] {
        app.sign_ins
            .check(&key)
            .map_err(|wait| Problem::too_many("Too many attempts to sign in.", wait))?;
    }
    let account = app.ledger.account_of_login(&sent.login).await?;
    let stored = account.as_ref().and_then(|a| a.password_hash.clone());
    let fits = fits(&app, sent.password, stored).await?;
    let account = account.filter(|_| fits).ok_or_else(wrong)?;

    let token = Secret::random("")?;
    let hours = i64::from(app.config.session_hours);
    let expires_at = app.ledger.now() + jiff::SignedDuration::from_hours(hours);
    app.ledger
        .begin_session(account.id, &token.digest(), expires_at)
        .await?;
    let answer = SignedIn {
        csrf_token: token.csrf_token(),
        expires_at: expires_at.to_string(),
        account: super::caller(&account).into(),
    };
    let cookie = set_cookie(&app, token.expose(), hours * 3600)?;
    Ok((
        StatusCode::CREATED,
        [(header::SET_COOKIE, cookie)],
        Json(answer),
    )
        .into_response())
}

/// Who is asking
#[utoipa::path(get, path = "/session", tag = "session",
    responses((status = 200, body = Me, description = "The account that asks"), Problem))]
async fn who_am_i(caller: Caller) -> Json<Me> {
    Json(caller.into())
}

/// Signs out
#[utoipa::path(delete, path = "/session", tag = "session",
    responses((status = 204, description = "The session has ended"), Problem))]
async fn sign_out(
    State(app): State<App>,
    _caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(token) = cookie(&headers) {
        app.ledger
            .end_session(&Secret::sent(token).digest())
            .await?;
    }
    let gone = set_cookie(&app, "", 0)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// One's own new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    /// The password so far.
    #[schema(format = Password)]
    current: String,
    /// At least 15 characters.
    #[schema(format = Password)]
    new: String,
}

/// Changes one's own password
///
/// All other sessions of the account end; keys stay. Whoever has none yet, or has forgotten it, is
/// given one by an administrator.
#[utoipa::path(put, path = "/session/password", tag = "session", request_body = ChangePassword,
    responses((status = 204, description = "It is in force"), Problem))]
async fn change_password(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Json(sent): Json<ChangePassword>,
) -> Result<StatusCode, Problem> {
    // a stolen session must not be a way to guess the password
    app.sign_ins
        .check(&format!("password {}", caller.account_id))
        .map_err(|wait| Problem::too_many("Too many attempts to change the password.", wait))?;
    let stored = app.ledger.account(caller.account_id).await?.password_hash;
    if !fits(&app, sent.current, stored).await? {
        return Err(Problem::forbidden("The current password is wrong."));
    }
    let hash = accounts::hash(&app, sent.new).await?;
    let session = cookie(&headers).map(|token| Secret::sent(token).digest());
    app.ledger
        .set_password(
            caller.account_id,
            &hash,
            session.as_deref(),
            &caller.actor(),
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether this is the password. Slow on purpose, and one at a time: guessing must not take the
/// cores from the photos.
async fn fits(app: &App, password: String, stored: Option<String>) -> Result<bool, Problem> {
    if password.len() > secret::MAX_PASSWORD_BYTES {
        return Ok(false);
    }
    let _turn = app
        .hashing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    tokio::task::spawn_blocking(move || secret::verify_password(&password, stored.as_deref()))
        .await
        .map_err(|e| Problem::fault(&e))
}

fn set_cookie(app: &App, value: &str, max_age_s: i64) -> Result<HeaderValue, Problem> {
    let secure = if app.secure_cookies { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={value}; Path=/api; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&cookie).map_err(|e| Problem::fault(&e))
}
