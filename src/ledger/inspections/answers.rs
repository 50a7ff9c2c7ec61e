//! The checklist of an inspection and its answers: from photos, from the enterprise's file, from people.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::super::events::Context;
use super::super::page::Entity;
use super::super::sql::{Bind, Columns};
use super::super::{Db, Error, Result, Tx, check_version};
use super::{Inspection, InspectionState, record};
use crate::finding::Actor;
use crate::hazard::{self, Answer, Text};
use crate::id::Id;

/// One item of the checklist, as it was when the inspection was planned, with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AnsweredItem {
    /// Name within the checklist.
    pub key: String,
    /// What to look at.
    pub text: Text,
    /// The hazard kind whose answers fill it in.
    pub hazard_code: Option<String>,
    /// What is unseen cannot be determined.
    pub answer: Answer,
    /// Why.
    pub reason: String,
    /// Who answered; `None` while nobody and nothing has looked.
    pub answered_by: Option<Actor>,
    /// When.
    #[schemars(with = "Option<String>")]
    pub answered_at: Option<Timestamp>,
    /// For `If-Match`.
    pub version: i64,
}

/// An enterprise's facts have changed: so do the checklists of its inspections that are not done. Items
/// of the kinds in `not_here` cannot occur there.
pub async fn follow_facts(
    tx: &mut Tx,
    enterprise_id: Id,
    not_here: &BTreeSet<String>,
) -> Result<()> {
    let open = sqlx::query("SELECT * FROM inspections WHERE enterprise_id = $1 AND state <> $2")
        .id(enterprise_id)
        .bind(InspectionState::Done.as_str())
        .fetch_all(tx.conn())
        .await?;
    for row in &open {
        gate(tx, &Inspection::from_row(row)?, not_here).await?;
    }
    Ok(())
}

/// Items of kinds that cannot occur at the enterprise are not applicable; those that were and can
/// occur after all are unseen. What people have answered stays.
pub(super) async fn gate(
    tx: &mut Tx,
    inspection: &Inspection,
    not_here: &BTreeSet<String>,
) -> Result<()> {
    for item in items(tx, inspection.id).await? {
        let Some(code) = &item.hazard_code else {
            continue;
        };
        if matches!(item.answered_by, Some(Actor::Person(_))) {
            continue;
        }
        let applies = !not_here.contains(code);
        let is_out = item.answer == Answer::NotApplicable;
        let (answer, reason, by) = match (applies, is_out) {
            (false, false) => {
                // the reader's language is not known here
                let Text { en, zh } = hazard::not_here();
                (
                    Answer::NotApplicable,
                    format!("{en} {zh}"),
                    Some(Actor::Machine),
                )
            }
            (true, true) => (Answer::CannotDetermine, String::new(), None),
            _ => continue,
        };
        write_answer(
            tx,
            inspection,
            &item.key,
            answer,
            &reason,
            by.as_ref(),
            None,
        )
        .await?;
    }
    Ok(())
}

/// The checklist with its answers, in order.
pub async fn items(db: &mut impl Db, id: Id) -> Result<Vec<AnsweredItem>> {
    let rows =
        sqlx::query("SELECT * FROM inspection_items WHERE inspection_id = $1 ORDER BY position")
            .id(id)
            .fetch_all(db.conn())
            .await?;
    rows.iter().map(answered).collect()
}

fn answered(row: &AnyRow) -> Result<AnsweredItem> {
    Ok(AnsweredItem {
        key: row.text("item_key")?,
        text: Text::new(row.text("text_en")?, row.text("text_zh")?),
        hazard_code: row.maybe_text("hazard_code")?,
        answer: row.parsed("answer", parse_answer)?,
        reason: row.text("reason")?,
        answered_by: row.maybe("answered_by", Actor::parse)?,
        answered_at: row.maybe_time("answered_ms")?,
        version: row.int("version")?,
    })
}

fn parse_answer(name: &str) -> Option<Answer> {
    use Answer::{CannotDetermine, Compliant, NonCompliant, NotApplicable};
    [NonCompliant, Compliant, CannotDetermine, NotApplicable]
        .into_iter()
        .find(|answer| answer.as_str() == name)
}

