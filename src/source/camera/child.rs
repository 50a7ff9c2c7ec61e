//! One ffmpeg child: its arguments, its frames, its complaints.
//!
//! The address goes in as a play list on standard input, for arguments are seen by everybody who can
//! list processes. Pictures come out as PPM, each with its own size; their time stamps come by
//! standard error (`showinfo`), one line for each picture in the same order. A `showinfo` before those that
//! are left out tells which decoded pictures are key frames, for [`Damage`].

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use image::RgbImage;

use super::address::{Address, Place};
use super::damage::Damage;
use super::{CameraOptions, Mode};
use crate::source::clip::{ClipError, read_header};

/// What a child tells; the number says which child.
pub(super) type Told = (u64, Event);

pub(super) enum Event {
    Picture(Box<Picture>),
    /// A picture that came damaged, and is not shown.
    Damaged,
    /// It has ended: its last complaint, without secrets.
    Ended(String),
}

/// One picture as it came.
pub(super) struct Picture {
    pub(super) pixels: RgbImage,
    /// Size before ffmpeg made it smaller.
    pub(super) size: (u32, u32),
    /// The stream's own clock, seconds.
    pub(super) stamp_s: Option<f64>,
    pub(super) arrived: Instant,
}

/// A running child. Dropping it ends it.
pub(super) struct Child {
    process: Process,
    pub(super) number: u64,
    pub(super) mode: Mode,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    last: Option<String>,
    codec: Option<String>,
}

/// Protocols that an address may lead to; `file` is not among them, so that a play list from outside
/// cannot read this machine's files.
const PROTOCOLS: &str = "pipe,rtsp,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto,data,hls";

impl Child {
    pub(super) fn spawn(
        address: &Address,
        options: &CameraOptions,
        mode: Mode,
        number: u64,
        ring: Option<&Path>,
        tell: Sender<Told>,
    ) -> Result<Self, ClipError> {
        let mut command = Command::new("ffmpeg");
        command.args(arguments(&address.place, options, mode, ring));
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match spawned {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(ClipError::NoFfmpeg),
            other => other?,
        };
        if let Some(mut stdin) = process.stdin.take()
            && address.place == Place::Stream
        {
            // a child that dies at once is told by its end
            let _ = stdin.write_all(play_list(address, options).as_bytes());
        }
        let (Some(out), Some(err)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(ClipError::Undecodable("ffmpeg has no output".into()));
        };
        let log = Arc::new(Mutex::new(Log::default()));
        let (stamps, stamped) = channel();
        let (log_of_reader, address) = (Arc::clone(&log), address.clone());
        let reader = std::thread::spawn(move || read_log(err, &address, &log_of_reader, &stamps));
        let limit = options.max_pixels;
        let log_of_end = Arc::clone(&log);
        std::thread::spawn(move || {
            let broken = read_pictures(out, &stamped, limit, number, &tell).err();
            let _ = reader.join();
            let said = lock(&log_of_end).last.clone();
            let end = broken
                .or(said)
                .unwrap_or_else(|| "the stream has ended".into());
            let _ = tell.send((number, Event::Ended(end)));
        });
        Ok(Self {
            process,
            number,
            mode,
            log,
        })
    }

