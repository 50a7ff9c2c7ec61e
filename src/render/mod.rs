//! What a person sees of a scan: annotated pictures and the HTML report.
//!
//! Pure: pixels and records in, pixels and text out.

mod annotate;
pub mod bench;
pub mod clips;
mod font;
mod options;
mod paint;
mod palette;
mod place;
mod redact;
mod replay;
pub mod replay_clips;
mod report;
mod strip;
mod words;

#[cfg(test)]
mod tests;

pub use annotate::annotate;
pub use options::{AnnotateOptions, signature};
pub use redact::{blur, faces};
pub use replay::{ReplayPhoto, write_replay_head, write_replay_photo, write_replay_tail};
pub use report::{KindName, ReportAbout, ReportWriter, SamplePictures};
pub use words::severity_name;

/// The computer that a report was made on; `cores` is the word for them.
fn machine_line(machine: &crate::eval::report::Machine, cores: &str) -> String {
    format!(
        "{}, {} {}, {} {cores}",
        machine.cpu.as_deref().unwrap_or("?"),
        machine.os,
        machine.arch,
        machine.cores
    )
}
