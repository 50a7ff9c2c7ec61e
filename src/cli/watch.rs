//! `sitewarden watch`: video in, one finding for each real hazard out.

mod line;
mod output;
mod sources;
mod state;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

pub(super) use self::line::Line;
use self::output::{Format, Output};
pub(super) use self::sources::expanded;
use self::state::StateFile;
use super::{bank, exit, scan, stop};
use crate::config::Config;
use crate::eval::clip_changes::ClipSide;
use crate::eval::clip_findings::ClipFinding;
use crate::hazard::Lang;
use crate::inference::Threads;
use crate::pipeline::bank::Taught;
use crate::pipeline::camera::{Beat, Told, WatchError, watch_camera};
use crate::pipeline::clip::ClipWatch;
use crate::pipeline::clip_file::{DEFAULT_FPS, WatchConfig, findings_of, sha256_of, watch_file};
use crate::pipeline::evidence::{Evidence, KEPT_S};
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings, hex};
use crate::source::camera::{
    Address, Camera, CameraOptions, Mode, Place, RingOptions, State, Transport, remove_left_rings,
};
use crate::source::clip::ClipError;
use crate::tiling::Tiles;
use crate::zone::Zones;

/// Watches cameras and video for hazards: one finding for each real hazard, not one for each frame.
///
/// Sources are video files, folders that fill with pictures, and addresses of cameras (rtsp, http).
/// People and objects are followed; a finding opens when enough frames of some seconds show the
/// hazard, and closing is suggested when they show that it is gone. Without zones the whole picture is
/// one work area. Files are watched to their end, one after the other; cameras at the same time, until
/// a signal ends it. --for ends both. Needs the program ffmpeg.
///
/// Exit codes: 0 all was watched; 1 a video could not be; 2 wrong usage; 4 nothing was done.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, folders, addresses; @FILE for a list of them; '${NAME}' for an environment variable
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<OsString>,
    /// What is written to standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Zones and known points of the view (TOML; see the README)
    #[arg(long, value_name = "FILE")]
    zones: Option<PathBuf>,
    /// Write the best picture and a short clip of each finding into this folder
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// Remember open findings and learned references of live sources here, over a restart
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Frames looked at for each second of video
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FPS, value_parser = parse_fps)]
    fps: f64,
    /// How RTSP brings the video
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    rtsp_transport: Transport,
    /// Decode by hardware, by ffmpeg's name of it, for example vaapi or cuda
    #[arg(long, value_name = "NAME", value_parser = parse_hwaccel)]
    hwaccel: Option<String>,
    /// Decode all frames even when nothing moves
    #[arg(long)]
    no_idle: bool,
    /// Stop after so many seconds by the clock (of a file more or less of the video: as fast as it is judged)
    #[arg(long = "for", value_name = "SECONDS", value_parser = parse_seconds)]
    for_s: Option<f64>,
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
    #[command(flatten)]
    asked: bank::Asked,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    config: Option<PathBuf>,
}

fn parse_fps(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|fps| (0.1..=60.0).contains(fps))
        .ok_or_else(|| "give a number from 0.1 to 60".to_owned())
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|s: &f64| s.is_finite() && *s >= 0.0)
        .ok_or_else(|| "give seconds, 0 or more".to_owned())
}

fn parse_hwaccel(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain
        .then(|| text.to_owned())
        .ok_or_else(|| "give the name of a decoder, for example vaapi".to_owned())
}

/// Longer side of a camera's pictures at least, pixels: patches of zones need some.
const LEAST_SIDE: u32 = 640;
/// While all frames are decoded: as the service has it where nothing else is said.
const ACTIVE_SIDE: u32 = 1280;

/// A ring that was not written into for so long is nobody's.
const LEFT: Duration = Duration::from_secs(3600);

