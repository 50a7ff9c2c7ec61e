//! Judging detectors, rules and whole pipelines. Pure: labels, predictions and records in,
//! figures out.

pub mod changes;
pub mod findings;
