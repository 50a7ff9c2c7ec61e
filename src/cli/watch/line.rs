//! The lines of `sitewarden watch --format jsonl`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::eval::clip_changes::ClipSide;
use crate::pipeline::clip::FindingEvent;

/// One line: what is watched and with what, each turn of a finding, the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "sitewarden watch")]
pub(in crate::cli) enum Line {
    /// `watching`: a video begins.
    Watching(Box<Watching>),
    /// `watched`: it was watched to its end.
    Watched(Watched),
    /// `opened`, `cleared` or `ended`: a turn of a finding.
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
}

/// A turn of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::cli) struct Turn {
    /// The video as given.
    pub(in crate::cli) path: String,
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

    pub(super) fn watched(path: String, until_s: f64) -> Self {
        Self::Watched(Watched {
            event: WatchedTag::Watched,
            path,
            until_s,
        })
    }
}
