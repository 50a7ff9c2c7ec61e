//! The lines of `sitewarden watch --format jsonl`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::eval::clip_changes::ClipSide;
use crate::pipeline::camera::Told;
use crate::pipeline::clip::{FindingEvent, KindAnswer};
use crate::pipeline::clip_file::Whole;
use crate::pipeline::evidence::Written;
use crate::source::camera::Status;

/// One line, told by `event`: of a file what it is watched with and the end, of a live source its
/// state, of both each turn of a finding and its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "sitewarden watch")]
pub(in crate::cli) enum Line {
    /// `watching`: a video begins.
    Watching(Box<Watching>),
    /// `watched`: it was watched to its end.
    Watched(Watched),
    /// `source`: a live source is in another state.
    Source(SourceState),
    /// `evidence`: the files of a finding are written.
    Evidence(Filed),
    /// `opened`, `seen`, `cleared` or `ended`: a turn of a finding; `suppressed`: what is none by the
    /// sample bank.
    Finding(Turn),
}

/// A video begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct Watching {
    /// Always `watching`.
    event: WatchingTag,
    /// The video as given.
    pub(in crate::cli) path: String,
    /// SHA-256 of the file.
    pub(in crate::cli) sha256: String,
    /// Version of the program.
    sitewarden: String,
    /// What decides.
    #[serde(flatten)]
    pub(in crate::cli) side: ClipSide,
}

/// A video was watched to its end; without this line it was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct Watched {
    /// Always `watched`.
    event: WatchedTag,
    /// The video as given.
    pub(in crate::cli) path: String,
    /// Media time of the last frame, seconds.
    until_s: f64,
    /// Of each kind of hazard, for all that was watched.
    pub(super) answers: Vec<KindAnswer>,
    /// What could not be decoded of it, as ffmpeg says; null where all could.
    #[serde(default)]
    damaged: Option<String>,
}

/// A live source is in another state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct SourceState {
    /// Always `source`.
    event: SourceTag,
    #[serde(flatten)]
    pub(super) from: Origin,
    #[serde(flatten)]
    pub(super) status: Status,
}

/// The files of a finding are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct Filed {
    /// Always `evidence`.
    event: EvidenceTag,
    #[serde(flatten)]
    pub(in crate::cli) from: Origin,
    #[serde(flatten)]
    pub(super) written: Written,
}

/// Which source, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct Origin {
    /// The source as given, without user name, password and query.
    pub(in crate::cli) path: String,
    /// Wall time of the event (RFC 3339, UTC), for live sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) at: Option<String>,
}

/// A turn of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct Turn {
    #[serde(flatten)]
    pub(in crate::cli) from: Origin,
    /// The turn.
    #[serde(flatten)]
    pub(in crate::cli) event: FindingEvent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WatchingTag {
    Watching,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WatchedTag {
    Watched,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SourceTag {
    Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EvidenceTag {
    Evidence,
}

impl Line {
    pub(super) fn watching(path: String, sha256: String, side: ClipSide) -> Self {
        Self::Watching(Box::new(Watching {
            event: WatchingTag::Watching,
            path,
            sha256,
            sitewarden: env!("CARGO_PKG_VERSION").to_owned(),
            side,
        }))
    }

    pub(super) fn watched(path: String, whole: Whole) -> Self {
        Self::Watched(Watched {
            event: WatchedTag::Watched,
            path,
            until_s: whole.until_s,
            answers: whole.answers,
            damaged: whole.damaged,
        })
    }

    /// The line of what is told, if it is one.
    pub(super) fn told(from: Origin, told: Told) -> Option<Self> {
        Some(match told {
            Told::Moment(_) => return None,
            Told::Finding(event) => Self::Finding(Turn { from, event }),
            Told::Evidence(written) => Self::Evidence(Filed {
                event: EvidenceTag::Evidence,
                from,
                written,
            }),
            Told::Status(status) => Self::Source(SourceState {
                event: SourceTag::Source,
                from,
                status,
            }),
        })
    }
}
