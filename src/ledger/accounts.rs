//! Accounts, their API keys and their sessions. Secrets are known here by their digests only.

use jiff::Timestamp;
use serde_json::{Value, json as value};
use sqlx::any::AnyRow;

use super::events::NewEvent;
use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns, from_json, json};
use super::{Db, Error, Ledger, Page, Paged, Result, Tx};
use crate::finding::Actor;
use crate::id::Id;

/// Somebody, or some machine, that may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub id: Id,
    /// Name to sign in with.
    pub login: String,
    /// Names of roles.
    pub roles: Vec<String>,
    /// The enterprises that it sees; `None` for all.
    pub enterprises: Option<Vec<Id>>,
    /// As stored.
    pub password_hash: Option<String>,
    /// Whether it can do nothing any more.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Name to sign in with.
    pub login: String,
    /// Names of roles.
    pub roles: Vec<String>,
    /// The enterprises that it sees; `None` for all.
    pub enterprises: Option<Vec<Id>>,
    /// Without one, the account uses keys only.
    pub password_hash: Option<String>,
}

/// A key, without what opens the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Which.
    pub id: Id,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Whether it opens nothing any more.
    pub revoked: bool,
}

impl Ledger {
    /// Whether nobody can ask yet: the first start.
    pub async fn has_no_account(&self) -> Result<bool> {
        let mut db = self.read().await?;
        let any = sqlx::query("SELECT id FROM accounts LIMIT 1")
            .fetch_optional(db.conn())
            .await?;
        Ok(any.is_none())
    }

    /// Makes the account `admin` with a key, both or none, unless there is an account already.
    pub async fn create_first_account(&self, digest: &str) -> Result<()> {
        let mut tx = self.begin(&Actor::Machine).await?;
        let now = tx.now();
        let (account, key) = (tx.new_id(), tx.new_id());
        let made = sqlx::query(
            "INSERT INTO accounts (id, login, roles, created_ms) SELECT $1, 'admin', '[\"admin\"]', $2 \
             WHERE NOT EXISTS (SELECT 1 FROM accounts)",
        )
        .id(account)
        .time(now)
        .execute(tx.conn())
        .await?;
        if made.rows_affected() == 0 {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO api_keys (id, account_id, label, digest, created_ms) \
             VALUES ($1, $2, 'first start', $3, $4)",
        )
        .id(key)
        .id(account)
        .bind(digest)
        .time(now)
        .execute(tx.conn())
        .await?;
        record(
            &mut tx,
            "account.created",
            account,
            value!({"login": "admin", "roles": ["admin"]}),
        )
        .await?;
        record(&mut tx, "key.created", account, value!({"key_id": key})).await?;
        tx.commit().await
    }

    /// A page of the accounts, newest first.
    pub async fn accounts(&self, page: &Page) -> Result<Paged<Account>> {
        let mut db = self.read().await?;
        let all = Conditions::default();
        page::list(&mut db, "SELECT * FROM accounts", all, page).await
    }

    /// The account of this key, if both are in force.
    pub async fn account_of_key(&self, digest: &str) -> Result<Option<Account>> {
        let mut db = self.glance().await?;
        let row = sqlx::query(
            "SELECT a.* FROM api_keys k JOIN accounts a ON a.id = k.account_id \
             WHERE k.digest = $1 AND k.revoked_ms IS NULL AND a.disabled = 0 \
             AND (k.expires_ms IS NULL OR k.expires_ms > $2)",
        )
        .bind(digest)
        .time(self.now())
        .fetch_optional(db.conn())
        .await?;
        row.as_ref().map(Account::from_row).transpose()
    }

    /// The account of this session, if both are in force.
    pub async fn account_of_session(&self, digest: &str) -> Result<Option<Account>> {
        let mut db = self.glance().await?;
        let row = sqlx::query(
            "SELECT a.* FROM sessions s JOIN accounts a ON a.id = s.account_id \
             WHERE s.digest = $1 AND s.expires_ms > $2 AND a.disabled = 0",
        )
        .bind(digest)
        .time(self.now())
        .fetch_optional(db.conn())
        .await?;
        row.as_ref().map(Account::from_row).transpose()
    }

