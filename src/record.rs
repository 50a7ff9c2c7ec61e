//! The record of a scan as it is written and read: `sitewarden scan --format json`.
//! Its JSON Schema is `sitewarden schema scan`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hazard::{Answer, Citation, Lang, RuleInput, Severity, Text};

/// One scan: the program, the model, the settings, and every photo in the order given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden scan")]
pub struct ScanDocument {
    /// Version of the program.
    pub sitewarden: String,
    /// The model that looked.
    pub model: ModelRecord,
    /// What else the decisions rest on.
    pub settings: SettingsRecord,
    /// One entry for each photo, unreadable ones included.
    pub photos: Vec<PhotoRecord>,
}

/// Which model decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelRecord {
    /// Name in the manifest.
    pub name: String,
    /// Version in the manifest.
    pub version: String,
    /// SHA-256 of the weights file, lower-case hexadecimal.
    pub sha256: String,
}

/// What the decisions rest on besides photo and model: with the same three, the same decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsRecord {
    /// Version of the hazard catalogue.
    pub catalogue_version: String,
    /// Digest of the catalogue in force, an overlay included.
    pub catalogue_sha256: String,
    /// The kinds asked for by code; null for all.
    pub hazards: Option<Vec<String>>,
    /// `auto` when large photos were also looked at in tiles, else `off`.
    pub tiles: String,
    /// The one threshold asked for instead of the model's own; null if none was.
    pub min_score: Option<f32>,
    /// The threshold in force for each class.
    pub thresholds: BTreeMap<String, f32>,
    /// Language of the reasons.
    pub lang: Lang,
    /// The day on which cited clauses had to be in force, `YYYY-MM-DD`.
    pub on: Option<String>,
    /// Codes of kinds that cannot occur at this place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_here: Vec<String>,
    /// The sample bank that was asked; null if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankRecord>,
}

/// What was seen in one photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhotoRecord {
    /// Path as given; bytes that are no UTF-8 appear as U+FFFD. `-` for standard input.
    pub path: String,
    /// SHA-256 of the file as received; null when it could not be read.
    pub sha256: Option<String>,
    /// Width of the upright photo, pixels.
    pub width: Option<u32>,
    /// Height of the upright photo, pixels.
    pub height: Option<u32>,
    /// All detections at or above their class threshold, best first.
    pub detections: Vec<DetectionRecord>,
    /// One answer for each hazard kind asked for; empty when the photo could not be read.
    pub answers: Vec<AnswerRecord>,
    /// Proposed findings, best first.
    pub candidates: Vec<CandidateRecord>,
    /// What would have been proposed, but looks like what people have dismissed (sample bank).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<CandidateRecord>,
    /// Why the photo could not be judged and what to do next; null when it was.
    pub error: Option<String>,
    /// What was judged when it is not all: the first of several pages or frames, or without the sample
    /// bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl PhotoRecord {
    /// The record of a photo that could not be judged.
    pub fn unreadable(path: String, error: String) -> Self {
        Self {
            path,
            sha256: None,
            width: None,
            height: None,
            detections: Vec::new(),
            answers: Vec::new(),
            candidates: Vec::new(),
            suppressed: Vec::new(),
            error: Some(error),
            note: None,
        }
    }
}

/// One detected object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DetectionRecord {
    /// Class name.
    pub label: String,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// `[x, y, width, height]`, pixels of the original upright photo.
    pub bbox: [f32; 4],
}

/// The answer of one hazard kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerRecord {
    /// Hazard code.
    pub code: String,
    /// One of the four.
    pub answer: Answer,
    /// Reason in the language asked for.
    pub reason: String,
}

/// One proposed finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CandidateRecord {
    /// Hazard code.
    pub code: String,
    /// Name of the kind, both languages.
    pub name: Text,
    /// Suggested severity.
    pub severity: Severity,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// `[x, y, width, height]`, pixels of the original upright photo.
    pub bbox: [f32; 4],
    /// Explanation.
    pub why: Why,
    /// Clauses, checked ones only.
    pub references: Vec<Citation>,
}

/// Why a candidate was proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The rule primitive, for example `person_item`.
    pub rule: String,
    /// What the rule measured.
    pub inputs: Vec<RuleInput>,
    /// For a lay person, in the language asked for.
    pub text: String,
    /// The nearest samples of the bank, where it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<SampleRecord>,
}

/// A sample of the bank that was near.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleRecord {
    /// Its identifier.
    pub id: String,
    /// `positive` (confirmed by a person) or `negative` (dismissed).
    pub role: String,
    /// Site of its picture; empty where it is not known or not told.
    pub site: String,
    /// Cosine of the two embeddings, -1 to 1.
    pub similarity: f32,
    /// SHA-256 of its photo; empty where it is not told.
    pub photo_sha256: String,
    /// The part of that photo, `[x1, y1, x2, y2]` in fractions of its width and height.
    pub area: [f64; 4],
}

impl SampleRecord {
    /// Of a sample of another site only the id stays: whoever sees this record need not see that site.
    pub fn hide_elsewhere(&mut self, site: &str) {
        if self.site != site {
            self.site.clear();
            self.photo_sha256.clear();
            self.area = [0.0; 4];
        }
    }
}

/// Which sample bank was asked, and for which rates of error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BankRecord {
    /// Version of the bank: it can be had again.
    pub version: i64,
    /// Name and version of the embedder.
    pub embedder: String,
    /// Samples.
    pub samples: usize,
    /// Share of photos without a hazard that may be confirmed all the same, for each kind.
    pub false_alarm_rate: f64,
    /// Share of true ones that may be suppressed.
    pub miss_rate: f64,
    /// Site of the photos, as told.
    pub site: String,
    /// Camera of the photos, as told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub camera: String,
}
