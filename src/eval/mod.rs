//! Judging detectors on labelled photos. Pure: labels and predictions in, figures out.
//!
//! The metrics are those of COCO, by the crate hotcoco; [`report`] is what is written down.

mod classes;
mod compare;
mod detection;
mod fingerprint;
mod labels;
mod latency;
mod operating;
pub mod report;

#[cfg(test)]
mod tests;

pub use classes::{ClassError, ClassMap, ClassPlan, JudgedClass};
pub use compare::{Comparison, Difference, Verdict, compare};
pub use detection::{EvalError, Evaluation, MATCH_IOU};
pub use fingerprint::{FINGERPRINT_SIDE, fingerprint, near_pairs};
pub use labels::{GroundTruth, LabelledBox, LabelledClass, LabelledPhoto, Prediction};
pub use latency::{STAGES, latency};
pub use operating::{Operating, operate};
