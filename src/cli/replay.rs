//! `sitewarden replay`: what a change would have done to a recorded run.

mod clips;
mod report;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::{bank, exit, hazards, scan, stop, table};
use crate::config::Config;
use crate::eval::changes::{self, AnswerChange, NotCompared, PhotoChanges, ReplayDocument, Side};
use crate::hazard::{Answer, Lang};
use crate::inference::{Detect, Model, Threads};
use crate::pipeline::bank::BankPass;
use crate::pipeline::ordered::for_each_ordered;
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings, Scratch};
use crate::record::{CandidateRecord, ModelRecord, PhotoRecord, ScanDocument, SettingsRecord};
use crate::render::{AnnotateOptions, ReplayPhoto};
use crate::rules::{Catalogue, RuleSet};
use crate::source::photo;
use crate::tiling::Tiles;

/// Replays a recorded run with another model, other rules, other thresholds or what the sample bank has learned since, and
/// tells which decisions would change.
///
/// A run is what `scan --format json` or `jsonl`, or `watch --format jsonl`, wrote. Its photos or
/// clips are looked at again with the run's own settings but for what is given here; with nothing
/// given, every decision should stand.
///
/// Exit codes: 0 all were compared; 1 a photo or clip is missing, has changed since, or cannot be
/// read; 2 wrong usage; 4 nothing was done.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The recorded run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Folder from which the run's relative paths are taken [default: the current one]
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Another model: name or folder
    #[arg(long, value_name = "NAME|DIR")]
    model: Option<String>,
    /// Other rules: a hazard catalogue laid over the built-in one
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Other thresholds for single classes, for example helmet=0.5,head=0.4
    #[arg(long, value_name = "CLASS=SCORE", value_delimiter = ',', value_parser = parse_threshold)]
    thresholds: Vec<(String, f32)>,
    #[command(flatten)]
    asked: bank::Asked,
    /// What is written to standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write a self-contained HTML page with the pictures of both sides
    #[arg(long, value_name = "FILE", value_parser = scan::parse_report)]
    report: Option<PathBuf>,
    /// Photos worked on at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = scan::parse_jobs)]
    jobs: Option<usize>,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One document (schema: `sitewarden schema replay` or `replay-clips`)
    Json,
}

fn parse_threshold(text: &str) -> Result<(String, f32), String> {
    let (label, score) = text
        .split_once('=')
        .ok_or("give CLASS=SCORE, for example helmet=0.5")?;
    Ok((label.trim().to_owned(), scan::parse_score(score.trim())?))
}

/// Longer side of the pictures in the report, pixels.
const PICTURE_SIDE: u32 = 800;

/// One photo of the run, looked at again.
enum Replayed {
    Same,
    Changed(Box<(PhotoChanges, Option<ReplayPhoto>)>),
    Not(NotCompared),
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let config = Config::load(args.config.as_deref())?;
    if let Some(recorded) = clips::recorded(&args.run)? {
        return clips::run(args, &config, recorded);
    }
    let mut recorded = Recorded::open(&args.run)?;
    let was = recorded.side.clone();
    let jobs = scan::workers(args.jobs, &config);
    let threads = Threads::throughput(jobs);
    let candidate = Candidate::new(args, &config, &was.settings, threads)?;
    let pipeline = candidate.pipeline();
    let taught = args.asked.open(threads, &config)?;
    let place = args.asked.place_of(was.settings.bank.as_ref());
    let pass = taught.as_ref();
    let pass = pass.map(|taught| taught.pass(place, pipeline.rules(), pipeline.settings()));
    let pass = pass.transpose()?;
    let mut heading = pipeline.document();
    heading.settings.bank = pass.as_ref().map(BankPass::record);
    let now = Side {
        model: heading.model,
        settings: heading.settings,
    };
    notes(
        args,
        (&was.model, &was.settings),
        (&now.model, &now.settings),
    );
    let mut page = report::Report::asked(args, was.settings.lang)?;
    stop::on_signal().context("cannot listen to signals")?;

    let mut document = ReplayDocument {
        sitewarden: heading.sitewarden,
        was,
        now,
        compared: 0,
        not_compared: Vec::new(),
        photos: Vec::new(),
        summary: Vec::new(),
    };
    let mut failed = None;
    for_each_ordered(
        std::iter::from_fn(|| recorded.next().transpose()),
        (0..jobs.get()).map(|_| Scratch::default()).collect(),
        |scratch, _, recorded| Ok(replay(args, &pipeline, pass.as_ref(), recorded?, scratch)),
        |_, done: anyhow::Result<Replayed>| {
            let taken = done.and_then(|done| take(&mut document, page.as_mut(), done));
            match taken {
                Ok(()) => ControlFlow::Continue(()),
                Err(e) => {
                    failed = Some(e);
                    ControlFlow::Break(())
                }
            }
        },
    );
    if let Some(e) = failed {
        return Err(e);
    }
    ensure!(
        document.compared + document.not_compared.len() > 0,
        "the run {} holds no photo",
        args.run.display()
    );
    document.summary = changes::count(&document.photos);
    if let Some(page) = page {
        page.finish(&document)?;
    }
    print(args.format, &document, text)?;
    Ok(code(&document.not_compared))
}

