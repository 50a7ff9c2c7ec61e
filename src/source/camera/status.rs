//! How a source is doing, in plain words.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being opened.
    Connecting,
    /// Pictures come.
    Live,
    /// It was open, and no pictures come any more.
    Stalled,
    /// It wants another user name or password.
    Unauthorised,
    /// Nobody answers there.
    Unreachable,
    /// Something answers, but gives no video that can be decoded.
    Unreadable,
    /// The program ffmpeg is missing, or cannot be started.
    Failed,
    /// It was at its end, or was closed.
    Ended,
}

impl State {
    /// Name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Unauthorised => "unauthorised",
            Self::Unreachable => "unreachable",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

/// A report of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// How it is doing.
    pub state: State,
    /// Why, and what to do next; empty while it is live.
    pub reason: String,
    /// Seconds since the last picture came; null before the first.
    pub frame_age_s: Option<f64>,
    /// Pictures taken in.
    pub frames: u64,
    /// Pictures dropped because nobody had time for them.
    pub dropped: u64,
    /// Pictures not looked at because they came damaged, or are predicted from one that did.
    pub damaged: u64,
    /// How many times it was opened anew.
    pub restarts: u64,
    /// Whether only key frames are decoded.
    pub idle: bool,
    /// Size of its pictures, pixels.
    pub size: Option<(u32, u32)>,
}

impl Status {
    /// Of a source that is not open yet.
    pub fn unopened() -> Self {
        Known::new().report(0)
    }
}

/// What is known, kept by the supervisor.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) last: Option<Instant>,
    pub(super) frames: u64,
    pub(super) damaged: u64,
    pub(super) restarts: u64,
    pub(super) idle: bool,
    pub(super) size: Option<(u32, u32)>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self {
            state: State::Connecting,
            reason: String::new(),
            last: None,
            frames: 0,
            damaged: 0,
            restarts: 0,
            idle: false,
            size: None,
        }
    }

    pub(super) fn report(&self, dropped: u64) -> Status {
        Status {
            state: self.state,
            reason: self.reason.clone(),
            frame_age_s: self.last.map(|t| t.elapsed().as_secs_f64()),
            frames: self.frames,
            dropped,
            damaged: self.damaged,
            restarts: self.restarts,
            idle: self.idle,
            size: self.size,
        }
    }
}

/// What a child's last complaint means, and what to do.
pub(super) fn classify(complaint: &str, had_frames: bool) -> (State, String) {
    // the play list that the address is in is our own business
    let complaint = complaint.strip_prefix("pipe:0: ").unwrap_or(complaint);
    let has = |words: &[&str]| words.iter().any(|w| complaint.contains(w));
    let (state, todo) = if has(UNAUTHORISED) {
        (State::Unauthorised, "check user name and password")
    } else if has(UNREACHABLE) {
        (
            State::Unreachable,
            "check that the camera is on and the network reaches it",
        )
    } else if has(&["Is a directory"]) {
        let todo = "a folder that is not there yet is named with a slash at its end";
        (State::Unreadable, todo)
    } else if has(NOT_FOUND) {
        (State::Unreadable, "check the path of the address")
    } else if had_frames {
        (State::Stalled, "it is opened again")
    } else {
        (State::Unreadable, "check that the address gives video")
    };
    (state, format!("{complaint}; {todo}"))
}

/// Whether a line of ffmpeg's names a cause.
pub(super) fn tells_cause(line: &str) -> bool {
    [UNAUTHORISED, UNREACHABLE, NOT_FOUND]
        .concat()
        .iter()
        .any(|w| line.contains(w))
}

const UNAUTHORISED: &[&str] = &["401 ", "403 ", "Unauthorized", "Forbidden"];
const NOT_FOUND: &[&str] = &["404 ", "Not Found"];
const UNREACHABLE: &[&str] = &[
    "Connection refused",
    "No route to host",
    "Network is unreachable",
    "Connection timed out",
    "Failed to resolve hostname",
    "Connection reset",
    "Host is down",
];

/// Seconds to wait before the next try: twice as long each time, at most a minute, a little apart
/// for cameras that all went at once. After a wrong password long: cameras lock users out.
pub(super) fn back_off(tries: u32, state: State, least: Duration) -> Duration {
    let doubled = least.saturating_mul(1 << tries.min(16));
    let least = if state == State::Unauthorised {
        30 * least
    } else {
        least
    };
    let wait = doubled.clamp(least, (60 * least).min(Duration::from_secs(60)).max(least));
    wait.mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_become_states_with_what_to_do() {
        let state = |c: &str, had: bool| classify(c, had).0;
        assert_eq!(
            state("method DESCRIBE failed: 401 Unauthorized", false),
            State::Unauthorised
        );
        assert_eq!(
            state("pipe:0: Connection refused", true),
            State::Unreachable
        );
        assert_eq!(
            state("method DESCRIBE failed: 404 Not Found", false),
            State::Unreadable
        );
        assert_eq!(state("the stream has ended", true), State::Stalled);
        assert!(classify("401 Unauthorized", false).1.contains("password"));
    }

    #[test]
    fn waits_grow_and_stay_within_a_minute() {
        let second = Duration::from_secs(1);
        let waits: Vec<f64> = (0..40)
            .map(|n| back_off(n, State::Unreachable, second).as_secs_f64())
            .collect();
        assert!(waits[0] < 1.3 && waits[39] > 40.0, "{waits:?}");
        assert!(waits.iter().all(|w| *w <= 72.0), "{waits:?}");
        assert!(back_off(0, State::Unauthorised, second).as_secs_f64() >= 20.0);
    }
}
