//! `model.toml` of a detector: what a model is, what it is fed, how it is read. Unknown keys are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::detection::{Detection, LabelMap};
use crate::geometry::Letterbox;
use crate::postprocess::{self, DecodeError, HeadSpec};
use crate::preprocess::InputSpec;

use super::Outputs;

/// Name of the manifest in a model's folder.
pub const MANIFEST_FILE: &str = "model.toml";

/// The key in `[thresholds]` that holds for every label not named there.
const DEFAULT: &str = "default";

/// Threshold where `[thresholds]` says nothing.
const DEFAULT_THRESHOLD: f32 = 0.25;

/// The manifest of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What kind of model it is: here a detector.
    #[serde(default)]
    pub kind: Kind,
    /// Name, for records.
    pub name: String,
    /// Version, for records.
    pub version: String,
    /// File name of the ONNX model in the same folder.
    pub file: String,
    /// SHA-256 of that file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// SPDX expression of the weights' licence.
    pub license: String,
    /// Whom to name when the model is passed on, and where it comes from.
    #[serde(default)]
    pub attribution: String,
    /// Class names in the order of the model's output.
    pub labels: Vec<String>,
    /// Pictures for one run at most. Above 1 the model's batch axis must be dynamic.
    #[serde(default = "one")]
    pub max_batch: usize,
    /// What the model is fed.
    pub input: InputSpec,
    /// A second input that wants the size of the picture (DETR exports).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_input: Option<SizeInput>,
    /// How the outputs are read.
    pub head: HeadSpec,
    /// Least score for each label, `0..=1`; `default` for the others.
    #[serde(default)]
    pub thresholds: BTreeMap<String, f32>,
    /// A recorded run that every load repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<GoldenSpec>,
    /// Figures of merit, free form, for people.
    #[serde(default)]
    pub metrics: toml::Table,
}

/// What a model does. Manifests that say nothing are of detectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Finds objects and their boxes.
    #[default]
    Detector,
    /// Turns a picture into a vector that is near those of like pictures.
    Embedder,
}

impl Kind {
    /// What a manifest's text says, before anything else of it is read.
    ///
    /// # Errors
    /// No TOML, or a kind that there is not.
    pub(super) fn of(text: &str, file: &Path) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Only {
            #[serde(default)]
            kind: Kind,
        }
        from_toml::<Only>(text, file).map(|only| only.kind)
    }
}

fn from_toml<T: serde::de::DeserializeOwned>(text: &str, file: &Path) -> Result<T, ManifestError> {
    toml::from_str(text).map_err(|e| ManifestError::Parse {
        file: file.to_owned(),
        reason: e.to_string().trim_end().to_owned(),
    })
}

/// Reads a manifest's text as one of `wanted` kind and checks it by `fault`, which gives the first key
/// whose value cannot be used and why.
pub(super) fn parse_as<T: serde::de::DeserializeOwned>(
    text: &str,
    file: &Path,
    wanted: Kind,
    fault: impl Fn(&T) -> Option<Fault>,
) -> Result<T, ManifestError> {
    let value = |(key, reason)| ManifestError::Value {
        file: file.to_owned(),
        key,
        reason,
    };
    match (Kind::of(text, file)?, wanted) {
        (Kind::Embedder, Kind::Detector) => Err(value((
            "kind".into(),
            "says `embedder`; a detector is wanted here, such as site-nano".into(),
        ))),
        (Kind::Detector, Kind::Embedder) => Err(value((
            "kind".into(),
            "says `detector`, or nothing; an embedder is wanted here, such as site-embed".into(),
        ))),
        _ => {
            let manifest = from_toml(text, file)?;
            match fault(&manifest) {
                None => Ok(manifest),
                Some(found) => Err(value(found)),
            }
        }
    }
}

/// The text of `model.toml` in `dir`, and its path.
pub(super) fn read_text(dir: &Path) -> Result<(String, PathBuf), ManifestError> {
    let file = dir.join(MANIFEST_FILE);
    let text = super::read_plain_file(&file, MAX_MANIFEST).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
    });
    match text {
        Ok(text) => Ok((text, file)),
        Err(e) => Err(ManifestError::Read {
            file,
            reason: e.to_string(),
        }),
    }
}

