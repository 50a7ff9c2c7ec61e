//! Evidence of findings as files: the best picture as it came, and a short clip from before and after.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use image::RgbImage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::pipeline::clip::{EventKind, FindingEvent};
use crate::pipeline::photo::{encode_jpeg, hex};
use crate::source::camera::{Camera, ClipPart, cut_file, picture_of_file};

/// Seconds of video before and after a finding opens.
const BEFORE_S: f64 = 5.0;
/// See [`BEFORE_S`].
const AFTER_S: f64 = 5.0;
/// Of a live source, so many seconds are kept: many findings may open at once, and wait for their turn.
pub const KEPT_S: u32 = 50;
/// Key frames may be far apart: segments that are not done yet are waited for so long, seconds.
const PATIENCE_S: f64 = 30.0;

/// At the end of a watch of a live source what is left is waited for so long: somebody wants it to end.
const AT_THE_END: Duration = Duration::from_secs(30);

/// Where a source's video is kept.
pub enum Kept<'a> {
    /// In the camera's ring, if it has one.
    Camera(&'a Camera),
    /// In the file itself.
    File(&'a Path),
}

/// The files of one finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// Number of the finding.
    pub finding: u64,
    /// Hazard code.
    pub code: String,
    /// The best picture, JPEG: name within the folder of evidence.
    pub picture: Option<String>,
    /// SHA-256 of the picture's file, lower-case hexadecimal.
    pub picture_sha256: Option<String>,
    /// The clip, H.264 in MP4.
    pub clip: Option<String>,
    /// SHA-256 of the clip's file.
    pub clip_sha256: Option<String>,
    /// What the picture shows: media time, seconds.
    #[serde(default)]
    pub best_time_s: Option<f64>,
    /// Where in it, `[x, y, width, height]` in pixels of the source.
    #[serde(default)]
    pub bbox: Option<[f32; 4]>,
    /// Confidence there.
    #[serde(default)]
    pub score: Option<f32>,
    /// What could not be written, and why; null when all was.
    pub error: Option<String>,
}

/// Writes the evidence of one source.
pub struct Evidence {
    folder: PathBuf,
    stem: String,
    jobs: Vec<Job>,
    /// To the thread that writes, one finding after the other: many may open at once, and the frames have
    /// the processors first. Both there until the end.
    due: Option<Sender<(Job, Source)>>,
    writer: Option<JoinHandle<()>>,
    /// What is not begun yet is not written any more.
    hurry: Arc<AtomicBool>,
    told: Receiver<Written>,
}

struct Job {
    finding: u64,
    code: String,
    opened_s: f64,
    /// What the picture of now shows, and what the best one would.
    first: Best,
    best: Best,
    stem: String,
    has_picture: bool,
}

/// A frame that shows a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Media time, seconds.
    pub time_s: f64,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// Where, `[x, y, width, height]` in pixels of the source.
    pub bbox: [f32; 4],
}

impl Job {
    fn better(&mut self, best: Best) {
        if best.score > self.best.score {
            self.best = best;
        }
    }
}

