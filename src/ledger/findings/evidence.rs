//! Which originals belong to a finding. The bytes are the evidence store's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::super::events::NewEvent;
use super::super::page::{self, Entity};
use super::super::sql::{self, Bind, Columns};
use super::super::{Db, Error, Page, Paged, Result, Tx};
use super::{OfFindings, with_finding};
use crate::finding::Actor;
use crate::id::Id;

/// As what an original belongs to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceRole {
    /// It shows the hazard.
    Origin,
    /// It shows that the hazard is gone.
    Proof,
    /// Anything else.
    Attachment,
}

impl EvidenceRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Proof => "proof",
            Self::Attachment => "attachment",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Origin, Self::Proof, Self::Attachment]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

/// An original that belongs to a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EvidenceLink {
    /// Which.
    pub id: Id,
    /// To which finding.
    pub finding_id: Id,
    /// SHA-256 of the original.
    pub sha256: String,
    /// As what.
    pub role: EvidenceRole,
    /// When it was taken, if that is known.
    #[schemars(with = "Option<String>")]
    pub taken_at: Option<Timestamp>,
    /// By whom it came.
    pub submitted_by: Actor,
    /// When it came.
    #[schemars(with = "String")]
    pub submitted_at: Timestamp,
    /// What checks found: information for the verifier, never a verdict.
    pub checks: serde_json::Value,
}

/// What is told of an original.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvidence {
    /// SHA-256 of the original, lower-case hexadecimal.
    pub sha256: String,
    /// As what.
    pub role: EvidenceRole,
    /// When it was taken, if that is known.
    pub taken_at: Option<Timestamp>,
    /// What checks found; null while none has run.
    pub checks: serde_json::Value,
}

impl Entity for EvidenceLink {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            finding_id: row.id("finding_id")?,
            sha256: row.text("sha256")?,
            role: row.parsed("role", EvidenceRole::parse)?,
            taken_at: row.maybe_time("taken_ms")?,
            submitted_by: row.actor("submitted_by")?,
            submitted_at: row.time("submitted_ms")?,
            checks: sql::from_json(&row.text("checks")?)?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Links an original to a finding. [`Step::Rectify`](crate::finding::Step::Rectify) does so for
/// its proof.
pub async fn link(tx: &mut Tx, finding_id: Id, new: &NewEvidence) -> Result<EvidenceLink> {
    let enterprise_id = super::get(tx, finding_id).await?.enterprise_id;
    let mut links = link_all(tx, &[finding_id], enterprise_id, new).await?;
    links
        .pop()
        .ok_or_else(|| Error::Corrupt("a link was not made".to_owned()))
}

/// Links in one statement.
const LINKS_AT_ONCE: usize = 32;

/// As [`link`], to findings of one enterprise.
pub(in crate::ledger) async fn link_all(
    tx: &mut Tx,
    findings: &[Id],
    enterprise_id: Id,
    new: &NewEvidence,
) -> Result<Vec<EvidenceLink>> {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if new.sha256.len() != 64 || !new.sha256.chars().all(hex) {
        return Err(Error::invalid(
            "sha256",
            "must be 64 lower-case hexadecimal digits",
        ));
    }
    let link_to = |finding_id: &Id| EvidenceLink {
        id: tx.new_id(),
        finding_id: *finding_id,
        sha256: new.sha256.clone(),
        role: new.role,
        taken_at: new.taken_at.map(sql::to_millisecond),
        submitted_by: tx.actor().clone(),
        submitted_at: tx.now(),
        checks: new.checks.clone(),
    };
    let links: Vec<EvidenceLink> = findings.iter().map(link_to).collect();
    for some in links.chunks(LINKS_AT_ONCE) {
        let mut query = sql::insert(
            "INSERT INTO evidence_links (id, finding_id, sha256, role, taken_ms, submitted_by, submitted_ms, checks)",
            (some.len(), 8),
            "",
        );
        for link in some {
            query = query
                .id(link.id)
                .id(link.finding_id)
                .bind(link.sha256.clone())
                .bind(link.role.as_str())
                .maybe_time(link.taken_at)
                .bind(link.submitted_by.to_text())
                .time(link.submitted_at)
                .bind(sql::json(&link.checks)?);
        }
        query.execute(tx.conn()).await?;
    }
    for link in &links {
        tx.record(NewEvent {
            kind: "evidence.linked",
            entity: "evidence",
            entity_id: link.id,
            enterprise_id: Some(enterprise_id),
            context: None,
            data: json!(link),
        })
        .await?;
    }
    Ok(links)
}

/// Adds what checks found about an original, once they have run.
pub async fn set_checks(tx: &mut Tx, link_id: Id, checks: &serde_json::Value) -> Result<()> {
    let row = sqlx::query(
        "SELECT f.enterprise_id FROM evidence_links e JOIN findings f ON f.id = e.finding_id WHERE e.id = $1",
    )
    .id(link_id)
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(|| Error::not_found("evidence link", link_id))?;
    sqlx::query("UPDATE evidence_links SET checks = $1 WHERE id = $2")
        .bind(sql::json(checks)?)
        .id(link_id)
        .execute(tx.conn())
        .await?;
    tx.record(NewEvent {
        kind: "evidence.checked",
        entity: "evidence",
        entity_id: link_id,
        enterprise_id: row.maybe_id("enterprise_id")?,
        context: None,
        data: checks.clone(),
    })
    .await?;
    Ok(())
}

/// What belongs to a finding, oldest first.
pub async fn evidence(db: &mut impl Db, finding_id: Id) -> Result<Vec<EvidenceLink>> {
    let rows = sqlx::query("SELECT * FROM evidence_links WHERE finding_id = $1 ORDER BY id")
        .id(finding_id)
        .fetch_all(db.conn())
        .await?;
    rows.iter().map(EvidenceLink::from_row).collect()
}

/// A page of what belongs to many findings, newest first.
pub async fn all_evidence(
    db: &mut impl Db,
    of: &OfFindings,
    page: &Page,
) -> Result<Paged<EvidenceLink>> {
    page::list(db, with_finding!("evidence_links"), of.conditions(), page).await
}

/// One of them.
pub async fn evidence_link(db: &mut impl Db, id: Id) -> Result<EvidenceLink> {
    let sql = "SELECT * FROM evidence_links WHERE id = $1";
    page::get(db, "evidence", sql, id).await
}

/// Where an original is used, oldest first.
pub async fn used_by(db: &mut impl Db, sha256: &str) -> Result<Vec<EvidenceLink>> {
    let rows = sqlx::query("SELECT * FROM evidence_links WHERE sha256 = $1 ORDER BY id")
        .bind(sha256.to_owned())
        .fetch_all(db.conn())
        .await?;
    rows.iter().map(EvidenceLink::from_row).collect()
}
