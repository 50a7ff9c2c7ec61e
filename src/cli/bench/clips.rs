//! Annotated clips: the findings of `watch` against the hazard episodes that a person saw.

mod pictures;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::args::Format;
use super::judge::machine;
use super::part::{self, ClipDone, Part};
use super::progress;
use super::table::interval;
use super::write::write_file;
use super::{Setup, make_folder, model_folder};
use crate::cli::scan::load_model;
use crate::cli::watch::{findings, side};
use crate::cli::{exit, table};
use crate::eval::clip_changes::ClipSide;
use crate::eval::clips::ClipsReport;
use crate::eval::episodes::ClipTruth;
use crate::eval::findings::min_part_px;
use crate::inference::{Detect, Model, Threads};
use crate::pipeline::clip_file::{WatchConfig, sha256_of};
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings, hex};
use crate::render::clips::clips_page;
use crate::rules::RuleSet;
use crate::zone::Zones;

pub(super) fn run(
    setup: &Setup<'_>,
    truths: &[(PathBuf, ClipTruth)],
    models: &[String],
    out: &Path,
) -> anyhow::Result<u8> {
    let args = setup.args;
    if args.limit.is_some() {
        bail!("--limit is for photos; name fewer clips");
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
    // the zones are each clip's own
    let subject = side(&pipeline, &WatchConfig::default());
    let part_path = out.join(part::CLIPS);
    let key = key(setup, &model, &subject)?;
    let (mut part, before) = Part::open::<ClipDone>(&part_path, &key, setup.args.restart)?;
    let mut done: HashMap<String, ClipDone> =
        before.into_iter().map(|d| (d.sha256.clone(), d)).collect();
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
    let progress = progress::clips(truths.iter().map(|(_, t)| t.clip.duration_s).sum())?;
    let mut pictures = Vec::new();
    for ((manifest, truth), path) in truths.iter().zip(clips) {
        progress.set_message(truth.clip.file.clone());
        let config = WatchConfig {
            zones: zones(manifest, truth),
            ..WatchConfig::default()
        };
        let findings = match done.remove(&truth.clip.sha256) {
            // a zone that was drawn anew makes other findings
            Some(done) if done.zones == config.zones => done.findings,
            _ => {
                let findings = findings(&pipeline, path, &config, None)
                    .with_context(|| path.display().to_string())?;
                let clip = ClipDone {
                    sha256: truth.clip.sha256.clone(),
                    zones: config.zones.clone(),
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
        let judged_px = min_part_px(rules.kinds().iter().flat_map(|k| &k.rules));
        report.add(truth, findings, judged_px / scale);
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
            "{} is not the clip that was annotated: its digest differs; get that one ({}), or annotate \
             this one anew",
            path.display(),
            truth.clip.origin
        );
    }
    Ok(path)
}

/// The zones to watch a clip with; their pictures lie beside what was annotated.
fn zones(manifest: &Path, truth: &ClipTruth) -> Zones {
    let mut zones = truth.watch_zones();
    let beside = manifest.parent().unwrap_or(Path::new(""));
    for reference in zones.zones.iter_mut().filter_map(|z| z.reference.as_mut()) {
        *reference = beside.join(&*reference);
    }
    zones
}

const HEAD: [&str; 11] = [
    "kind",
    "episodes",
    "found",
    "recall [95 %]",
    "large enough",
    "of those found",
    "fragments",
    "false alarms",
    "a camera-hour [95 %]",
    "overclaimed",
    "median delay s",
];

fn print(format: Format, report: &ClipsReport) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if format == Format::Json {
        serde_json::to_writer(&mut out, report)?;
        return Ok(writeln!(out)?);
    }
    let rows = report.total.iter().map(|t| {
        let m = &t.counts;
        let shown = |v: Option<f64>, decimals: usize| {
            v.map_or("–".to_owned(), |v| format!("{v:.decimals$}"))
        };
        vec![
            m.code.clone(),
            m.episodes.to_string(),
            m.found.to_string(),
            interval(&t.recall, 2),
            m.large_enough.to_string(),
            m.found_large_enough.to_string(),
            m.fragments.to_string(),
            m.false_alarms.to_string(),
            interval(&t.false_alarms_per_hour, 1),
            m.overclaimed.to_string(),
            shown(t.median_delay_s, 1),
        ]
    });
    let head = HEAD.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    match format {
        Format::Markdown => out.write_all(table::markdown(&rows).as_bytes())?,
        _ => writeln!(out, "{}", table::aligned(&rows).join("\n"))?,
    }
    writeln!(
        out,
        "\n{}, {:.1} minutes, {} frames a second, {} {}",
        table::count(report.clips.len(), "clip"),
        60.0 * report.camera_hours(),
        report.subject.fps,
        report.subject.model.name,
        report.subject.model.version
    )?;
    Ok(())
}
