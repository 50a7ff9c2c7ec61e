//! `report.json`: everything that a benchmark says, with what is needed to repeat it. Its schema is
//! `sitewarden schema bench`.

use super::findings::FindingMetrics;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::ModelRecord;

/// One benchmark of one model (or one file of predictions) on one split of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden bench")]
pub struct BenchReport {
    /// Version of the program.
    pub sitewarden: String,
    /// When it was made, UTC.
    pub created: String,
    /// What looked at the photos.
    pub subject: Subject,
    /// What it was judged by.
    pub dataset: DatasetRecord,
    /// What a second run needs to repeat this one.
    pub parameters: Parameters,
    /// Where it ran.
    pub machine: Machine,
    /// What is judged and what is left out.
    pub classes: Classes,
    /// What is wrong with the set, worst first. Empty when nothing was found.
    pub health: Vec<Finding>,
    /// COCO's twelve figures (none where no boxes are judged), means over the judged classes: AP, AP50, AP75, APs, APm, APl, AR1,
    /// AR10, AR100, ARs, ARm, ARl; null where there is no object to judge by.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Figures of each judged class.
    pub per_class: Vec<ClassMetrics>,
    /// Which class is taken for which at the operating point.
    pub confusion: Confusion,
    /// How good the findings are that the rules make of the detections at the model's thresholds,
    /// by hazard kind; empty for predictions from a file, and where the truth can judge no kind.
    pub findings: Vec<FindingMetrics>,
    /// How confidence and being right go together; null when a score lies outside 0 to 1.
    pub calibration: Option<Calibration>,
    /// TIDE: what kind of error costs how much; null where no boxes are judged.
    pub errors: Option<ErrorTypes>,
    /// Time for each photo by stage; null for predictions from a file.
    pub latency: Option<Latency>,
    /// The worst misses at the operating point, at most a dozen: of boxes, or of hazards where no
    /// boxes are judged (`class` is then the hazard's code).
    pub misses: Vec<Worst>,
    /// The worst false alarms at the operating point, at most a dozen; likewise.
    pub false_alarms: Vec<Worst>,
    /// Milliseconds that matching and the twelve figures took.
    pub evaluation_ms: f64,
}

/// What is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A model that was run.
    Model(ModelRecord),
    /// A file of predictions.
    Predictions {
        /// The file as given.
        file: String,
        /// SHA-256 of the file, lower-case hexadecimal.
        sha256: String,
    },
}

impl Subject {
    /// A short name for tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Model(model) => &model.name,
            Self::Predictions { file, .. } => file,
        }
    }

    /// The digest of the weights or of the file.
    pub fn sha256(&self) -> &str {
        match self {
            Self::Model(model) => &model.sha256,
            Self::Predictions { sha256, .. } => sha256,
        }
    }
}

/// Labelled photos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetRecord {
    /// Name of the manifest, or of the file or folder.
    pub name: String,
    /// `train`, `val`, …; null where the set has only one.
    pub split: Option<String>,
    /// `coco`, `yolo`, `voc`, or `hazards`: hazards that people annotated.
    pub format: String,
    /// SHA-256 over the label files, lower-case hexadecimal.
    pub sha256: String,
    /// Licence, as the manifest says.
    pub license: Option<String>,
    /// Photos in the set.
    pub photos: usize,
    /// Photos that the figures rest on.
    pub judged_photos: usize,
    /// Boxes of judged classes in them.
    pub judged_boxes: usize,
}

/// What the figures depend on besides model and set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    /// Least score of a prediction; null for predictions from a file, which are judged as they are.
    pub min_score: Option<f64>,
    /// Most predictions for one photo; null for predictions from a file.
    pub max_per_photo: Option<usize>,
    /// COCO's least IoU of a match, 0.50 to 0.95.
    pub iou_thresholds: Vec<f64>,
    /// COCO's most detections for one photo and class.
    pub max_detections: Vec<usize>,
    /// Whether large photos were looked at in tiles too.
    pub tiles: bool,
    /// `ours=theirs`, as given.
    pub map: Vec<String>,
    /// Photos that were judged at most; null for all.
    pub limit: Option<usize>,
    /// Photos worked on at once.
    pub jobs: usize,
    /// What the thresholds of the operating point are: `model` (of its manifest) or `best_f1`.
    pub operating_point: String,
}

/// The computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Operating system.
    pub os: String,
    /// Processor family.
    pub arch: String,
    /// Processor, as it names itself.
    pub cpu: Option<String>,
    /// Logical cores that this program may use.
    pub cores: usize,
}

/// What is judged and what is not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Classes {
    /// From our name to the set's.
    pub judged: BTreeMap<String, Vec<String>>,
    /// Labelled in the set, but no class of the model: left out.
    pub not_in_model: Vec<String>,
    /// Classes of the model that the set does not label: left out.
    pub not_labelled: Vec<String>,
}