    /// The account of this login, unless it is disabled.
    pub async fn account_of_login(&self, login: &str) -> Result<Option<Account>> {
        let mut db = self.read().await?;
        let row = sqlx::query("SELECT * FROM accounts WHERE login = $1 AND disabled = 0")
            .bind(login)
            .fetch_optional(db.conn())
            .await?;
        row.as_ref().map(Account::from_row).transpose()
    }

    /// Another password. Sessions end, but for the one that asks for it: whoever knew the old
    /// password is out.
    pub async fn set_password(
        &self,
        account: Id,
        password_hash: &str,
        session: Option<&str>,
        by: &Actor,
    ) -> Result<()> {
        let mut tx = self.begin(by).await?;
        let done =
            sqlx::query("UPDATE accounts SET password_hash = $1 WHERE id = $2 AND disabled = 0")
                .bind(password_hash)
                .id(account)
                .execute(tx.conn())
                .await?;
        if done.rows_affected() == 0 {
            return Err(Error::not_found("account", account));
        }
        sqlx::query("DELETE FROM sessions WHERE account_id = $1 AND digest <> $2")
            .id(account)
            .bind(session.unwrap_or_default())
            .execute(tx.conn())
            .await?;
        record(&mut tx, "account.password_changed", account, Value::Null).await?;
        tx.commit().await
    }

    /// An account, unless it is disabled.
    pub async fn account(&self, id: Id) -> Result<Account> {
        let mut db = self.read().await?;
        let row = sqlx::query("SELECT * FROM accounts WHERE id = $1 AND disabled = 0")
            .id(id)
            .fetch_optional(db.conn())
            .await?;
        Account::from_row(&row.ok_or_else(|| Error::not_found("account", id))?)
    }

    /// A page of the keys of an account, newest first, revoked ones included.
    pub async fn keys_of(&self, account: Id, page: &Page) -> Result<Paged<ApiKey>> {
        let mut db = self.read().await?;
        let mut conditions = Conditions::default();
        conditions.and("account_id = {}", [account.into()]);
        page::list(&mut db, "SELECT * FROM api_keys", conditions, page).await
    }

    /// Gives an account a key.
    pub async fn create_key(
        &self,
        account: Id,
        label: &str,
        digest: &str,
        expires_at: Option<Timestamp>,
        by: &Actor,
    ) -> Result<ApiKey> {
        let mut tx = self.begin(by).await?;
        let exists = sqlx::query("SELECT id FROM accounts WHERE id = $1 AND disabled = 0")
            .id(account)
            .fetch_optional(tx.conn())
            .await?;
        if exists.is_none() {
            return Err(Error::not_found("account", account));
        }
        let key = ApiKey {
            id: tx.new_id(),
            label: label.to_owned(),
            created_at: tx.now(),
            expires_at,
            revoked: false,
        };
        sqlx::query(
            "INSERT INTO api_keys (id, account_id, label, digest, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .id(key.id)
        .id(account)
        .bind(label)
        .bind(digest)
        .time(key.created_at)
        .maybe_time(expires_at)
        .execute(tx.conn())
        .await?;
        let told = value!({"key_id": key.id, "label": label, "expires_at": expires_at});
        record(&mut tx, "key.created", account, told).await?;
        tx.commit().await?;
        Ok(key)
    }

    /// Ends a key.
    pub async fn revoke_key(&self, account: Id, id: Id, by: &Actor) -> Result<()> {
        let mut tx = self.begin(by).await?;
        let done = sqlx::query(
            "UPDATE api_keys SET revoked_ms = COALESCE(revoked_ms, $1) \
             WHERE id = $2 AND account_id = $3",
        )
        .time(tx.now())
        .id(id)
        .id(account)
        .execute(tx.conn())
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::not_found("key", id));
        }
        record(&mut tx, "key.revoked", account, value!({"key_id": id})).await?;
        tx.commit().await
    }

    /// Begins a session, and forgets those that have ended.
    pub async fn begin_session(
        &self,
        account: Id,
        digest: &str,
        expires_at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin(&Actor::person(account.to_string())).await?;
        sqlx::query("DELETE FROM sessions WHERE expires_ms <= $1")
            .time(tx.now())
            .execute(tx.conn())
            .await?;
        sqlx::query("INSERT INTO sessions (digest, account_id, expires_ms) VALUES ($1, $2, $3)")
            .bind(digest)
            .id(account)
            .time(expires_at)
            .execute(tx.conn())
            .await?;
        tx.commit().await
    }

    /// Ends a session. One that has ended already stays so.
    pub async fn end_session(&self, digest: &str) -> Result<()> {
        let mut tx = self.begin(&Actor::Machine).await?;
        sqlx::query("DELETE FROM sessions WHERE digest = $1")
            .bind(digest)
            .execute(tx.conn())
            .await?;
        tx.commit().await
    }
}

