//! Running detectors and embedders. The only place that names `ort`.
//!
//! A model is a folder with a manifest ([`Manifest`]) and an ONNX file. [`Model::load`] refuses
//! it unless everything the manifest says is so.

mod embedder;
mod embedder_manifest;
mod golden;
mod manifest;
mod model;
mod places;
mod runtime;
mod session;
mod verify;

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ndarray::ArrayView4;

pub use embedder::{Embed, EmbedError, Embedder};
pub use embedder_manifest::{EmbedderManifest, EmbeddingOutput, PatchesOutput};
pub use golden::{Golden, GoldenError, GoldenOutput, ramp};
pub use manifest::{
    GoldenSpec, Kind, MANIFEST_FILE, Manifest, ManifestError, SizeInput, SizeOrder,
};
pub use model::Model;
pub use runtime::{LIBRARY_VAR, Runtime, RuntimeError};
pub use verify::{
    CARD_FILE, Check, MODELS_VAR, ManifestSummary, ModelSummary, Outcome, Step, VerifyReport, card,
    list, locate, make_golden, search_path, verify,
};

use crate::postprocess::{DecodeError, OutputTensor};

/// Something that looks at prepared pictures. [`Model`] does; tests of the pipeline bring their
/// own.
pub trait Detect: Send + Sync {
    /// What it is, what it is fed and how its outputs are read.
    fn manifest(&self) -> &Manifest;

    /// Raw outputs for each picture of a batch.
    ///
    /// `input` is `[n, 3, height, width]` (or `[n, height, width, 3]`, as the manifest's layout
    /// says), in the value range that the manifest asks for. Any `n`: larger batches than
    /// `max_batch` are run in parts. Blocks while all sessions are busy.
    ///
    /// # Errors
    /// A wrong shape, or a failed run.
    fn detect(&self, input: ArrayView4<'_, f32>) -> Result<Vec<Outputs>, InferError>;

    /// How many calls of [`Detect::detect`] may usefully run at once.
    fn parallelism(&self) -> NonZero<usize> {
        NonZero::<usize>::MIN
    }
}

/// All outputs of one picture, in the model's order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs {
    /// The tensors.
    pub tensors: Vec<OwnedOutput>,
}

/// One output tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedOutput {
    /// Name in the graph.
    pub name: String,
    /// Shape, batch axis included.
    pub shape: Vec<usize>,
    /// Row-major values as `f32`.
    pub data: Vec<f32>,
}

impl Outputs {
    /// What [`crate::postprocess::decode`] takes.
    pub fn views(&self) -> Vec<OutputTensor<'_>> {
        self.tensors
            .iter()
            .map(|t| OutputTensor {
                name: &t.name,
                shape: &t.shape,
                data: &t.data,
            })
            .collect()
    }

    /// Cuts a batch into its pictures, each with a batch axis of 1.
    fn split(self, batch: usize) -> Result<Vec<Self>, InferError> {
        if batch == 1 {
            return Ok(vec![self]);
        }
        let mut pictures = vec![Self::default(); batch];
        for t in self.tensors {
            if t.shape.first() != Some(&batch) {
                return Err(InferError::Run(format!(
                    "output `{}` has shape {:?} for {batch} pictures; set `max_batch = 1`",
                    t.name, t.shape
                )));
            }
            let mut shape = t.shape;
            shape[0] = 1;
            let one: usize = shape.iter().product();
            for (i, picture) in pictures.iter_mut().enumerate() {
                picture.tensors.push(OwnedOutput {
                    name: t.name.clone(),
                    shape: shape.clone(),
                    data: t.data[i * one..(i + 1) * one].to_vec(),
                });
            }
        }
        Ok(pictures)
    }

    fn describe(&self) -> String {
        let all: Vec<String> = self
            .tensors
            .iter()
            .map(|t| format!("`{}` {:?}", t.name, t.shape))
            .collect();
        all.join(", ")
    }
}

/// How the cores are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// Runs at once.
    pub sessions: usize,
    /// Threads within a run.
    pub per_session: usize,
}

impl Threads {
    /// One picture as fast as can be: one session on all cores.
    pub fn latency(cores: NonZero<usize>) -> Self {
        Self {
            sessions: 1,
            per_session: cores.get(),
        }
    }

    /// Many pictures: a session on each core (1.25 to 1.35 times the pictures per second of one
    /// session on all of them). Each holds its own copy of the weights.
    pub fn throughput(cores: NonZero<usize>) -> Self {
        Self {
            sessions: cores.get(),
            per_session: 1,
        }
    }
}

