//! The queue of photos that wait to be judged.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::AnyRow;

use super::events::{Context, NewEvent};
use super::photos::PhotoState;
use super::sql::{Bind, Columns, from_json, json};
use super::{Db, Error, Ledger, Result, Tx};
use crate::finding::Actor;
use crate::id::Id;
use crate::record::PhotoRecord;

/// A photo that one worker has.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedPhoto {
    /// Which.
    pub id: Id,
    /// Which attempt this is; a later one has taken the photo over.
    pub attempt: i64,
    /// Whose site it shows.
    pub enterprise_id: Id,
    /// What it shows.
    pub site_id: Id,
    /// Of whose live view it is.
    pub camera_id: Option<Id>,
    /// What it belongs to.
    pub inspection_id: Option<Id>,
    /// Name as sent.
    pub name: String,
    /// Of the original.
    pub sha256: String,
    /// When it was taken, if somebody said.
    pub taken_at: Option<Timestamp>,
    /// When it was taken, or received if nobody said.
    pub seen_at: Timestamp,
    /// The day of that at the site, `YYYY-MM-DD`: decides which clauses are in force.
    pub day: String,
    /// Of the enterprise: decide which kinds can occur.
    pub facts: BTreeMap<String, bool>,
}

/// What a worker found.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedPhoto {
    /// What was seen, or why it cannot be judged.
    pub record: PhotoRecord,
    /// What it was judged by.
    pub decided_by: Context,
    /// Tells photos that look the same.
    pub fingerprint: Option<u128>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Completed {
    /// It was in force, and the photo has its effect. Else nothing was written.
    pub done: bool,
    /// The next photo, where one was wanted and waited.
    pub next: Option<ClaimedPhoto>,
}

/// A photo that ended the process so often is not tried again.
const MAX_ATTEMPTS: i64 = 5;

impl Ledger {
    /// Takes the photo that has waited longest, of those that were tried least: one that ends the process
    /// must not hold up the others, and one that was only in hand when it ended is not soon tried again.
    pub async fn claim_photo(&self) -> Result<Option<ClaimedPhoto>> {
        if self.photos_waiting().await? == 0 {
            return Ok(None); // no need to wait for the writer
        }
        let mut tx = self.begin(&Actor::Machine).await?;
        let claimed = claim_next(&mut tx).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Writes what a worker found, files the candidates, ends the claim and takes the `next` photo if the
    /// worker wants one, all in one change.
    pub async fn complete_photo(
        &self,
        claim: &ClaimedPhoto,
        judged: &JudgedPhoto,
        next: bool,
    ) -> Result<Completed> {
        let mut tx = self.begin(&Actor::Machine).await?;
        let state = match &judged.record.error {
            None => PhotoState::Judged,
            Some(_) => PhotoState::Unreadable,
        };
        let context = tx.context(&judged.decided_by).await?;
        let now = tx.now();
        let done = sqlx::query(
            "UPDATE photos SET state = $1, judged_ms = $2, candidates = $3, record = $4, \
             context = $5, fingerprint = $6 WHERE id = $7 AND state = 'working' AND attempts = $8",
        )
        .bind(state.as_str())
        .time(now)
        .bind(judged.record.candidates.len() as i64)
        .bind(json(&judged.record)?)
        .bind(context.as_str())
        .bind(judged.fingerprint.map(|f| format!("{f:032x}")))
        .id(claim.id)
        .bind(claim.attempt)
        .execute(tx.conn())
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Completed::default());
        }
        ended(
            &mut tx,
            claim.id,
            claim.enterprise_id,
            &context,
            &judged.record,
        )
        .await?;
        super::filing::file(&mut tx, claim, judged).await?;
        let next = if next {
            claim_next(&mut tx).await?
        } else {
            None
        };
        tx.commit().await?;
        Ok(Completed { done: true, next })
    }

    /// At the start: what a dead process had claimed waits again; what ended the process too often
    /// is given up, with a reason.
    pub async fn recover_photos(&self, decided_by: &Context) -> Result<u64> {
        let mut tx = self.begin(&Actor::Machine).await?;
        let poison = sqlx::query(
            "SELECT id, enterprise_id, attempts, name, sha256 FROM photos WHERE state = 'working' AND attempts >= $1",
        )
        .bind(MAX_ATTEMPTS)
        .fetch_all(tx.conn())
        .await?;
        for row in poison {
            let reason = format!(
                "the service ended {} times while it worked on this photo; give another copy of \
                 it, and report it",
                row.int("attempts")?
            );
            let mut record = PhotoRecord::unreadable(row.text("name")?, reason);
            record.sha256 = Some(row.text("sha256")?);
            let context = tx.context(decided_by).await?;
            let now = tx.now();
            let id = row.id("id")?;
            ended(&mut tx, id, row.id("enterprise_id")?, &context, &record).await?;
            sqlx::query(
                "UPDATE photos SET state = 'unreadable', judged_ms = $1, record = $2, context = $3 \
                 WHERE id = $4",
            )
            .time(now)
            .bind(json(&record)?)
            .bind(context)
            .id(id)
            .execute(tx.conn())
            .await?;
        }
        let again = sqlx::query("UPDATE photos SET state = 'queued' WHERE state = 'working'")
            .execute(tx.conn())
            .await?;
        tx.commit().await?;
        Ok(again.rows_affected())
    }

    /// Photos that wait.
    pub async fn photos_waiting(&self) -> Result<u64> {
        waiting(&mut self.glance().await?).await
    }
}

