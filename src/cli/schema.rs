//! `sitewarden schema`: the JSON Schema of what the program writes.

use std::io::Write;

use clap::ValueEnum;

use super::exit;
use crate::eval::changes::ReplayDocument;
use crate::eval::clip_changes::ClipReplayDocument;
use crate::eval::clips::ClipsReport;
use crate::eval::report::BenchReport;
use crate::record::ScanDocument;

/// Prints the JSON Schema of an output format.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which output
    document: Document,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// `scan --format json`, and each line of `--format jsonl`
    Scan,
    /// Each line of `watch --format jsonl`
    Watch,
    /// `replay --format json`
    Replay,
    /// `replay --format json` of a run of `watch`
    ReplayClips,
    /// `bench`: report.json, and each line of `--format json`
    Bench,
    /// `bench` of annotated clips: report.json
    BenchClips,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let schema = match args.document {
        Document::Scan => schemars::schema_for!(ScanDocument),
        Document::Watch => schemars::schema_for!(super::watch::Line),
        Document::Replay => schemars::schema_for!(ReplayDocument),
        Document::ReplayClips => schemars::schema_for!(ClipReplayDocument),
        Document::BenchClips => schemars::schema_for!(ClipsReport),
        Document::Bench => schemars::schema_for!(BenchReport),
    };
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &schema)?;
    writeln!(out)?;
    Ok(exit::OK)
}
