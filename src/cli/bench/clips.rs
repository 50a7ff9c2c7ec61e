//! Annotated clips: the findings of `watch` against the hazard episodes that a person saw.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::args::Format;
use super::{Setup, make_folder};
use crate::cli::files::write_with;
use crate::cli::scan::load_model;
use crate::cli::{exit, table};
use crate::confirm::ConfirmConfig;
use crate::eval::episodes::{self, ClipTruth, EpisodeMetrics, Found};
use crate::geometry::BBox;
use crate::inference::{Detect, Threads};
use crate::pipeline::clip::{ClipWatch, EventKind, FindingEvent};
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings, hex};
use crate::record::ModelRecord;
use crate::rules::{PhotoRule, RuleSet};
use crate::source::clip::Clip;
use crate::tracking::TrackerConfig;

/// Frames looked at for each second of a clip, as `watch` does by itself.
const FPS: f64 = 5.0;

/// What came of all clips: `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden bench of clips")]
pub(in crate::cli) struct ClipsReport {
    /// Version of the program.
    sitewarden: String,
    /// The model that looked.
    model: ModelRecord,
    /// Digest of the hazard catalogue.
    catalogue_sha256: String,
    /// Frames looked at for each second.
    fps: f64,
    /// One for each clip, in the order given.
    clips: Vec<ClipReport>,
    /// All clips together, by hazard kind.
    total: Vec<EpisodeMetrics>,
}

/// One clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct ClipReport {
    /// File name.
    file: String,
    /// SHA-256 of the clip.
    sha256: String,
    /// By hazard kind.
    kinds: Vec<EpisodeMetrics>,
    /// Everything that was told.
    events: Vec<FindingEvent>,
}

/// The truth about clips, if that is what the names lead to.
pub(super) fn truths(names: &[String]) -> anyhow::Result<Option<Vec<(PathBuf, ClipTruth)>>> {
    #[derive(Deserialize)]
    struct Heading {
        #[serde(rename = "truth")]
        _truth: serde::de::IgnoredAny,
    }
    let mut truths = Vec::new();
    for name in names {
        let path = PathBuf::from(name);
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if serde_json::from_str::<Heading>(&text).is_ok() {
            let truth = ClipTruth::parse(&text)
                .map_err(|e| anyhow::anyhow!("{} is refused: {e}", path.display()))?;
            truths.push((path, truth));
        }
    }
    match truths.len() {
        0 => Ok(None),
        n if n == names.len() => Ok(Some(truths)),
        _ => bail!("clips and photos are judged in different ways; name them apart"),
    }
}

pub(super) fn run(
    setup: &Setup<'_>,
    truths: Vec<(PathBuf, ClipTruth)>,
    model: &str,
    out: &Path,
) -> anyhow::Result<u8> {
    let args = setup.args;
    if args.predictions.is_some() || args.baseline.is_some() || args.fail_below.is_some() {
        bail!("--predictions, --baseline and --fail-below are for labelled photos, not for clips");
    }
    let rules = RuleSet::new(&setup.catalogue, None)?;
    let model = load_model(model, Threads::latency(setup.jobs))?;
    let settings = PhotoSettings {
        limits: setup.limits.clone(),
        tiles: setup.tiles,
        lang: setup.lang,
        ..PhotoSettings::default()
    };
    let pipeline = PhotoPipeline::new(&model, &rules, settings);
    let heading = pipeline.document();
    let mut report = ClipsReport {
        sitewarden: heading.sitewarden,
        model: heading.model,
        catalogue_sha256: heading.settings.catalogue_sha256,
        fps: FPS,
        clips: Vec::new(),
        total: Vec::new(),
    };
    make_folder(out)?;
    for (manifest, truth) in truths {
        let path = find(setup, &manifest, &truth)?;
        let events = watch(&pipeline, &path)?;
        let input = &model.manifest().input;
        let side = truth.clip.width.max(truth.clip.height);
        let scale = (input.width.max(input.height) as f32 / side as f32).min(1.0);
        let kinds = episodes::judge(&truth, &found(&events), min_part_px(&rules) / scale);
        add(&mut report.total, &kinds);
        report.clips.push(ClipReport {
            file: truth.clip.file,
            sha256: truth.clip.sha256,
            kinds,
            events,
        });
    }
    let path = out.join("report.json");
    write_with(&path, |f| {
        serde_json::to_writer_pretty(&mut *f, &report)?;
        writeln!(f)
    })
    .with_context(|| format!("cannot write {}; make room there", path.display()))?;
    print(args.format, &report)?;
    Ok(exit::OK)
}

