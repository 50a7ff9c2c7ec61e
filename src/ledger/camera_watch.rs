//! What the watch of a camera remembers and files: findings, their pictures and its memory go into
//! the ledger in one change, so that a restart neither doubles nor loses any.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::events::{Context, NewEvent};
use super::photos::{PhotoState, TakenBy};
use super::sites::{self, Camera};
use super::sql::{Bind, Columns, from_json, json as text};
use super::{Db, Error, Result, Tx};
use crate::id::Id;
use crate::record::PhotoRecord;

/// The memory of a watch.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered<M> {
    /// Of the numbers of its findings.
    pub epoch: Id,
    /// What is remembered.
    pub memory: M,
}

/// What the watch of a camera has remembered, if it ever did.
pub async fn recall<M: DeserializeOwned>(
    db: &mut impl Db,
    camera: Id,
) -> Result<Option<Remembered<M>>> {
    let row = sqlx::query("SELECT epoch, memory FROM camera_watches WHERE camera_id = $1")
        .id(camera)
        .fetch_optional(db.conn())
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Remembered {
        epoch: row.id("epoch")?,
        memory: from_json(&row.text("memory")?)?,
    }))
}

/// Remembers.
pub async fn remember<M: Serialize + Sync>(
    tx: &mut Tx,
    camera: Id,
    epoch: Id,
    memory: &M,
) -> Result<()> {
    let now = tx.now();
    sqlx::query(
        "INSERT INTO camera_watches (camera_id, epoch, memory, updated_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (camera_id) DO UPDATE SET epoch = $2, memory = $3, updated_ms = $4",
    )
    .id(camera)
    .id(epoch)
    .bind(text(memory)?)
    .time(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A picture of a camera, judged and durable.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Length of the file.
    pub bytes: u64,
    /// When it was taken, by the clock of this service.
    pub taken_at: Timestamp,
    /// What it shows; with its digest.
    pub record: PhotoRecord,
    /// What it was judged by.
    pub decided_by: Context,
    /// Tells photos that look the same.
    pub fingerprint: Option<u128>,
}

/// Keeps a picture of a camera as a photo of its site; the photo, which may have been there before.
pub async fn keep_frame(
    tx: &mut Tx,
    camera: &Camera,
    inspection: Option<Id>,
    frame: &Frame,
) -> Result<Id> {
    let sha256 = frame.record.sha256.clone().unwrap_or_default();
    let known = sqlx::query("SELECT id FROM photos WHERE site_id = $1 AND sha256 = $2")
        .id(camera.site_id)
        .bind(sha256.clone())
        .fetch_optional(tx.conn())
        .await?;
    if let Some(row) = known {
        return row.id("id");
    }
    let site = sites::get(tx, camera.site_id).await?;
    let account = account(tx).await?;
    let context = tx.context(&frame.decided_by).await?;
    let (id, now) = (tx.new_id(), tx.now());
    let state = match frame.record.error {
        None => PhotoState::Judged,
        Some(_) => PhotoState::Unreadable,
    };
    sqlx::query(
        "INSERT INTO photos (id, enterprise_id, site_id, inspection_id, account_id, name, sha256, bytes, \
         taken_ms, taken_by, received_ms, state, judged_ms, candidates, record, context, fingerprint) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .id(id)
    .id(site.enterprise_id)
    .id(site.id)
    .maybe_id(inspection)
    .id(account)
    .bind(frame.record.path.clone())
    .bind(sha256)
    .bind(i64::try_from(frame.bytes).unwrap_or(i64::MAX))
    .time(frame.taken_at)
    .bind(TakenBy::Service.as_str())
    .time(now)
    .bind(state.as_str())
    .time(now)
    .bind(frame.record.candidates.len() as i64)
    .bind(text(&frame.record)?)
    .bind(context)
    .bind(frame.fingerprint.map(|f| format!("{f:032x}")))
    .execute(tx.conn())
    .await?;
    let (record, decided_by) = (&frame.record, &frame.decided_by);
    super::filing::suppressed(tx, id, site.enterprise_id, record, decided_by).await?;
    Ok(id)
}

/// Photos have somebody who sent them; cameras share an account that opens nothing. Its login is none
/// that a person can choose.
async fn account(tx: &mut Tx) -> Result<Id> {
    const LOGIN: &str = "(cameras)";
    let row = sqlx::query("SELECT id FROM accounts WHERE login = $1")
        .bind(LOGIN)
        .fetch_optional(tx.conn())
        .await?;
    if let Some(row) = row {
        return row.id("id");
    }
    let (id, now) = (tx.new_id(), tx.now());
    sqlx::query(
        "INSERT INTO accounts (id, login, roles, enterprises, disabled, created_ms) \
         VALUES ($1, $2, '[]', '[]', 1, $3)",
    )
    .id(id)
    .bind(LOGIN)
    .time(now)
    .execute(tx.conn())
    .await?;
    tx.record(NewEvent {
        kind: "account.created",
        entity: "account",
        entity_id: id,
        enterprise_id: None,
        context: None,
        data: json!({ "login": LOGIN }),
    })
    .await?;
    Ok(id)
}

/// Zones that were drawn over the API.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnZones<Z> {
    /// The zones.
    pub zones: Z,
    /// For `If-Match`.
    pub version: i64,
}

/// The zones that were drawn for a camera, if any were.
pub async fn zones<Z: DeserializeOwned>(
    db: &mut impl Db,
    camera: Id,
) -> Result<Option<DrawnZones<Z>>> {
    let row = sqlx::query("SELECT zones, version FROM camera_zones WHERE camera_id = $1")
        .id(camera)
        .fetch_optional(db.conn())
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(DrawnZones {
        zones: from_json(&row.text("zones")?)?,
        version: row.int("version")?,
    }))
}

/// Draws the zones of a camera. `version` is that of the zones they replace, 0 where there were none;
/// the new version.
pub async fn draw_zones<Z: Serialize + Sync>(
    tx: &mut Tx,
    camera: &Camera,
    version: i64,
    zones: &Z,
) -> Result<i64> {
    let site = sites::get(tx, camera.site_id).await?;
    let (drawn, now) = (text(zones)?, tx.now());
    let row = sqlx::query("SELECT version FROM camera_zones WHERE camera_id = $1")
        .id(camera.id)
        .fetch_optional(tx.conn())
        .await?;
    let there = row.map_or(Ok(0), |row| row.int("version"))?;
    if there != version {
        return Err(Error::Conflict {
            what: "drawing of zones of the camera",
            id: camera.id,
            expected: version,
            current: there,
        });
    }
    sqlx::query(
        "INSERT INTO camera_zones (camera_id, zones, version, updated_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (camera_id) DO UPDATE SET zones = $2, version = $3, updated_ms = $4",
    )
    .id(camera.id)
    .bind(drawn.clone())
    .bind(version + 1)
    .time(now)
    .execute(tx.conn())
    .await?;
    tx.record(NewEvent {
        kind: "camera.zones_drawn",
        entity: "camera",
        entity_id: camera.id,
        enterprise_id: Some(site.enterprise_id),
        context: None,
        data: json!({ "version": version + 1, "zones": drawn }),
    })
    .await?;
    Ok(version + 1)
}
