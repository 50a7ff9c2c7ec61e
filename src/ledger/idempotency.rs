//! What was answered to requests that carried an `Idempotency-Key`. The answer is kept by the very
//! change that it tells of: whatever happens to the process, both are there or neither is.

use jiff::{SignedDuration, Timestamp};

use super::sql::{Bind, Columns};
use super::{Db, Ledger, Result, Tx};
use crate::finding::Actor;

/// Keys are kept so long.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A key as an account used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Whose: two accounts may use one name.
    pub account: String,
    /// As sent.
    pub name: String,
    /// Tells requests apart.
    pub fingerprint: String,
}

/// An answer, to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// Header `Location`.
    pub location: Option<String>,
    /// Header `ETag`.
    pub etag: Option<String>,
    /// JSON, or nothing.
    pub body: String,
}

/// What is known of a key: of which request it is, and what that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of the request that was done under the key.
    pub fingerprint: String,
    /// What it was answered.
    pub answer: KeptAnswer,
}

impl Ledger {
    /// What was done under a key, if anything was within a day.
    pub async fn kept_answer(&self, account: &str, name: &str) -> Result<Option<Kept>> {
        let since = oldest(self.now());
        kept(&mut self.glance().await?, account, name, since).await
    }

    /// Another answer to what was done under a key: the caller waited for more.
    pub async fn change_kept_answer(&self, key: &KeyUse, answer: &KeptAnswer) -> Result<()> {
        let mut tx = self.begin(&Actor::Machine).await?;
        sqlx::query(
            "UPDATE idempotency_keys SET status = $1, location = $2, etag = $3, body = $4 \
             WHERE account_id = $5 AND name = $6 AND fingerprint = $7",
        )
        .bind(i64::from(answer.status))
        .bind(answer.location.as_deref())
        .bind(answer.etag.as_deref())
        .bind(&answer.body)
        .bind(&key.account)
        .bind(&key.name)
        .bind(&key.fingerprint)
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }
}

fn oldest(now: Timestamp) -> Timestamp {
    now.saturating_sub(KEPT).unwrap_or(now)
}

async fn kept(
    db: &mut impl Db,
    account: &str,
    name: &str,
    since: Timestamp,
) -> Result<Option<Kept>> {
    let row = sqlx::query(
        "SELECT fingerprint, status, location, etag, body FROM idempotency_keys \
         WHERE account_id = $1 AND name = $2 AND status IS NOT NULL AND created_ms >= $3",
    )
    .bind(account)
    .bind(name)
    .time(since)
    .fetch_optional(db.conn())
    .await?;
    row.map(|row| {
        Ok(Kept {
            fingerprint: row.text("fingerprint")?,
            answer: KeptAnswer {
                status: u16::try_from(row.int("status")?).unwrap_or(200),
                location: row.maybe_text("location")?,
                etag: row.maybe_text("etag")?,
                body: row.maybe_text("body")?.unwrap_or_default(),
            },
        })
    })
    .transpose()
}

/// Keeps the answer to what this change does. When something was done under the key already, says
/// what, and this change is not to be committed.
pub async fn keep(tx: &mut Tx, key: &KeyUse, answer: &KeptAnswer) -> Result<Option<Kept>> {
    let now = tx.now();
    sqlx::query("DELETE FROM idempotency_keys WHERE created_ms < $1")
        .time(oldest(now))
        .execute(tx.conn())
        .await?;
    let before = kept(tx, &key.account, &key.name, oldest(now)).await?;
    if before.is_some() {
        return Ok(before);
    }
    sqlx::query(
        "INSERT INTO idempotency_keys (account_id, name, fingerprint, created_ms, status, location, etag, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&key.account)
    .bind(&key.name)
    .bind(&key.fingerprint)
    .time(now)
    .bind(i64::from(answer.status))
    .bind(answer.location.as_deref())
    .bind(answer.etag.as_deref())
    .bind(&answer.body)
    .execute(tx.conn())
    .await?;
    Ok(None)
}
