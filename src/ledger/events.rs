//! The append-only log of what happened, and the outbox that hands it on.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;

use super::page::{Conditions, Entity};
use super::sql::{self, Bind, Columns};
use super::{Db, Page, Paged, Result, Scope, Tx};
use crate::finding::Actor;
use crate::id::Id;
use crate::record::{BankRecord, ModelRecord};

/// What decisions of the machine rest on. Kept once for each combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Context {
    /// The model that looked.
    pub model: Option<ModelRecord>,
    /// Digest of the hazard catalogue in force.
    pub rules_sha256: String,
    /// Digest of the configuration.
    pub config_sha256: String,
    /// Threshold in force for each class.
    pub thresholds: BTreeMap<String, f32>,
    /// The sample bank that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankRecord>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// Its number: from 1, without gaps.
    pub seq: i64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What: `finding.filed`, `finding.step`, …
    pub kind: String,
    /// To what: `finding`, `site`, …
    pub entity: String,
    /// To which.
    pub entity_id: Id,
    /// Of which enterprise, if of one.
    pub enterprise_id: Option<Id>,
    /// Digest of the [`Context`].
    pub context: Option<String>,
    /// The rest.
    pub data: serde_json::Value,
}

/// An event to be recorded.
pub(in crate::ledger) struct NewEvent<'a> {
    pub(in crate::ledger) kind: &'static str,
    pub(in crate::ledger) entity: &'static str,
    pub(in crate::ledger) entity_id: Id,
    pub(in crate::ledger) enterprise_id: Option<Id>,
    pub(in crate::ledger) context: Option<&'a str>,
    pub(in crate::ledger) data: serde_json::Value,
}

/// An event with its number, until it is written.
#[derive(Debug)]
struct Numbered {
    seq: i64,
    kind: &'static str,
    entity: &'static str,
    entity_id: Id,
    enterprise_id: Option<Id>,
    context: Option<String>,
    data: String,
}

/// Events of one change. They are written together: a photo may bring dozens.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Unwritten {
    /// Number of the last event of the log, these included, once it is known.
    last: Option<i64>,
    events: Vec<Numbered>,
}

/// Events in one statement: PostgreSQL takes 65,535 values, and each length is a statement of its own.
const EVENTS_AT_ONCE: usize = 32;

impl Tx {
    /// Records an event, in the log and in the outbox, and gives its number. Every change calls this.
    /// The event is written by [`Tx::write_events`], at the latest when the change is made permanent.
    pub(in crate::ledger) async fn record(&mut self, event: NewEvent<'_>) -> Result<i64> {
        // one writer: the number cannot be taken by another
        let last = match self.unwritten.last {
            Some(last) => last,
            None => sqlx::query("SELECT COALESCE(MAX(seq), 0) AS seq FROM events")
                .fetch_one(self.conn())
                .await?
                .int("seq")?,
        };
        let seq = last + 1;
        self.unwritten.last = Some(seq);
        self.unwritten.events.push(Numbered {
            seq,
            kind: event.kind,
            entity: event.entity,
            entity_id: event.entity_id,
            enterprise_id: event.enterprise_id,
            context: event.context.map(str::to_owned),
            data: event.data.to_string(),
        });
        Ok(seq)
    }