/// The clip of a truth: in --images, else beside it; known by its digest.
fn find(setup: &Setup<'_>, manifest: &Path, truth: &ClipTruth) -> anyhow::Result<PathBuf> {
    let beside = manifest.parent().unwrap_or(Path::new(""));
    let dir = setup.args.images.as_deref().unwrap_or(beside);
    let path = dir.join(&truth.clip.file);
    let mut file = std::fs::File::open(&path).with_context(|| {
        format!(
            "cannot open the clip {} (origin: {}); say with --images where it lies",
            path.display(),
            truth.clip.origin
        )
    })?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    if hex(&digest.finalize()) != truth.clip.sha256 {
        bail!(
            "{} is not the clip that was annotated: its digest differs",
            path.display()
        );
    }
    Ok(path)
}

fn watch(pipeline: &PhotoPipeline<'_>, path: &Path) -> anyhow::Result<Vec<FindingEvent>> {
    let limit = pipeline.settings().limits.max_pixels;
    let mut watch = ClipWatch::new(pipeline, TrackerConfig::default(), ConfirmConfig::default());
    let (mut events, mut now_s) = (Vec::new(), 0.0);
    for frame in Clip::open(path, FPS, limit)? {
        let frame = frame.with_context(|| path.display().to_string())?;
        now_s = frame.time_s;
        events.extend(watch.frame(now_s, &frame.picture)?);
    }
    events.extend(watch.finish(now_s));
    Ok(events)
}

/// Findings by their number, with the places that their events tell.
fn found(events: &[FindingEvent]) -> Vec<Found> {
    let mut found: BTreeMap<u64, Found> = BTreeMap::new();
    for event in events {
        let seen = (event.best_time_s, BBox::from_xywh(event.bbox));
        match event.event {
            EventKind::Opened => {
                let finding = Found {
                    code: event.code.clone(),
                    opened_s: event.time_s,
                    seen: vec![seen],
                };
                found.insert(event.finding, finding);
            }
            EventKind::Seen | EventKind::Cleared | EventKind::Ended => {
                if let Some(finding) = found.get_mut(&event.finding) {
                    finding.seen.push(seen);
                }
            }
        }
    }
    found.into_values().collect()
}

/// The least height that any rule about people judges, pixels of the model's input.
fn min_part_px(rules: &RuleSet) -> f32 {
    let parts = rules
        .kinds()
        .iter()
        .flat_map(|k| &k.rules)
        .map(|r| match r {
            PhotoRule::PersonItem(r) => r.min_part_px,
            _ => 0.0,
        });
    parts.fold(0.0, f32::max)
}

fn add(total: &mut Vec<EpisodeMetrics>, kinds: &[EpisodeMetrics]) {
    for kind in kinds {
        match total.iter_mut().find(|t| t.code == kind.code) {
            Some(sum) => sum.add(kind),
            None => total.push(kind.clone()),
        }
    }
}

fn print(format: Format, report: &ClipsReport) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if format == Format::Json {
        serde_json::to_writer(&mut out, report)?;
        return Ok(writeln!(out)?);
    }
    const HEAD: [&str; 9] = [
        "kind",
        "episodes",
        "found",
        "large enough",
        "of those found",
        "fragments",
        "false alarms",
        "overclaimed",
        "median delay s",
    ];
    let rows = report.total.iter().map(|m| {
        let delays = &m.time_to_detect_s;
        let median = delays
            .get(delays.len() / 2)
            .map_or("–".into(), |s| format!("{s:.1}"));
        let numbers = [
            m.episodes,
            m.found,
            m.large_enough,
            m.found_large_enough,
            m.fragments,
            m.false_alarms,
            m.overclaimed,
        ];
        let mut row = vec![m.code.clone()];
        row.extend(numbers.map(|n| n.to_string()));
        row.push(median);
        row
    });
    let head = HEAD.map(str::to_owned).to_vec();
    for (i, row) in std::iter::once(head).chain(rows).enumerate() {
        match format {
            Format::Markdown => {
                writeln!(out, "| {} |", row.join(" | "))?;
                if i == 0 {
                    writeln!(out, "|{}", "---|".repeat(row.len()))?;
                }
            }
            _ => {
                let cells = row
                    .iter()
                    .zip(HEAD)
                    .map(|(c, h)| table::pad(c, h.len().max(6) + 2));
                writeln!(out, "{}", cells.collect::<String>().trim_end())?;
            }
        }
    }
    let hours = report
        .total
        .iter()
        .map(|m| m.camera_hours)
        .fold(0.0, f64::max);
    writeln!(
        out,
        "\n{} clips, {:.1} minutes, {FPS} frames a second, {} {}",
        report.clips.len(),
        60.0 * hours,
        report.model.name,
        report.model.version
    )?;
    Ok(())
}