    /// Codec of the stream as ffmpeg names it, once known.
    pub(super) fn codec(&self) -> Option<String> {
        lock(&self.log).codec.clone()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lock(log: &Mutex<Log>) -> std::sync::MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn arguments(
    place: &Place,
    options: &CameraOptions,
    mode: Mode,
    ring: Option<&Path>,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
    add(&["-hide_banner", "-nostats", "-v", "info"]);
    if let Some(hwaccel) = &options.hwaccel {
        add(&["-hwaccel", hwaccel]);
    }
    // one decoding thread: a camera's stream needs no more, and there are many cameras
    add(&["-threads", "1"]);
    if mode == Mode::Idle {
        add(&["-skip_frame", "nokey"]);
    }
    match place {
        Place::File(file) => {
            // over and over, at its own speed; told to be a file: its name cannot be an address
            add(&["-re", "-stream_loop", "-1", "-i"]);
            let mut input = OsString::from("file:");
            input.push(file);
            args.push(input);
        }
        _ => {
            add(&["-f", "concat", "-safe", "0"]);
            add(&["-protocol_whitelist", PROTOCOLS, "-i", "pipe:0"]);
        }
    }
    let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
    let side = match mode {
        Mode::Active => options.max_side,
        Mode::Idle => options.idle_side,
    };
    // at most so many a second, and on after a clock that jumps back
    let interval = 0.9 / options.fps;
    let filter = format!(
        "showinfo=checksum=0,\
         select='isnan(prev_selected_t)+gte(t-prev_selected_t,{interval:.4})+lt(t,prev_selected_t)',\
         showinfo=checksum=0,\
         scale=w='min(iw,{side})':h='min(ih,{side})':force_original_aspect_ratio=decrease:flags=area"
    );
    add(&["-map", "0:v:0", "-vf", &filter, "-fps_mode", "passthrough"]);
    add(&["-f", "image2pipe", "-c:v", "ppm", "pipe:1"]);
    if let (Some(folder), Some(length)) = (ring, options.ring.as_ref()) {
        let (segments, files) = (length.segments(), length.segments() + 1);
        let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
        add(&[
            "-map",
            "0:v:0",
            "-c",
            "copy",
            // by RTSP the first key frame comes without a time: it is the beginning
            "-bsf:v",
            "setts=pts='if(eq(PTS,NOPTS),if(eq(DTS,NOPTS),0,DTS),PTS)'",
            "-f",
            "segment",
            "-segment_format",
            "matroska",
        ]);
        // each begins at 0, so that they can be put one behind the other
        add(&["-segment_time", "2", "-reset_timestamps", "1"]);
        add(&["-segment_wrap", &files.to_string()]);
        add(&[
            "-segment_list",
            &at("list.csv"),
            "-segment_list_type",
            "csv",
        ]);
        add(&["-segment_list_size", &segments.to_string()]);
        add(&[&at("%03d.mkv")]);
    }
    args
}

/// The address as ffmpeg's own play list, with the options that make a first frame come soon.
fn play_list(address: &Address, options: &CameraOptions) -> String {
    let quoted = address.whole().replace('\'', "'\\''");
    let timeout_us = options.stall.as_micros();
    let mut list = format!(
        "ffconcat version 1.0\nfile '{quoted}'\noption probesize 65536\noption analyzeduration 200000\n\
         option fpsprobesize 0\n"
    );
    if address.is_rtsp() {
        list += &format!(
            "option rtsp_transport {}\noption timeout {timeout_us}\n",
            options.transport.name()
        );
    } else {
        list += &format!("option rw_timeout {timeout_us}\n");
    }
    list
}

/// Reads ffmpeg's log: time stamps to who reads the pictures, complaints to the log.
fn read_log(err: impl Read, address: &Address, log: &Mutex<Log>, stamps: &Sender<Stamp>) {
    let mut lines = BufReader::new(err);
    let mut line = Vec::new();
    let mut damage = Damage::default();
    loop {
        line.clear();
        // a line without end must not fill the memory
        let read = lines.by_ref().take(1 << 16).read_until(b'\n', &mut line);
        if !matches!(read, Ok(n) if n > 0) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        if text.contains(DECODED) {
            if let Some((_, key)) = text.split_once(" iskey:") {
                damage.decoded(key.starts_with('1'));
            }
            continue;
        }
        if let Some(stamp) = stamp(&text, damage.is_damaged()) {
            let _ = stamps.send(stamp);
            continue;
        }
        damage.hear(&text);
        if text.contains("Parsed_showinfo") {
        } else if let Some(codec) = codec(&text) {
            lock(log).codec.get_or_insert(codec);
        } else if is_complaint(&text) {
            let clean = address.clean(text.trim_end());
            tracing::debug!(source = %address, "ffmpeg: {clean}");
            // what it says first is the cause, as a rule; the rest follows from it
            let telling = super::status::tells_cause(&clean);
            let mut log = lock(log);
            if telling || log.last.is_none() {
                let bare = clean.rsplit_once("] ").map_or(clean.as_str(), |(_, t)| t);
                log.last = Some(bare.trim().chars().take(200).collect());
            }
        }
    }
}

/// Begin of the lines of the first `showinfo`, which sees all pictures.
const DECODED: &str = "[Parsed_showinfo_0";

/// What is told of a picture beside its pixels.
#[derive(Debug, Default, PartialEq)]
struct Stamp {
    time_s: Option<f64>,
    size: Option<(u32, u32)>,
    damaged: bool,
}

fn stamp(line: &str, damaged: bool) -> Option<Stamp> {
    let rest = line.contains("Parsed_showinfo").then_some(line)?;
    let (_, after) = rest.split_once(" pts_time:")?;
    let time_s = after.split_whitespace().next().and_then(|t| t.parse().ok());
    let size = after.split_once(" s:").and_then(|(_, s)| {
        let (w, h) = s.split_whitespace().next()?.split_once('x')?;
        Some((w.parse().ok()?, h.parse().ok()?))
    });
    Some(Stamp {
        time_s,
        size,
        damaged,
    })
}

fn codec(line: &str) -> Option<String> {
    let (_, after) = line.split_once(": Video: ")?;
    let name: String = after.chars().take_while(|c| c.is_alphanumeric()).collect();
    Some(name)
}

/// Lines that say what is, not what is wrong.
fn is_complaint(line: &str) -> bool {
    const PLAIN: [&str; 12] = [
        "Input #",
        "Output #",
        "Stream mapping",
        "Opening '",
        "Press [q]",
        "frame=",
        "video:",
        "not enough frames to estimate rate",
        "Timestamps are unset",
        "Non-monoton",
        "deprecated",
        "Stream #0:",
    ];
    let indented = line.starts_with("  ");
    !indented && !line.trim().is_empty() && !PLAIN.iter().any(|p| line.contains(p))
}

fn read_pictures(
    out: impl Read,
    stamped: &Receiver<Stamp>,
    limit: u64,
    number: u64,
    tell: &Sender<Told>,
) -> Result<(), String> {
    let mut out = BufReader::with_capacity(1 << 18, out);
    while let Some((width, height)) = read_header(&mut out).map_err(|e| e.to_string())? {
        if u64::from(width) * u64::from(height) > limit {
            return Err(ClipError::TooManyPixels {
                width,
                height,
                limit,
            }
            .to_string());
        }
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        if out.read_exact(&mut pixels).is_err() {
            return Ok(());
        }
        let arrived = Instant::now();
        // written before the picture, but by another pipe
        let stamp = stamped
            .recv_timeout(Duration::from_secs(2))
            .unwrap_or_default();
        if stamp.damaged {
            if tell.send((number, Event::Damaged)).is_err() {
                return Ok(());
            }
            continue;
        }
        let Some(pixels) = RgbImage::from_raw(width, height, pixels) else {
            return Ok(());
        };
        let picture = Picture {
            pixels,
            size: stamp.size.unwrap_or((width, height)),
            stamp_s: stamp.time_s,
            arrived,
        };
        if tell
            .send((number, Event::Picture(Box::new(picture))))
            .is_err()
        {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_and_codecs_are_read() {
        let line = "[Parsed_showinfo_1 @ 0x55] n:   1 pts:   9000 pts_time:0.1     pos: -1 fmt:yuv420p sar:0/1 s:768x576 i:P iskey:0 type:P ";
        let expected = Stamp {
            time_s: Some(0.1),
            size: Some((768, 576)),
            damaged: true,
        };
        assert_eq!(stamp(line, true), Some(expected));
        let other = "[Parsed_showinfo_1 @ 0x55] color_range:unknown";
        assert_eq!(stamp(other, false), None);
        let line = "  Stream #0:0: Video: h264 (Constrained Baseline), yuv420p, 768x576";
        assert_eq!(codec(line).as_deref(), Some("h264"));
        assert!(is_complaint("pipe:0: Connection refused"));
        assert!(!is_complaint(line));
    }

    #[test]
    fn the_address_is_in_the_play_list_and_in_no_argument() {
        let address = Address::parse("rtsp://bob:it's@host/cam").unwrap();
        let options = CameraOptions::default();
        let list = play_list(&address, &options);
        assert!(
            list.contains(r"file 'rtsp://bob:it'\''s@host/cam'"),
            "{list}"
        );
        assert!(list.contains("rtsp_transport tcp"));
        let args = |mode| {
            let args = arguments(&address.place, &options, mode, None);
            args.join(" ".as_ref()).into_string().unwrap()
        };
        let active = args(Mode::Active);
        assert!(!active.contains("host") && active.contains("pipe:0"));
        assert!(args(Mode::Idle).contains(" nokey "));
    }
}
