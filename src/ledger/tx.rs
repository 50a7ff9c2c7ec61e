//! Reading and writing.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::any::Any;
use sqlx::pool::PoolConnection;
use sqlx::{AnyConnection, Transaction};

use super::events::Unwritten;
use super::findings::Totals;
use super::{Backend, Inner, Ledger, Result};
use crate::finding::Actor;
use crate::id::Id;

/// Anything one can read from: a [`Read`] or a [`Tx`].
pub trait Db: Send {
    /// The connection; only for the modules of the ledger.
    fn conn(&mut self) -> &mut AnyConnection;
}

/// A consistent picture for reading. Give it back soon.
#[derive(Debug)]
pub struct Read(Transaction<'static, Any>);

/// See [`Ledger::glance`].
pub(super) struct Glance(PoolConnection<Any>);

/// A change: all of it or nothing, together with its events.
#[derive(Debug)]
pub struct Tx {
    pub(super) inner: Transaction<'static, Any>,
    ledger: Arc<Inner>,
    now: Timestamp,
    actor: Actor,
    /// Digest of the context that was kept last.
    pub(super) kept_context: Option<String>,
    /// Events that this change has recorded.
    pub(super) unwritten: Unwritten,
    /// By how much it changes the totals of findings.
    pub(super) totals: Totals,
}

impl Ledger {
    /// A consistent picture of all that is committed.
    pub async fn read(&self) -> Result<Read> {
        let begin = match self.0.backend {
            Backend::Sqlite => "BEGIN",
            Backend::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        Ok(Read(self.0.readers.begin_with(begin).await?))
    }

    /// For reading with a single statement, which needs no transaction around it.
    pub(super) async fn glance(&self) -> Result<Glance> {
        Ok(Glance(self.0.readers.acquire().await?))
    }

    /// Waits for the turn to write on behalf of `actor`.
    pub async fn begin(&self, actor: &Actor) -> Result<Tx> {
        let begin = match self.0.backend {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        let inner = match self.0.writer.begin_with(begin).await {
            // a commit that a full disk refused leaves the only writing connection in its transaction
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.0.writer.acquire().await?.close().await?;
                self.0.writer.begin_with(begin).await?
            }
            begun => begun?,
        };
        Ok(Tx {
            inner,
            // after the wait: events are in the order of their times
            now: self.now(),
            ledger: Arc::clone(&self.0),
            actor: actor.clone(),
            kept_context: None,
            unwritten: Unwritten::default(),
            totals: Totals::default(),
        })
    }
}

impl Tx {
    /// When this change happens.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who makes this change.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// A new identifier.
    pub fn new_id(&self) -> Id {
        self.ledger.new_id(self.now)
    }

    /// Makes the change permanent.
    pub async fn commit(mut self) -> Result<()> {
        self.write_events().await?;
        self.write_totals().await?;
        Ok(self.inner.commit().await?)
    }
}

impl Db for Read {
    fn conn(&mut self) -> &mut AnyConnection {
        &mut self.0
    }
}

impl Db for Glance {
    fn conn(&mut self) -> &mut AnyConnection {
        &mut self.0
    }
}

impl Db for Tx {
    fn conn(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}