/// A key whose value cannot be used, and why.
pub(super) type Fault = (String, String);

pub(super) fn fault(key: &str, reason: impl Into<String>) -> Option<Fault> {
    Some((key.to_owned(), reason.into()))
}

pub(super) fn one() -> usize {
    1
}

/// An input that takes the size in pixels that boxes shall be scaled to. sitewarden feeds the
/// network's own input size, so boxes come back in input pixels whatever the letterbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeInput {
    /// Name of the tensor, `batch x 2`.
    pub name: String,
    /// Order of the two values.
    #[serde(default)]
    pub order: SizeOrder,
}

/// Order of the two values of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeOrder {
    /// Width, height (RT-DETR, D-FINE).
    #[default]
    WidthHeight,
    /// Height, width.
    HeightWidth,
}

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenSpec {
    /// `ramp`, or the name of a file of raw little-endian `f32` in the folder: the whole
    /// input tensor for one picture.
    #[serde(default = "ramp")]
    pub input: String,
    /// File with the recorded output values, in the folder.
    #[serde(default = "golden_file")]
    pub output: String,
    /// `|value - recorded| <= tolerance * max(1, |recorded|)`.
    #[serde(default = "tolerance")]
    pub tolerance: f32,
}

impl Default for GoldenSpec {
    fn default() -> Self {
        Self {
            input: ramp(),
            output: golden_file(),
            tolerance: tolerance(),
        }
    }
}

fn ramp() -> String {
    "ramp".into()
}

fn golden_file() -> String {
    "golden.json".into()
}

fn tolerance() -> f32 {
    1e-3
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ManifestError {
    /// The file could not be read.
    #[error("cannot read {}: {reason}; a model is a folder that holds {MANIFEST_FILE}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Not TOML, a key missing, unknown or of the wrong type.
    #[error("{}: {reason}\nsee models/README.md for every key", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// Line, column and key.
        reason: String,
    },
    /// A value that cannot be used.
    #[error("{}: `{key}` {reason}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl Manifest {
    /// Reads and checks `model.toml` in `dir`.
    ///
    /// # Errors
    /// Missing, unreadable, or refused by [`Manifest::parse`].
    pub fn read(dir: &Path) -> Result<Self, ManifestError> {
        let (text, file) = read_text(dir)?;
        Self::parse(&text, &file)
    }

    /// Checks a manifest's text; `file` is named in errors.
    ///
    /// # Errors
    /// The first key that is wrong, with the reason and what would be right.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ManifestError> {
        parse_as(text, file, Kind::Detector, Self::fault)
    }

    /// The first value that cannot be used: its key and why.
    fn fault(&self) -> Option<Fault> {
        let names = [&self.name, &self.version, &self.license];
        if let found @ Some(_) = names_fault(names).or_else(|| file_fault(&self.file, &self.sha256))
        {
            return found;
        }
        if self.labels.is_empty() {
            return fault("labels", "must name at least one class");
        }
        for (i, label) in self.labels.iter().enumerate() {
            if label.trim().is_empty() || label == DEFAULT || label.contains(char::is_control) {
                return fault(
                    "labels",
                    format!("holds {label:?}, which cannot be a class name"),
                );
            }
            if self.labels[..i].contains(label) {
                return fault("labels", format!("holds {label:?} twice"));
            }
        }
        if let found @ Some(_) = run_fault(self.max_batch, &self.input) {
            return found;
        }
        if let Err(e) = self.head.check() {
            return fault("head", e.to_string());
        }
        for (label, &threshold) in &self.thresholds {
            let key = format!("thresholds.{label}");
            if label != DEFAULT && !self.labels.contains(label) {
                return fault(
                    &key,
                    format!("is no label of this model; labels are {:?}", self.labels),
                );
            }
            if !(0.0..=1.0).contains(&threshold) {
                return fault(&key, format!("is {threshold}, must lie in 0..=1"));
            }
        }
        self.golden.as_ref().and_then(golden_fault)
    }

    /// The class names.
    pub fn label_map(&self) -> LabelMap {
        LabelMap::new(self.labels.iter().map(String::as_str))
    }

    /// Least score for each class, in class order, `0..=1`.
    pub fn class_thresholds(&self) -> Vec<f32> {
        let default = self.thresholds.get(DEFAULT).copied();
        let threshold = |label| self.thresholds.get(label).copied().or(default);
        self.labels
            .iter()
            .map(|label| threshold(label).unwrap_or(DEFAULT_THRESHOLD))
            .collect()
    }

    /// Detections in pixels of the original from one picture's outputs: [`postprocess::decode`]
    /// with this model's head and the thresholds given (one for each class).
    ///
    /// # Errors
    /// The outputs do not fit the manifest.
    pub fn decode(
        &self,
        outputs: &Outputs,
        letterbox: &Letterbox,
        thresholds: &[f32],
    ) -> Result<Vec<Detection>, DecodeError> {
        postprocess::decode(
            &self.head,
            self.labels.len(),
            (self.input.width, self.input.height),
            &outputs.views(),
            letterbox,
            thresholds,
        )
    }
}

