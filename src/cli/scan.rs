//! `sitewarden scan`: photos in, explained candidates out.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::files::write_with;
use super::{bank, exit, hazards, stop};
use crate::config::{Config, MAX_JOBS};
use crate::hazard::Lang;
use crate::inference::{self, LoadOptions, Model, Runtime, Threads};
use crate::pipeline::bank::BankPass;
use crate::pipeline::ordered::for_each_ordered;
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings, Scratch};
use crate::record::PhotoRecord;
use crate::render::{self, AnnotateOptions, SamplePictures};
use crate::rules::RuleSet;
use crate::source::discover::{ANNOTATED_ENDING, Found, discover, has_photo_ending};
use crate::source::photo::{self, PhotoError};
use crate::tiling::Tiles;
use album::Album;
use sink::Sink;

mod album;
mod report;
mod sink;

/// Scans photos for hazards.
///
/// Exit codes: 0 all photos were judged; 1 a photo could not be read or a picture not
/// written, the rest was done; 2 wrong usage; 3 --fail-on found a candidate; 4 nothing was
/// done, because the configuration, the model or the ONNX Runtime library was refused. Where the
/// reader of standard output goes away, the work stops with 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Photos, folders (searched recursively), patterns in quotes, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What is written to standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write a picture of each photo with boxes, names and reasons into this folder
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,
    /// Write a self-contained HTML report
    #[arg(long, value_name = "FILE", value_parser = parse_report)]
    report: Option<PathBuf>,
    /// One score threshold for all classes, 0 to 1, instead of the model's own. A rule may ask for
    /// more: flame and smoke become candidates from 0.4 on
    #[arg(long, value_name = "SCORE", value_parser = parse_score)]
    min_score: Option<f32>,
    /// Look only for these hazards, for example PPE-01,FIR-03 (see `sitewarden hazards`)
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    hazards: Vec<String>,
    /// Language of reasons and pictures
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// Exit with code 3 when there is a candidate at least this severe (an alarm, such as
    /// flame or smoke, counts as major)
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<FailOn>,
    /// Photos worked on at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = parse_jobs)]
    jobs: Option<usize>,
    /// Look at large photos in overlapping tiles too: finds smaller objects, costs up to 17 x
    #[arg(long, value_enum)]
    tiles: Option<Tiles>,
    /// Model name (see `sitewarden models list`) or folder
    #[arg(long, value_name = "NAME|DIR", env = "SITEWARDEN_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    asked: bank::Asked,
    /// Zones of the view (as of `watch`), which the bank is asked for, too
    #[arg(long, value_name = "FILE", requires = "bank")]
    zones: Option<PathBuf>,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One document (schema: `sitewarden schema scan`)
    Json,
    /// One document of the same schema for each photo, on a line of its own
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    General,
    Major,
}

pub(super) fn parse_score(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|score| (0.0..=1.0).contains(score))
        .ok_or_else(|| "give a number from 0 to 1".to_owned())
}

/// `--report *.jpg` would put the report in the place of a photo.
pub(super) fn parse_report(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if has_photo_ending(&path) {
        return Err("this names a photo; name the report, for example report.html".to_owned());
    }
    Ok(path)
}

pub(super) fn parse_jobs(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|jobs| (1..=MAX_JOBS).contains(jobs))
        .ok_or_else(|| format!("give a number from 1 to {MAX_JOBS}"))
}

/// Longer side of annotated pictures, pixels.
const ANNOTATED_SIDE: u32 = 2048;
/// Longer side of pictures in the report, pixels.
const REPORT_SIDE: u32 = 960;

/// Photos without candidates after this many have no picture in the report: a browser must
/// still open it.
const REPORT_ALL_PICTURES: usize = 200;

