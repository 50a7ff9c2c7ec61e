//! A recorded run of `watch` against a change: which findings would be told otherwise.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::{
    Args, Candidate, PICTURE_SIDE, code, not_a_run, not_compared, notes, place, print, report,
};
use crate::bank::Place;
use crate::cli::watch::{Line, findings, side};
use crate::cli::{scan, stop, table};
use crate::config::Config;
use crate::eval::changes::NotCompared;
use crate::eval::clip_changes::{self, ClipChanges, ClipReplayDocument, ClipSide, clip_changes};
use crate::eval::clip_findings::ClipFinding;
use crate::hazard::Lang;
use crate::inference::Threads;
use crate::pipeline::bank::Taught;
use crate::pipeline::clip::FindingEvent;
use crate::pipeline::clip_file::{WatchConfig, findings_of, frames_at, sha256_of};
use crate::pipeline::photo::PhotoPipeline;
use crate::pipeline::picture::frame_view;
use crate::record::{CandidateRecord, PhotoRecord, Why};
use crate::render::{AnnotateOptions, ReplayPhoto};
use crate::source::clip::ClipError;

/// Most changes of a clip that are shown in pictures: the page stays a file that one can open.
const MAX_PICTURED: usize = 40;

/// A clip of the run.
pub(super) struct RecordedClip {
    path: String,
    sha256: String,
    events: Vec<FindingEvent>,
    /// Whether the run watched it to its end.
    whole: bool,
}

/// A run of `watch`.
pub(super) struct Recorded {
    side: ClipSide,
    clips: Vec<RecordedClip>,
}

/// The run, if that is what the file holds and not one of photos.
pub(super) fn recorded(path: &Path) -> anyhow::Result<Option<Recorded>> {
    #[derive(Deserialize)]
    struct Kind {
        event: Option<String>,
    }
    let open = || {
        let file =
            File::open(path).with_context(|| format!("cannot open the run {}", path.display()))?;
        anyhow::Ok(serde_json::Deserializer::from_reader(BufReader::new(file)))
    };
    let kind = open()?.into_iter::<Kind>().next();
    if !matches!(kind, Some(Ok(Kind { event: Some(_) }))) {
        return Ok(None);
    }
    let mut run: Option<Recorded> = None;
    for line in open()?.into_iter::<Line>() {
        let line = line.with_context(|| not_a_run(path))?;
        take(&mut run, line).with_context(|| not_a_run(path))?;
    }
    ensure!(
        run.is_some(),
        "the run {} is of live sources only, which cannot be watched again; record video files",
        path.display()
    );
    Ok(run)
}

fn take(run: &mut Option<Recorded>, line: Line) -> anyhow::Result<()> {
    if let Line::Watching(line) = line {
        let clip = RecordedClip {
            path: line.path,
            sha256: line.sha256,
            events: Vec::new(),
            whole: false,
        };
        match run {
            None => {
                *run = Some(Recorded {
                    side: line.side,
                    clips: vec![clip],
                });
            }
            Some(run) => {
                ensure!(
                    run.side == line.side,
                    "it mixes models or settings; replay its parts one by one"
                );
                run.clips.push(clip);
            }
        }
        return Ok(());
    }
    let live = match &line {
        Line::Finding(turn) => turn.from.at.is_some(),
        Line::Evidence(filed) => filed.from.at.is_some(),
        Line::Source(_) => true,
        _ => false,
    };
    if live {
        return Ok(());
    }
    let clip = run.as_mut().and_then(|r| r.clips.last_mut());
    let Some(clip) = clip else {
        bail!("its first line does not say what was watched, and with what");
    };
    match line {
        Line::Finding(turn) if turn.from.path == clip.path => clip.events.push(turn.event),
        Line::Evidence(filed) if filed.from.path == clip.path => {}
        Line::Watched(line) if line.path == clip.path => clip.whole = true,
        _ => bail!("its lines are not in order"),
    }
    Ok(())
}

pub(super) fn run(args: &Args, config: &Config, recorded: Recorded) -> anyhow::Result<u8> {
    let was = recorded.side;
    let jobs = scan::workers(args.jobs, config);
    let candidate = Candidate::new(args, config, &was.settings, Threads::latency(jobs))?;
    let pipeline = candidate.pipeline();
    let watch = WatchConfig {
        fps: was.fps,
        tracker: was.tracker.clone(),
        confirm: was.confirm.clone(),
        zones: was.zones.clone(),
        parts: was.parts,
    };
    let taught = args
        .asked
        .open(Threads::latency(jobs), config)?
        .map(Arc::new);
    let place_now = args.asked.place_of(was.settings.bank.as_ref());
    let bank = taught.as_ref().map(|taught| (taught, place_now));
    let mut now = side(&pipeline, &watch);
    now.settings.bank = bank
        .as_ref()
        .map(|(taught, place)| taught.record(place.clone()));
    notes(
        args,
        (&was.model, &was.settings),
        (&now.model, &now.settings),
    );
    let mut page = report::Report::asked(args, was.settings.lang)?;
    stop::on_signal().context("cannot listen to signals")?;
    let mut document = ClipReplayDocument {
        sitewarden: env!("CARGO_PKG_VERSION").to_owned(),
        was,
        now,
        compared: 0,
        not_compared: Vec::new(),
        clips: Vec::new(),
        summary: Vec::new(),
    };
    for clip in recorded.clips {
        let path = place(args, &clip.path);
        let replayed = match replay(&pipeline, &watch, bank.clone(), &clip, &path) {
            Ok(now) => now,
            Err(e) => {
                document.not_compared.push(NotCompared {
                    path: clip.path,
                    reason: format!("{e:#}"),
                });
                continue;
            }
        };
        let recorded = findings_of(&clip.events);
        let changes = clip_changes(&clip.path, &clip.sha256, &recorded, &replayed);
        document.compared += 1;
        clip_changes::count(&mut document.summary, &recorded, &replayed, &changes);
        if changes.is_empty() {
            continue;
        }
        if let Some(page) = page.as_mut() {
            let sides = [&recorded[..], &replayed];
            let pictures = pictures(&pipeline, &watch, &path, &changes, sides)?;
            page.clip(&changes, &pictures)?;
        }
        document.clips.push(changes);
    }
    if let Some(page) = page {
        page.finish_clips(&document)?;
    }
    print(args.format, &document, text)?;
    Ok(code(&document.not_compared))
}