/// What all sources share.
struct Session<'a> {
    args: &'a Args,
    pipeline: &'a PhotoPipeline<'a>,
    watch: WatchConfig,
    bank: Option<Arc<Taught>>,
    output: Output,
    state: Option<Mutex<StateFile>>,
    ends: Option<Instant>,
    asked: &'a AtomicBool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let config = Config::load(args.config.as_deref())?;
    let sources = sources::read(&args.sources)?;
    let rules = scan::rule_set(&config, &args.hazards)?;
    let zones = zones(args.zones.as_deref())?;
    rules.check_zones(&zones, None).context("--zones")?;
    let settings = PhotoSettings {
        limits: config.limits.clone(),
        tiles: config.scan.tiles,
        min_score: args.min_score.or(config.scan.min_score),
        thresholds: BTreeMap::new(),
        lang: args.lang.unwrap_or(config.scan.lang),
        on: Some(jiff::Zoned::now().date().to_string()),
        not_here: Default::default(),
    };
    let state = args.state.as_deref().map(StateFile::open).transpose()?;
    let jobs = scan::workers(None, &config);
    let name = args.model.as_deref().unwrap_or(&config.scan.model);
    let (files, live): (Vec<&Address>, Vec<&Address>) = sources
        .iter()
        .partition(|s| matches!(s.place, Place::File(_)));
    let threads = if live.len() > 1 {
        Threads::throughput(jobs)
    } else {
        Threads::latency(jobs)
    };
    let model = scan::load_model(name, threads)?;
    let pipeline = PhotoPipeline::new(&model, &rules, settings);
    let bank = args.asked.open(threads, &config)?.map(Arc::new);
    let asked = if live.is_empty() {
        stop::on_signal().context("cannot listen to signals")?;
        Arc::default()
    } else {
        stop::ask_on_signal().context("cannot listen to signals")?
    };
    let session = Session {
        args,
        pipeline: &pipeline,
        watch: WatchConfig {
            fps: args.fps,
            zones,
            ..WatchConfig::default()
        },
        bank,
        output: Output::new(
            args.format,
            pipeline.settings().lang,
            rules.only().is_some(),
        ),
        state: state.map(Mutex::new),
        ends: args
            .for_s
            .map(|s| Instant::now() + Duration::from_secs_f64(s.clamp(0.0, 1e9))),
        asked: &asked,
    };
    if args.evidence.is_some() {
        // video of people must not stay behind because a watch was killed
        let folder = std::env::temp_dir();
        if let Err(e) = remove_left_rings(&folder, LEFT) {
            tracing::warn!("{}: {e}", folder.display());
        }
    }
    let failed = std::thread::scope(|scope| {
        let cameras: Vec<_> = live
            .into_iter()
            .map(|source| scope.spawn(|| session.told(source, session.camera(source))))
            .collect();
        let mut failed = Vec::new();
        for source in files {
            if session.is_over() {
                break;
            }
            failed.push(session.told(source, session.file(source)));
        }
        for camera in cameras {
            failed.push(camera.join().unwrap_or(Ok(true)));
        }
        failed.into_iter().collect::<anyhow::Result<Vec<bool>>>()
    })?;
    Ok(if failed.contains(&true) {
        exit::INCOMPLETE
    } else {
        exit::OK
    })
}

pub(super) fn zones(file: Option<&Path>) -> anyhow::Result<Zones> {
    let Some(file) = file else {
        return Ok(Zones::default());
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| {
        format!("cannot read the zones {shown}: it must be there, text in UTF-8")
    })?;
    let mut zones =
        Zones::parse(&text).with_context(|| format!("the zones {shown} are refused"))?;
    for reference in zones.zones.iter_mut().filter_map(|z| z.reference.as_mut()) {
        *reference = file.parent().unwrap_or(Path::new("")).join(&*reference);
    }
    Ok(zones)
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
        zones: config.zones.clone(),
        parts: config.parts,
    }
}

/// Our own errors stay what they are: a closed pipe is told from a fault.
fn plain(e: WatchError<anyhow::Error>) -> anyhow::Error {
    match e {
        WatchError::Told(e) => e,
        WatchError::Open(e) => e.into(),
        WatchError::Judge(e) => e.into(),
        WatchError::Broken { until_s, source } => {
            anyhow::Error::from(source).context(format!("watched up to {until_s:.1} s"))
        }
    }
}

/// What `watch` finds in a clip, from its beginning to its end.
pub(super) fn findings(
    pipeline: &PhotoPipeline<'_>,
    path: &Path,
    config: &WatchConfig,
    bank: Option<(&Arc<Taught>, crate::bank::Place)>,
) -> anyhow::Result<Vec<ClipFinding>> {
    let mut events = Vec::new();
    let mut tell = |told: Told| {
        if let Told::Finding(event) = told {
            events.push(event);
        }
        Ok(())
    };
    let limit = pipeline.settings().limits.max_pixels;
    let watch = begin(pipeline, config, bank, false)?;
    watch_file(path, config.fps, limit, watch, None, &|| false, &mut tell).map_err(plain)?;
    Ok(findings_of(&events))
}

/// A watch that has seen nothing; with a bank for pictures of a place.
fn begin<'a>(
    pipeline: &'a PhotoPipeline<'a>,
    config: &WatchConfig,
    bank: Option<(&'a Arc<Taught>, crate::bank::Place)>,
    live: bool,
) -> anyhow::Result<ClipWatch<'a>> {
    config.check(pipeline)?;
    let watch = config.begin(pipeline, live)?;
    Ok(match bank {
        Some((taught, place)) => watch.with_bank(Box::new(|| Some(taught.clone())), place),
        None => watch,
    })
}

