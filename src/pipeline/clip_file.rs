//! A clip in a file: watched from its first frame to its last, looked at again at single moments,
//! known by its digest.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use image::RgbImage;
use sha2::{Digest, Sha256};

use super::camera::{Beat, Eyes, Told, WatchError};
use super::clip::{ClipWatch, EventKind, FindingEvent, KindAnswer, Shot};
use super::evidence::{Evidence, Kept};
use super::photo::{JudgeError, PhotoPipeline, hex};
use super::picture::upright;
use crate::confirm::ConfirmConfig;
use crate::eval::clip_findings::{ClipFinding, SeenAt};
use crate::hazard::Text;
use crate::motion::Glance;
use crate::source::camera::Mode;
use crate::source::clip::{Clip, ClipError};
use crate::source::photo::read_file;
use crate::tracking::TrackerConfig;
use crate::zone::{ZoneError, Zones};

/// How a clip is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchConfig {
    /// Frames looked at for each second.
    pub fps: f64,
    /// How objects are followed.
    pub tracker: TrackerConfig,
    /// When a hazard counts as confirmed.
    pub confirm: ConfirmConfig,
    /// Parts of the view, and its known points.
    pub zones: Zones,
    /// Whether the model looks at parts of frames, too.
    pub parts: bool,
}

/// Frames looked at for each second when nobody says.
pub const DEFAULT_FPS: f64 = 5.0;

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            fps: DEFAULT_FPS,
            tracker: TrackerConfig::default(),
            confirm: ConfirmConfig::default(),
            zones: Zones::default(),
            parts: true,
        }
    }
}

/// Why a watch cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The zones contradict themselves.
    #[error(transparent)]
    Zones(#[from] ZoneError),
    /// The clean reference of a zone.
    #[error("zone `{zone}`: reference {}: {why}", path.display())]
    Reference {
        /// Its name.
        zone: String,
        /// Its picture.
        path: PathBuf,
        /// What is wrong with that.
        why: JudgeError,
    },
}

/// Longer side of a clean reference at most, pixels.
const CLEAN_SIDE: u32 = 1280;

impl WatchConfig {
    /// Refuses zones that are wrong, or in which nothing would be looked for.
    ///
    /// # Errors
    /// With the zone, the field and what to do.
    pub fn check(&self, pipeline: &PhotoPipeline<'_>) -> Result<(), ZoneError> {
        self.zones.check()?;
        let labels = Some(pipeline.labels());
        pipeline.rules().check_zones(&self.zones, labels)
    }

    /// A watch that has seen nothing, with the zones and their clean references. `live`: a camera,
    /// not a file.
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin<'a>(
        &self,
        pipeline: &'a PhotoPipeline<'a>,
        live: bool,
    ) -> Result<ClipWatch<'a>, BeginError> {
        let limits = &pipeline.settings().limits;
        let watch = ClipWatch::new(pipeline, self.tracker.clone(), self.confirm.clone());
        let watch = if self.parts {
            watch.with_parts()
        } else {
            watch
        };
        let mut watch = watch.with_zones(self.zones.clone())?.with_health(live);
        for zone in &self.zones.zones {
            let Some(path) = &zone.reference else {
                continue;
            };
            let clean = read_file(path, limits)
                .map_err(JudgeError::from)
                .and_then(|bytes| upright(&bytes, limits, CLEAN_SIDE))
                .map_err(|why| BeginError::Reference {
                    zone: zone.name.clone(),
                    path: path.clone(),
                    why,
                })?;
            watch.set_reference(&zone.name, &clean.0);
        }
        Ok(watch)
    }
}

/// What is told of a clip when all of it was watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// Media time of the last frame, seconds.
    pub until_s: f64,
    /// Of each kind of hazard, for the whole clip.
    pub answers: Vec<KindAnswer>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// What could not be decoded of it, as ffmpeg says; pictures may be damaged, or missing.
    pub damaged: Option<String>,
}

