//! The vocabulary of hazards: kinds, answers, candidates.

use serde::{Deserialize, Serialize};

use crate::geometry::BBox;

/// A text in the two languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

impl Text {
    /// Both languages at once.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }

    /// The text in one language.
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }
}

/// Language of the texts shown to a person.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

/// The six aspects of a site that an inspection walks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// Goods and stacks (STO).
    Storage,
    /// Exits and escape routes (EGR).
    Egress,
    /// Fire protection (FIR).
    Fire,
    /// Housekeeping, dust, signs, openings (ENV).
    Environment,
    /// Personal protective equipment (PPE).
    Ppe,
    /// Machines, vehicles, electricity (EQP).
    Equipment,
}

/// A *suggested* severity. Whether a hazard is "major" in law is a person's decision.
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
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To be rectified within a deadline.
    General,
    /// Suggested as a major hazard; needs a person's classification.
    Major,
    /// Act now (flame, smoke): an alarm, not a rectification order.
    Alarm,
}

/// The four answers. A photo proves no dwell time, no absence and no metric distance,
/// so [`Answer::CannotDetermine`] is an honest answer and not a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A hazard of this kind is seen; a candidate says where.
    NonCompliant,
    /// What this kind is about is seen, and it is as it should be, within this picture.
    Compliant,
    /// This picture cannot settle it; the reason says why.
    CannotDetermine,
    /// Nothing that this kind is about is in the picture.
    NotApplicable,
}

impl Answer {
    /// The name that records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonCompliant => "non_compliant",
            Self::Compliant => "compliant",
            Self::CannotDetermine => "cannot_determine",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// Why a kind is not applicable at a place, whatever a picture shows.
pub fn not_here() -> Text {
    Text::new(
        "The enterprise's file says that what this is about is not there.",
        "企业档案载明现场不存在该项所涉及的内容。",
    )
}

/// The answer of one hazard kind for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct HazardAnswer {
    /// Hazard code, for example `PPE-01`.
    pub code: String,
    /// One of the four.
    pub answer: Answer,
    /// For a lay person.
    pub reason: Text,
}

/// A clause that a candidate may cite. Only references whose wording was checked reach here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Citation {
    /// `cn` or `us`.
    pub jurisdiction: String,
    /// The document and clause, as cited.
    pub text: String,
    /// The same in Chinese, for documents that have a Chinese name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zh: Option<String>,
    /// First day in force (ISO 8601), where established.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// Last day in force (ISO 8601), where it has ended or will end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<String>,
}

impl Citation {
    /// The document and clause in a language, as far as it has a name there.
    pub fn text(&self, lang: Lang) -> &str {
        match (lang, &self.zh) {
            (Lang::Zh, Some(zh)) => zh,
            _ => &self.text,
        }
    }
}

/// One input of a rule, as it was measured: what was compared with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RuleInput {
    /// What this is: `head`, `helmet_overlap`, `tier_drift`, …
    pub name: String,
    /// Measured value; unit in the name where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f32>,
    /// The limit that it was held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f32>,
    /// Box of the object meant, `[x, y, width, height]` in pixels of the original upright photo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f32; 4]>,
}

/// A proposal of the machine. A person confirms or rejects it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Hazard code.
    pub code: String,
    /// Name of the kind.
    pub name: Text,
    /// Suggested severity.
    pub severity: Severity,
    /// Confidence, `0..=1`.
    pub score: f32,
    /// Where, in pixels of the original upright image.
    pub bbox: BBox,
    /// Name of the rule primitive that fired, for example `person_item`.
    pub rule: String,
    /// What the rule looked at.
    pub inputs: Vec<RuleInput>,
    /// Why, for a lay person.
    pub text: Text,
    /// Clauses, checked ones only.
    pub references: Vec<Citation>,
}
