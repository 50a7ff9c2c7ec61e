//! `/accounts`: people and machines that may ask, and their keys.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Role, Task, secret};
use super::etag::created;
use super::extract::{Json, Path, Query};
use super::idempotency::{self, Once};
use super::paging::{Page, Paging};
use super::problem::Problem;
use crate::id::Id;
use crate::ledger::accounts::{self, NewAccount};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(disable))
        .routes(routes!(set_password))
        .routes(routes!(list_keys, create_key))
        .routes(routes!(revoke_key))
}

/// An account.
#[derive(Serialize, ToSchema)]
struct Account {
    id: Id,
    /// Name to sign in with.
    login: String,
    roles: Vec<Role>,
    /// The enterprises that it sees; null for all.
    enterprises: Option<Vec<Id>>,
    /// Whether it can do nothing any more.
    disabled: bool,
    created_at: String,
}

impl From<accounts::Account> for Account {
    fn from(a: accounts::Account) -> Self {
        Self {
            id: a.id,
            login: a.login,
            roles: a.roles.iter().filter_map(|r| Role::parse(r)).collect(),
            enterprises: a.enterprises,
            disabled: a.disabled,
            created_at: a.created_at.to_string(),
        }
    }
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateAccount {
    /// Name to sign in with: 1 to 64 letters, digits, `.`, `_`, `-`, `@`.
    login: String,
    /// At least one. An enterprise's or a machine's account must be limited to enterprises.
    roles: Vec<Role>,
    /// The enterprises that it sees; all when absent.
    enterprises: Option<Vec<Id>>,
    /// At least 15 characters. Without one, the account uses keys only.
    #[schema(format = Password)]
    password: Option<String>,
}

/// Lists accounts
///
/// The newest first.
#[utoipa::path(get, path = "/accounts", tag = "accounts", params(Paging),
    responses((status = 200, body = Page<Account>, description = "Accounts, disabled ones included"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Account>>, Problem> {
    caller.may(Task::ManageAccounts)?;
    let accounts = app.ledger.accounts(&paging.into()).await?;
    Ok(Json(Page::new(accounts, |a| Ok(a.into()))?))
}

/// Makes an account
///
/// With a password it takes no Idempotency-Key: nothing made from a password is kept but its slow hash.
#[utoipa::path(post, path = "/accounts", tag = "accounts", request_body = CreateAccount, params(idempotency::Header),
    responses(
        (status = 201, body = Account, description = "Made"),
        Problem,
    ))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(sent): Json<CreateAccount>,
) -> Result<Response, Problem> {
    caller.may(Task::ManageAccounts)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if !(1..=64).contains(&sent.login.len()) || !sent.login.chars().all(plain) {
        return Err(Problem::invalid(
            "The login is not valid.",
            "Use 1 to 64 ASCII letters, digits, and . _ - @",
        ));
    }
    if sent.roles.is_empty() {
        return Err(Problem::invalid(
            "The account has no role.",
            "Give at least one role.",
        ));
    }
    let outside = |r: &Role| matches!(r, Role::Enterprise | Role::Ingest);
    if sent.roles.iter().any(outside) && sent.enterprises.is_none() {
        return Err(Problem::invalid(
            "An account with the role enterprise or ingest would see all enterprises.",
            "Name its enterprises.",
        ));
    }
    let password_hash = match sent.password {
        None => None,
        Some(password) => {
            once.keep_nothing()?;
            Some(hash(&app, password).await?)
        }
    };
    let new = NewAccount {
        login: sent.login,
        roles: sent.roles.iter().map(|r| r.as_str().to_owned()).collect(),
        enterprises: sent.enterprises,
        password_hash,
    };
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let made = accounts::create(&mut tx, new).await?;
    once.commit(tx, created(Account::from(made))).await
}

/// A new password as it is stored. One at a time: it is slow on purpose.
pub(super) async fn hash(app: &App, password: String) -> Result<String, Problem> {
    secret::check_new_password(&password)?;
    let _turn = app
        .hashing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    tokio::task::spawn_blocking(move || secret::hash_password(&password))
        .await
        .map_err(|e| Problem::fault(&e))?
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// At least 15 characters.
    #[schema(format = Password)]
    password: String,
}

/// Gives an account a password
///
/// All its sessions end. An account changes its own password at PUT /session/password.
#[utoipa::path(put, path = "/accounts/{id}/password", tag = "accounts", request_body = NewPassword,
    params(("id" = Id, Path, description = "The account")),
    responses((status = 204, description = "It is in force"), Problem))]