/// How a model is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// How the cores are shared out.
    pub threads: Threads,
    /// What computes.
    pub provider: Provider,
}

impl Default for LoadOptions {
    /// One session with one thread on the CPU.
    fn default() -> Self {
        Self {
            threads: Threads {
                sessions: 1,
                per_session: 1,
            },
            provider: Provider::Cpu,
        }
    }
}

/// What computes: an execution provider of ONNX Runtime. The loaded library must hold it; there
/// is no silent fallback to the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// The processor; in every build of ONNX Runtime.
    #[default]
    Cpu,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    TensorRt,
    /// Intel OpenVINO.
    OpenVino,
}

impl Provider {
    const ALL: [(&'static str, Self); 4] = [
        ("cpu", Self::Cpu),
        ("cuda", Self::Cuda),
        ("tensorrt", Self::TensorRt),
        ("openvino", Self::OpenVino),
    ];

    fn dispatch(self) -> Option<ort::ep::ExecutionProviderDispatch> {
        match self {
            Self::Cpu => None,
            Self::Cuda => Some(ort::ep::CUDA::default().build()),
            Self::TensorRt => Some(ort::ep::TensorRT::default().build()),
            Self::OpenVino => Some(ort::ep::OpenVINO::default().build()),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, p)| p == self).map(|(n, _)| *n);
        f.write_str(name.unwrap_or("cpu"))
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(|(n, _)| n).join(", ");
        Self::ALL
            .iter()
            .find(|(n, _)| *n == s)
            .map(|(_, p)| *p)
            .ok_or_else(|| format!("no execution provider {s:?}; there are {}", names()))
    }
}

/// Why a model was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// No folder of that name.
    #[error(
        "no model {name:?}: looked in {}; give the path of a model's folder, or set {MODELS_VAR}",
        places(searched)
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The ONNX file cannot be read.
    #[error("cannot read the weights {}: {reason}; `file` in {MANIFEST_FILE} names them", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Another file than the manifest means.
    #[error(
        "{} has sha256 {actual}, the manifest says {declared}: fetch the file again, or correct \
         `sha256` if this is the file you mean",
        path.display()
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// In the manifest.
        declared: String,
        /// Of the file.
        actual: String,
    },
    /// ONNX Runtime does not take the file, or not on that provider.
    #[error(
        "ONNX Runtime refuses {} on {provider}: {reason}; fetch or export the model again, or \
         give a library that supports it",
        path.display()
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// Provider asked for.
        provider: Provider,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The graph's inputs are not what the manifest feeds.
    #[error("{} {reason}", path.display())]
    Inputs {
        /// The ONNX file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The first run failed.
    #[error("the model in {} does not run: {error}", dir.display())]
    Probe {
        /// The model's folder.
        dir: PathBuf,
        /// Why.
        error: InferError,
    },
    /// The graph's outputs are not what the manifest describes.
    #[error("the model in {} does not fit its manifest: {error}", dir.display())]
    Outputs {
        /// The model's folder.
        dir: PathBuf,
        /// Why.
        error: DecodeError,
    },
    /// An embedder's outputs are not what its manifest describes.
    #[error("the model in {} does not fit its manifest: {reason}", dir.display())]
    Embeddings {
        /// The model's folder.
        dir: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The golden run differs.
    #[error("the golden run of {} fails: {error}", dir.display())]
    Golden {
        /// The model's folder.
        dir: PathBuf,
        /// Why.
        error: GoldenError,
    },
    /// No card.
    #[error("cannot read {}: {reason}; a model's card is kept beside its manifest", path.display())]
    Card {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The record of a golden run cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// Reads a file of a model's folder: a link to a device or a pipe there would never end.
fn read_plain_file(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not an ordinary file"));
    }
    if metadata.len() > most {
        return Err(std::io::Error::other(format!("longer than {most} bytes")));
    }
    std::fs::read(path)
}

fn places(searched: &[PathBuf]) -> String {
    let all: Vec<String> = searched.iter().map(|p| p.display().to_string()).collect();
    all.join(", ")
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InferError {
    /// The input has another shape than the manifest asks for.
    #[error("input has shape {shape:?}, the model takes {expected:?}")]
    InputShape {
        /// Given.
        shape: Vec<usize>,
        /// Asked for.
        expected: Vec<usize>,
    },
    /// ONNX Runtime failed.
    #[error("inference failed: {0}")]
    Run(String),
}