impl Evidence {
    /// Evidence into this folder, names beginning with `source`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(folder: &Path, source: &str) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let plain: String = source
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        // the end of an address or path tells more than its beginning
        let from = plain.char_indices().rev().nth(59).map_or(0, |(at, _)| at);
        let (due, to_write) = channel::<(Job, Source)>();
        let (tell, told) = channel();
        let hurry = Arc::new(AtomicBool::new(false));
        let (at, hurried) = (folder.to_owned(), hurry.clone());
        let writer = std::thread::spawn(move || {
            for (job, from) in to_write {
                let hurried = hurried.load(Ordering::Relaxed);
                let written = write(&at, &job, if hurried { &Source::None } else { &from });
                let _ = tell.send(written);
            }
        });
        Ok(Self {
            folder: folder.to_owned(),
            stem: plain[from..].trim_matches('-').to_owned(),
            jobs: Vec::new(),
            due: Some(due),
            writer: Some(writer),
            hurry,
            told,
        })
    }

    /// Notes a finding that opens. The picture of now is written at once: a better one may follow,
    /// but this one is there whatever happens.
    pub fn take(&mut self, event: &FindingEvent, now: Option<&RgbImage>, _size: (u32, u32)) {
        let best = Best {
            time_s: event.best_time_s,
            score: event.score,
            bbox: event.bbox,
        };
        if event.event != EventKind::Opened {
            let of = |job: &&mut Job| job.finding == event.finding;
            if let Some(job) = self.jobs.iter_mut().find(of) {
                job.better(best);
            }
            return;
        }
        let stem = format!("{}-{}-{}", self.stem, event.finding, event.code);
        let path = self.folder.join(format!("{stem}.jpg"));
        let jpeg = now.and_then(|p| encode_jpeg(p).ok());
        let has_picture = jpeg.is_some_and(|jpeg| std::fs::write(path, jpeg).is_ok());
        self.jobs.push(Job {
            finding: event.finding,
            code: event.code.clone(),
            opened_s: event.time_s,
            first: best,
            best,
            stem,
            has_picture,
        });
    }

    /// Begins what is due at this media time; gives what is done. `best` tells the best frame so far of a finding
    /// that is open.
    pub fn tick(
        &mut self,
        kept: &Kept<'_>,
        now_s: f64,
        best: &dyn Fn(u64) -> Option<Best>,
    ) -> Vec<Written> {
        let (due, later) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|job| now_s >= job.opened_s + AFTER_S);
        self.jobs = later;
        for mut job in due {
            if let Some(best) = best(job.finding) {
                job.better(best);
            }
            self.begin(job, kept, Some(now_s));
        }
        self.told.try_iter().collect()
    }

    /// Writes what is left and waits for it.
    pub fn finish(mut self, kept: &Kept<'_>) -> Vec<Written> {
        for job in std::mem::take(&mut self.jobs) {
            self.begin(job, kept, None);
        }
        self.due = None;
        let until = Instant::now() + AT_THE_END;
        let in_time = || matches!(kept, Kept::File(_)) || Instant::now() < until;
        while self.writer.as_ref().is_some_and(|w| !w.is_finished()) && in_time() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.end();
        self.told.iter().collect()
    }

    /// Waits for no more than the file in hand.
    fn end(&mut self) {
        self.hurry.store(true, Ordering::Relaxed);
        self.due = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }

    fn begin(&mut self, job: Job, kept: &Kept<'_>, now_s: Option<f64>) {
        let (from_s, to_s) = (job.opened_s - BEFORE_S, job.opened_s + AFTER_S);
        let work: Source = match kept {
            Kept::Camera(camera) => {
                let part = camera.kept(job.opened_s, from_s, to_s);
                let patient = now_s.is_some_and(|now| now < to_s + PATIENCE_S);
                if patient && part.as_ref().is_none_or(|p| !p.is_whole) && camera.keeps() {
                    self.jobs.push(job);
                    return;
                }
                let best_s = job.best.time_s;
                let best = camera.kept(best_s, best_s - 1.0, best_s + 1.0);
                Source::Ring { part, best }
            }
            Kept::File(path) => Source::File(path.to_path_buf(), from_s, to_s),
        };
        if let Some(due) = &self.due {
            let _ = due.send((job, work));
        }
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        self.end();
    }
}

enum Source {
    Ring {
        part: Option<ClipPart>,
        best: Option<ClipPart>,
    },
    File(PathBuf, f64, f64),
    /// There is no time for it.
    None,
}

fn write(folder: &Path, job: &Job, from: &Source) -> Written {
    let picture = folder.join(format!("{}.jpg", job.stem));
    let whole = folder.join(format!("{}.part.jpg", job.stem));
    let clip = folder.join(format!("{}.mp4", job.stem));
    let mut errors: Vec<String> = Vec::new();
    let better = match from {
        Source::Ring { best, .. } => best.as_ref().map(|b| b.write_picture(&whole)),
        Source::File(file, ..) => Some(picture_of_file(file, job.best.time_s, &whole)),
        Source::None => {
            errors.push("the watch ended before its clip was cut".to_owned());
            None
        }
    };
    let better = better.and_then(|r| {
        r.map_err(|e| {
            // what is there of it is not to be taken for the picture
            let _ = std::fs::remove_file(&whole);
            errors.push(e.to_string());
        })
        .ok()
    });
    let is_best = match better {
        Some(()) if whole.exists() => std::fs::rename(&whole, &picture).is_ok(),
        _ => false,
    };
    let has_picture = is_best || job.has_picture;
    let shown = has_picture.then_some(if is_best { job.best } else { job.first });
    let cut = match from {
        Source::Ring { part, .. } => {
            if part.is_none() {
                errors.push("the video around it was not kept".to_owned());
            }
            part.as_ref().map(|p| p.write_clip(&clip))
        }
        Source::File(file, from_s, to_s) => Some(cut_file(file, *from_s, *to_s, &clip)),
        Source::None => None,
    };
    let has_clip = match cut {
        Some(Ok(())) => true,
        Some(Err(e)) => {
            let _ = std::fs::remove_file(&clip);
            errors.push(e.to_string());
            false
        }
        None => false,
    };
    let named = |there: bool, path: &Path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        there.then(|| (name, digest(path)))
    };
    let (picture, picture_sha256) = named(has_picture, &picture).unzip();
    let (clip, clip_sha256) = named(has_clip, &clip).unzip();
    Written {
        finding: job.finding,
        code: job.code.clone(),
        picture,
        picture_sha256: picture_sha256.flatten(),
        clip,
        clip_sha256: clip_sha256.flatten(),
        best_time_s: shown.map(|b| b.time_s),
        bbox: shown.map(|b| b.bbox),
        score: shown.map(|b| b.score),
        error: (!errors.is_empty()).then(|| errors.join("; ")),
    }
}

fn digest(path: &Path) -> Option<String> {
    Some(hex(&Sha256::digest(std::fs::read(path).ok()?)))
}
