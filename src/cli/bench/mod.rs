//! `sitewarden bench`: how good a detector is on labelled photos.

mod annotated;
mod args;
mod baseline;
mod clips;
mod compare;
mod judge;
mod part;
mod photos;
mod progress;
mod stated;
mod table;
mod write;

use std::collections::HashSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

pub(super) use self::args::Args;
use self::args::Format;
use self::photos::{Look, Others, look_at};
use self::progress::Stages;
use super::scan::{load_model, workers};
use super::{exit, hazards, stop};
use crate::config::Config;
use crate::dataset::{self, LabelledSet, Open};
use crate::eval::report::{BenchReport, Finding, Subject, Weight};
use crate::eval::{ClassPlan, GroundTruth, Prediction, keep_counted};
use crate::hazard::Lang;
use crate::inference::{Detect, Threads};
use crate::rules::Catalogue;
use crate::source::photo::{Photo, PhotoLimits, read_file};
use crate::tiling::Tiles;

/// Settings that come from the command line and the configuration.
struct Setup<'a> {
    args: &'a Args,
    limits: PhotoLimits,
    tiles: Tiles,
    lang: Lang,
    jobs: NonZero<usize>,
    catalogue: Catalogue,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let config = Config::load(args.config.as_deref())?;
    let setup = Setup {
        args,
        limits: config.limits.clone(),
        tiles: args.tiles.unwrap_or(config.scan.tiles),
        lang: args.lang.unwrap_or(config.scan.lang),
        catalogue: hazards::catalogue(&config)?,
        jobs: workers(args.jobs, &config),
    };
    if let Some(annotated) = annotated::read(&args.datasets, &setup.catalogue)? {
        return annotated::run(&setup, &annotated, &config.scan.model);
    }
    if args.datasets.len() > 1 && (args.predictions.is_some() || args.images.is_some()) {
        bail!("--predictions and --images belong to one dataset; name one");
    }
    if let Some([a, b]) = args.compare.as_deref() {
        return compare::run(&setup, a, b);
    }
    let Some(results) = &args.out else {
        bail!("say with --out where the results go");
    };
    stop::on_signal().context("cannot listen to signals")?;
    let models = match (&args.predictions, args.model.is_empty()) {
        (Some(_), _) => Vec::new(),
        (None, true) => vec![config.scan.model.clone()],
        (None, false) => args.model.clone(),
    };
    one_folder_each(&models)?;
    if args.baseline.is_some() && (args.datasets.len() > 1 || models.len() > 1) {
        bail!("--baseline belongs to one dataset and one model; name one of each");
    }
    let mut reports = Vec::new();
    let mut used = HashSet::new();
    for name in &args.datasets {
        let (set, found) = open(&setup, name)?;
        let others = Others::default();
        let out = set_folder(results, args.datasets.len(), &set.name, &mut used)?;
        match &args.predictions {
            Some(file) => reports.push(judge_file(&setup, &set, &found, file, &out)?),
            None => {
                for model in &models {
                    let out = model_folder(&out, &models, model);
                    reports.push(judge_model(&setup, &set, &found, &others, model, &out)?);
                }
            }
        }
    }
    table::print(args.format, &reports)?;
    if let Some(limit) = args.fail_below {
        let short = baseline::shortfalls(&reports, args.baseline.as_deref(), limit)?;
        for line in &short {
            super::eprintln_line(&format!("sitewarden: {line}"));
        }
        if !short.is_empty() {
            return Ok(exit::FOUND);
        }
    }
    Ok(done(&reports))
}

/// Whether all photos were looked at.
fn done(reports: &[BenchReport]) -> u8 {
    let incomplete = reports
        .iter()
        .flat_map(|r| &r.health)
        .any(|f| matches!(f.code.as_str(), "photo_missing" | "photo_unreadable"));
    if incomplete {
        exit::INCOMPLETE
    } else {
        exit::OK
    }
}

/// Where the results of a set go: a folder of its own where there are several.
fn set_folder(
    results: &Path,
    sets: usize,
    name: &str,
    used: &mut HashSet<PathBuf>,
) -> anyhow::Result<PathBuf> {
    let out = match sets {
        1 => results.to_owned(),
        _ => results.join(folder_name(name)),
    };
    if !used.insert(out.clone()) {
        bail!(
            "the results of {name} would overwrite those of another dataset in {}; run it apart, \
             with another --out",
            out.display()
        );
    }
    Ok(out)
}

/// Opens a set and looks at its labels.
fn open(setup: &Setup<'_>, name: &str) -> anyhow::Result<(LabelledSet, Vec<Finding>)> {
    let args = setup.args;
    let size_of = |path: &Path| {
        let bytes = read_file(path, &setup.limits).ok()?;
        let photo = Photo::open(&bytes, &setup.limits).ok()?;
        Some(photo.upright_size())
    };
    let mut set = dataset::open(Open {
        name,
        photos: args.images.as_deref(),
        split: args.split.as_deref(),
        data: args.data.as_deref(),
        size_of: &size_of,
    })?;
    if let Some(limit) = args.limit {
        set.truth.photos.truncate(limit.get());
        let kept: HashSet<u64> = set.truth.photos.iter().map(|p| p.id).collect();
        set.truth.boxes.retain(|b| kept.contains(&b.photo));
    }
    let mut found = std::mem::take(&mut set.findings);
    found.extend(dataset::check_labels(&mut set.truth));
    if set.truth.photos.is_empty() {
        let why: Vec<&str> = found.iter().map(|f| f.text.as_str()).collect();
        bail!(
            "no photo of {} is left to judge by: {}",
            set.name,
            why.join("; ")
        );
    }
    Ok((set, found))
}

