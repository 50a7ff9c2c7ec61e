//! Annotated clips: the findings of `watch` against the hazard episodes that a person saw.

mod pictures;

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::args::Format;
use super::judge::machine;
use super::part::{self, ClipDone, Part};
use super::write::write_file;
use super::{Setup, make_folder, model_folder};
use crate::cli::scan::load_model;
use crate::cli::watch::{findings, side};
use crate::cli::{exit, table};
use crate::eval::clip_changes::ClipSide;
use crate::eval::clip_findings::ClipFinding;
use crate::eval::clips::ClipsReport;
use crate::eval::episodes::ClipTruth;
use crate::inference::{Detect, Model, Threads};
use crate::pipeline::clip_file::{WatchConfig, sha256_of};
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings, hex};
use crate::render::clips::clips_page;
use crate::rules::{PhotoRule, RuleSet};

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
    truths: &[(PathBuf, ClipTruth)],
    models: &[String],
    out: &Path,
) -> anyhow::Result<u8> {
    let args = setup.args;
    if args.predictions.is_some() || args.baseline.is_some() || args.fail_below.is_some() {
        bail!("--predictions, --baseline and --fail-below are for labelled photos, not for clips");
    }
    // all of them, before hours of work
    let clips: Vec<PathBuf> = truths
        .iter()
        .map(|(manifest, truth)| find(setup, manifest, truth))
        .collect::<anyhow::Result<_>>()?;
    for model in models {
        let out = model_folder(out, models, model);
        make_folder(&out)?;
        let report = judge(setup, truths, &clips, model, &out)?;
        print(args.format, &report)?;
    }
    Ok(exit::OK)
}

fn judge(
    setup: &Setup<'_>,
    truths: &[(PathBuf, ClipTruth)],
    clips: &[PathBuf],
    model: &str,
    out: &Path,
) -> anyhow::Result<ClipsReport> {
    let rules = RuleSet::new(&setup.catalogue, None)?;
    let model = load_model(model, Threads::latency(setup.jobs))?;
    let settings = PhotoSettings {
        limits: setup.limits.clone(),
        tiles: setup.tiles,
        lang: setup.lang,
        ..PhotoSettings::default()
    };
    let pipeline = PhotoPipeline::new(&model, &rules, settings);
    let config = WatchConfig::default();
    let subject = side(&pipeline, &config);
    let part_path = out.join(part::CLIPS);
    let key = key(setup, &model, &subject)?;
    let (mut part, before) = Part::open::<ClipDone>(&part_path, &key, setup.args.restart)?;
    let mut done: HashMap<String, Vec<ClipFinding>> =
        before.into_iter().map(|d| (d.sha256, d.findings)).collect();
    let mut report = ClipsReport {
        sitewarden: env!("CARGO_PKG_VERSION").to_owned(),
        created: jiff::Timestamp::now()
            .strftime("%Y-%m-%d %H:%M UTC")
            .to_string(),
        subject,
        machine: machine(),
        clips: Vec::new(),
        total: Vec::new(),
    };
    let progress = progress(truths.iter().map(|(_, t)| t.clip.duration_s).sum())?;
    let mut pictures = Vec::new();
    for ((_, truth), path) in truths.iter().zip(clips) {
        progress.set_message(truth.clip.file.clone());
        let findings = match done.remove(&truth.clip.sha256) {
            Some(findings) => findings,
            None => {
                let findings = findings(&pipeline, path, &config)
                    .with_context(|| path.display().to_string())?;
                let clip = ClipDone {
                    sha256: truth.clip.sha256.clone(),
                    findings,
                };
                part.append(&clip).with_context(|| {
                    format!("cannot write to {}; make room there", out.display())
                })?;
                clip.findings
            }
        };
        progress.inc(truth.clip.duration_s as u64);
        let input = &model.manifest().input;
        let side = truth.clip.width.max(truth.clip.height);
        let scale = (input.width.max(input.height) as f32 / side as f32).min(1.0);
        report.add(truth, findings, min_part_px(&rules) / scale);
        if let Some(clip) = report.clips.last() {
            pictures.push(pictures::of(clip, path, &config, setup.limits.max_pixels)?);
        }
    }
    progress.finish_and_clear();
    let page = clips_page(&report, &pictures, setup.lang)?;
    write_file(&out.join("report.html"), |f| f.write_all(page.as_bytes()))?;
    write_file(&out.join("report.json"), |f| {
        serde_json::to_writer_pretty(&mut *f, &report)?;
        writeln!(f)
    })?;
    part::remove(&part_path);
    Ok(report)
}

