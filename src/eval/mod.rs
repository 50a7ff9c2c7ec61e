//! Judging detectors, rules and whole pipelines. Pure: labels, predictions and records in, figures
//! out.
//!
//! The metrics of detection are those of COCO, by the crate hotcoco; [`report`] is what is written
//! down. [`findings`] judges what the rules make of detections, [`changes`] what a change would
//! decide otherwise.

pub mod changes;
mod classes;
pub mod clip_changes;
pub mod clip_findings;
pub mod clips;
mod compare;
mod detection;
pub mod episodes;
pub mod findings;
mod fingerprint;
mod interval;
mod labels;
mod latency;
mod operating;
pub mod photo_truth;
pub mod report;

#[cfg(test)]
mod tests;

pub use classes::{ClassError, ClassMap, ClassPlan, JudgedClass};
pub use compare::{Comparison, Difference, Verdict, compare};
pub use detection::{EvalError, Evaluation, MATCH_IOU};
pub use fingerprint::{FINGERPRINT_SIDE, fingerprint, look_alike, near_pairs};
pub use interval::Interval;
pub use labels::{
    GroundTruth, LabelledBox, LabelledClass, LabelledPhoto, Prediction, keep_counted,
};
pub use latency::{STAGES, latency};
pub use operating::{Operating, operate};