/// As [`Ledger::claim_photo`].
async fn claim_next(tx: &mut Tx) -> Result<Option<ClaimedPhoto>> {
    let row = sqlx::query(
        "UPDATE photos SET state = 'working', attempts = attempts + 1 WHERE id = \
         (SELECT id FROM photos WHERE state = 'queued' ORDER BY attempts, id LIMIT 1) \
         RETURNING id, attempts, enterprise_id, site_id, camera_id, inspection_id, name, sha256, \
         taken_ms, received_ms, \
         (SELECT time_zone FROM sites WHERE sites.id = photos.site_id) AS time_zone, \
         (SELECT facts FROM enterprises WHERE enterprises.id = photos.enterprise_id) AS facts",
    )
    .fetch_optional(tx.conn())
    .await?;
    row.as_ref().map(claimed).transpose()
}

/// Records that a photo has its result.
async fn ended(
    tx: &mut Tx,
    id: Id,
    enterprise_id: Id,
    context: &str,
    record: &PhotoRecord,
) -> Result<()> {
    tx.record(NewEvent {
        kind: match record.error {
            None => "photo.judged",
            Some(_) => "photo.unreadable",
        },
        entity: "photo",
        entity_id: id,
        enterprise_id: Some(enterprise_id),
        context: Some(context),
        data: serde_json::json!({ "candidates": record.candidates.len(), "error": record.error }),
    })
    .await?;
    Ok(())
}

/// Photos that wait to be judged.
pub async fn waiting(db: &mut impl Db) -> Result<u64> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM photos WHERE state = 'queued'")
        .fetch_one(db.conn())
        .await?;
    Ok(row.int("n")?.unsigned_abs())
}

fn claimed(row: &AnyRow) -> Result<ClaimedPhoto> {
    let taken_at = row.maybe_time("taken_ms")?;
    let seen_at = match taken_at {
        Some(taken_at) => taken_at,
        None => row.time("received_ms")?,
    };
    let zone = row.text("time_zone")?;
    let zone =
        jiff::tz::TimeZone::get(&zone).map_err(|e| Error::Corrupt(format!("time_zone: {e}")))?;
    Ok(ClaimedPhoto {
        id: row.id("id")?,
        camera_id: row.maybe_id("camera_id")?,
        attempt: row.int("attempts")?,
        enterprise_id: row.id("enterprise_id")?,
        site_id: row.id("site_id")?,
        inspection_id: row.maybe_id("inspection_id")?,
        name: row.text("name")?,
        sha256: row.text("sha256")?,
        day: zone.to_datetime(seen_at).date().to_string(),
        facts: from_json(&row.text("facts")?)?,
        taken_at,
        seen_at,
    })
}
