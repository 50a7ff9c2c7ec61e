//! What a judged photo brings into the ledger: its candidates, and answers to the checklist of its
//! inspection. Part of the change that ends the photo's claim.

use serde_json::json;

use super::events::{Context, NewEvent};
use super::findings::{self, Area, EvidenceRole, Filed, NewEvidence, Picture, Sighting};
use super::queue::{ClaimedPhoto, JudgedPhoto};
use super::{Result, Tx, inspections, sites};
use crate::bank::Role;
use crate::geometry::BBox;
use crate::id::Id;
use crate::record::PhotoRecord;

/// Files everything that a photo shows.
pub(super) async fn file(tx: &mut Tx, claim: &ClaimedPhoto, judged: &JudgedPhoto) -> Result<()> {
    let record = &judged.record;
    let zone = match claim.camera_id {
        Some(camera) => match sites::camera(tx, camera).await?.point_id {
            Some(point) => sites::zone_of_point(tx, point).await?,
            None => String::new(),
        },
        None => String::new(),
    };
    // the claim ends with this change: nothing of it was filed before
    let (mut picture, mut new) = (None, Vec::new());
    for (n, candidate) in record.candidates.iter().enumerate() {
        let bbox = BBox::from_xywh(candidate.bbox);
        let area = record
            .width
            .zip(record.height)
            .and_then(|(w, h)| Area::of(bbox, w, h).ok());
        let seen = Sighting {
            source_key: format!("photo:{}:{}:{n}", claim.id, candidate.code),
            site_id: claim.site_id,
            zone: zone.clone(),
            camera_id: claim.camera_id,
            inspection_id: claim.inspection_id,
            hazard_code: candidate.code.clone(),
            suggested: candidate.severity,
            score: Some(f64::from(candidate.score)),
            area,
            look: None,
            photo_sha256: Some(claim.sha256.clone()),
            seen_at: claim.seen_at,
            of_watch: None,
            why: json!({
                "why": candidate.why,
                "name": candidate.name,
                "references": candidate.references,
            }),
            context: Some(judged.decided_by.clone()),
        };
        let picture = match &mut picture {
            Some(picture) => picture,
            None => picture.insert(Picture::of(tx, &seen).await?),
        };
        let filed = findings::file_of(tx, picture, &seen, &|_, _| false).await?;
        if let Filed::New { finding_id } = filed {
            new.push(finding_id);
        }
    }
    let origin = NewEvidence {
        sha256: claim.sha256.clone(),
        role: EvidenceRole::Origin,
        taken_at: claim.taken_at,
        checks: serde_json::Value::Null,
    };
    findings::link_all(tx, &new, claim.enterprise_id, &origin).await?;
    let (photo, enterprise) = (claim.id, claim.enterprise_id);
    suppressed(tx, photo, enterprise, record, &judged.decided_by).await?;
    if let Some(inspection) = claim.inspection_id {
        let answers: Vec<_> = record
            .answers
            .iter()
            .map(|a| (a.code.clone(), a.answer, a.reason.clone()))
            .collect();
        inspections::prefill(tx, inspection, &answers, Some(&judged.decided_by)).await?;
    }
    Ok(())
}

/// What the sample bank kept out is in the photo's record; the log of events names the dismissed sample
/// that it looks like.
pub(super) async fn suppressed(
    tx: &mut Tx,
    photo: Id,
    enterprise: Id,
    record: &PhotoRecord,
    decided_by: &Context,
) -> Result<()> {
    if record.suppressed.is_empty() {
        return Ok(());
    }
    let context = tx.context(decided_by).await?;
    for (n, candidate) in record.suppressed.iter().enumerate() {
        let samples = &candidate.why.samples;
        let negative = samples.iter().find(|s| s.role == Role::Negative.as_str());
        tx.record(NewEvent {
            kind: "photo.suppressed",
            entity: "photo",
            entity_id: photo,
            enterprise_id: Some(enterprise),
            context: Some(context.as_str()),
            data: json!({
                "source_key": format!("photo:{photo}:{}:suppressed:{n}", candidate.code),
                "hazard_code": candidate.code, "score": candidate.score, "bbox": candidate.bbox,
                "looks_like": negative.map(|s| (&s.id, s.similarity)),
            }),
        })
        .await?;
    }
    Ok(())
}