/// One item of a checklist with its answer.
pub async fn item(db: &mut impl Db, id: Id, key: &str) -> Result<AnsweredItem> {
    let row =
        sqlx::query("SELECT * FROM inspection_items WHERE inspection_id = $1 AND item_key = $2")
            .id(id)
            .bind(key.to_owned())
            .fetch_optional(db.conn())
            .await?
            .ok_or_else(|| Error::not_found("checklist item", key))?;
    answered(&row)
}

/// What a person says of an item.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Of which item.
    pub key: &'a str,
    /// The version of it that the person has seen.
    pub expected: Option<i64>,
    /// One of the four.
    pub answer: Answer,
    /// What it rests on.
    pub reason: &'a str,
}

/// A person answers an item; that stands until a person changes it.
pub async fn answer(tx: &mut Tx, id: Id, given: Given<'_>) -> Result<AnsweredItem> {
    let inspection = super::get(tx, id).await?;
    if inspection.state == InspectionState::Done {
        return Err(Error::invalid(
            "state",
            "the inspection is done: its answers stand",
        ));
    }
    let old = item(tx, id, given.key).await?;
    check_version("checklist item", id, given.expected, old.version)?;
    let by = tx.actor().clone();
    let (key, answer, reason) = (given.key, given.answer, given.reason);
    write_answer(tx, &inspection, key, answer, reason, Some(&by), None).await?;
    item(tx, id, key).await
}

/// Fills items in from what photos showed: one answer for each photo and hazard kind. What people
/// have answered stays; what was in no photo stays "cannot determine".
pub async fn prefill(
    tx: &mut Tx,
    id: Id,
    answers: &[(String, Answer, String)],
    context: Option<&Context>,
) -> Result<()> {
    let inspection = super::get(tx, id).await?;
    if inspection.state == InspectionState::Done {
        return Ok(());
    }
    let digest = match context {
        Some(context) => Some(tx.context(context).await?),
        None => None,
    };
    for item in items(tx, id).await? {
        // what a person says stands, and so does the enterprise's file
        let by_person = matches!(item.answered_by, Some(Actor::Person(_)));
        if by_person || item.answer == Answer::NotApplicable {
            continue;
        }
        let (Some(code), seen_before) = (&item.hazard_code, item.answered_by.is_some()) else {
            continue;
        };
        // earlier photos of the inspection count like these
        let before = seen_before.then_some((item.answer, item.reason.as_str()));
        let now = answers
            .iter()
            .filter(|(c, ..)| c == code)
            .map(|(_, answer, reason)| (*answer, reason.as_str()));
        let Some((answer, reason)) = before.into_iter().chain(now).reduce(weaker_of) else {
            continue;
        };
        // no photo showed what this is about: that is unseen, not inapplicable
        if answer == Answer::NotApplicable {
            continue;
        }
        if (answer, reason) != (item.answer, item.reason.as_str()) || !seen_before {
            write_answer(
                tx,
                &inspection,
                &item.key,
                answer,
                reason,
                Some(&Actor::Machine),
                digest.as_deref(),
            )
            .await?;
        }
    }
    Ok(())
}

/// Of two photos' answers the one that binds: a hazard anywhere is a hazard, one photo that
/// settles nothing leaves the item open, and a photo of something else says nothing.
fn weaker_of<'a>(a: (Answer, &'a str), b: (Answer, &'a str)) -> (Answer, &'a str) {
    let rank = |answer| match answer {
        Answer::NonCompliant => 3,
        Answer::CannotDetermine => 2,
        Answer::Compliant => 1,
        Answer::NotApplicable => 0,
    };
    if rank(b.0) > rank(a.0) { b } else { a }
}

async fn write_answer(
    tx: &mut Tx,
    inspection: &Inspection,
    key: &str,
    answer: Answer,
    reason: &str,
    by: Option<&Actor>,
    context: Option<&str>,
) -> Result<()> {
    let now = by.map(|_| tx.now());
    sqlx::query(
        "UPDATE inspection_items SET answer = $1, reason = $2, answered_by = $3, answered_ms = $4, \
         version = version + 1 WHERE inspection_id = $5 AND item_key = $6",
    )
    .bind(answer.as_str())
    .bind(reason.to_owned())
    .bind(by.map(Actor::to_text))
    .maybe_time(now)
    .id(inspection.id)
    .bind(key.to_owned())
    .execute(tx.conn())
    .await?;
    let data = json!({ "key": key, "answer": answer, "reason": reason });
    record(tx, "inspection.answer", inspection, context, data).await
}
