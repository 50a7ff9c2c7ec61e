//! What people decide on findings teaches the bank, where there is one.

use super::super::findings::{FindingRow, Sighting, newest_occurrences};
use super::super::sql::Columns;
use super::super::{Db, Result, Tx};
use super::{NewSample, add, remove, version};
use crate::bank::{Place, Role, Scope};
use crate::id::Id;

/// A confirmed finding: its newest sightings are positive samples.
pub(in crate::ledger) async fn confirmed(tx: &mut Tx, row: &FindingRow) -> Result<()> {
    learn(tx, row, Role::Positive).await
}

/// A rejected finding: its newest sightings are look-alikes of that camera, or that site. What it taught
/// when a person noted it goes.
pub(in crate::ledger) async fn dismissed(tx: &mut Tx, row: &FindingRow) -> Result<()> {
    forget(tx, row.finding.id, Role::Positive, "it was rejected").await?;
    learn(tx, row, Role::Negative).await
}

/// What a person has seen and the machine has not: a positive sample, where its place in a photo is told.
pub(in crate::ledger) async fn noted(tx: &mut Tx, seen: &Sighting, finding_id: Id) -> Result<()> {
    let (Some(area), Some(photo_sha256)) = (seen.area, seen.photo_sha256.clone()) else {
        return Ok(());
    };
    if version(tx).await? == 0 {
        return Ok(());
    }
    let new = NewSample {
        role: Role::Positive,
        hazard: Some(seen.hazard_code.clone()),
        scope: Scope::Everywhere,
        place: Place {
            site: seen.site_id.to_string(),
            camera: seen.camera_id.map(|id| id.to_string()).unwrap_or_default(),
        },
        photo_sha256,
        photo_kept: true,
        area: [area.x1, area.y1, area.x2, area.y2],
        mask: None,
        origin: "review".to_owned(),
        finding_id: Some(finding_id),
        embedding: None,
    };
    add(tx, &[new]).await.map(drop)
}

/// The embeddings come later: a decision must not wait for a model, nor fail without one.
async fn learn(tx: &mut Tx, row: &FindingRow, role: Role) -> Result<()> {
    // whoever has never added a sample has no bank
    if version(tx).await? == 0 {
        return Ok(());
    }
    let mut new = Vec::new();
    for seen in newest_occurrences(tx, row.finding.id).await? {
        let (Some(area), Some(photo_sha256)) = (seen.area, seen.photo_sha256) else {
            continue;
        };
        let scope = match (role, seen.camera_id) {
            (Role::Negative, Some(_)) => Scope::Camera,
            (Role::Negative, None) => Scope::Site,
            _ => Scope::Everywhere,
        };
        new.push(NewSample {
            role,
            hazard: Some(row.hazard_code.clone()),
            scope,
            place: Place {
                site: row.site_id.to_string(),
                camera: seen.camera_id.map(|id| id.to_string()).unwrap_or_default(),
            },
            photo_sha256,
            photo_kept: true,
            area: [area.x1, area.y1, area.x2, area.y2],
            mask: None,
            origin: "review".to_owned(),
            finding_id: Some(row.finding.id),
            embedding: None,
        });
    }
    if !new.is_empty() {
        add(tx, &new).await?;
    }
    Ok(())
}

/// A dismissal was taken back: what it taught goes with it.
pub(in crate::ledger) async fn revoked(tx: &mut Tx, finding_id: Id) -> Result<()> {
    forget(tx, finding_id, Role::Negative, "the dismissal was revoked").await
}

async fn forget(tx: &mut Tx, finding_id: Id, role: Role, reason: &str) -> Result<()> {
    let rows = sqlx::query(
        "SELECT s.id FROM bank_samples s \
         JOIN bank_spans p ON p.sample_id = s.id AND p.until_version IS NULL \
         WHERE s.finding_id = $1 AND s.role = $2 ORDER BY s.id",
    )
    .bind(finding_id.to_string())
    .bind(role.as_str())
    .fetch_all(tx.conn())
    .await?;
    let ids = rows
        .iter()
        .map(|row| row.id("id"))
        .collect::<Result<Vec<_>>>()?;
    if !ids.is_empty() {
        remove(tx, &ids, reason).await?;
    }
    Ok(())
}