/// What is tried on the run.
struct Candidate {
    rules: RuleSet,
    settings: PhotoSettings,
    model: Model,
}

impl Candidate {
    /// The run's own settings but for what is given.
    fn new(
        args: &Args,
        config: &Config,
        was: &SettingsRecord,
        threads: Threads,
    ) -> anyhow::Result<Self> {
        let rules = rule_set(args, config, was)?;
        let settings = settings(args, config, was)?;
        let name = args.model.as_deref().unwrap_or(&config.scan.model);
        let model = scan::load_model(name, threads)?;
        check_labels(args, &model.manifest().labels)?;
        Ok(Self {
            rules,
            settings,
            model,
        })
    }

    fn pipeline(&self) -> PhotoPipeline<'_> {
        PhotoPipeline::new(&self.model, &self.rules, self.settings.clone())
    }
}

/// Where a photo or clip of the run lies.
fn place(args: &Args, path: &str) -> PathBuf {
    match &args.photos {
        Some(dir) => dir.join(path),
        None => PathBuf::from(path),
    }
}

/// The exit code: were all compared?
fn code(not_compared: &[NotCompared]) -> u8 {
    if not_compared.is_empty() {
        exit::OK
    } else {
        exit::INCOMPLETE
    }
}

/// What a person should know before reading the differences.
fn notes(args: &Args, was: (&ModelRecord, &SettingsRecord), now: (&ModelRecord, &SettingsRecord)) {
    if args.rules.is_none() && was.1.catalogue_sha256 != now.1.catalogue_sha256 {
        super::eprintln_line(
            "sitewarden: note: the hazard catalogue in force is not the one of the run, so changes \
             may come from it; --rules or --config names the run's own",
        );
    }
    if let (Some(was), None) = (&was.1.bank, &now.1.bank) {
        super::eprintln_line(&format!(
            "sitewarden: note: the run asked the sample bank (version {}), and now nobody does: what the bank \
             confirmed is told as gone, what it suppressed as new; --bank DIR asks it as it is today",
            was.version
        ));
    }
    if args.model.is_none() && was.0 != now.0 {
        super::eprintln_line(
            "sitewarden: note: the model in force is not the one of the run; --model names another",
        );
    }
}

/// A threshold for a class that nobody sees would change nothing, and say nothing.
fn check_labels(args: &Args, labels: &[String]) -> anyhow::Result<()> {
    for (label, _) in &args.thresholds {
        ensure!(
            labels.contains(label),
            "--thresholds: the model has no class `{label}`; it has {}",
            labels.join(", ")
        );
    }
    Ok(())
}

fn rule_set(args: &Args, config: &Config, was: &SettingsRecord) -> anyhow::Result<RuleSet> {
    let catalogue: Catalogue = match &args.rules {
        Some(path) => hazards::overlaid(path)?,
        None => hazards::catalogue(config)?,
    };
    Ok(RuleSet::new(&catalogue, was.hazards.as_deref())?)
}

/// The run's settings, with what is given instead.
fn settings(args: &Args, config: &Config, was: &SettingsRecord) -> anyhow::Result<PhotoSettings> {
    let tiles = <Tiles as ValueEnum>::from_str(&was.tiles, true)
        .map_err(|e| anyhow::anyhow!("the run's settings.tiles is not understood: {e}"))?;
    // the run's, whatever its model's folder says today; another model has its own
    let mut thresholds = match args.model {
        None => was.thresholds.clone(),
        Some(_) => BTreeMap::new(),
    };
    thresholds.extend(args.thresholds.iter().cloned());
    Ok(PhotoSettings {
        limits: config.limits.clone(),
        tiles,
        min_score: was.min_score,
        thresholds,
        lang: was.lang,
        on: was.on.clone(),
        not_here: was.not_here.iter().cloned().collect(),
    })
}

/// A run, read document by document: a `jsonl` run of any length takes little memory.
struct Recorded {
    path: PathBuf,
    side: Side,
    waiting: std::vec::IntoIter<PhotoRecord>,
    documents: serde_json::StreamDeserializer<
        'static,
        serde_json::de::IoRead<BufReader<File>>,
        ScanDocument,
    >,
}

impl Recorded {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).with_context(|| format!("cannot open the run {}", path.display()))?;
        let mut documents =
            serde_json::Deserializer::from_reader(BufReader::new(file)).into_iter::<ScanDocument>();
        let first = documents
            .next()
            .transpose()
            .with_context(|| not_a_run(path))?;
        let Some(first) = first else {
            bail!("{}: the file is empty", not_a_run(path));
        };
        Ok(Self {
            path: path.to_owned(),
            side: side(&first),
            waiting: first.photos.into_iter(),
            documents,
        })
    }

    fn next(&mut self) -> anyhow::Result<Option<PhotoRecord>> {
        loop {
            if let Some(photo) = self.waiting.next() {
                return Ok(Some(photo));
            }
            let Some(document) = self.documents.next() else {
                return Ok(None);
            };
            let document = document.with_context(|| not_a_run(&self.path))?;
            ensure!(
                side(&document) == self.side,
                "the run {} mixes models or settings; replay its parts one by one",
                self.path.display()
            );
            self.waiting = document.photos.into_iter();
        }
    }
}