impl Session<'_> {
    /// Whether it failed; the error itself only when nobody reads any more.
    fn told(&self, source: &Address, result: anyhow::Result<()>) -> anyhow::Result<bool> {
        match result {
            Ok(()) => Ok(false),
            Err(e) if super::is_broken_pipe(&e) => {
                self.asked.store(true, Ordering::Relaxed);
                Err(e)
            }
            Err(e) => {
                super::eprintln_line(&format!("sitewarden: {source}: {e:#}"));
                Ok(true)
            }
        }
    }

    /// A watch that has seen nothing.
    fn begin(&self, live: bool) -> anyhow::Result<ClipWatch<'_>> {
        let place = self.args.asked.place();
        let bank = self.bank.as_ref().map(|taught| (taught, place));
        begin(self.pipeline, &self.watch, bank, live)
    }

    fn evidence(&self, source: &Address, live: bool) -> anyhow::Result<Option<Evidence>> {
        let Some(folder) = &self.args.evidence else {
            return Ok(None);
        };
        // names of files are shorter and plainer than sources: the digest tells them apart
        let digest = hex(&Sha256::digest(source.to_string()));
        let mut name = format!("{source}-{}", &digest[..8]);
        if live {
            // a camera's numbers begin anew when nobody kept them
            let now = jiff::Timestamp::now().strftime("-%Y%m%dT%H%M%SZ");
            name += &now.to_string();
        }
        let evidence = Evidence::new(folder, &name)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Some(evidence))
    }

    /// Whether `--for` has ended it.
    fn is_over(&self) -> bool {
        self.ends.is_some_and(|end| Instant::now() >= end)
    }

    fn file(&self, source: &Address) -> anyhow::Result<()> {
        let Place::File(path) = &source.place else {
            return Ok(());
        };
        let name = source.to_string();
        if self.output.has_headings() {
            // what `replay` needs to do the same again
            let sha256 = sha256_of(path).map_err(ClipError::from)?;
            let mut side = side(self.pipeline, &self.watch);
            side.settings.bank = self
                .bank
                .as_ref()
                .map(|t| t.record(self.args.asked.place()));
            let heading = Line::watching(name.clone(), sha256, side);
            self.output.print(&heading)?;
        }
        let limit = self.pipeline.settings().limits.max_pixels;
        let evidence = self.evidence(source, false)?;
        let watch = self.begin(false)?;
        let mut tell = |told: Told| self.output.told(source, told);
        let stop = || self.is_over();
        let whole = watch_file(
            path,
            self.watch.fps,
            limit,
            watch,
            evidence,
            &stop,
            &mut tell,
        );
        let whole = whole.map_err(plain)?;
        if whole.stopped {
            super::eprintln_line(&format!(
                "sitewarden: {name}: stopped by --for at {:.1} s of the video; of the rest nothing is known",
                whole.until_s
            ));
            return Ok(());
        }
        let damaged = whole.damaged.clone();
        self.output.print(&Line::watched(name, whole))?;
        if let Some(problem) = damaged {
            bail!("damaged or cut short, so that not all of it was seen: {problem}");
        }
        Ok(())
    }

    fn camera(&self, source: &Address) -> anyhow::Result<()> {
        let args = self.args;
        let calm_s = Beat::default().calm_s.filter(|_| !args.no_idle);
        let beat = Beat {
            calm_s,
            ..Beat::default()
        };
        let settings = self.pipeline.settings();
        let least = self.pipeline.input_side().max(LEAST_SIDE);
        // parts of the frame are looked at more closely
        let (max_side, idle_side) = match settings.tiles {
            Tiles::Off => ((2 * self.pipeline.input_side()).max(ACTIVE_SIDE), least),
            Tiles::Auto => (u32::from(u16::MAX), u32::from(u16::MAX)),
        };
        let mut options = CameraOptions {
            fps: args.fps,
            max_side,
            idle_side,
            transport: args.rtsp_transport,
            hwaccel: args.hwaccel.clone(),
            max_pixels: settings.limits.max_pixels,
            mode: Mode::Active,
            ring: args.evidence.as_ref().map(|_| RingOptions {
                folder: std::env::temp_dir(),
                seconds: KEPT_S,
            }),
            ..CameraOptions::default()
        };
        let live = source.place == Place::Stream;
        let mut watch = self.begin(live)?;
        let name = source.to_string();
        if let Some(state) = &self.state
            && let Some(memory) = state::lock(state).of(&name)
        {
            options.after = memory.looked();
            watch.recall(memory);
        }
        let evidence = self.evidence(source, true)?;
        let camera = Camera::open(source.clone(), options);
        let stop = || self.asked.load(Ordering::Relaxed) || self.is_over();
        let mut tell = |told: Told, watch: &ClipWatch<'_>| {
            if let (Some(state), Told::Finding(_)) = (&self.state, &told) {
                state::lock(state).keep(&name, watch.memory())?;
            }
            self.output.told(source, told)
        };
        let watched = watch_camera(&camera, &mut watch, &beat, evidence, &stop, &mut tell);
        if let Some(state) = &self.state {
            state::lock(state).keep(&name, watch.memory())?;
        }
        let status = camera.status();
        let rests = !camera.is_stream() && status.state != State::Unreachable;
        let seen = status.frames > 0 || rests;
        self.output.told(source, Told::Status(status))?;
        watched.map_err(plain)?;
        ensure!(seen, "no picture came of it: nothing was watched");
        Ok(())
    }
}
