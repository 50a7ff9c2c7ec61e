//! The steps of a finding as callers ask for them.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::auth::{Caller, Task};
use super::problem::Problem;
use super::{findings, proof, sites, time};
use crate::finding::{Proof, Step};
use crate::hazard::Severity;
use crate::id::Id;
use crate::ledger::findings::FindingRow;

/// One step in a finding's life.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum StepRequest {
    /// "This is a major hazard": the first of the two voices that it takes.
    ProposeMajor {
        /// Why.
        reason: String,
    },
    /// It is so, and this severe. `major` only as the second voice.
    Confirm {
        /// As decided by people.
        severity: Severity,
    },
    /// A confirmed finding is major after all: the second voice.
    AgreeMajor {},
    /// It is not so. The same is not proposed again.
    Reject {
        /// Why.
        reason: String,
    },
    /// It is the same hazard as another finding.
    Merge {
        /// Which.
        into: Id,
    },
    /// To be rectified.
    Order {
        /// Last instant: with offset from UTC, or by the clock at the site.
        due_at: String,
    },
    /// Handed to another authority.
    Transfer {
        /// To whom.
        to: String,
    },
    /// It is rectified: a photo of the site shows it.
    Rectify {
        /// The photo's id. It is checked, and the verifier is shown what the checks found.
        photo: Id,
    },
    /// The proof does not show it: ordered again.
    Return {
        /// Why.
        reason: String,
        /// New last instant.
        due_at: String,
    },
    /// The proof shows it.
    Close {},
}

impl StepRequest {
    /// What a caller must be allowed to do.
    pub(super) fn task(&self) -> Task {
        match self {
            Self::Rectify { .. } => Task::SubmitProof,
            Self::Return { .. } | Self::Close {} => Task::Verify,
            _ => Task::Decide,
        }
    }

    /// The step for the ledger, and what the checks of its proof found. Done before the change:
    /// comparing photos takes longer than anybody should hold the ledger.
    pub(super) async fn prepare(
        self,
        app: &App,
        caller: &Caller,
        finding: &FindingRow,
    ) -> Result<(Step, Option<Value>), Problem> {
        let step = match self {
            Self::ProposeMajor { reason } => Step::ProposeMajor { reason },
            Self::Confirm { severity } => Step::Confirm { severity },
            Self::AgreeMajor {} => Step::AgreeMajor,
            Self::Reject { reason } => Step::Reject { reason },
            Self::Merge { into } => {
                findings::visible(&mut app.ledger.read().await?, caller, into).await?;
                Step::Merge { into }
            }
            Self::Order { due_at } => Step::Order {
                due_at: moment(app, caller, finding, &due_at).await?,
            },
            Self::Transfer { to } => Step::Transfer { to },
            Self::Return { reason, due_at } => Step::Return {
                reason,
                due_at: moment(app, caller, finding, &due_at).await?,
            },
            Self::Close {} => Step::Close,
            Self::Rectify { photo } => {
                let photo = findings::photo_of(app, caller, photo, finding.site_id).await?;
                let checks = proof::check(app, finding, &photo).await?;
                let proof = Proof {
                    sha256: photo.sha256,
                    taken_at: photo.taken.map(|t| t.at),
                };
                return Ok((Step::Rectify { proof }, Some(checks)));
            }
        };
        Ok((step, None))
    }
}

/// A deadline by the clock of the finding's site.
async fn moment(
    app: &App,
    caller: &Caller,
    finding: &FindingRow,
    text: &str,
) -> Result<Timestamp, Problem> {
    let site = sites::visible(&mut app.ledger.read().await?, caller, finding.site_id).await?;
    time::moment(text, &site.tz()?)
}
