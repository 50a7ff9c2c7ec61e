//! What the bank says of a picture, and why.

use serde::{Deserialize, Serialize};

use super::Neighbour;
use crate::hazard::Text;

/// What a picture is, by the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// Of this kind.
    Confirm,
    /// What was dismissed before.
    Suppress,
    /// Neither can be said.
    Unknown,
}

/// Why a ruling is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
#[schemars(rename = "BankReason")]
pub enum Reason {
    /// Near enough.
    Match,
    /// A quorum of dismissed samples is nearer.
    Dismissed,
    /// The bank has nothing of this kind.
    NoSamples,
    /// The bank has only dismissed samples of this kind.
    OnlyNegatives,
    /// Too few pictures without the hazard to state a rate of false alarms.
    TooFewHeldOut {
        /// There are.
        has: usize,
        /// It takes.
        needs: usize,
    },
    /// Too few confirmed samples to state a rate of misses.
    TooFewPositives {
        /// There are.
        has: usize,
        /// It takes.
        needs: usize,
    },
    /// Nearer to what was dismissed, but too few samples say so.
    NoQuorum {
        /// Votes.
        has: usize,
        /// It takes.
        needs: usize,
    },
    /// Nearer to what was dismissed, but so would be a true one.
    NotNearEnoughToDismissed,
    /// No nearer than pictures without the hazard are.
    NotNearEnough,
}

impl Reason {
    /// For a lay person.
    pub fn text(self) -> Text {
        match self {
            Self::Match => Text::new(
                "Looks like confirmed samples of this kind, more than pictures without the hazard do.",
                "与该类已确认样本相似，相似程度高于无隐患图片。",
            ),
            Self::Dismissed => Text::new(
                "Looks like what was dismissed before, more than like any confirmed sample.",
                "与此前被驳回的样本更相似，与已确认样本的相似程度较低。",
            ),
            Self::NoSamples => Text::new(
                "The bank has no samples of this kind: add confirmed ones.",
                "样本库中没有该类样本，请添加已确认样本。",
            ),
            Self::OnlyNegatives => Text::new(
                "The bank has only dismissed samples of this kind: nothing is suppressed before it knows confirmed ones.",
                "样本库中只有该类被驳回的样本；在添加已确认样本之前不会抑制任何结果。",
            ),
            Self::TooFewHeldOut { has, needs } => Text::new(
                format!(
                    "Held against {has} pictures without this hazard (nearly the same ones count once); a rate of false alarms can be stated from {needs} on: add photos of places as they should be (--reference), or samples of other kinds."
                ),
                format!(
                    "用于对照的无此隐患图片仅{has}张（几乎相同的只计一张），至少需要{needs}张才能给出误报率；请添加正常状态照片（--reference）或其他类别样本。"
                ),
            ),
            Self::TooFewPositives { has, needs } => Text::new(
                format!(
                    "Nearer to dismissed samples, but with {has} confirmed photos it cannot be said how many true ones would be suppressed: that takes {needs}."
                ),
                format!(
                    "与被驳回样本更相似，但已确认照片仅{has}张，至少需要{needs}张才能估计误抑制的比例。"
                ),
            ),
            Self::NoQuorum { has, needs } => Text::new(
                format!(
                    "Nearer to dismissed samples, but {has} of {needs} votes are too few to suppress it (another site has a part of the votes only)."
                ),
                format!(
                    "与被驳回样本更相似，但仅有{has}票，需{needs}票方可抑制（其他场所的样本只计部分票数）。"
                ),
            ),
            Self::NotNearEnoughToDismissed => Text::new(
                "Nearer to dismissed samples, but confirmed ones would be so as well.",
                "与被驳回样本更相似，但部分已确认样本同样如此，因此不予抑制。",
            ),
            Self::NotNearEnough => Text::new(
                "No nearer to confirmed samples than pictures without the hazard are.",
                "与已确认样本的相似程度不高于无隐患图片。",
            ),
        }
    }
}

/// What the bank says of one picture and one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdict {
    /// What.
    pub ruling: Ruling,
    /// Why.
    pub reason: Reason,
    /// Similarity of the vote that decides; none without confirmed samples.
    pub score: Option<f32>,
    /// The score that would have to be passed.
    pub threshold: Option<f32>,
    /// At most this probable for a picture without the hazard (confirm), or for a true one
    /// (suppress).
    pub p_value: Option<f64>,
    /// The nearest confirmed sample.
    pub nearest_positive: Option<Neighbour>,
    /// The nearest dismissed sample that counts here.
    pub nearest_negative: Option<Neighbour>,
}
