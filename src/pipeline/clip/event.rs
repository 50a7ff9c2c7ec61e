//! What a watch tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bank::Ruling;
use crate::eval::clip_findings::SeenAt;
use crate::hazard::{Answer, Severity, Text};
use crate::record::{BankRecord, SampleRecord};
use crate::tracking::TrackId;

/// A turn in the life of a finding, one line of `sitewarden watch --format jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden watch")]
pub struct FindingEvent {
    /// What happened.
    pub event: EventKind,
    /// Number of the finding within the clip, from 1; 0 for what was suppressed and is none.
    pub finding: u64,
    /// Hazard code; `CAM-…` for the camera itself.
    pub code: String,
    /// Name of the kind, both languages.
    pub name: Text,
    /// Suggested severity.
    pub severity: Severity,
    /// Media time, seconds.
    pub time_s: f64,
    /// The object that is followed; null for what concerns a zone or the whole picture.
    pub track: Option<TrackId>,
    /// The zone, for what concerns one.
    pub zone: Option<String>,
    /// The best frame so far: media time, seconds.
    pub best_time_s: f64,
    /// Confidence in the best frame, 0 to 1.
    pub score: f32,
    /// Where, in the best frame: `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
    /// How many times it was seen again after it was out of sight.
    pub occurrences: u64,
    /// Why, for a lay person, in the language asked for.
    pub reason: String,
    /// When it is over: where it was seen, in order of time, a second apart or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<SeenAt>,
    /// What the sample bank says of it, where one was asked: of kinds that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<Box<BankSaid>>,
}

/// What the sample bank said of a hazard, and which bank it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BankSaid {
    /// Which bank.
    pub asked: BankRecord,
    /// What it said.
    pub ruling: Ruling,
    /// Why, for a lay person, in the language asked for.
    pub text: String,
    /// At most this probable for a picture without the hazard (confirm), or for a true one (suppress).
    pub p_value: Option<f64>,
    /// The nearest samples, confirmed and dismissed.
    pub samples: Vec<SampleRecord>,
}

/// What happened to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The hazard is confirmed.
    Opened,
    /// The same hazard is seen again after it was out of sight, or after a restart.
    Seen,
    /// The hazard was seen to be gone: a suggestion to close, for a person to decide.
    Cleared,
    /// The object left the picture, or the clip ended, with the hazard as it was.
    Ended,
    /// It would have been opened, but looks like what people have dismissed (sample bank).
    Suppressed,
}

/// The answer of one kind of hazard for all that was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindAnswer {
    /// Hazard code.
    pub code: String,
    /// `non_compliant` where a finding opened; otherwise the gravest answer of any frame, or of its zones.
    pub answer: Answer,
    /// Why, and what to do where it could not be judged.
    pub reason: String,
    /// Whether this view could be judged for it at all: false where a zone, a scale or any means is missing.
    #[serde(default = "yes")]
    pub judged: bool,
}

const fn yes() -> bool {
    true
}