    /// Writes what was recorded. Only rows that name an event need this before the end of the change.
    pub(in crate::ledger) async fn write_events(&mut self) -> Result<()> {
        let (now, actor) = (self.now(), self.actor().to_text());
        let mut events = std::mem::take(&mut self.unwritten.events);
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(EVENTS_AT_ONCE));
            let mut outbox = sql::insert(
                "INSERT INTO outbox (event_seq, next_attempt_ms)",
                (events.len(), 2),
                "",
            );
            let mut log = sql::insert(
                "INSERT INTO events (seq, at_ms, actor, kind, entity, entity_id, enterprise_id, context, data)",
                (events.len(), 9),
                "",
            );
            for event in events {
                outbox = outbox.bind(event.seq).time(now);
                log = log
                    .bind(event.seq)
                    .time(now)
                    .bind(actor.clone())
                    .bind(event.kind)
                    .bind(event.entity)
                    .id(event.entity_id)
                    .maybe_id(event.enterprise_id)
                    .bind(event.context)
                    .bind(event.data);
            }
            log.execute(self.conn()).await?;
            outbox.execute(self.conn()).await?;
            events = rest;
        }
        Ok(())
    }

    /// Keeps a context and gives its digest.
    pub(in crate::ledger) async fn context(&mut self, context: &Context) -> Result<String> {
        let data = sql::json(context)?;
        let sha256 = hex(&Sha256::digest(data.as_bytes()));
        // what one photo shows rests on one context
        if self.kept_context.as_deref() == Some(sha256.as_str()) {
            return Ok(sha256);
        }
        sqlx::query("INSERT INTO contexts (sha256, data) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(sha256.clone())
            .bind(data)
            .execute(self.conn())
            .await?;
        self.kept_context = Some(sha256.clone());
        Ok(sha256)
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Entity for Event {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            seq: row.int("seq")?,
            at: row.time("at_ms")?,
            actor: row.actor("actor")?,
            kind: row.text("kind")?,
            entity: row.text("entity")?,
            entity_id: row.id("entity_id")?,
            enterprise_id: row.maybe_id("enterprise_id")?,
            context: row.maybe_text("context")?,
            data: sql::from_json(&row.text("data")?)?,
        })
    }

    fn id(&self) -> Id {
        self.entity_id
    }
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Whose.
    pub scope: Scope,
    /// Of this thing only.
    pub entity_id: Option<Id>,
    /// Of this kind only.
    pub kind: Option<String>,
}

/// A page of the log, newest first.
pub async fn list(db: &mut impl Db, filter: &EventFilter, page: &Page) -> Result<Paged<Event>> {
    let mut conditions = Conditions::default();
    conditions.and_scope("enterprise_id", &filter.scope);
    conditions.and_maybe("entity_id = {}", filter.entity_id);
    conditions.and_maybe("kind = {}", filter.kind.clone());
    let (before, limit) = page.by_number()?;
    conditions.and_maybe("seq < {}", before);
    let tail = format!(" ORDER BY seq DESC LIMIT {}", limit + 1);
    let rows = conditions
        .query("SELECT * FROM events", &tail)
        .fetch_all(db.conn())
        .await?;
    let items = rows
        .iter()
        .map(Event::from_row)
        .collect::<Result<Vec<_>>>()?;
    Ok(Paged::cut(items, limit, |event| event.seq.to_string()))
}

/// The context of this digest.
pub async fn context(db: &mut impl Db, sha256: &str) -> Result<Context> {
    let row = sqlx::query("SELECT data FROM contexts WHERE sha256 = $1")
        .bind(sha256.to_owned())
        .fetch_optional(db.conn())
        .await?
        .ok_or_else(|| super::Error::not_found("context", sha256))?;
    sql::from_json(&row.text("data")?)
}

/// Events that are still to be told to other systems and are due, oldest first.
pub async fn pending(db: &mut impl Db, now: Timestamp, limit: u32) -> Result<Vec<Event>> {
    let rows = sqlx::query(
        "SELECT e.* FROM outbox o JOIN events e ON e.seq = o.event_seq \
         WHERE o.delivered_ms IS NULL AND o.next_attempt_ms <= $1 \
         ORDER BY o.event_seq LIMIT $2",
    )
    .time(now)
    .bind(i64::from(limit))
    .fetch_all(db.conn())
    .await?;
    rows.iter().map(Event::from_row).collect()
}

/// Notes that an event was delivered.
pub async fn delivered(tx: &mut Tx, seq: i64) -> Result<()> {
    let now = tx.now();
    sqlx::query("UPDATE outbox SET delivered_ms = $1, attempts = attempts + 1 WHERE event_seq = $2 AND delivered_ms IS NULL")
        .time(now)
        .bind(seq)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Notes that an event could not be delivered; it is tried again after `wait`.
pub async fn delivery_failed(
    tx: &mut Tx,
    seq: i64,
    error: &str,
    wait: SignedDuration,
) -> Result<()> {
    let again = tx.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
    sqlx::query(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_ms = $1, last_error = $2 \
         WHERE event_seq = $3 AND delivered_ms IS NULL",
    )
    .time(again)
    .bind(error.to_owned())
    .bind(seq)
    .execute(tx.conn())
    .await?;
    Ok(())
}
