//! What a person sees of a scan: annotated pictures and the HTML report.
//!
//! Pure: pixels and records in, pixels and text out.

mod annotate;
mod font;
mod palette;
mod place;
mod report;
mod strip;
mod words;

#[cfg(test)]
mod tests;

pub use annotate::{AnnotateOptions, annotate};
pub use report::{KindName, ReportAbout, ReportWriter};
