//! `sitewarden watch`: video in, one finding for each real hazard out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{exit, scan, severity_name, stop, table};
use crate::config::Config;
use crate::confirm::ConfirmConfig;
use crate::hazard::Lang;
use crate::inference::Threads;
use crate::pipeline::clip::{ClipWatch, EventKind, FindingEvent};
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings};
use crate::source::clip::Clip;
use crate::tracking::TrackerConfig;

/// Watches video files for hazards: one finding for each real hazard, not one for each frame.
///
/// People and objects are followed; a finding opens when enough frames of some seconds show the
/// hazard, and closes when they show that it is gone. Without zones the whole picture is one work
/// area. Needs the program ffmpeg.
///
/// Exit codes: 0 all videos were watched to their end; 1 one could not be; 2 wrong usage; 4 nothing
/// was done.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Video files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is written to standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Frames looked at for each second of video
    #[arg(long, value_name = "N", default_value_t = 5.0, value_parser = parse_fps)]
    fps: f64,
    /// One score threshold for all classes, 0 to 1, instead of the model's own
    #[arg(long, value_name = "SCORE", value_parser = scan::parse_score)]
    min_score: Option<f32>,
    /// Look only for these hazards, for example PPE-01,FIR-03 (see `sitewarden hazards`)
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    hazards: Vec<String>,
    /// Language of reasons
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// Model name (see `sitewarden models list`) or folder
    #[arg(long, value_name = "NAME|DIR", env = "SITEWARDEN_MODEL")]
    model: Option<String>,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// A line for each turn of a finding (schema: `sitewarden schema watch`)
    Jsonl,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden watch")]
pub(super) struct Line {
    /// The video as given.
    path: String,
    #[serde(flatten)]
    event: FindingEvent,
}

fn parse_fps(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|fps| (0.1..=60.0).contains(fps))
        .ok_or_else(|| "give a number from 0.1 to 60".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let config = Config::load(args.config.as_deref())?;
    let rules = scan::rule_set(&config, &args.hazards)?;
    let settings = PhotoSettings {
        limits: config.limits.clone(),
        tiles: config.scan.tiles,
        min_score: args.min_score.or(config.scan.min_score),
        thresholds: BTreeMap::new(),
        lang: args.lang.unwrap_or(config.scan.lang),
        on: Some(jiff::Zoned::now().date().to_string()),
    };
    let jobs = scan::workers(None, &config);
    let name = args.model.as_deref().unwrap_or(&config.scan.model);
    let model = scan::load_model(name, Threads::latency(jobs))?;
    let pipeline = PhotoPipeline::new(&model, &rules, settings);
    stop::on_signal().context("cannot listen to signals")?;
    let mut failed = false;
    for path in &args.files {
        if let Err(e) = watch(args, &pipeline, path) {
            if super::is_broken_pipe(&e) {
                return Err(e);
            }
            super::eprintln_line(&format!("sitewarden: {}: {e:#}", path.display()));
            failed = true;
        }
    }
    Ok(if failed { exit::INCOMPLETE } else { exit::OK })
}

fn watch(args: &Args, pipeline: &PhotoPipeline<'_>, path: &Path) -> anyhow::Result<()> {
    let limit = pipeline.settings().limits.max_pixels;
    let mut watch = ClipWatch::new(pipeline, TrackerConfig::default(), ConfirmConfig::default());
    let mut now_s = 0.0;
    // what was found before the video breaks off is told all the same
    let mut broken = None;
    for frame in Clip::open(path, args.fps, limit)? {
        match frame {
            Ok(frame) => {
                now_s = frame.time_s;
                for event in watch.frame(now_s, &frame.picture)? {
                    print(args, pipeline, path, event)?;
                }
            }
            Err(e) => broken = Some(e),
        }
    }
    for event in watch.finish(now_s) {
        print(args, pipeline, path, event)?;
    }
    match broken {
        Some(e) => Err(e).context(format!("watched up to {now_s:.1} s")),
        None => Ok(()),
    }
}

fn print(
    args: &Args,
    pipeline: &PhotoPipeline<'_>,
    path: &Path,
    event: FindingEvent,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let line = Line {
        path: path.to_string_lossy().into_owned(),
        event,
    };
    match args.format {
        Format::Jsonl => {
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)?;
        }
        Format::Table => out.write_all(row(&line, pipeline.settings().lang).as_bytes())?,
    }
    // somebody waits for it
    out.flush()?;
    Ok(())
}

fn row(line: &Line, lang: Lang) -> String {
    let e = &line.event;
    let what = match e.event {
        EventKind::Opened => "opened",
        EventKind::Cleared => "cleared",
        EventKind::Ended => "ended",
    };
    let [x, y, w, h] = e.bbox.map(|v| v.round() as i64);
    format!(
        "{}  {:7.1} s  #{} {}  {}  {}  {}  {:.2}  best at {:.1} s, {x},{y} ({w} x {h})\n          {}\n",
        table::plain(&line.path),
        e.time_s,
        e.finding,
        table::pad(what, 7),
        table::pad(&e.code, 6),
        table::pad(severity_name(e.severity), 7),
        e.name.get(lang),
        e.score,
        e.best_time_s,
        e.reason
    )
}