/// Runs a model over a set and judges it.
fn judge_model(
    setup: &Setup<'_>,
    set: &LabelledSet,
    found: &[Finding],
    others: &Others,
    name: &str,
    out: &Path,
) -> anyhow::Result<BenchReport> {
    let threads = match set.truth.photos.len() {
        1 => Threads::latency(setup.jobs),
        _ => Threads::throughput(setup.jobs),
    };
    let model = load_model(name, threads)?;
    let manifest = model.manifest();
    let plan = ClassPlan::new(
        &set.truth.classes,
        &set.map,
        &setup.args.map,
        Some(&manifest.labels),
    )
    .with_context(|| format!("cannot judge {} on {}", manifest.name, set.name))?;
    make_folder(out)?;
    let look = look_at(setup, set, &plan, &model, others, out)?;
    let classes = judge::ModelClasses {
        labels: manifest.label_map(),
        thresholds: manifest.class_thresholds(),
        rules: judge::judgeable(&setup.catalogue, &plan)?,
    };
    let subject = judge::subject(manifest);
    let case = judge::Case {
        set,
        plan: &plan,
        subject,
        model: Some(classes),
    };
    let report = finish(setup, &case, found, look, out)?;
    part::remove(&out.join(part::PHOTOS));
    Ok(report)
}

/// Judges predictions from a file.
fn judge_file(
    setup: &Setup<'_>,
    set: &LabelledSet,
    found: &[Finding],
    file: &Path,
    out: &Path,
) -> anyhow::Result<BenchReport> {
    let plan = ClassPlan::new(&set.truth.classes, &set.map, &setup.args.map, None)?;
    let stages = Stages::new()?;
    stages.at(format!("reading {}", file.display()));
    let (mut predictions, sha256) = dataset::read_predictions(file)?;
    drop(stages);
    make_folder(out)?;
    let mut findings = Vec::new();
    let known: HashSet<u64> = set.truth.photos.iter().map(|p| p.id).collect();
    let all = predictions.len();
    predictions.retain(|p| known.contains(&p.photo));
    if predictions.len() < all && setup.args.limit.is_none() {
        findings.push(strangers(all - predictions.len(), "photo ids"));
    }
    let all = predictions.len();
    plan.keep_judged_predictions(&mut predictions);
    if predictions.len() < all {
        findings.push(strangers(all - predictions.len(), "class ids"));
    }
    match keep_counted(&mut predictions) {
        0 => {}
        count => findings.push(Finding {
            code: "prediction_not_counted".into(),
            weight: Weight::Note,
            count,
            text: "predictions beyond the surest 100 of a class in a photo; COCO does not count \
                   them, left out"
                .into(),
            examples: Vec::new(),
        }),
    }
    let look = Look {
        predictions,
        findings,
        ..Look::default()
    };
    let subject = Subject::Predictions {
        file: file.display().to_string(),
        sha256,
    };
    let case = judge::Case {
        set,
        plan: &plan,
        subject,
        model: None,
    };
    finish(setup, &case, found, look, out)
}

fn strangers(count: usize, what: &str) -> Finding {
    Finding {
        code: "prediction_of_nothing".into(),
        weight: Weight::Warning,
        count,
        text: format!("predictions with {what} that the set does not list; left out"),
        examples: Vec::new(),
    }
}

fn finish(
    setup: &Setup<'_>,
    case: &judge::Case<'_>,
    found: &[Finding],
    look: Look,
    out: &Path,
) -> anyhow::Result<BenchReport> {
    let mut truth = case.set.truth.clone();
    case.plan.keep_judged(&mut truth);
    leave_out(&mut truth, &look);
    if truth.photos.is_empty() {
        return Err(nothing_seen(case.set, &look));
    }
    let stages = Stages::new()?;
    let report = judge::report(setup, case, &truth, found, &look, &stages)?;
    let predictions: &[Prediction] = &look.predictions;
    stages.at("writing the report");
    write::all(setup, case.set, &report, predictions, out)?;
    Ok(report)
}

/// Not one photo could be looked at: where, and why the first one not.
fn nothing_seen(set: &LabelledSet, look: &Look) -> anyhow::Error {
    let why = look.findings.iter().flat_map(|f| f.examples.first()).next();
    anyhow::anyhow!(
        "no photo of {} could be read in {} ({}); say with --images where they lie",
        set.name,
        set.photos_dir.display(),
        why.map_or("", |w| w)
    )
}

/// Photos that nobody could look at say nothing about the model.
fn leave_out(truth: &mut GroundTruth, look: &Look) {
    if look.unseen.is_empty() {
        return;
    }
    truth.photos.retain(|p| !look.unseen.contains(&p.id));
    truth.boxes.retain(|b| !look.unseen.contains(&b.photo));
}

fn make_folder(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot create the folder {}; name another", dir.display()))
}

/// Models whose results would overwrite one another are refused before any work.
fn one_folder_each(models: &[String]) -> anyhow::Result<()> {
    let mut used = HashSet::new();
    match models.iter().find(|m| !used.insert(folder_name(m))) {
        None => Ok(()),
        Some(twice) => bail!(
            "two models would write into the folder {}; name each once",
            folder_name(twice)
        ),
    }
}

/// Where the results of a model go: a folder of its own where there are several.
fn model_folder(out: &Path, models: &[String], model: &str) -> PathBuf {
    match models {
        [_] => out.to_owned(),
        _ => out.join(folder_name(model)),
    }
}

/// A name as one folder.
fn folder_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches(['.', '-']);
    // paths differ at their ends
    name[name.ceil_char_boundary(name.len().saturating_sub(100))..].to_owned()
}
