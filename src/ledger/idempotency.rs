//! What was answered to requests that carried an `Idempotency-Key`.

use jiff::SignedDuration;

use super::sql::{Bind, Columns};
use super::{Db, Ledger, Result};
use crate::finding::Actor;

/// Keys are kept so long.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// An answer, to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// Header `Location`.
    pub location: Option<String>,
    /// Header `ETag`.
    pub etag: Option<String>,
    /// JSON.
    pub body: String,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing; it is taken now.
    New,
    /// The request is being worked on.
    Running,
    /// It was used for another request.
    OtherRequest,
    /// The request was done.
    Done(KeptAnswer),
}

impl Ledger {
    /// Takes a key of an account for a request with this fingerprint, or says what became of it.
    pub async fn begin_key(
        &self,
        account: &str,
        name: &str,
        fingerprint: &str,
    ) -> Result<KeyState> {
        let mut tx = self.begin(&Actor::Machine).await?;
        let oldest = tx.now().saturating_sub(KEPT).unwrap_or(tx.now());
        sqlx::query("DELETE FROM idempotency_keys WHERE created_ms < $1")
            .time(oldest)
            .execute(tx.conn())
            .await?;
        let row = sqlx::query(
            "SELECT fingerprint, status, location, etag, body FROM idempotency_keys \
             WHERE account_id = $1 AND name = $2",
        )
        .bind(account)
        .bind(name)
        .fetch_optional(tx.conn())
        .await?;
        let state = match row {
            Some(row) if row.text("fingerprint")? != fingerprint => KeyState::OtherRequest,
            Some(row) => match row.maybe_int("status")? {
                None => KeyState::Running,
                Some(status) => KeyState::Done(KeptAnswer {
                    status: u16::try_from(status).unwrap_or(200),
                    location: row.maybe_text("location")?,
                    etag: row.maybe_text("etag")?,
                    body: row.maybe_text("body")?.unwrap_or_default(),
                }),
            },
            None => {
                let now = tx.now();
                sqlx::query(
                    "INSERT INTO idempotency_keys (account_id, name, fingerprint, created_ms) \
                     VALUES ($1, $2, $3, $4)",
                )
                .bind(account)
                .bind(name)
                .bind(fingerprint)
                .time(now)
                .execute(tx.conn())
                .await?;
                KeyState::New
            }
        };
        tx.commit().await?;
        Ok(state)
    }

    /// Keeps the answer.
    pub async fn finish_key(&self, account: &str, name: &str, answer: &KeptAnswer) -> Result<()> {
        let mut tx = self.begin(&Actor::Machine).await?;
        sqlx::query(
            "UPDATE idempotency_keys SET status = $1, location = $2, etag = $3, body = $4 \
             WHERE account_id = $5 AND name = $6",
        )
        .bind(i64::from(answer.status))
        .bind(answer.location.as_deref())
        .bind(answer.etag.as_deref())
        .bind(&answer.body)
        .bind(account)
        .bind(name)
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }

    /// The request had no effect: its key is free again.
    pub async fn forget_key(&self, account: &str, name: &str) -> Result<()> {
        let mut tx = self.begin(&Actor::Machine).await?;
        sqlx::query("DELETE FROM idempotency_keys WHERE account_id = $1 AND name = $2")
            .bind(account)
            .bind(name)
            .execute(tx.conn())
            .await?;
        tx.commit().await
    }

    /// At the start: what a dead process was working on may be tried again.
    pub async fn forget_running_keys(&self) -> Result<()> {
        let mut tx = self.begin(&Actor::Machine).await?;
        sqlx::query("DELETE FROM idempotency_keys WHERE status IS NULL")
            .execute(tx.conn())
            .await?;
        tx.commit().await
    }
}
