//! Taking a finding through its states.

use serde_json::json;

use super::super::events::NewEvent;
use super::super::sql::{Bind, to_millisecond};
use super::super::{Db, Error, Result, Tx, bank, orders};
use super::{EvidenceRole, FindingRow, NewEvidence, dismissals, evidence, severity_name, totals};
use crate::finding::{Actor, Finding, Proof, Step};
use crate::id::Id;

/// Takes one step on behalf of the change's actor. `expected` is the version that the person had
/// before them: another one in the ledger is a [`Error::Conflict`].
pub async fn step(tx: &mut Tx, id: Id, expected: Option<i64>, step: &Step) -> Result<FindingRow> {
    let mut row = super::get(tx, id).await?;
    super::super::check_version("finding", id, expected, row.version)?;
    // what is stored is what was decided on
    let step = &rounded(step.clone());
    let (now, actor) = (tx.now(), tx.actor().clone());
    let before = row.finding.clone();
    row.finding = before.apply(step, &actor, now)?;
    row.version += 1;
    row.updated_at = now;
    if let Step::Merge { into } = step {
        merge(tx, &row, *into).await?;
    }
    store(tx, &row).await?;
    totals::moved(tx, &row, &before);
    tx.record(NewEvent {
        kind: "finding.step",
        entity: "finding",
        entity_id: id,
        enterprise_id: Some(row.enterprise_id),
        context: None,
        data: json!({ "step": step, "from": before.state, "to": row.finding.state, "version": row.version }),
    })
    .await?;
    match step {
        Step::Order { due_at } => orders::issue(tx, &row, *due_at, None).await?,
        Step::Return { reason, due_at } => orders::issue(tx, &row, *due_at, Some(reason)).await?,
        Step::Confirm { .. } => bank::confirmed(tx, &row).await?,
        Step::Reject { .. } => {
            dismissals::dismiss(tx, &row).await?;
            bank::dismissed(tx, &row).await?;
        }
        Step::Rectify { proof } => {
            let new = NewEvidence {
                sha256: proof.sha256.clone(),
                role: EvidenceRole::Proof,
                taken_at: proof.taken_at,
                checks: serde_json::Value::Null,
            };
            evidence::link(tx, id, &new).await?;
        }
        _ => {}
    }
    Ok(row)
}

/// The step with its times as the ledger keeps them.
fn rounded(step: Step) -> Step {
    match step {
        Step::Order { due_at } => Step::Order {
            due_at: to_millisecond(due_at),
        },
        Step::Return { reason, due_at } => Step::Return {
            reason,
            due_at: to_millisecond(due_at),
        },
        Step::Rectify { proof } => Step::Rectify {
            proof: Proof {
                taken_at: proof.taken_at.map(to_millisecond),
                ..proof
            },
        },
        other => other,
    }
}

/// The sightings go over to the other finding.
async fn merge(tx: &mut Tx, row: &FindingRow, into: Id) -> Result<()> {
    let target = super::get(tx, into).await?;
    if target.site_id != row.site_id {
        return Err(Error::invalid("into", "is a finding of another site"));
    }
    if !target.finding.state.is_open() {
        let state = target.finding.state.as_str();
        return Err(Error::invalid(
            "into",
            format!("is {state}: merge into a finding that is open"),
        ));
    }
    sqlx::query("UPDATE occurrences SET finding_id = $1 WHERE finding_id = $2")
        .id(into)
        .id(row.finding.id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn store(tx: &mut Tx, row: &FindingRow) -> Result<()> {
    let Finding {
        id,
        state,
        severity,
        major_proposed_by,
        ordered_at,
        due_at,
        proof,
        proof_by,
        merged_into,
    } = &row.finding;
    let text = |actor: &Option<Actor>| actor.as_ref().map(Actor::to_text);
    let done = sqlx::query(
        "UPDATE findings SET state = $1, severity = $2, major_proposed_by = $3, ordered_ms = $4, \
         due_ms = $5, proof_sha256 = $6, proof_taken_ms = $7, proof_by = $8, merged_into = $9, \
         updated_ms = $10, version = $11 WHERE id = $12 AND version = $13",
    )
    .bind(state.as_str())
    .bind(severity.map(severity_name))
    .bind(text(major_proposed_by))
    .maybe_time(*ordered_at)
    .maybe_time(*due_at)
    .bind(proof.as_ref().map(|p| p.sha256.clone()))
    .maybe_time(proof.as_ref().and_then(|p| p.taken_at))
    .bind(text(proof_by))
    .maybe_id(*merged_into)
    .time(row.updated_at)
    .bind(row.version)
    .id(*id)
    .bind(row.version - 1)
    .execute(tx.conn())
    .await?
    .rows_affected();
    // one writer: cannot happen; if it does, nothing is to be kept
    if done != 1 {
        return Err(Error::Busy);
    }
    Ok(())
}
