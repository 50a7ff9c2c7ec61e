//! A finding's life: its states, the only legal steps between them, and who may take them.
//!
//! ```text
//! candidate -> confirmed | rejected | merged
//! confirmed -> ordered | transferred
//! ordered   -> rectified -> closed | ordered (returned)
//! ```
//!
//! Pure: [`Finding::apply`] takes a finding, a step, a person and a time, and gives the finding
//! as it is afterwards or says why not. `overdue` is no state: it follows from the clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hazard::Severity;
use crate::id::Id;

/// Where a finding stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// Proposed by the machine or noted by a person; nobody has judged it yet.
    Candidate,
    /// A person says that it is so.
    Confirmed,
    /// A person says that it is not so.
    Rejected,
    /// The same hazard as another finding.
    Merged,
    /// Rectification is ordered, with a deadline.
    Ordered,
    /// Handed to another authority.
    Transferred,
    /// The enterprise says that it is done, with a proof.
    Rectified,
    /// A second person has verified the proof.
    Closed,
}

impl FindingState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Candidate,
        Self::Confirmed,
        Self::Rejected,
        Self::Merged,
        Self::Ordered,
        Self::Transferred,
        Self::Rectified,
        Self::Closed,
    ];

    /// The name in records and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Merged => "merged",
            Self::Ordered => "ordered",
            Self::Transferred => "transferred",
            Self::Rectified => "rectified",
            Self::Closed => "closed",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Where a finding may go from here.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Candidate => &[Self::Confirmed, Self::Rejected, Self::Merged],
            Self::Confirmed => &[Self::Ordered, Self::Transferred],
            Self::Ordered => &[Self::Rectified],
            Self::Rectified => &[Self::Closed, Self::Ordered],
            Self::Rejected | Self::Merged | Self::Transferred | Self::Closed => &[],
        }
    }

    /// Whether somebody still has to do something: such a finding takes further occurrences.
    pub const fn is_open(self) -> bool {
        !self.next().is_empty()
    }
}

/// Who acts.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The program: it proposes, it never decides.
    Machine,
    /// A person, by the account's identifier.
    Person(String),
}

impl Actor {
    /// A person.
    pub fn person(account: impl Into<String>) -> Self {
        Self::Person(account.into())
    }

    /// The name in the database: `machine` or `person:…`.
    pub fn to_text(&self) -> String {
        match self {
            Self::Machine => "machine".to_owned(),
            Self::Person(account) => format!("person:{account}"),
        }
    }

    /// Reads [`Actor::to_text`] back.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "machine" => Some(Self::Machine),
            Some(("person", account)) => Some(Self::Person(account.to_owned())),
            _ => None,
        }
    }
}

/// The proof of a rectification: a photo in the evidence store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Proof {
    /// SHA-256 of the original, lower-case hexadecimal.
    pub sha256: String,
    /// When it was taken, if that is known; only a dated proof can close a finding.
    #[schemars(with = "Option<String>")]
    pub taken_at: Option<Timestamp>,
}

/// One step in a finding's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// "This is a major hazard": the first of the two voices that it takes.
    ProposeMajor {
        /// Why.
        reason: String,
    },
    /// It is so, and this severe. [`Severity::Major`] only as the second voice.
    Confirm {
        /// As decided by people.
        severity: Severity,
    },
    /// A confirmed finding is major after all: the second voice, after [`Step::ProposeMajor`].
    AgreeMajor,
    /// It is not so.
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
        /// Last instant.
        #[schemars(with = "String")]
        due_at: Timestamp,
    },
    /// Handed to another authority.
    Transfer {
        /// To whom.
        to: String,
    },
    /// It is rectified, says the enterprise.
    Rectify {
        /// What shows it.
        proof: Proof,
    },
    /// The proof does not show it: ordered again.
    Return {
        /// Why.
        reason: String,
        /// New last instant.
        #[schemars(with = "String")]
        due_at: Timestamp,
    },
    /// The proof shows it.
    Close,
}

