//! `model.toml` of an embedder. Unknown keys are refused.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::{
    self, Fault, GoldenSpec, Kind, ManifestError, fault, file_fault, golden_fault, names_fault,
    run_fault,
};
use crate::preprocess::InputSpec;

/// The manifest of one embedder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderManifest {
    /// What kind of model it is: here an embedder.
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
    /// Pictures for one run at most. Above 1 the model's batch axis must be dynamic.
    #[serde(default = "manifest::one")]
    pub max_batch: usize,
    /// What the model is fed.
    pub input: InputSpec,
    /// The vector of a picture.
    pub embedding: EmbeddingOutput,
    /// The vectors of its patches.
    pub patches: PatchesOutput,
    /// A recorded run that every load repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<GoldenSpec>,
    /// Figures of merit, free form, for people.
    #[serde(default)]
    pub metrics: toml::Table,
}

/// Output `[batch, dimensions]`, each row of length 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingOutput {
    /// Name of the tensor.
    pub name: String,
    /// Values of an embedding.
    pub dimensions: usize,
    /// Photos whose parts are as alike as this on average (cosine) are one photo: encoded anew, or the next frame of a
    /// camera. Absent: only the same bytes are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_photo: Option<f32>,
}

/// Output `[batch, rows, columns, dimensions]`, each patch of length 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchesOutput {
    /// Name of the tensor.
    pub name: String,
    /// Rows of patches.
    pub rows: usize,
    /// Patches in a row.
    pub columns: usize,
    /// Values of a patch.
    pub dimensions: usize,
}

/// Most values of a vector, rows or columns; a guard against a slip of the pen.
const MAX_AXIS: usize = 4096;

impl EmbedderManifest {
    /// Reads and checks `model.toml` in `dir`.
    ///
    /// # Errors
    /// Missing, unreadable, of a detector, or refused by [`EmbedderManifest::parse`].
    pub fn read(dir: &Path) -> Result<Self, ManifestError> {
        let (text, file) = manifest::read_text(dir)?;
        Self::parse(&text, &file)
    }

    /// Checks a manifest's text; `file` is named in errors.
    ///
    /// # Errors
    /// The first key that is wrong, with the reason and what would be right.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ManifestError> {
        manifest::parse_as(text, file, Kind::Embedder, Self::fault)
    }

    /// The first value that cannot be used: its key and why.
    fn fault(&self) -> Option<Fault> {
        let axes = [
            ("embedding.dimensions", self.embedding.dimensions),
            ("patches.rows", self.patches.rows),
            ("patches.columns", self.patches.columns),
            ("patches.dimensions", self.patches.dimensions),
        ];
        let axis = |(key, value): (&str, usize)| {
            (!(1..=MAX_AXIS).contains(&value))
                .then(|| fault(key, format!("is {value}, must lie in 1..={MAX_AXIS}")))
                .flatten()
        };
        names_fault([&self.name, &self.version, &self.license])
            .or_else(|| file_fault(&self.file, &self.sha256))
            .or_else(|| run_fault(self.max_batch, &self.input))
            .or_else(|| axes.into_iter().find_map(axis))
            .or_else(|| self.golden.as_ref().and_then(golden_fault))
    }
}
