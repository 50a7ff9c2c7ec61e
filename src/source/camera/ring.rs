//! The last seconds of a stream as they came, in segments on disk, and what is cut from them as
//! evidence. ffmpeg writes and wraps the segments; nothing is encoded until a clip is wanted.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How much is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct RingOptions {
    /// Folder for the segments; each child gets one of its own in it.
    pub folder: PathBuf,
    /// Seconds kept, at least.
    pub seconds: u32,
}

impl RingOptions {
    /// That are done and kept; one more is being written.
    pub(super) fn segments(&self) -> u32 {
        // they are cut at key frames, every 2 s at the soonest
        self.seconds.div_ceil(2) + 1
    }
}

/// One file of evidence takes no longer, whatever happens to ffmpeg.
const LIMIT: Duration = Duration::from_secs(120);

/// Begin of the names of folders of children.
const NAME: &str = "sitewarden-ring-";

/// Removes rings in `folder` that killed processes have left: nothing was written into them for so long.
///
/// # Errors
/// What the system said; a folder that is not there is none.
pub fn remove_left_rings(folder: &Path, unused: Duration) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let written = |path: &Path| {
        let files = std::fs::read_dir(path).into_iter().flatten().flatten();
        let times = files.filter_map(|file| file.metadata().ok()?.modified().ok());
        let made = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        times.chain(made).max()
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let is_ring = entry.file_name().to_string_lossy().starts_with(NAME) && path.is_dir();
        let age = || written(&path)?.elapsed().ok();
        if is_ring && age().is_some_and(|age| age >= unused) {
            std::fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// Folders of children that are kept: the present one and those before it.
const KEPT: usize = 3;

#[derive(Default)]
pub(super) struct Ring {
    parts: Vec<Part>,
}

struct Part {
    child: u64,
    folder: Arc<TempDir>,
    /// Media time minus the stream's own.
    offset: Option<f64>,
    codec: Option<String>,
}

impl Ring {
    /// A folder for a new child.
    pub(super) fn folder(&mut self, options: &RingOptions, child: u64) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(&options.folder)?;
        let folder = tempfile::Builder::new()
            .prefix(NAME)
            .tempdir_in(&options.folder)?;
        let path = folder.path().to_owned();
        self.parts.push(Part {
            child,
            folder: Arc::new(folder),
            offset: None,
            codec: None,
        });
        if self.parts.len() > KEPT {
            self.parts.remove(0);
        }
        Ok(path)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn learned(&mut self, child: u64, offset: f64, codec: Option<String>) {
        if let Some(part) = self.parts.iter_mut().find(|p| p.child == child) {
            part.offset = Some(offset);
            part.codec = codec;
        }
    }

    /// The segments of the child that saw `around_s`.
    pub(super) fn part(&self, around_s: f64, from_s: f64, to_s: f64) -> Option<ClipPart> {
        self.parts.iter().rev().find_map(|part| {
            let offset = part.offset?;
            let segments = segments(part.folder.path());
            let (first, last) = (segments.first()?, segments.last()?);
            let covers = first.1 + offset <= around_s && around_s <= last.2 + offset + 0.5;
            covers.then(|| ClipPart {
                folder: Arc::clone(&part.folder),
                segments: segments
                    .iter()
                    .filter(|(_, a, b)| b + offset > from_s && a + offset < to_s)
                    .cloned()
                    .collect(),
                codec: part.codec.clone(),
                from_s: from_s - offset,
                to_s: to_s - offset,
                around_s: around_s - offset,
                is_whole: last.2 + offset >= to_s,
            })
        })
    }
}

/// Name, first and last time by the stream's own clock.
type Segment = (String, f64, f64);

/// Segments that are done.
fn segments(folder: &Path) -> Vec<Segment> {
    let list = std::fs::read_to_string(folder.join("list.csv")).unwrap_or_default();
    list.lines()
        .filter_map(|line| {
            let mut fields = line.split(',');
            let name = fields.next()?.to_owned();
            let (from, to) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            Some((name, from, to))
        })
        .collect()
}

/// A part of what is kept. It stays while this value does.
pub struct ClipPart {
    folder: Arc<TempDir>,
    segments: Vec<Segment>,
    codec: Option<String>,
    from_s: f64,
    to_s: f64,
    around_s: f64,
    /// Whether it reaches as far as was asked for.
    pub is_whole: bool,
}

/// Why there is no picture or clip.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Files, or no ffmpeg.
    #[error(
        "cannot write evidence: {0}; check that the folder is writable and ffmpeg is installed"
    )]
    Io(#[from] std::io::Error),
    /// ffmpeg failed.
    #[error("ffmpeg could not cut the evidence: {0}")]
    Failed(String),
    /// The moment is no longer kept.
    #[error("that moment is no longer kept")]
    Gone,
}