/// Something wrong with a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What kind, for programs.
    pub code: String,
    /// How much it matters.
    pub weight: Weight,
    /// How many.
    pub count: usize,
    /// What it is and what was done about it.
    pub text: String,
    /// Some of them.
    pub examples: Vec<String>,
}

/// How much a finding matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Something was left out of the figures.
    Error,
    /// The figures may mislead.
    Warning,
    /// Good to know.
    Note,
}

/// Figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassMetrics {
    /// Our name.
    pub name: String,
    /// The set's id.
    pub id: u64,
    /// Labelled boxes, crowds not counted.
    pub boxes: usize,
    /// Mean over IoU 0.50 to 0.95.
    pub ap: Option<f64>,
    /// At IoU 0.50.
    pub ap50: Option<f64>,
    /// At IoU 0.75.
    pub ap75: Option<f64>,
    /// Up to 32 x 32 pixels.
    pub ap_small: Option<f64>,
    /// Between.
    pub ap_medium: Option<f64>,
    /// From 96 x 96 pixels.
    pub ap_large: Option<f64>,
    /// Recall with at most 100 detections a photo, mean over IoU.
    pub ar: Option<f64>,
    /// Where F1 on the curve is best.
    pub best_f1: Option<CurvePoint>,
    /// Precision by recall at IoU 0.50, at COCO's 101 recalls.
    pub curve: Vec<CurvePoint>,
    /// At the threshold that decides whether an alarm is raised.
    pub operating: Option<OperatingPoint>,
}

/// A point of a precision-recall curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// Share of the labelled boxes that are found.
    pub recall: f64,
    /// Share of the detections that are right, at this recall or a higher one.
    pub precision: f64,
    /// The score at which it is reached; 0 where it is not.
    pub score: f64,
}

/// Counts with one threshold for each class, at IoU 0.50.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperatingPoint {
    /// Least score.
    pub threshold: f64,
    /// Right.
    pub found: usize,
    /// Wrong.
    pub false_alarms: usize,
    /// Not found.
    pub missed: usize,
    /// Share of the detections that are right; null without detections.
    pub precision: Option<f64>,
    /// Share of the boxes that are found; null without boxes.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
}

/// Counts of pairs; the last row and column stand for "nothing".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Confusion {
    /// Names of rows and columns but the last.
    pub classes: Vec<String>,
    /// Rows are the truth, columns what was predicted.
    pub cells: Vec<Vec<u64>>,
}

/// How confidence and being right go together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Mean gap between confidence and share of right ones, over all detections (ECE).
    pub expected_error: f64,
    /// The largest gap of a bin (MCE).
    pub largest_error: f64,
    /// Detections in all bins.
    pub detections: usize,
    /// Bins of equal width.
    pub bins: Vec<CalibrationBin>,
}

/// Detections of like confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalibrationBin {
    /// Least confidence.
    pub from: f64,
    /// Up to here.
    pub to: f64,
    /// Mean confidence.
    pub confidence: f64,
    /// Share that is right at IoU 0.50.
    pub right: f64,
    /// How many.
    pub count: usize,
}

/// TIDE's error types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorTypes {
    /// AP50 as it is.
    pub ap50: f64,
    /// What AP50 would gain were all errors of a type put right. Types: Cls wrong class, Loc badly
    /// placed, Both, Dupe found twice, Bkg on background, Miss not found; FP and FN for all false
    /// alarms and all misses.
    pub cost: BTreeMap<String, f64>,
    /// How many errors of each type, down to the least score.
    pub counts: BTreeMap<String, u64>,
}

/// Time for each photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// In the order of the work; the last is their sum.
    pub stages: Vec<StageLatency>,
    /// Photos that were timed.
    pub photos: usize,
    /// Photos in a second, all workers together; null for a run that was resumed.
    pub photos_per_s: Option<f64>,
}

/// Milliseconds of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageLatency {
    /// `read`, `decode`, `preprocess`, `inference`, `postprocess` or `total`.
    pub stage: String,
    /// Mean.
    pub mean_ms: f64,
    /// Half of the photos took no longer.
    pub p50_ms: f64,
    /// 90 % took no longer.
    pub p90_ms: f64,
    /// 95 % took no longer.
    pub p95_ms: f64,
    /// 99 % took no longer.
    pub p99_ms: f64,
}

/// A miss or a false alarm, worth a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worst {
    /// Path below the folder of photos.
    pub photo: String,
    /// What was missed, or what was claimed.
    pub class: String,
    /// `[x, y, width, height]`, pixels.
    pub bbox: [f64; 4],
    /// Confidence of a false alarm; null for a miss.
    pub score: Option<f64>,
    /// What the other side has nearest to it, from an overlap of 0.1.
    pub nearest: Option<Nearest>,
}

/// The detection nearest to a miss, or the labelled box nearest to a false alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Nearest {
    /// Its class.
    pub class: String,
    /// `[x, y, width, height]`, pixels.
    pub bbox: [f64; 4],
    /// Overlap, 0 to 1.
    pub iou: f64,
    /// Confidence of a detection; null for a labelled box.
    pub score: Option<f64>,
}
