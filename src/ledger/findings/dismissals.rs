//! Rejections that stick.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::super::events::NewEvent;
use super::super::page::{self, Conditions, Entity};
use super::super::sql::{Bind, Columns};
use super::super::{Db, Page, Paged, Result, Tx, bank};
use super::place::{Sight, look_from_text, look_to_text};
use super::{Area, FindingRow, SameLook, Sighting, area, newest_occurrences};
use crate::id::Id;

/// What a person has rejected: the same at that camera, place and look is not filed again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Dismissal {
    /// Which.
    pub id: Id,
    /// The finding that was rejected.
    pub finding_id: Id,
    /// At which site.
    pub site_id: Id,
    /// In which zone.
    pub zone: String,
    /// By which camera.
    pub camera_id: Option<Id>,
    /// Hazard code.
    pub hazard_code: String,
    /// Where in the picture.
    pub area: Option<Area>,
    /// When it was rejected.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Since when it no longer holds.
    #[schemars(with = "Option<String>")]
    pub revoked_at: Option<Timestamp>,
    #[serde(skip)]
    look: Option<Vec<f32>>,
}

impl Entity for Dismissal {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            finding_id: row.id("finding_id")?,
            site_id: row.id("site_id")?,
            zone: row.text("zone")?,
            camera_id: row.maybe_id("camera_id")?,
            hazard_code: row.text("hazard_code")?,
            area: area(row)?,
            created_at: row.time("created_ms")?,
            revoked_at: row.maybe_time("revoked_ms")?,
            look: row.maybe("look", look_from_text)?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Keeps what was rejected: the newest sightings of the finding.
pub(super) async fn dismiss(tx: &mut Tx, row: &FindingRow) -> Result<()> {
    let now = tx.now();
    for seen in newest_occurrences(tx, row.finding.id).await? {
        let Some(area) = seen.area else { continue };
        let id = tx.new_id();
        sqlx::query(
            "INSERT INTO dismissals (id, finding_id, site_id, zone, camera_id, hazard_code, x1, y1, x2, y2, look, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .id(id)
        .id(row.finding.id)
        .id(row.site_id)
        .bind(row.zone.clone())
        .maybe_id(seen.camera_id)
        .bind(row.hazard_code.clone())
        .bind(area.x1)
        .bind(area.y1)
        .bind(area.x2)
        .bind(area.y2)
        .bind(seen.look.as_deref().map(look_to_text))
        .time(now)
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// The dismissal that covers a sighting, if one does.
pub(super) async fn dismissal_of(
    tx: &mut Tx,
    seen: &Sighting,
    sight: &Sight,
    same_look: &SameLook,
) -> Result<Option<Id>> {
    // what `Sight::is_dismissed_by` never holds for
    if sight.camera_id.is_none() && sight.look.is_none() {
        return Ok(None);
    }
    let rows = sqlx::query(
        "SELECT * FROM dismissals WHERE site_id = $1 AND hazard_code = $2 AND zone = $3 \
         AND revoked_ms IS NULL ORDER BY id DESC",
    )
    .id(seen.site_id)
    .bind(seen.hazard_code.clone())
    .bind(seen.zone.clone())
    .fetch_all(tx.conn())
    .await?;
    for row in &rows {
        let dismissal = Dismissal::from_row(row)?;
        let dismissed = Sight {
            camera_id: dismissal.camera_id,
            view: None,
            in_named_zone: sight.in_named_zone,
            area: dismissal.area,
            look: dismissal.look,
        };
        if sight.is_dismissed_by(&dismissed, same_look) {
            return Ok(Some(dismissal.id));
        }
    }
    Ok(None)
}

/// A page of a site's dismissals, newest first.
pub async fn dismissals(db: &mut impl Db, site_id: Id, page: &Page) -> Result<Paged<Dismissal>> {
    let mut conditions = Conditions::default();
    conditions.and("site_id = {}", [site_id.into()]);
    page::list(db, "SELECT * FROM dismissals", conditions, page).await
}

/// One dismissal.
pub async fn dismissal(db: &mut impl Db, id: Id) -> Result<Dismissal> {
    page::get(
        db,
        "dismissal",
        "SELECT * FROM dismissals WHERE id = $1",
        id,
    )
    .await
}

/// A person takes a dismissal back: the same is filed again from now on.
pub async fn revoke(tx: &mut Tx, id: Id) -> Result<()> {
    if *tx.actor() == crate::finding::Actor::Machine {
        return Err(crate::finding::Refusal::Machine("revoke a dismissal").into());
    }
    let dismissal: Dismissal = page::get(
        tx,
        "dismissal",
        "SELECT * FROM dismissals WHERE id = $1",
        id,
    )
    .await?;
    if dismissal.revoked_at.is_some() {
        return Ok(());
    }
    let enterprise_id = super::get(tx, dismissal.finding_id).await?.enterprise_id;
    let now = tx.now();
    sqlx::query("UPDATE dismissals SET revoked_ms = $1 WHERE id = $2")
        .time(now)
        .id(id)
        .execute(tx.conn())
        .await?;
    tx.record(NewEvent {
        kind: "dismissal.revoked",
        entity: "dismissal",
        entity_id: id,
        enterprise_id: Some(enterprise_id),
        context: None,
        data: json!({ "finding_id": dismissal.finding_id }),
    })
    .await?;
    bank::revoked(tx, dismissal.finding_id).await
}