/// Watches a clip to its end, or until `stop` says so, and tells each turn of a finding as it comes: every frame is taken,
/// however long it takes. What was found before a clip breaks off is told all the same.
///
/// # Errors
/// See [`WatchError`].
pub fn watch_file<E>(
    path: &Path,
    fps: f64,
    max_pixels: u64,
    mut watch: ClipWatch<'_>,
    evidence: Option<Evidence>,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Told) -> Result<(), E>,
) -> Result<Whole, WatchError<E>> {
    let mut eyes = Eyes::new(Beat::default());
    let mut evidence = evidence.map(|e| (e, Kept::File(path)));
    let (mut until_s, mut broken, mut stopped) = (0.0, None, false);
    let mut clip = Clip::open(path, fps, max_pixels).map_err(WatchError::Open)?;
    for frame in clip.by_ref() {
        let frame = match frame {
            Ok(frame) => frame,
            Err(e) => {
                broken = Some(e);
                break;
            }
        };
        if stop() {
            stopped = true;
            break;
        }
        until_s = frame.time_s;
        let glance = Glance::of(&frame.picture);
        let calm = eyes.mode(until_s) == Mode::Idle;
        let size = frame.picture.dimensions();
        let moving = eyes.wake(until_s, &glance, size, calm);
        let shot = Shot {
            time_s: until_s,
            moment: None,
            picture: &frame.picture,
            size,
            moving: moving.as_deref(),
        };
        for event in watch.shot(shot, Some(&glance))? {
            if let Some((evidence, _)) = &mut evidence {
                evidence.take(&event, Some(&frame.picture), size);
            }
            tell(Told::Finding(event)).map_err(WatchError::Told)?;
        }
        if let Some((evidence, kept)) = &mut evidence {
            let best = |finding| watch.best_of(finding);
            for written in evidence.tick(kept, until_s, &best) {
                tell(Told::Evidence(written)).map_err(WatchError::Told)?;
            }
        }
    }
    if let Some((evidence, kept)) = evidence {
        for written in evidence.finish(&kept) {
            tell(Told::Evidence(written)).map_err(WatchError::Told)?;
        }
    }
    let damaged = clip.complaint().map(str::to_owned);
    let missed = damaged.as_ref().map(|_| {
        Text::new(
            "The video is damaged or cut short: what is missing of it is not known.",
            "视频损坏或不完整，缺失部分情况未知。",
        )
    });
    let answers = watch.answers(missed.as_ref());
    for event in watch.finish(until_s) {
        tell(Told::Finding(event)).map_err(WatchError::Told)?;
    }
    match broken {
        Some(source) => Err(WatchError::Broken { until_s, source }),
        None => Ok(Whole {
            until_s,
            answers,
            stopped,
            damaged,
        }),
    }
}

/// The frames of a clip nearest to some moments (seconds, rising), each with the moment's index.
/// The last frame stands for what comes up to one frame later; moments behind that get none.
///
/// # Errors
/// When the clip cannot be read, or `take` fails.
pub fn frames_at<E: From<ClipError>>(
    path: &Path,
    fps: f64,
    max_pixels: u64,
    times_s: &[f64],
    mut take: impl FnMut(usize, &RgbImage) -> Result<(), E>,
) -> Result<(), E> {
    let mut next = 0;
    let mut last = None;
    for frame in Clip::open(path, fps, max_pixels)? {
        let frame = frame?;
        while let Some(time_s) = times_s.get(next) {
            if *time_s > frame.time_s + 0.5 / fps {
                break;
            }
            take(next, &frame.picture)?;
            next += 1;
        }
        if next == times_s.len() {
            return Ok(());
        }
        last = Some(frame);
    }
    let Some(frame) = last else {
        return Ok(());
    };
    let until_s = frame.time_s + 1.0 / fps + 1e-3;
    let rest = times_s.iter().enumerate().skip(next);
    for (i, _) in rest.take_while(|(_, t)| **t <= until_s) {
        take(i, &frame.picture)?;
    }
    Ok(())
}

/// SHA-256 of a file, lower-case hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

/// Findings by their number, from the turns of their lives.
pub fn findings_of(events: &[FindingEvent]) -> Vec<ClipFinding> {
    let mut findings: BTreeMap<u64, ClipFinding> = BTreeMap::new();
    for event in events {
        let best = SeenAt {
            time_s: event.best_time_s,
            bbox: event.bbox,
        };
        if event.event == EventKind::Opened {
            let finding = ClipFinding {
                finding: event.finding,
                code: event.code.clone(),
                name: event.name.clone(),
                severity: event.severity,
                // of a person the work area is told, which is no place of the hazard
                zone: event.zone.clone().filter(|_| event.track.is_none()),
                opened_s: event.time_s,
                until_s: event.time_s,
                cleared: false,
                best_time_s: event.best_time_s,
                score: event.score,
                bbox: event.bbox,
                reason: event.reason.clone(),
                seen: vec![best],
            };
            findings.insert(event.finding, finding);
        } else if let Some(finding) = findings.get_mut(&event.finding) {
            finding.until_s = event.time_s;
            finding.cleared = event.event == EventKind::Cleared;
            finding.best_time_s = event.best_time_s;
            finding.score = event.score;
            finding.bbox = event.bbox;
            finding.seen.push(best);
            finding.seen.extend(&event.seen);
            finding.seen.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
            finding.seen.dedup_by_key(|s| s.time_s.to_bits());
        }
    }
    findings.into_values().collect()
}