impl ClipPart {
    /// Writes the clip as H.264 in MP4: the stream's own packets where they are H.264.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn write_clip(&self, to: &Path) -> Result<(), EvidenceError> {
        self.while_there(|segments| {
            let first = segments[0].1;
            let list = self.list(segments)?;
            let mut command = ffmpeg();
            command.args(ONE_CORE);
            command.args(["-f", "concat", "-safe", "0", "-i"]);
            command.arg(list.path());
            if self.codec.as_deref() == Some("h264") {
                // from its first key frame
                command.args(["-c", "copy", "-t", &seconds(self.to_s - first)]);
            } else {
                let from = self.from_s.max(first);
                command.args(["-ss", &seconds(from - first)]);
                command.args(["-t", &seconds(self.to_s - from)]);
                command.args(ONE_CORE).args(ENCODE);
            }
            command.args(MP4).arg(to);
            run(command)
        })
    }

    /// Writes the picture of the moment asked for, as it came, as JPEG.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn write_picture(&self, to: &Path) -> Result<(), EvidenceError> {
        self.while_there(|segments| {
            let at = self.around_s;
            let segment = segments.iter().rfind(|s| s.1 <= at + 1e-3);
            let (name, from, _) = segment.ok_or(EvidenceError::Gone)?;
            let mut command = ffmpeg();
            // before the input: what comes earlier is decoded, but not made into a picture
            command.args(ONE_CORE);
            command.args(["-ss", &seconds((at - from - 0.001).max(0.0)), "-i"]);
            command.arg(self.folder.path().join(name));
            command.args(JPEG).arg("-y").arg(to);
            run(command)
        })
    }

    /// Segments are written over in turn. Works with those that are left, again if one was lost meanwhile, as long as
    /// the moment asked for is among them.
    fn while_there(
        &self,
        work: impl Fn(&[Segment]) -> Result<(), EvidenceError>,
    ) -> Result<(), EvidenceError> {
        let left = || {
            let listed = segments(self.folder.path());
            let gone = self.segments.iter().rposition(|s| !listed.contains(s));
            &self.segments[gone.map_or(0, |last| last + 1)..]
        };
        let mut now = left();
        while now.first().is_some_and(|s| s.1 <= self.around_s + 1e-3) {
            let done = work(now);
            let after = left();
            if after.len() == now.len() {
                return done;
            }
            now = after;
        }
        Err(EvidenceError::Gone)
    }

    fn list(&self, segments: &[Segment]) -> std::io::Result<tempfile::NamedTempFile> {
        use std::io::Write;
        let mut list = tempfile::NamedTempFile::new_in(self.folder.path())?;
        writeln!(list, "ffconcat version 1.0")?;
        for (i, (name, from, _)) in segments.iter().enumerate() {
            writeln!(list, "file '{name}'")?;
            // of a segment its own end tells less: the stream may not say how long its last frame lasts
            if let Some((_, next, _)) = segments.get(i + 1) {
                writeln!(list, "duration {}", seconds(next - from))?;
            }
        }
        list.flush()?;
        Ok(list)
    }
}

/// While a camera is watched; before the input it is for the decoder, behind it for the encoder.
const ONE_CORE: [&str; 2] = ["-threads", "1"];
const ENCODE: [&str; 8] = [
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p",
];
const MP4: [&str; 6] = ["-map", "0:v:0", "-an", "-movflags", "+faststart", "-y"];
const JPEG: [&str; 8] = [
    "-map",
    "0:v:0",
    "-frames:v",
    "1",
    "-q:v",
    "2",
    "-update",
    "1",
];

/// Cuts a clip out of a video file, as H.264 in MP4.
///
/// # Errors
/// [`EvidenceError`].
pub fn cut_file(file: &Path, from_s: f64, to_s: f64, to: &Path) -> Result<(), EvidenceError> {
    let mut command = ffmpeg();
    let from_s = from_s.max(0.0);
    command.args(["-ss", &seconds(from_s), "-t", &seconds(to_s - from_s), "-i"]);
    command.arg(input(file)).args(ENCODE).args(MP4).arg(to);
    run(command)
}

/// The picture of a moment of a video file, as JPEG.
///
/// # Errors
/// [`EvidenceError`].
pub fn picture_of_file(file: &Path, at_s: f64, to: &Path) -> Result<(), EvidenceError> {
    let mut command = ffmpeg();
    command.args(["-ss", &seconds(at_s), "-i"]);
    command.arg(input(file)).args(JPEG).arg("-y").arg(to);
    run(command)
}

fn input(file: &Path) -> std::ffi::OsString {
    let mut input = std::ffi::OsString::from("file:");
    input.push(file);
    input
}

fn seconds(s: f64) -> String {
    format!("{s:.3}")
}

/// Behind all that watches: evidence can wait, the next frame cannot.
fn ffmpeg() -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "10", "ffmpeg", "-nostdin", "-v", "error"]);
    command
}

fn run(mut command: Command) -> Result<(), EvidenceError> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        if let Some(mut stderr) = stderr {
            // as far as it comes
            let _ = stderr.read_to_end(&mut log);
        }
        log
    });
    let until = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Err(EvidenceError::Failed(format!(
                "not done after {} s",
                LIMIT.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.success() {
        return Ok(());
    }
    let log = log.join().unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let line = log.lines().last().unwrap_or("no reason given").trim();
    Err(EvidenceError::Failed(line.chars().take(200).collect()))
}
