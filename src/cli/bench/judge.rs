//! From predictions to the report.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::Setup;
use super::photos::{Look, MAX_PER_PHOTO, MIN_SCORE, rounded};
use super::progress::Stages;
use crate::dataset::LabelledSet;
use crate::detection::LabelMap;
use crate::eval::findings::{self, FindingMetrics};
use crate::eval::report::{
    BenchReport, Classes, DatasetRecord, Finding, Machine, Parameters, Subject, Weight,
};
use crate::eval::{ClassPlan, Evaluation, GroundTruth, latency, operate};
use crate::geometry::BBox;
use crate::inference::Manifest;
use crate::record::ModelRecord;
use crate::rules::{Catalogue, RuleSet};
use crate::tiling::Tiles;

/// What is judged by what.
pub(super) struct Case<'a> {
    pub(super) set: &'a LabelledSet,
    pub(super) plan: &'a ClassPlan,
    pub(super) subject: Subject,
    /// The best F1 decides where there is no model.
    pub(super) model: Option<ModelClasses>,
}

/// The classes of the model that looked, and what scanning takes as seen.
pub(super) struct ModelClasses {
    pub(super) labels: LabelMap,
    /// One for each class.
    pub(super) thresholds: Vec<f32>,
    /// The rules whose findings are judged.
    pub(super) rules: RuleSet,
}

impl ModelClasses {
    fn threshold(&self, name: &str) -> Option<f64> {
        let class = self.labels.names().iter().position(|n| n == name)?;
        self.thresholds.get(class).map(|t| rounded(*t, 1e6))
    }
}

/// The rules of the kinds that the judged classes can tell the truth of.
pub(super) fn judgeable(catalogue: &Catalogue, plan: &ClassPlan) -> anyhow::Result<RuleSet> {
    let all = RuleSet::new(catalogue, None)?;
    let truth = findings::truth_of(&all, &labelled(plan), (1, 1), &[]);
    let codes: Vec<String> = truth.into_iter().map(|t| t.code).collect();
    Ok(RuleSet::new(catalogue, Some(&codes))?)
}

/// The judged classes in our names, in the order of the plan.
fn labelled(plan: &ClassPlan) -> LabelMap {
    LabelMap::new(plan.judged.iter().map(|j| j.name.as_str()))
}

/// How good the findings are, where the labels can judge them.
fn findings(
    model: &ModelClasses,
    plan: &ClassPlan,
    truth: &GroundTruth,
    look: &Look,
) -> Vec<FindingMetrics> {
    let labelled = labelled(plan);
    let class_of: HashMap<u64, usize> = plan
        .judged
        .iter()
        .enumerate()
        .map(|(i, j)| (j.id, i))
        .collect();
    let mut boxes: HashMap<u64, Vec<(usize, BBox)>> = HashMap::new();
    for b in truth.boxes.iter().filter(|b| !b.crowd) {
        if let Some(class) = class_of.get(&b.class) {
            let bbox = BBox::from_xywh(b.bbox.map(|v| v as f32));
            boxes.entry(b.photo).or_default().push((*class, bbox));
        }
    }
    let cases: Vec<findings::Case> = look
        .seen
        .iter()
        .map(|s| findings::Case {
            size: s.size,
            seen_scale: s.scale,
            detections: s.detections.clone(),
            truth: findings::truth_of(
                &model.rules,
                &labelled,
                s.size,
                boxes.get(&s.photo).map_or(&[], Vec::as_slice),
            ),
        })
        .collect();
    findings::judge(&model.rules, &model.labels, &model.thresholds, &cases).metrics
}

