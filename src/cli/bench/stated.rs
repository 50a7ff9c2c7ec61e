//! Photos of which people say what hazards they show: the findings alone are judged, no boxes.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::judge::{ModelClasses, dataset_record, machine, parameters, subject};
use super::photos::{Look, Others, look_at};
use super::{Setup, make_folder, nothing_seen, part, write};
use crate::cli::scan::load_model;
use crate::dataset::LabelledSet;
use crate::eval::findings::{self, Case, Fault};
use crate::eval::photo_truth::PhotoTruth;
use crate::eval::report::{BenchReport, Classes, Confusion, Finding, Weight, Worst};
use crate::eval::{ClassMap, ClassPlan, GroundTruth, LabelledPhoto, latency};
use crate::inference::{Detect, Threads};
use crate::pipeline::photo::hex;
use crate::rules::RuleSet;

/// The photos of a truth as a set without a labelled box.
pub(super) fn set(
    setup: &Setup<'_>,
    path: &Path,
    truth: &PhotoTruth,
) -> anyhow::Result<LabelledSet> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let photos = truth
        .photos
        .iter()
        .zip(1..)
        .map(|(photo, id)| LabelledPhoto {
            id,
            file: photo.file.clone(),
            width: 0,
            height: 0,
        });
    let mut photos: Vec<LabelledPhoto> = photos.collect();
    if photos.is_empty() {
        bail!(
            "{} lists no photos; list those that were looked through, hazards or not",
            path.display()
        );
    }
    photos.truncate(setup.args.limit.map_or(usize::MAX, std::num::NonZero::get));
    let beside = path.parent().unwrap_or(Path::new(""));
    let name = path.file_stem().unwrap_or(path.as_os_str());
    Ok(LabelledSet {
        name: name.to_string_lossy().into_owned(),
        split: None,
        format: "hazards",
        sha256: hex(&Sha256::digest(bytes)),
        license: None,
        truth: GroundTruth {
            photos,
            ..GroundTruth::default()
        },
        photos_dir: setup.args.images.as_deref().unwrap_or(beside).to_owned(),
        map: ClassMap::default(),
        other_splits: Vec::new(),
        findings: Vec::new(),
    })
}

/// Runs a model over the photos and judges what the rules make of it.
pub(super) fn judge(
    setup: &Setup<'_>,
    set: &LabelledSet,
    truth: &PhotoTruth,
    name: &str,
    out: &Path,
) -> anyhow::Result<BenchReport> {
    let threads = match set.truth.photos.len() {
        1 => Threads::latency(setup.jobs),
        _ => Threads::throughput(setup.jobs),
    };
    let model = load_model(name, threads)?;
    let manifest = model.manifest();
    let classes = ModelClasses {
        labels: manifest.label_map(),
        thresholds: manifest.class_thresholds(),
        rules: RuleSet::new(&setup.catalogue, Some(&truth.codes()))?,
    };
    make_folder(out)?;
    let plan = ClassPlan::none();
    let look = look_at(setup, set, &plan, &model, &Others::default(), out)?;
    if look.seen.is_empty() {
        return Err(nothing_seen(set, &look));
    }
    let files: HashMap<u64, &str> = set.truth.photos.iter().map(|p| (p.id, &*p.file)).collect();
    let file = |id: u64| files.get(&id).copied().unwrap_or_default();
    let mut known = truth.by_photo(&classes.rules);
    let cases: Vec<Case> = look
        .seen
        .iter()
        .map(|s| Case {
            size: s.size,
            seen_scale: s.scale,
            detections: s.detections.clone(),
            truth: known.remove(file(s.photo)).unwrap_or_default(),
        })
        .collect();
    let judged = findings::judge(&classes.rules, &classes.labels, &classes.thresholds, &cases);
    let worst = |faults: Vec<Fault>| -> Vec<Worst> {
        let worst = faults.into_iter().map(|f| Worst {
            photo: file(look.seen[f.case].photo).to_owned(),
            class: f.code,
            bbox: f.bbox.to_xywh().map(f64::from),
            score: f.score.map(f64::from),
            nearest: None,
        });
        worst.collect()
    };
    let mut health = look.findings.clone();
    health.extend(outside(truth, &look, &file));
    health.sort_by_key(|f| f.weight);
    let report = BenchReport {
        sitewarden: env!("CARGO_PKG_VERSION").to_owned(),
        created: super::judge::now(),
        subject: subject(manifest),
        dataset: dataset_record(set, &set.truth, look.seen.len()),
        parameters: parameters(setup, true, Vec::new(), Vec::new()),
        machine: machine(),
        classes: Classes::default(),
        health,
        metrics: Default::default(),
        per_class: Vec::new(),
        confusion: Confusion::default(),
        findings: judged.metrics,
        calibration: None,
        errors: None,
        latency: latency(&look.times, look.wall_s),
        misses: worst(judged.missed),
        false_alarms: worst(judged.wrong),
        evaluation_ms: 0.0,
    };
    write::all(setup, set, &report, &[], out)?;
    part::remove(&out.join(part::PHOTOS));
    Ok(report)
}

/// Boxes of the truth that reach beyond their photo: its size was not known when they were read.
fn outside<'f>(truth: &PhotoTruth, look: &Look, file: &impl Fn(u64) -> &'f str) -> Option<Finding> {
    const SLACK_PX: f32 = 2.0;
    let sizes: HashMap<&str, (u32, u32)> =
        look.seen.iter().map(|s| (file(s.photo), s.size)).collect();
    let beyond = truth.episodes.iter().zip(1..).filter_map(|(e, number)| {
        let ([x, y, w, h], (width, height)) = (e.bbox?, *sizes.get(&*e.photo)?);
        let inside = x >= -SLACK_PX
            && y >= -SLACK_PX
            && x + w <= width as f32 + SLACK_PX
            && y + h <= height as f32 + SLACK_PX;
        (!inside).then(|| format!("episode {number} of {} {:?}", e.photo, [x, y, w, h]))
    });
    let beyond: Vec<String> = beyond.collect();
    (!beyond.is_empty()).then(|| Finding {
        code: "box_outside".into(),
        weight: Weight::Warning,
        count: beyond.len(),
        text: "boxes that reach beyond their photo; kept as they are".into(),
        examples: beyond.into_iter().take(5).collect(),
    })
}