/// Makes an account.
pub async fn create(tx: &mut Tx, new: NewAccount) -> Result<Account> {
    let existing = sqlx::query("SELECT id FROM accounts WHERE login = $1")
        .bind(&new.login)
        .fetch_optional(tx.conn())
        .await?;
    if let Some(row) = existing {
        return Err(Error::Duplicate {
            what: "account",
            value: new.login,
            existing: row.id("id")?,
        });
    }
    let account = Account {
        id: tx.new_id(),
        login: new.login,
        roles: new.roles,
        enterprises: new.enterprises,
        password_hash: new.password_hash,
        disabled: false,
        created_at: tx.now(),
    };
    sqlx::query(
        "INSERT INTO accounts (id, login, roles, enterprises, password_hash, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .id(account.id)
    .bind(&account.login)
    .bind(json(&account.roles)?)
    .bind(account.enterprises.as_ref().map(json).transpose()?)
    .bind(account.password_hash.as_deref())
    .time(account.created_at)
    .execute(tx.conn())
    .await?;
    let told = value!({
        "login": account.login,
        "roles": account.roles,
        "enterprises": account.enterprises,
    });
    record(tx, "account.created", account.id, told).await?;
    Ok(account)
}

/// Ends an account: its keys and sessions open nothing from now on.
pub async fn disable(tx: &mut Tx, id: Id) -> Result<()> {
    let done = sqlx::query("UPDATE accounts SET disabled = 1 WHERE id = $1")
        .id(id)
        .execute(tx.conn())
        .await?;
    if done.rows_affected() == 0 {
        return Err(Error::not_found("account", id));
    }
    sqlx::query("DELETE FROM sessions WHERE account_id = $1")
        .id(id)
        .execute(tx.conn())
        .await?;
    record(tx, "account.disabled", id, Value::Null).await
}

/// Changes of who may do what belong into the log, the secrets do not.
async fn record(tx: &mut Tx, kind: &'static str, account: Id, data: Value) -> Result<()> {
    tx.record(NewEvent {
        kind,
        entity: "account",
        entity_id: account,
        enterprise_id: None,
        context: None,
        data,
    })
    .await?;
    Ok(())
}

impl Entity for Account {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            login: row.text("login")?,
            roles: from_json(&row.text("roles")?)?,
            enterprises: row
                .maybe_text("enterprises")?
                .map(|ids| from_json(&ids))
                .transpose()?,
            password_hash: row.maybe_text("password_hash")?,
            disabled: row.int("disabled")? != 0,
            created_at: row.time("created_ms")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

impl Entity for ApiKey {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            label: row.text("label")?,
            created_at: row.time("created_ms")?,
            expires_at: row.maybe_time("expires_ms")?,
            revoked: row.maybe_int("revoked_ms")?.is_some(),
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}
