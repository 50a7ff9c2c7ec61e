//! The frames of a video file, through a child ffmpeg: every codec, and a crash costs the child.

use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use image::RgbImage;

/// Why a clip gives no frames, or no more. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The program is not installed.
    #[error("video needs the program ffmpeg; install the package ffmpeg (apt-get install ffmpeg)")]
    NoFfmpeg,
    /// The file.
    #[error("cannot read the file: {0}; check its name and permissions")]
    Io(std::io::Error),
    /// ffmpeg could not decode it.
    #[error("ffmpeg cannot decode it ({0}); check that it is a video and plays elsewhere")]
    Undecodable(String),
    /// A frame over the limit.
    #[error(
        "its frames of {width} x {height} pixels are more than the limit of {limit}; raise \
         limits.max_pixels if that is wanted"
    )]
    TooManyPixels {
        /// Frame width.
        width: u32,
        /// Frame height.
        height: u32,
        /// The limit.
        limit: u64,
    },
}

/// Not as its source: the message holds it.
impl From<std::io::Error> for ClipError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Media time, seconds from the beginning of the clip.
    pub time_s: f64,
    /// Upright.
    pub picture: RgbImage,
}

/// The frames of a clip at an even rate, decoded as they are asked for.
#[derive(Debug)]
pub struct Clip {
    child: Child,
    frames: BufReader<ChildStdout>,
    log: Option<JoinHandle<String>>,
    fps: f64,
    max_pixels: u64,
    index: u64,
    ended: bool,
    /// What ffmpeg said was wrong, though it went on.
    complaint: Option<String>,
}

/// What ffmpeg says is kept up to this length, bytes.
const LOG: u64 = 4096;

impl Clip {
    /// Opens a file; `fps` frames for each second of media time, whatever the clip's own rate.
    ///
    /// # Errors
    /// When there is no such file, or no ffmpeg. What is no video is told by the first frame.
    pub fn open(path: &Path, fps: f64, max_pixels: u64) -> Result<Self, ClipError> {
        std::fs::File::open(path)?;
        // told to be a file: a name cannot make ffmpeg open an address
        let mut input = std::ffi::OsString::from("file:");
        input.push(path);
        let child = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(input)
            .args(["-map", "0:v:0", "-vf", &format!("fps={fps}")])
            .args(["-f", "image2pipe", "-c:v", "ppm", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(ClipError::NoFfmpeg),
            other => other?,
        };
        let (Some(out), Some(log)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(ClipError::Undecodable("it has no output".into()));
        };
        // read all along: a child that cannot write its log stands still
        let log = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let mut log = log;
            let _ = log.by_ref().take(LOG).read_to_end(&mut kept);
            let _ = std::io::copy(&mut log, &mut std::io::sink());
            String::from_utf8_lossy(&kept).into_owned()
        });
        Ok(Self {
            child,
            frames: BufReader::with_capacity(1 << 20, out),
            log: Some(log),
            fps,
            max_pixels,
            index: 0,
            ended: false,
            complaint: None,
        })
    }

    /// At its end: what could not be decoded, if anything; pictures may be damaged, or missing.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn read(&mut self) -> Result<Option<Frame>, ClipError> {
        let Some((width, height)) = read_header(&mut self.frames)? else {
            return self.end();
        };
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(ClipError::TooManyPixels {
                width,
                height,
                limit: self.max_pixels,
            });
        }
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        self.frames.read_exact(&mut pixels)?;
        let picture = RgbImage::from_raw(width, height, pixels)
            .ok_or_else(|| ClipError::Undecodable("a frame is too short".into()))?;
        let time_s = self.index as f64 / self.fps;
        self.index += 1;
        Ok(Some(Frame { time_s, picture }))
    }

    /// The end of the stream is the end of the clip only if ffmpeg says so.
    fn end(&mut self) -> Result<Option<Frame>, ClipError> {
        let status = self.child.wait()?;
        let log = self.log.take().and_then(|log| log.join().ok());
        let log = log.unwrap_or_default();
        if status.success() && self.index > 0 {
            let first = log.lines().map(str::trim).find(|line| !line.is_empty());
            self.complaint = first.map(|line| line.chars().take(200).collect());
            return Ok(None);
        }
        let line = log.lines().last().unwrap_or("it has no frames");
        Err(ClipError::Undecodable(line.trim().to_owned()))
    }
}

impl Iterator for Clip {
    type Item = Result<Frame, ClipError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let frame = self.read().transpose();
        self.ended = !matches!(frame, Some(Ok(_)));
        frame
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The header of a binary PPM as ffmpeg writes it, `P6\nW H\n255\n`; `None` at the end.
pub(super) fn read_header(from: &mut impl Read) -> Result<Option<(u32, u32)>, ClipError> {
    let mut words: Vec<String> = vec![String::new()];
    let mut byte = [0];
    while words.len() <= 4 {
        if from.read(&mut byte)? == 0 {
            return if words.len() == 1 && words[0].is_empty() {
                Ok(None)
            } else {
                Err(ClipError::Undecodable("the last frame is cut short".into()))
            };
        }
        match byte[0] {
            b' ' | b'\n' => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|w| w.push(c as char)),
        }
        if words.iter().any(|w| w.len() > 9) {
            break;
        }
    }
    let number = |i: usize| words.get(i)?.parse::<u32>().ok();
    match (words[0].as_str(), number(1), number(2), number(3)) {
        ("P6", Some(width), Some(height), Some(255)) => Ok(Some((width, height))),
        _ => Err(ClipError::Undecodable("its output is no picture".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_refused() {
        let read = |bytes: &[u8]| read_header(&mut &bytes[..]);
        assert_eq!(read(b"P6\n640 480\n255\n....").unwrap(), Some((640, 480)));
        assert_eq!(read(b"").unwrap(), None);
        assert!(read(b"P6\n640 4").is_err());
        assert!(read(b"P5\n640 480\n255\n").is_err());
        assert!(read(&[b'9'; 100]).is_err());
    }
}
