//! Labelled sets: COCO JSON, YOLO and Pascal VOC, manifests in `datasets/`, and what is wrong with
//! a set.

mod builtin;
mod coco;
mod health;
mod manifest;
mod open;
mod predictions;
mod voc;
mod yolo;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use health::{check_duplicates, check_labels, check_photos};
pub use manifest::{DATASETS_VAR, DatasetManifest, Published, SplitFiles};
pub use open::{Open, open};
pub use predictions::read_predictions;

use crate::eval::report::Finding;
use crate::eval::{ClassMap, GroundTruth};

/// Photos with labels, ready to be judged by.
#[derive(Debug, Clone)]
pub struct LabelledSet {
    /// Name of the manifest, or of the file or folder.
    pub name: String,
    /// The split that was opened, if the set has several.
    pub split: Option<String>,
    /// `coco`, `yolo` or `voc`.
    pub format: &'static str,
    /// SHA-256 over the label files, lower-case hexadecimal.
    pub sha256: String,
    /// Licence, where a manifest says.
    pub license: Option<String>,
    /// The labels.
    pub truth: GroundTruth,
    /// Folder that [`crate::eval::LabelledPhoto::file`] starts from.
    pub photos_dir: PathBuf,
    /// Names of the set and ours, where a manifest says.
    pub map: ClassMap,
    /// The other splits, by name, with their folders of photos.
    pub other_splits: Vec<(String, PathBuf)>,
    /// What was wrong already when it was read.
    pub findings: Vec<Finding>,
}

/// Why a set cannot be used. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Nothing by this name.
    #[error(
        "no dataset {name:?}: give a COCO JSON file, a YOLO data.yaml, a Pascal VOC folder, the name \
         of a manifest in one of {}, or one of those built in ({})",
        shown(searched),
        builtin::names().collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// As given.
        name: String,
        /// Where a manifest was looked for.
        searched: Vec<PathBuf>,
    },
    /// The file system refused.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Not what it should be.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// No split of this name.
    #[error("{name} has no split {split:?}; it has {has:?}; name one with --split")]
    NoSplit {
        /// The set.
        name: String,
        /// As given.
        split: String,
        /// What there is.
        has: Vec<String>,
    },
    /// Nothing to judge by.
    #[error("{} lists no photos; give a file or split that does", path.display())]
    NoPhotos {
        /// The file or folder.
        path: PathBuf,
    },
}

impl DatasetError {
    fn read(path: &Path, e: &std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            reason: e.to_string(),
        }
    }

    fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

fn shown(paths: &[PathBuf]) -> String {
    let all: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    all.join(", ")
}

/// What a reader makes of label files.
#[derive(Debug, Default)]
struct Labels {
    truth: GroundTruth,
    photos_dir: PathBuf,
    other_splits: Vec<(String, PathBuf)>,
    split: Option<String>,
    findings: Vec<Finding>,
    digest: Sha256,
}

/// Most pixels that a coordinate may lie from the origin: no photo is that large, and areas beyond
/// are no sound numbers any more.
const MOST_PX: f64 = 1e6;

/// Whether a coordinate can be one of a photo; NaN and infinity cannot.
fn is_pixels(v: f64) -> bool {
    v.abs() <= MOST_PX
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, DatasetError> {
    // reading a device may never end
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if std::fs::metadata(path).is_ok_and(|m| m.file_type().is_char_device()) {
            let e = std::io::Error::other("it is a device, not a file");
            return Err(DatasetError::read(path, &e));
        }
    }
    std::fs::read(path).map_err(|e| DatasetError::read(path, &e))
}

fn hex(digest: Sha256) -> String {
    digest
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