/// A bare file name: nothing that leads out of the folder.
fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(
        (parts.next(), parts.next()),
        (Some(std::path::Component::Normal(n)), None) if n == name
    )
}

/// Most pictures in one run; more gain nothing and cost memory.
const MAX_BATCH: usize = 1024;

/// Longest manifest, bytes.
const MAX_MANIFEST: u64 = 1 << 20;

/// Largest input side; a guard against a slip of the pen that would ask for terabytes.
const MAX_SIDE: u32 = 8192;

/// Of name, version and licence.
pub(super) fn names_fault(texts: [&String; 3]) -> Option<Fault> {
    for (key, text) in ["name", "version", "license"].into_iter().zip(texts) {
        if text.trim().is_empty() {
            return fault(key, "must not be empty");
        }
        if text.contains(char::is_control) {
            return fault(key, format!("is {text:?}, must be one plain line"));
        }
    }
    None
}

/// Of the file's name and digest.
pub(super) fn file_fault(file: &str, sha256: &str) -> Option<Fault> {
    if !is_file_name(file) {
        return fault(
            "file",
            format!("is {file:?}, must be the name of a file in the same folder"),
        );
    }
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if sha256.len() != 64 || !sha256.chars().all(hex) {
        return fault(
            "sha256",
            "must be 64 lower-case hexadecimal digits (`sha256sum FILE`)",
        );
    }
    None
}

/// Of the pictures in a run and what they are turned into.
pub(super) fn run_fault(max_batch: usize, input: &InputSpec) -> Option<Fault> {
    if !(1..=MAX_BATCH).contains(&max_batch) {
        return fault("max_batch", format!("must lie in 1..={MAX_BATCH}"));
    }
    input_fault(input).and_then(|(key, reason)| fault(key, reason))
}

/// Of the recorded run.
pub(super) fn golden_fault(golden: &GoldenSpec) -> Option<Fault> {
    if golden.input != "ramp" && !is_file_name(&golden.input) {
        return fault(
            "golden.input",
            "must be `ramp` or the name of a file in the same folder",
        );
    }
    if !is_file_name(&golden.output) {
        return fault(
            "golden.output",
            "must be the name of a file in the same folder",
        );
    }
    if !(golden.tolerance > 0.0 && golden.tolerance.is_finite()) {
        return fault(
            "golden.tolerance",
            format!("is {}, must be above 0", golden.tolerance),
        );
    }
    None
}

fn input_fault(input: &InputSpec) -> Option<(&'static str, String)> {
    let side = |v: u32| (1..=MAX_SIDE).contains(&v);
    let finite = |v: &[f32]| v.iter().all(|v| v.is_finite());
    if input.name.is_empty() {
        Some(("input.name", "must not be empty".into()))
    } else if !side(input.width) {
        Some(("input.width", format!("must lie in 1..={MAX_SIDE}")))
    } else if !side(input.height) {
        Some(("input.height", format!("must lie in 1..={MAX_SIDE}")))
    } else if !input.scale.is_finite() || input.scale == 0.0 {
        Some(("input.scale", "must be a number other than 0".into()))
    } else if !finite(&input.mean) {
        Some(("input.mean", "must hold numbers".into()))
    } else if !finite(&input.std) || input.std.contains(&0.0) {
        Some(("input.std", "must hold numbers other than 0".into()))
    } else {
        None
    }
}