/// What one worker made of one photo.
struct Done {
    record: PhotoRecord,
    report_picture: Option<Vec<u8>>,
    /// For the report, of the bank's samples that are near.
    samples: SamplePictures,
    /// Where the annotated picture went, or why it did not.
    annotated: Option<anyhow::Result<PathBuf>>,
    /// Why the bank was not asked, where it should have been.
    unasked: Option<String>,
}

pub(super) fn run(args: Args) -> anyhow::Result<u8> {
    let config = Config::load(args.config.as_deref())?;
    let rules = rule_set(&config, &args.hazards)?;
    let settings = PhotoSettings {
        limits: config.limits.clone(),
        tiles: args.tiles.unwrap_or(config.scan.tiles),
        min_score: args.min_score.or(config.scan.min_score),
        thresholds: BTreeMap::new(),
        lang: args.lang.unwrap_or(config.scan.lang),
        on: Some(jiff::Zoned::now().date().to_string()),
        not_here: Default::default(),
    };
    let jobs = workers(args.jobs, &config);
    let many = photos(&args).nth(1).is_some();
    let threads = if many {
        Threads::throughput(jobs)
    } else {
        Threads::latency(jobs)
    };
    let model = load_model(args.model.as_deref().unwrap_or(&config.scan.model), threads)?;
    let pipeline = PhotoPipeline::new(&model, &rules, settings);
    let taught = args.asked.open(threads, &config)?;
    let pass = match &taught {
        Some(taught) => {
            let zones = super::watch::zones(args.zones.as_deref())?;
            let pass = taught.pass(args.asked.place(), &rules, pipeline.settings())?;
            Some(pass.with_zones(zones))
        }
        None => None,
    };
    let album = match &args.asked.bank {
        Some(dir) => Some(Album::open(dir, &config)?),
        None => None,
    };
    if let Some(dir) = &args.annotate {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot create the folder {}; name another", dir.display()))?;
    }
    stop::on_signal().context("cannot listen to signals")?;

    let workers: Vec<Scratch> = (0..if many { jobs.get() } else { 1 })
        .map(|_| Scratch::default())
        .collect();
    let asked = pass.as_ref().map(BankPass::record);
    let mut sink = Sink::new(&args, &pipeline, &rules, many, asked)?;
    let mut failed = None;
    for_each_ordered(
        photos(&args),
        workers,
        |scratch, index, found| {
            let (pass, album) = (pass.as_ref(), album.as_ref());
            scan_one(&args, &pipeline, pass, album, index, found, scratch)
        },
        |_, done| match sink.take(done) {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                failed = Some(e);
                ControlFlow::Break(())
            }
        },
    );
    match failed {
        None => sink.finish(),
        // nobody reads any more
        Some(e) if super::is_broken_pipe(&e) => Err(e),
        Some(e) => {
            super::eprintln_line(&format!("sitewarden: {e:#}"));
            Ok(exit::INCOMPLETE)
        }
    }
}

/// Everything to scan; the folder of annotated pictures is not.
fn photos(args: &Args) -> impl Iterator<Item = Found> + Send + use<> {
    discover(args.paths.clone(), args.annotate.clone())
}

pub(super) fn rule_set(config: &Config, codes: &[String]) -> anyhow::Result<RuleSet> {
    let catalogue = hazards::catalogue(config)?;
    let codes = if codes.is_empty() {
        &config.hazards.only
    } else {
        codes
    };
    let codes: Vec<String> = codes
        .iter()
        .map(|code| code.trim().to_uppercase())
        .collect();
    if codes.iter().any(String::is_empty) {
        anyhow::bail!(
            "a hazard code is empty; give codes such as PPE-01,FIR-03 (see `sitewarden hazards`), or \
             none to look for all"
        );
    }
    let only = (!codes.is_empty()).then_some(codes.as_slice());
    Ok(RuleSet::new(&catalogue, only)?)
}

/// How many photos are worked on at once: as asked, as configured, or one for each core.
pub(super) fn workers(asked: Option<usize>, config: &Config) -> NonZero<usize> {
    asked
        .or(config.scan.jobs)
        .and_then(NonZero::new)
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZero::<usize>::MIN)
}

