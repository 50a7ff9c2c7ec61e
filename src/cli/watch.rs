//! `sitewarden watch`: video in, one finding for each real hazard out.

mod line;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

pub(super) use self::line::{Line, Turn};
use super::{exit, scan, severity_name, stop, table};
use crate::config::Config;
use crate::eval::clip_changes::ClipSide;
use crate::hazard::Lang;
use crate::inference::Threads;
use crate::pipeline::clip::EventKind;
use crate::pipeline::clip_file::{DEFAULT_FPS, WatchConfig, WatchError, sha256_of, watch_file};
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings};
use crate::source::clip::ClipError;

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
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FPS, value_parser = parse_fps)]
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
    /// A line for each video, each turn of a finding and each end (schema: `sitewarden schema
    /// watch`); what `sitewarden replay` takes
    Jsonl,
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
    let config = WatchConfig {
        fps: args.fps,
        ..WatchConfig::default()
    };
    let name = path.to_string_lossy().into_owned();
    if args.format == Format::Jsonl {
        // what `replay` needs to do the same again
        let sha256 = sha256_of(path).map_err(ClipError::from)?;
        print(&Line::watching(
            name.clone(),
            sha256,
            side(pipeline, &config),
        ))?;
    }
    let lang = pipeline.settings().lang;
    let until_s = watch_file(pipeline, path, &config, |event| {
        let path = name.clone();
        match args.format {
            Format::Jsonl => print(&Line::Finding(Turn { path, event })),
            Format::Table => write(row(&Turn { path, event }, lang).as_bytes()),
        }
    })
    .map_err(plain)?;
    match args.format {
        Format::Jsonl => print(&Line::watched(name, until_s)),
        Format::Table => Ok(()),
    }
}

/// What decides.
pub(super) fn side(pipeline: &PhotoPipeline<'_>, config: &WatchConfig) -> ClipSide {
    let heading = pipeline.document();
    ClipSide {
        model: heading.model,
        settings: heading.settings,
        fps: config.fps,
        tracker: config.tracker.clone(),
        confirm: config.confirm.clone(),
    }
}

/// Our own errors stay what they are: a closed pipe is told from a fault.
pub(super) fn plain(e: WatchError<anyhow::Error>) -> anyhow::Error {
    match e {
        WatchError::Told(e) => e,
        WatchError::Open(e) => e.into(),
        WatchError::Judge(e) => e.into(),
        WatchError::Broken { until_s, source } => {
            anyhow::Error::from(source).context(format!("watched up to {until_s:.1} s"))
        }
    }
}

fn print(line: &Line) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    write(&text)
}

/// Flushed: somebody waits for it.
fn write(text: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text)?;
    Ok(out.flush()?)
}

fn row(line: &Turn, lang: Lang) -> String {
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