async fn set_password(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Json(sent): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    caller.may(Task::ManageAccounts)?;
    let hash = hash(&app, sent.password).await?;
    app.ledger
        .set_password(id, &hash, None, &caller.actor())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Disables an account
///
/// Its keys and sessions end at once. What it did stays in the ledger under its name.
#[utoipa::path(post, path = "/accounts/{id}/disable", tag = "accounts",
    params(("id" = Id, Path, description = "The account"), idempotency::Header),
    responses(
        (status = 204, description = "It can do nothing any more"),
        Problem,
    ))]
async fn disable(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::ManageAccounts)?;
    if id == caller.account_id {
        return Err(Problem::invalid(
            "An account cannot disable itself: nobody might be left.",
            "Use another administrator's account.",
        ));
    }
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    accounts::disable(&mut tx, id).await?;
    once.commit(tx, StatusCode::NO_CONTENT.into_response())
        .await
}

/// An API key, without the key.
#[derive(Serialize, ToSchema)]
struct Key {
    id: Id,
    /// What it is for.
    label: String,
    created_at: String,
    /// When it ends by itself; null for never.
    expires_at: Option<String>,
    revoked: bool,
}

impl From<accounts::ApiKey> for Key {
    fn from(k: accounts::ApiKey) -> Self {
        Self {
            id: k.id,
            label: k.label,
            created_at: k.created_at.to_string(),
            expires_at: k.expires_at.map(|t| t.to_string()),
            revoked: k.revoked,
        }
    }
}

/// A new API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateKey {
    /// What it is for, up to 100 characters.
    label: String,
    /// When it ends by itself, with offset; never when absent.
    expires_at: Option<String>,
}

/// An API key that was made. The key itself is shown this once.
#[derive(Serialize, ToSchema)]
struct NewKey {
    id: Id,
    /// To be sent as `Authorization: Bearer <key>`. It cannot be shown again.
    key: String,
}

/// Lists the keys of an account
///
/// The newest first.
#[utoipa::path(get, path = "/accounts/{id}/keys", tag = "accounts",
    params(("id" = Id, Path, description = "The account"), Paging),
    responses((status = 200, body = Page<Key>, description = "Its keys, revoked ones included"), Problem))]
async fn list_keys(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Key>>, Problem> {
    caller.may(Task::ManageAccounts)?;
    let keys = app.ledger.keys_of(id, &paging.into()).await?;
    Ok(Json(Page::new(keys, |k| Ok(k.into()))?))
}

/// Makes a key for an account
///
/// The answer holds the key and is kept nowhere, so the request takes no Idempotency-Key.
#[utoipa::path(post, path = "/accounts/{id}/keys", tag = "accounts", request_body = CreateKey,
    params(("id" = Id, Path, description = "The account")),
    responses(
        (status = 201, body = NewKey, description = "Made"),
        Problem,
    ))]
async fn create_key(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(sent): Json<CreateKey>,
) -> Result<(StatusCode, Json<NewKey>), Problem> {
    caller.may(Task::ManageAccounts)?;
    once.keep_nothing()?;
    if sent.label.is_empty() || sent.label.chars().count() > 100 {
        return Err(Problem::invalid(
            "The label is empty or too long.",
            "Say in 1 to 100 characters what the key is for.",
        ));
    }
    let expires_at = sent
        .expires_at
        .map(|text| {
            text.parse::<Timestamp>().map_err(|_| {
                Problem::invalid(
                    format!("{text:?} is no moment."),
                    "Write it with an offset, for example 2027-01-01T00:00:00Z.",
                )
            })
        })
        .transpose()?;
    let key = secret::Secret::random(secret::KEY_PREFIX)?;
    let made = app
        .ledger
        .create_key(id, &sent.label, &key.digest(), expires_at, &caller.actor())
        .await?;
    let body = NewKey {
        id: made.id,
        key: key.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Revokes a key
#[utoipa::path(delete, path = "/accounts/{id}/keys/{key_id}", tag = "accounts",
    params(("id" = Id, Path, description = "The account"), ("key_id" = Id, Path, description = "The key")),
    responses((status = 204, description = "It opens nothing any more"), Problem))]
async fn revoke_key(
    State(app): State<App>,
    caller: Caller,
    Path((id, key_id)): Path<(Id, Id)>,
) -> Result<StatusCode, Problem> {
    caller.may(Task::ManageAccounts)?;
    app.ledger.revoke_key(id, key_id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