impl Step {
    /// The name in records.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ProposeMajor { .. } => "propose_major",
            Self::Confirm { .. } => "confirm",
            Self::AgreeMajor => "agree_major",
            Self::Reject { .. } => "reject",
            Self::Merge { .. } => "merge",
            Self::Order { .. } => "order",
            Self::Transfer { .. } => "transfer",
            Self::Rectify { .. } => "rectify",
            Self::Return { .. } => "return",
            Self::Close => "close",
        }
    }

    /// Where the step leads; `None` for one that stays.
    const fn target(&self) -> Option<FindingState> {
        Some(match self {
            Self::ProposeMajor { .. } | Self::AgreeMajor => return None,
            Self::Confirm { .. } => FindingState::Confirmed,
            Self::Reject { .. } => FindingState::Rejected,
            Self::Merge { .. } => FindingState::Merged,
            Self::Order { .. } | Self::Return { .. } => FindingState::Ordered,
            Self::Transfer { .. } => FindingState::Transferred,
            Self::Rectify { .. } => FindingState::Rectified,
            Self::Close => FindingState::Closed,
        })
    }
}

/// Why a step is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The machine only ever creates candidates.
    #[error("a machine may not {0}: a person decides")]
    Machine(&'static str),
    /// The state has no such way out.
    #[error("a finding that is {} cannot {step}", .state.as_str())]
    NotFrom {
        /// Where it stands.
        state: FindingState,
        /// What was tried.
        step: &'static str,
    },
    /// Major needs two people, and nobody has proposed it.
    #[error(
        "major needs two people: first propose it (propose_major), then let another person confirm it"
    )]
    MajorNotProposed,
    /// Major needs two people, and this is the same one.
    #[error("major needs two people: somebody else has to agree with your proposal")]
    MajorSamePerson,
    /// It is major already, or was proposed already.
    #[error("{0}")]
    AlreadyMajor(&'static str),
    /// A deadline in the past.
    #[error("the deadline {0} has passed: give one in the future")]
    DeadlinePassed(Timestamp),
    /// Closing on a proof without a date.
    #[error("the proof has no date: return the finding and ask for a photo whose date is known")]
    ProofUndated,
    /// Closing on a proof that is older than the order.
    #[error(
        "the proof was taken at {taken_at}, not after the order of {ordered_at}: return the finding and ask for a new photo"
    )]
    ProofBeforeOrder {
        /// When the photo was taken.
        taken_at: Timestamp,
        /// When the order in force was given.
        ordered_at: Timestamp,
    },
    /// Closing on a proof from the future.
    #[error(
        "the proof claims to be taken at {0}, which is yet to come: return the finding and ask for a photo with the right date"
    )]
    ProofFromFuture(Timestamp),
    /// Whoever submits the proof does not verify it.
    #[error("who submitted the proof cannot verify it: somebody else has to")]
    VerifierIsSubmitter,
    /// Merging into itself.
    #[error("a finding cannot be merged into itself: name the other one")]
    MergeIntoItself,
    /// A text that must not be empty.
    #[error("{0} must not be empty")]
    Empty(&'static str),
}

/// What the steps look at and change. The ledger stores it beside what never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// Which.
    pub id: Id,
    /// Where it stands.
    pub state: FindingState,
    /// As decided by people; `None` while nobody has.
    pub severity: Option<Severity>,
    /// Who has proposed that it is major.
    pub major_proposed_by: Option<Actor>,
    /// When the order in force was given; a return gives it anew.
    #[schemars(with = "Option<String>")]
    pub ordered_at: Option<Timestamp>,
    /// The deadline in force.
    #[schemars(with = "Option<String>")]
    pub due_at: Option<Timestamp>,
    /// The newest proof.
    pub proof: Option<Proof>,
    /// Who submitted it.
    pub proof_by: Option<Actor>,
    /// Merged into which.
    pub merged_into: Option<Id>,
}

impl Finding {
    /// A new candidate.
    pub const fn candidate(id: Id) -> Self {
        Self {
            id,
            state: FindingState::Candidate,
            severity: None,
            major_proposed_by: None,
            ordered_at: None,
            due_at: None,
            proof: None,
            proof_by: None,
            merged_into: None,
        }
    }