/// What would be told of a clip now.
fn replay(
    pipeline: &PhotoPipeline<'_>,
    watch: &WatchConfig,
    bank: Option<(&Arc<Taught>, Place)>,
    clip: &RecordedClip,
    path: &Path,
) -> anyhow::Result<Vec<ClipFinding>> {
    ensure!(
        clip.whole,
        "the run did not watch it to its end; record it again"
    );
    let sha256 = sha256_of(path)
        .map_err(ClipError::from)
        .context("--photos DIR says where the run's clips are")?;
    ensure!(
        sha256 == clip.sha256,
        "the file is not the one of the run: its digest differs"
    );
    findings(pipeline, path, watch, bank)
}

/// Both sides of every change at the moment that shows it best, in the order of the page.
fn pictures(
    pipeline: &PhotoPipeline<'_>,
    watch: &WatchConfig,
    path: &Path,
    changes: &ClipChanges,
    sides: [&[ClipFinding]; 2],
) -> anyhow::Result<Vec<Option<ReplayPhoto>>> {
    let moments: Vec<f64> = changes
        .appeared
        .iter()
        .chain(&changes.gone)
        .map(|f| f.best_time_s)
        // when one side has told it and the other has not yet
        .chain(
            changes
                .moved
                .iter()
                .map(|m| m.was.opened_s.min(m.now.opened_s)),
        )
        .collect();
    let mut pictures = vec![None; moments.len()];
    let mut order: Vec<usize> = (0..moments.len().min(MAX_PICTURED)).collect();
    order.sort_by(|a, b| moments[*a].total_cmp(&moments[*b]));
    let times: Vec<f64> = order.iter().map(|i| moments[*i]).collect();
    let lang = pipeline.settings().lang;
    let limit = pipeline.settings().limits.max_pixels;
    frames_at(path, watch.fps, limit, &times, |i, frame| {
        let [was, now] = sides.map(|findings| {
            let record = record(findings, times[i], frame.dimensions());
            let options = AnnotateOptions::for_report(lang);
            frame_view(frame, &record, PICTURE_SIDE, Some(&options), false).ok()
        });
        pictures[order[i]] = Some(ReplayPhoto { was, now });
        Ok::<(), ClipError>(())
    })?;
    Ok(pictures)
}

/// The findings that are open at a moment, as the record of a photo.
fn record(findings: &[ClipFinding], time_s: f64, (width, height): (u32, u32)) -> PhotoRecord {
    let open = |f: &&ClipFinding| (f.opened_s - 1e-3..=f.until_s + 1e-3).contains(&time_s);
    let candidates = findings.iter().filter(open).filter_map(|f| {
        Some(CandidateRecord {
            code: f.code.clone(),
            name: f.name.clone(),
            severity: f.severity,
            score: f.score,
            bbox: f.at(time_s)?.to_xywh(),
            why: Why {
                rule: String::new(),
                samples: Vec::new(),
                inputs: Vec::new(),
                text: f.reason.clone(),
            },
            references: Vec::new(),
        })
    });
    PhotoRecord {
        path: String::new(),
        sha256: None,
        width: Some(width),
        height: Some(height),
        detections: Vec::new(),
        answers: Vec::new(),
        candidates: candidates.collect(),
        suppressed: Vec::new(),
        error: None,
        note: None,
    }
}

fn text(document: &ClipReplayDocument) -> String {
    let lang = document.was.settings.lang;
    let mut text = String::new();
    for clip in &document.clips {
        text += &format!("{}\n", table::plain(&clip.path));
        for finding in &clip.appeared {
            text += &format!("  + {}\n", row(finding, lang));
        }
        for finding in &clip.gone {
            text += &format!("  - {}\n", row(finding, lang));
        }
        for moved in &clip.moved {
            text += &format!(
                "  ~ {}\n    {}\n",
                row(&moved.was, lang),
                row(&moved.now, lang)
            );
        }
    }
    text += &not_compared(&document.not_compared);
    text += &format!(
        "{} compared, {} would be told otherwise, {} not compared\n",
        table::count(document.compared, "clip"),
        document.clips.len(),
        document.not_compared.len()
    );
    for c in &document.summary {
        text += &format!(
            "  {}  {} findings -> {}: {} would appear, {} would be gone, {} would move\n",
            table::pad(&c.code, 6),
            c.was,
            c.now,
            c.appeared,
            c.gone,
            c.moved
        );
    }
    text
}

fn row(f: &ClipFinding, lang: Lang) -> String {
    let [x, y, w, h] = f.bbox.map(|v| v.round() as i64);
    format!(
        "#{} {}  {:.1} to {:.1} s{}  {:.2}  {}  best at {:.1} s, {x},{y} ({w} x {h})",
        f.finding,
        table::pad(&f.code, 6),
        f.opened_s,
        f.until_s,
        if f.cleared { ", cleared" } else { "" },
        f.score,
        f.name.get(lang),
        f.best_time_s
    )
}