/// All figures. `truth` holds judged classes and photos only.
pub(super) fn report(
    setup: &Setup<'_>,
    case: &Case<'_>,
    truth: &GroundTruth,
    found: &[Finding],
    look: &Look,
    stages: &Stages,
) -> anyhow::Result<BenchReport> {
    let (set, plan) = (case.set, case.plan);
    stages.at(format!(
        "matching {} predictions with {} boxes",
        look.predictions.len(),
        truth.boxes.len()
    ));
    let start = Instant::now();
    let evaluation = Evaluation::new(truth, plan, &look.predictions)?;
    let evaluation_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut per_class = evaluation.per_class(truth);
    let thresholds: HashMap<u64, f64> = per_class
        .iter()
        .map(|class| {
            let best = class.best_f1.as_ref().map_or(0.5, |p| p.score);
            let own = case.model.as_ref().and_then(|m| m.threshold(&class.name));
            (class.id, own.unwrap_or(best))
        })
        .collect();
    stages.at("finding the worst errors");
    let operating = operate(truth, plan, &look.predictions, &thresholds, &mut per_class)?;
    stages.at("telling kinds of errors apart");
    let errors = evaluation.error_types()?;
    stages.at("judging the findings");
    let mut health: Vec<Finding> = found.iter().chain(&look.findings).cloned().collect();
    health.extend(partial_labels(plan));
    health.sort_by_key(|f| f.weight);
    Ok(BenchReport {
        sitewarden: env!("CARGO_PKG_VERSION").to_owned(),
        created: now(),
        subject: case.subject.clone(),
        dataset: dataset_record(set, truth, truth.photos.len()),
        parameters: parameters(
            setup,
            case.model.is_some(),
            evaluation.iou_thresholds().to_vec(),
            evaluation.max_detections().to_vec(),
        ),
        machine: machine(),
        classes: Classes {
            judged: judged(plan),
            not_in_model: plan.not_in_model.clone(),
            not_labelled: plan.not_labelled.clone(),
        },
        health,
        metrics: evaluation.summary(),
        per_class,
        findings: case
            .model
            .as_ref()
            .map(|m| findings(m, plan, truth, look))
            .unwrap_or_default(),
        confusion: operating.confusion,
        calibration: evaluation.calibration().ok(),
        errors: Some(errors),
        latency: latency(&look.times, look.wall_s),
        misses: operating.misses,
        false_alarms: operating.false_alarms,
        evaluation_ms,
    })
}

/// The moment of a report.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A model as it stands in a report.
pub(super) fn subject(manifest: &Manifest) -> Subject {
    Subject::Model(ModelRecord {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: manifest.sha256.clone(),
    })
}

/// `truth` holds judged boxes only.
pub(super) fn dataset_record(
    set: &LabelledSet,
    truth: &GroundTruth,
    judged_photos: usize,
) -> DatasetRecord {
    DatasetRecord {
        name: set.name.clone(),
        split: set.split.clone(),
        format: set.format.to_owned(),
        sha256: set.sha256.clone(),
        license: set.license.clone(),
        photos: set.truth.photos.len(),
        judged_photos,
        judged_boxes: truth.boxes.len(),
    }
}

/// `ours`: a model was run, no file read.
pub(super) fn parameters(
    setup: &Setup<'_>,
    ours: bool,
    iou_thresholds: Vec<f64>,
    max_detections: Vec<usize>,
) -> Parameters {
    let map = setup.args.map.iter();
    Parameters {
        min_score: ours.then(|| rounded(MIN_SCORE, 1e6)),
        max_per_photo: ours.then_some(MAX_PER_PHOTO),
        iou_thresholds,
        max_detections,
        tiles: setup.tiles == Tiles::Auto,
        map: map.map(|(o, t)| format!("{o}={t}")).collect(),
        limit: setup.args.limit.map(std::num::NonZero::get),
        jobs: setup.jobs.get(),
        operating_point: if ours { "model" } else { "best_f1" }.to_owned(),
    }
}

fn judged(plan: &ClassPlan) -> BTreeMap<String, Vec<String>> {
    let classes = plan.judged.iter();
    classes
        .map(|j| (j.name.clone(), j.theirs.clone()))
        .collect()
}

/// Says which classes have no part in the figures.
fn partial_labels(plan: &ClassPlan) -> impl Iterator<Item = Finding> {
    let finding = |code: &str, weight, names: &[String], text: &str| {
        (!names.is_empty()).then(|| Finding {
            code: code.to_owned(),
            weight,
            count: names.len(),
            text: text.to_owned(),
            examples: names.to_vec(),
        })
    };
    let not_labelled = finding(
        "class_not_labelled",
        Weight::Note,
        &plan.not_labelled,
        "classes of the model that the set does not label; they may stand in its photos all the \
         same, so predictions of them are neither right nor wrong and are left out",
    );
    let not_in_model = finding(
        "class_not_in_model",
        Weight::Warning,
        &plan.not_in_model,
        "classes of the set that the model does not have, under this name; left out",
    );
    not_labelled.into_iter().chain(not_in_model)
}

pub(super) fn machine() -> Machine {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = info
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    Machine {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu: cpu.map(|(_, name)| name.trim().to_owned()),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}