pub(super) fn load_model(name: &str, threads: Threads) -> anyhow::Result<Model> {
    let runtime = Runtime::load(None)?;
    let dir = inference::locate(name, &inference::search_path())?;
    let options = LoadOptions {
        threads,
        ..LoadOptions::default()
    };
    Model::load(&runtime, &dir, options)
        .with_context(|| format!("the model in {} is refused", dir.display()))
}

fn scan_one(
    args: &Args,
    pipeline: &PhotoPipeline<'_>,
    pass: Option<&BankPass<'_>>,
    album: Option<&Album>,
    index: usize,
    found: Found,
    scratch: &mut Scratch,
) -> Done {
    let limits = &pipeline.settings().limits;
    let (name, bytes) = match found {
        Found::File(path) => {
            let bytes = photo::read_file(&path, limits);
            (path.to_string_lossy().into_owned(), bytes)
        }
        Found::Stdin => ("-".to_owned(), photo::read(std::io::stdin().lock(), limits)),
        Found::Missing { path, reason } => (
            path.to_string_lossy().into_owned(),
            Err(PhotoError::NotFound(reason)),
        ),
    };
    let mut record = pipeline.record(name, bytes.as_deref(), scratch);
    let unasked = match (pass, &bytes) {
        (Some(pass), Ok(bytes)) => pass.apply(&mut record, bytes).err(),
        _ => None,
    };
    let unasked =
        unasked.map(|e| format!("{}: the sample bank could not be asked: {e}", record.path));
    let samples = match album {
        Some(album) if args.report.is_some() => album.of(&record),
        _ => SamplePictures::new(),
    };
    let (mut report_picture, mut annotated) = (None, None);
    if let (Ok(bytes), None) = (&bytes, &record.error) {
        let lang = pipeline.settings().lang;
        let shown = index < REPORT_ALL_PICTURES || !record.candidates.is_empty();
        if args.report.is_some() && shown {
            // a picture that cannot be drawn costs the report its picture, not its facts
            report_picture = pipeline
                .annotated(
                    bytes,
                    &record,
                    REPORT_SIDE,
                    &AnnotateOptions::for_report(lang),
                )
                .ok();
        }
        if let Some(dir) = &args.annotate {
            annotated = Some(write_annotated(dir, pipeline, bytes, &record, lang));
        }
    }
    Done {
        record,
        report_picture,
        samples,
        annotated,
        unasked,
    }
}

fn write_annotated(
    dir: &Path,
    pipeline: &PhotoPipeline<'_>,
    bytes: &[u8],
    record: &PhotoRecord,
    lang: Lang,
) -> anyhow::Result<PathBuf> {
    let document = pipeline.document();
    let signature = render::signature(&document.sitewarden, &document.model);
    let options = AnnotateOptions::standalone(lang, &signature);
    let picture = pipeline.annotated(bytes, record, ANNOTATED_SIDE, &options)?;
    // The digest keeps two photos of one name apart, and one photo seen twice together.
    let stem = Path::new(&record.path)
        .file_stem()
        .map_or("photo".into(), |s| s.to_string_lossy());
    let stem = if record.path == "-" {
        "stdin".into()
    } else {
        stem
    };
    let digest = record.sha256.as_deref().unwrap_or_default();
    let path = dir.join(format!(
        "{}-{digest:.8}{ANNOTATED_ENDING}",
        shortened(&stem)
    ));
    write_with(&path, |f| f.write_all(&picture)).with_context(|| {
        format!(
            "cannot write {}; check space and permissions",
            path.display()
        )
    })?;
    Ok(path)
}

/// So much of a name that what is added to it still fits into the 255 bytes of a file's name.
fn shortened(stem: &str) -> &str {
    &stem[..stem.floor_char_boundary(200)]
}
