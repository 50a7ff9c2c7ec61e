//! Who is asking, and what they may do. Nobody is let in without a key or a session.

mod role;
pub(crate) mod secret;
pub(super) mod session;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub use role::Role;
pub(crate) use role::Task;
use secret::Secret;

use super::App;
use super::gate::peer;
use super::problem::Problem;
use crate::finding::Actor;
use crate::id::Id;
use crate::ledger::Scope;
use crate::ledger::accounts::Account;

/// Name of the cookie that holds a session's token.
pub(crate) const COOKIE: &str = "sitewarden_session";
/// Sent along with every change that a session makes.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// An account that asks, by key or by session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The account.
    pub(crate) account_id: Id,
    /// What it is for.
    pub(crate) roles: Vec<Role>,
    /// What it may see.
    pub(crate) scope: Scope,
}

impl Caller {
    /// Refuses what none of the caller's roles allows.
    pub(crate) fn may(&self, task: Task) -> Result<(), Problem> {
        if self.can(task) {
            return Ok(());
        }
        let names = |roles: &mut dyn Iterator<Item = Role>| {
            roles.map(Role::as_str).collect::<Vec<_>>().join(", ")
        };
        let has = names(&mut self.roles.iter().copied());
        let takes = names(&mut Role::ALL.into_iter().filter(|role| role.may(task)));
        Err(Problem::forbidden(format!(
            "The roles of this account ({has}) do not allow this; it takes one of: {takes}."
        )))
    }

    /// Who acts, for the ledger.
    pub(crate) fn actor(&self) -> Actor {
        Actor::person(self.account_id.to_string())
    }

    /// The enterprises to choose from in a list; `None` for all.
    pub(crate) fn enterprises(&self) -> Option<Vec<Id>> {
        match &self.scope {
            Scope::All => None,
            Scope::Enterprises(ids) => Some(ids.clone()),
        }
    }

    pub(crate) fn can(&self, task: Task) -> bool {
        self.roles.iter().any(|role| role.may(task))
    }

    /// Refuses what belongs to an enterprise outside the caller's view, as if it were not there.
    pub(crate) fn sees(&self, enterprise: Id, what: &'static str) -> Result<(), Problem> {
        if self.scope.holds(enterprise) {
            Ok(())
        } else {
            Err(Problem::not_found(what))
        }
    }

    /// Whether copies for this caller must hide faces: it sees no originals.
    pub(crate) fn gets_redacted_copies(&self) -> bool {
        !self.can(Task::ReadOriginals)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::unauthenticated("No API key and no session was sent."))
    }
}

/// Lets nobody through who is not known; what follows finds the [`Caller`] with the request.
pub(super) async fn require(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match known(&app, &request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The caller of a request.
pub(super) fn known(
    app: &App,
    request: &Request,
) -> impl Future<Output = Result<Caller, Problem>> + Send + use<> {
    let (app, headers, from) = (app.clone(), request.headers().clone(), peer(request));
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    async move { identify(&app, &headers, changes, from).await }
}

async fn identify(
    app: &App,
    headers: &HeaderMap,
    changes: bool,
    from: String,
) -> Result<Caller, Problem> {
    if let Some(key) = bearer(headers)? {
        let account = app
            .ledger
            .account_of_key(&Secret::sent(key).digest())
            .await?;
        return account.map(|account| caller(&account)).ok_or_else(|| {
            match app.strangers.check(&from) {
                Ok(()) => Problem::unauthenticated("The API key is not known, or was revoked."),
                Err(wait) => Problem::too_many("Too many unknown keys from this address.", wait),
            }
        });
    }
    let Some(token) = cookie(headers) else {
        return Err(Problem::unauthenticated(
            "No API key and no session was sent.",
        ));
    };
    let token = Secret::sent(token);
    let account = app
        .ledger
        .account_of_session(&token.digest())
        .await?
        .ok_or_else(|| Problem::unauthenticated("The session has ended."))?;
    if changes {
        let sent = headers.get(CSRF_HEADER).and_then(|v| v.to_str().ok());
        if !sent.is_some_and(|sent| secret::same(sent, &token.csrf_token())) {
            return Err(Problem::new(
                super::problem::Kind::Forbidden,
                "A change by a session needs its CSRF token.",
                "Send the csrf_token that the sign-in answered in the header X-CSRF-Token.",
            ));
        }
    }
    Ok(caller(&account))
}

/// The caller that an account is.
pub(super) fn caller(account: &Account) -> Caller {
    Caller {
        account_id: account.id,
        roles: account
            .roles
            .iter()
            .filter_map(|r| Role::parse(r))
            .collect(),
        scope: match &account.enterprises {
            None => Scope::All,
            Some(ids) => Scope::Enterprises(ids.clone()),
        },
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let unreadable =
        || Problem::unauthenticated("The Authorization header is not `Bearer <API key>`.");
    let (scheme, key) = value
        .to_str()
        .ok()
        .and_then(|v| v.split_once(' '))
        .ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unreadable());
    }
    Ok(Some(key.trim()))
}

/// The token in the session's cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers), None);
        let value = "a=b; sitewarden_session=token; sitewarden_sessions=no";
        headers.insert(header::COOKIE, HeaderValue::from_static(value));
        assert_eq!(cookie(&headers), Some("token"));
    }

    #[test]
    fn only_bearer_keys_are_taken() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(|k| k.map(str::to_owned))
        };
        assert_eq!(with("bearer k").unwrap().as_deref(), Some("k"));
        assert!(with("Basic eDp5").is_err());
        assert!(with("k").is_err());
        assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn what_is_outside_the_scope_is_not_there() {
        let [own, other] = [1, 2].map(|n| Id::from_uuid(uuid::Uuid::from_u128(n)));
        let caller = Caller {
            account_id: other,
            roles: vec![Role::Enterprise],
            scope: Scope::Enterprises(vec![own]),
        };
        assert!(caller.sees(own, "site").is_ok());
        assert_eq!(caller.sees(other, "site").unwrap_err().status(), 404);
        assert_eq!(caller.may(Task::Decide).unwrap_err().status(), 403);
        assert!(caller.gets_redacted_copies());
    }
}