/// Everything that a finding depends on besides the clip.
fn key(setup: &Setup<'_>, model: &Model, subject: &ClipSide) -> anyhow::Result<String> {
    let parts = serde_json::to_vec(&(
        env!("CARGO_PKG_VERSION"),
        model.manifest(),
        subject,
        &setup.limits,
    ))?;
    Ok(hex(&Sha256::digest(parts)))
}

/// The clip of a truth: in --images, else beside it; known by its digest.
fn find(setup: &Setup<'_>, manifest: &Path, truth: &ClipTruth) -> anyhow::Result<PathBuf> {
    let beside = manifest.parent().unwrap_or(Path::new(""));
    let dir = setup.args.images.as_deref().unwrap_or(beside);
    let path = dir.join(&truth.clip.file);
    let sha256 = sha256_of(&path).with_context(|| {
        format!(
            "cannot open the clip {} (origin: {}); say with --images where it lies",
            path.display(),
            truth.clip.origin
        )
    })?;
    if sha256 != truth.clip.sha256 {
        bail!(
            "{} is not the clip that was annotated: its digest differs",
            path.display()
        );
    }
    Ok(path)
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

fn print(format: Format, report: &ClipsReport) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if format == Format::Json {
        serde_json::to_writer(&mut out, report)?;
        return Ok(writeln!(out)?);
    }
    const HEAD: [&str; 11] = [
        "kind",
        "episodes",
        "found",
        "recall",
        "large enough",
        "of those found",
        "fragments",
        "false alarms",
        "a camera-hour",
        "overclaimed",
        "median delay s",
    ];
    let rows = report.total.iter().map(|t| {
        let m = &t.counts;
        let shown = |v: Option<f64>, decimals: usize| {
            v.map_or("–".to_owned(), |v| format!("{v:.decimals$}"))
        };
        vec![
            m.code.clone(),
            m.episodes.to_string(),
            m.found.to_string(),
            shown(t.recall, 2),
            m.large_enough.to_string(),
            m.found_large_enough.to_string(),
            m.fragments.to_string(),
            m.false_alarms.to_string(),
            shown(Some(t.false_alarms_per_hour), 1),
            m.overclaimed.to_string(),
            shown(t.median_delay_s, 1),
        ]
    });
    let head = HEAD.map(str::to_owned).to_vec();
    for (i, row) in std::iter::once(head).chain(rows).enumerate() {
        if format == Format::Markdown {
            writeln!(out, "| {} |", row.join(" | "))?;
            if i == 0 {
                writeln!(out, "|{}", "---|".repeat(row.len()))?;
            }
            continue;
        }
        let cells = row.iter().zip(HEAD);
        let cells = cells.map(|(c, h)| table::pad(c, h.len().max(6) + 2));
        writeln!(out, "{}", cells.collect::<String>().trim_end())?;
    }
    writeln!(
        out,
        "\n{} clips, {:.1} minutes, {} frames a second, {} {}",
        report.clips.len(),
        60.0 * report.camera_hours(),
        report.subject.fps,
        report.subject.model.name,
        report.subject.model.version
    )?;
    Ok(())
}

/// How far along the clips are, for a person who waits.
fn progress(seconds: f64) -> anyhow::Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} s, {eta} left, {msg}")?;
    Ok(ProgressBar::new(seconds as u64).with_style(style))
}