    /// Ordered, and the deadline has passed.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == FindingState::Ordered && self.due_at.is_some_and(|due| now > due)
    }

    /// The finding after `step`, taken by `by` at `at`.
    pub fn apply(&self, step: &Step, by: &Actor, at: Timestamp) -> Result<Self, Refusal> {
        if *by == Actor::Machine {
            return Err(Refusal::Machine(step.as_str()));
        }
        self.check_way(step)?;
        let mut next = self.clone();
        match step {
            Step::ProposeMajor { reason } => {
                not_empty("reason", reason)?;
                if self.severity == Some(Severity::Major) {
                    return Err(Refusal::AlreadyMajor("it is major already"));
                }
                if self.major_proposed_by.is_some() {
                    return Err(Refusal::AlreadyMajor(
                        "it is proposed as major already: somebody else has to agree",
                    ));
                }
                next.major_proposed_by = Some(by.clone());
            }
            Step::Confirm { severity } => {
                if *severity == Severity::Major {
                    self.second_voice(by)?;
                }
                next.severity = Some(*severity);
                // confirmed as less: the proposal is answered
                next.major_proposed_by = None;
            }
            Step::AgreeMajor => {
                self.second_voice(by)?;
                next.severity = Some(Severity::Major);
                next.major_proposed_by = None;
            }
            Step::Reject { reason } => not_empty("reason", reason)?,
            Step::Merge { into } => {
                if *into == self.id {
                    return Err(Refusal::MergeIntoItself);
                }
                next.merged_into = Some(*into);
            }
            Step::Transfer { to } => not_empty("to", to)?,
            Step::Order { due_at } => next.order(*due_at, at)?,
            Step::Return { reason, due_at } => {
                not_empty("reason", reason)?;
                next.order(*due_at, at)?;
            }
            Step::Rectify { proof } => {
                next.proof = Some(proof.clone());
                next.proof_by = Some(by.clone());
            }
            Step::Close => self.check_proof(by, at)?,
        }
        if let Some(target) = step.target() {
            next.state = target;
        }
        Ok(next)
    }

    fn check_way(&self, step: &Step) -> Result<(), Refusal> {
        let from = match step {
            Step::ProposeMajor { .. } => self.state.is_open(),
            // a candidate is confirmed as major instead
            Step::AgreeMajor => self.state.is_open() && self.state != FindingState::Candidate,
            // `ordered` can be reached from two states, by a step each
            Step::Order { .. } => self.state == FindingState::Confirmed,
            Step::Return { .. } => self.state == FindingState::Rectified,
            _ => step
                .target()
                .is_some_and(|target| self.state.next().contains(&target)),
        };
        if from {
            return Ok(());
        }
        Err(Refusal::NotFrom {
            state: self.state,
            step: step.as_str(),
        })
    }

    fn second_voice(&self, by: &Actor) -> Result<(), Refusal> {
        match &self.major_proposed_by {
            None => Err(Refusal::MajorNotProposed),
            Some(first) if first == by => Err(Refusal::MajorSamePerson),
            Some(_) => Ok(()),
        }
    }

    fn order(&mut self, due_at: Timestamp, at: Timestamp) -> Result<(), Refusal> {
        if due_at <= at {
            return Err(Refusal::DeadlinePassed(due_at));
        }
        self.ordered_at = Some(at);
        self.due_at = Some(due_at);
        Ok(())
    }

    fn check_proof(&self, by: &Actor, at: Timestamp) -> Result<(), Refusal> {
        let taken_at = self.proof.as_ref().and_then(|proof| proof.taken_at);
        let (Some(taken_at), Some(ordered_at)) = (taken_at, self.ordered_at) else {
            return Err(Refusal::ProofUndated);
        };
        if taken_at <= ordered_at {
            return Err(Refusal::ProofBeforeOrder {
                taken_at,
                ordered_at,
            });
        }
        if taken_at > at {
            return Err(Refusal::ProofFromFuture(taken_at));
        }
        if self.proof_by.as_ref() == Some(by) {
            return Err(Refusal::VerifierIsSubmitter);
        }
        Ok(())
    }
}

fn not_empty(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Empty(field));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
