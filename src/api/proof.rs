//! What can be said about a proof of rectification. Each check is information for the verifier,
//! never a verdict.

use serde::Serialize;
use serde_json::Value;

use super::App;
use super::problem::Problem;
use crate::eval::look_alike;
use crate::evidence::Digest;
use crate::finding::Actor;
use crate::ledger::Page;
use crate::ledger::findings::{self, FindingRow};
use crate::ledger::photos::{Photo, TakenBy};
use crate::pipeline::picture::place_match;

/// Of what a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// It looks as it should.
    Yes,
    /// It does not.
    No,
    /// This cannot be settled.
    CannotDetermine,
}

#[derive(Debug, Serialize)]
struct Check {
    said: Said,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Checks {
    /// Shows the same place as the finding.
    same_place: Check,
    /// Neither this photo nor one that looks like it was evidence before.
    not_used_before: Check,
    /// Was taken after the order.
    taken_after_order: Check,
}

/// Holds a proof against the finding and all other evidence.
pub(super) async fn check(
    app: &App,
    finding: &FindingRow,
    photo: &Photo,
) -> Result<Value, Problem> {
    let checks = Checks {
        same_place: same_place(app, finding, photo).await?,
        not_used_before: not_used_before(app, finding, photo).await?,
        taken_after_order: taken_after_order(finding, photo),
    };
    serde_json::to_value(checks).map_err(|e| Problem::fault(&e))
}

/// Earlier photos that a proof is compared with.
const COMPARED: u32 = 3;

async fn same_place(app: &App, finding: &FindingRow, photo: &Photo) -> Result<Check, Problem> {
    let page = Page {
        cursor: None,
        limit: COMPARED,
    };
    let mut db = app.ledger.read().await?;
    let occurrences = findings::occurrences(&mut db, finding.finding.id, &page).await?;
    drop(db);
    let shown: Vec<Digest> = occurrences
        .items
        .iter()
        .filter_map(|o| o.photo_sha256.as_ref()?.parse().ok())
        .collect();
    let (store, limits) = (app.store.clone(), app.photo_limits.clone());
    let sha256: Digest = photo.sha256.parse().map_err(|e| Problem::fault(&e))?;
    let _turn = app
        .drawing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    let best = tokio::task::spawn_blocking(move || {
        let proof = store.read(&sha256).ok()?;
        shown
            .iter()
            .filter_map(|digest| place_match(&store.read(digest).ok()?, &proof, &limits).ok())
            .max_by_key(|found| found.agreeing)
    })
    .await
    .map_err(|e| Problem::fault(&e))?;
    Ok(match best {
        Some(found) if found.is_same_place() => Check {
            said: Said::Yes,
            reason: format!(
                "{} of {} features that look alike lie as they did in the finding's photo.",
                found.agreeing, found.alike
            ),
        },
        // a place looks different once it has been put right
        Some(found) => Check {
            said: Said::CannotDetermine,
            reason: format!(
                "Only {} of {} features that look alike lie as they did in the finding's photo.",
                found.agreeing, found.alike
            ),
        },
        None => Check {
            said: Said::CannotDetermine,
            reason: "There is no photo of the finding to compare with, or it cannot be read."
                .into(),
        },
    })
}

async fn not_used_before(app: &App, finding: &FindingRow, photo: &Photo) -> Result<Check, Problem> {
    let mut used = findings::used_by(&mut app.ledger.read().await?, &photo.sha256).await?;
    // a proof that came after the order may show other hazards: what the machine filed of it when it
    // came in is no earlier use
    let ordered_at = finding.finding.ordered_at;
    if ordered_at.is_some_and(|ordered| photo.received_at >= ordered) {
        used.retain(|link| link.submitted_by != Actor::Machine);
    }
    if !used.is_empty() {
        return Ok(Check {
            said: Said::No,
            reason: format!(
                "This very photo is evidence in {} place(s) already.",
                used.len()
            ),
        });
    }
    let Some(own) = photo.fingerprint else {
        return Ok(Check {
            said: Said::CannotDetermine,
            reason: "The photo is not judged yet, or has too little structure to compare.".into(),
        });
    };
    let alike = app
        .ledger
        .photos_alike(&photo.sha256, own, look_alike)
        .await?;
    Ok(if alike == 0 {
        Check {
            said: Said::Yes,
            reason: "No other photo in the evidence looks like this one.".into(),
        }
    } else {
        Check {
            said: Said::No,
            reason: format!("{alike} other photo(s) in the evidence look like this one."),
        }
    })
}

fn taken_after_order(finding: &FindingRow, photo: &Photo) -> Check {
    let (said, reason) = match (photo.taken, finding.finding.ordered_at) {
        (Some(taken), Some(ordered)) => {
            let source = match taken.by {
                TakenBy::Sender => "as the sender said",
                TakenBy::Service => "as this service's own clock says",
                TakenBy::Exif => "as the photo's EXIF says",
                TakenBy::ExifSiteClock => "as the photo's EXIF says, read as the clock at the site",
            };
            let at = taken.at;
            if at > ordered {
                let reason = format!("Taken at {at}, ordered at {ordered}; the time is {source}.");
                (Said::Yes, reason)
            } else {
                let reason =
                    format!("Taken at {at} ({source}), which is not after the order of {ordered}.");
                (Said::No, reason)
            }
        }
        _ => (
            Said::CannotDetermine,
            "Neither the sender nor the photo says when it was taken, or there is no order.".into(),
        ),
    };
    Check { said, reason }
}