fn side(document: &ScanDocument) -> Side {
    Side {
        model: document.model.clone(),
        settings: document.settings.clone(),
    }
}

fn not_a_run(path: &Path) -> String {
    format!(
        "{} is no run of this version; record one with `sitewarden scan … --format json` or \
         `sitewarden watch … --format jsonl`",
        path.display()
    )
}

fn replay(
    args: &Args,
    pipeline: &PhotoPipeline<'_>,
    pass: Option<&BankPass<'_>>,
    was: PhotoRecord,
    scratch: &mut Scratch,
) -> Replayed {
    let not = |reason: String| {
        Replayed::Not(NotCompared {
            path: was.path.clone(),
            reason,
        })
    };
    if let Some(error) = &was.error {
        return not(format!("the run could not judge it: {error}"));
    }
    if was.path == "-" {
        return not("it came from standard input; record a run of files".into());
    }
    let bytes = match photo::read_file(&place(args, &was.path), &pipeline.settings().limits) {
        Ok(bytes) => bytes,
        Err(e) => return not(format!("{e}; --photos DIR says where the run's photos are")),
    };
    let mut now = pipeline.record(was.path.clone(), Ok(&bytes), scratch);
    if let Some(error) = now.error {
        return not(error);
    }
    if now.sha256 != was.sha256 {
        return not("the file is not the one of the run: its digest differs".into());
    }
    if let Some(pass) = pass
        && let Err(e) = pass.apply(&mut now, &bytes)
    {
        return not(format!("the sample bank could not be asked: {e}"));
    }
    let Some(changes) = changes::changes(&was, &now) else {
        return Replayed::Same;
    };
    let options = AnnotateOptions::for_report(pipeline.settings().lang);
    let picture = |record| {
        pipeline
            .annotated(&bytes, record, PICTURE_SIDE, &options)
            .ok()
    };
    let pictures = args.report.as_ref().map(|_| ReplayPhoto {
        was: picture(&was),
        now: picture(&now),
    });
    Replayed::Changed(Box::new((changes, pictures)))
}

fn take(
    document: &mut ReplayDocument,
    page: Option<&mut report::Report>,
    done: Replayed,
) -> anyhow::Result<()> {
    match done {
        Replayed::Not(not) => document.not_compared.push(not),
        Replayed::Same => document.compared += 1,
        Replayed::Changed(changed) => {
            document.compared += 1;
            let (changes, pictures) = *changed;
            if let (Some(page), Some(pictures)) = (page, &pictures) {
                page.photo(&changes, pictures)?;
            }
            document.photos.push(changes);
        }
    }
    Ok(())
}

fn print<D: Serialize>(
    format: Format,
    document: &D,
    text: impl Fn(&D) -> String,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, document)?;
            writeln!(out)?;
        }
        Format::Table => out.write_all(text(document).as_bytes())?,
    }
    Ok(())
}

/// What could not be compared, for a person.
fn not_compared(all: &[NotCompared]) -> String {
    let rows = all.iter().map(|not| {
        let (path, reason) = (table::plain(&not.path), table::plain(&not.reason));
        format!("{path}\n  NOT COMPARED: {reason}\n")
    });
    rows.collect()
}

fn text(document: &ReplayDocument) -> String {
    let lang = document.was.settings.lang;
    let mut text = String::new();
    for photo in &document.photos {
        text += &format!("{}\n", table::plain(&photo.path));
        for change in &photo.answers {
            text += &format!("  {}\n", answer_change(change));
        }
        for candidate in &photo.appeared {
            text += &format!("  + {}\n", candidate_row(candidate, lang));
        }
        for candidate in &photo.gone {
            text += &format!("  - {}\n", candidate_row(candidate, lang));
        }
    }
    text += &not_compared(&document.not_compared);
    text += &format!(
        "{} compared, {} would be decided otherwise, {} not compared\n",
        table::count(document.compared, "photo"),
        document.photos.len(),
        document.not_compared.len()
    );
    for count in &document.summary {
        text += &format!("  {:>5} x {}\n", count.photos, answer_change(&count.change));
    }
    text
}

fn answer_change(change: &AnswerChange) -> String {
    let name = |answer: Option<Answer>| answer.map_or("not asked", Answer::as_str);
    format!(
        "{}  {} -> {}",
        table::pad(&table::plain(&change.code), 6),
        name(change.was),
        name(change.now)
    )
}

fn candidate_row(candidate: &CandidateRecord, lang: Lang) -> String {
    let [x, y, w, h] = candidate.bbox.map(|v| v.round() as i64);
    format!(
        "{}  {:.2}  {}  at {x},{y} ({w} x {h})",
        table::pad(&table::plain(&candidate.code), 6),
        candidate.score,
        table::plain(candidate.name.get(lang))
    )
}
