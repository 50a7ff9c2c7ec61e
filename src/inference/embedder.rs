//! An embedder that has been checked: pictures to unit vectors, and patches of pictures.

use std::path::{Path, PathBuf};

use image::RgbImage;
use image::metadata::Orientation;
use ort::value::TensorElementType;

use super::embedder_manifest::EmbedderManifest;
use super::golden;
use super::model::{build_all, check_batch, check_inputs, input_shape, read_weights};
use super::session::{self, PictureInput, Pool};
use super::verify::{Checks, Step};
use super::{InferError, LoadOptions, ModelError, Outputs, OwnedOutput, Runtime, Threads};
use crate::embedding::{Embedding, EmbeddingError, PatchGrid, PatchGridError};
use crate::preprocess::{self, PrepareError, StoredPicture};

/// Something that turns pictures into vectors. [`Embedder`] does; tests of the bank bring their own.
pub trait Embed: Send + Sync {
    /// What made the vectors: name, version and the first eight digits of the weights' SHA-256. Vectors of
    /// different versions mean nothing to each other.
    fn version(&self) -> &str;

    /// Values of an embedding.
    fn dimensions(&self) -> usize;

    /// Photos whose parts are as alike as this on average are one photo said again, if that is known.
    fn one_photo(&self) -> Option<f32> {
        None
    }

    /// The embedding of each picture, upright and cut as it shall be compared.
    ///
    /// # Errors
    /// A picture without pixels, or a failed run.
    fn embed(&self, pictures: &[RgbImage]) -> Result<Vec<Embedding>, EmbedError>;

    /// The patches of a picture, for [`crate::reference::patches`].
    ///
    /// # Errors
    /// A picture without pixels, or a failed run.
    fn patches(&self, picture: &RgbImage) -> Result<PatchGrid, EmbedError>;
}

/// Why a picture has no embedding.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// It cannot be brought to the input's size.
    #[error("picture {index}: {error}")]
    Prepare {
        /// Which of those given.
        index: usize,
        /// Why.
        error: PrepareError,
    },
    /// The run failed.
    #[error(transparent)]
    Run(#[from] InferError),
    /// The model gave something that is no unit vector.
    #[error("the embedder gave no embedding: {0}; `sitewarden models verify` checks it")]
    Vector(#[from] EmbeddingError),
    /// The model gave something that is no grid of patches.
    #[error("the embedder gave no grid of patches: {0}; `sitewarden models verify` checks it")]
    Grid(#[from] PatchGridError),
}

/// An embedder that passed every check, with its sessions.
pub struct Embedder {
    manifest: EmbedderManifest,
    dir: PathBuf,
    version: String,
    pool: Pool,
    element: TensorElementType,
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder")
            .field("version", &self.version)
            .field("dir", &self.dir)
            .field("sessions", &self.pool.size())
            .finish_non_exhaustive()
    }
}

impl Embedder {
    /// Loads the embedder in a folder: reads the manifest, checks the digest of the ONNX file, its inputs
    /// and outputs, runs it once and, where the manifest declares a golden run, compares.
    ///
    /// # Errors
    /// The first check that fails. An embedder is refused rather than trusted.
    pub fn load(runtime: &Runtime, dir: &Path, threads: Threads) -> Result<Self, ModelError> {
        let options = LoadOptions {
            threads,
            ..LoadOptions::default()
        };
        Self::load_with(runtime, dir, options, true, &mut Checks::default())
    }

    pub(super) fn load_with(
        runtime: &Runtime,
        dir: &Path,
        options: LoadOptions,
        check_golden: bool,
        checks: &mut Checks,
    ) -> Result<Self, ModelError> {
        checks.start(Step::Manifest);
        let manifest = EmbedderManifest::read(dir)?;
        checks.passed(format!("{} {}", manifest.name, manifest.version));

        checks.start(Step::Digest);
        let path = dir.join(&manifest.file);
        let onnx = read_weights(&path, &manifest.sha256)?;
        checks.passed(format!("{} bytes, sha256 as declared", onnx.len()));

        checks.start(Step::Graph);
        let sessions = build_all(runtime, &path, &onnx, options)?;
        checks.passed(format!(
            "{} session(s) on {}",
            sessions.len(),
            options.provider
        ));

        checks.start(Step::Inputs);
        let (element, _) = check_inputs(&manifest.input, None, &path, &sessions[0])?;
        check_batch(manifest.max_batch, &path, &sessions[0])?;
        checks.passed(format!(
            "`{}`, {}x{}",
            manifest.input.name, manifest.input.width, manifest.input.height
        ));

        let version = format!(
            "{} {} {}",
            manifest.name,
            manifest.version,
            &manifest.sha256[..8]
        );
        let embedder = Self {
            manifest,
            dir: dir.to_owned(),
            version,
            pool: Pool::new(sessions),
            element,
        };
        checks.start(Step::Outputs);
        let outputs = embedder.probe()?;
        checks.passed(outputs.describe());

        checks.start(Step::Golden);
        match &embedder.manifest.golden {
            Some(spec) if check_golden => {
                let compared = golden::read(dir, spec)
                    .and_then(|record| golden::compare(&record, &outputs, spec.tolerance))
                    .map_err(|error| embedder.golden_error(error))?;
                checks.passed(format!("{compared} values within {}", spec.tolerance));
            }
            Some(_) => checks.skipped("not compared while recording"),
            None => {
                checks.skipped("no golden run declared: `sitewarden models golden` records one")
            }
        }
        Ok(embedder)
    }

    /// What it is and what it is fed.
    pub fn manifest(&self) -> &EmbedderManifest {
        &self.manifest
    }

    /// The folder that it came from.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Records the golden run, as [`super::Model::make_golden`] does for a detector.
    ///
    /// # Errors
    /// The embedder does not load, or the file cannot be written.
    pub fn make_golden(
        runtime: &Runtime,
        dir: &Path,
    ) -> Result<(PathBuf, Option<String>), ModelError> {
        let options = LoadOptions::default();
        let embedder = Self::load_with(runtime, dir, options, false, &mut Checks::default())?;
        let outputs = embedder.probe()?;
        golden::write(dir, embedder.manifest.golden.as_ref(), &outputs)
    }

    /// One run with the golden input (or the ramp), read to see that the outputs fit the manifest.
    fn probe(&self) -> Result<Outputs, ModelError> {
        let (spec, input) = (self.manifest.golden.as_ref(), &self.manifest.input);
        let data = golden::input(&self.dir, spec, input).map_err(|e| self.golden_error(e))?;
        let outputs = self.run(1, &data).map_err(|error| ModelError::Probe {
            dir: self.dir.clone(),
            error,
        })?;
        let read = self
            .embeddings(&outputs, 1)
            .and_then(|_| self.grid(&outputs));
        read.map_err(|error| ModelError::Embeddings {
            dir: self.dir.clone(),
            reason: error.to_string(),
        })?;
        Ok(outputs)
    }

    fn golden_error(&self, error: super::GoldenError) -> ModelError {
        ModelError::Golden {
            dir: self.dir.clone(),
            error,
        }
    }

    fn run(&self, batch: usize, data: &[f32]) -> Result<Outputs, InferError> {
        let picture = PictureInput {
            name: &self.manifest.input.name,
            element: self.element,
        };
        let shape = input_shape(&self.manifest.input, batch);
        self.pool
            .with(|session| session::run(session, &picture, None, &shape, data))
    }

    /// Brings pictures to the network's size, one after the other.
    fn prepare(&self, pictures: &[RgbImage], first: usize) -> Result<Vec<f32>, EmbedError> {
        let input = &self.manifest.input;
        let mut data = vec![0.0; pictures.len() * input.tensor_len()];
        for (i, tensor) in data.chunks_exact_mut(input.tensor_len()).enumerate() {
            let stored = StoredPicture {
                pixels: &pictures[i],
                orientation: Orientation::NoTransforms,
                upright_size: pictures[i].dimensions(),
            };
            preprocess::prepare(stored, None, input, tensor).map_err(|error| {
                EmbedError::Prepare {
                    index: first + i,
                    error,
                }
            })?;
        }
        Ok(data)
    }

    fn embeddings(&self, outputs: &Outputs, batch: usize) -> Result<Vec<Embedding>, EmbedError> {
        let spec = &self.manifest.embedding;
        let tensor = output(outputs, &spec.name, &[batch, spec.dimensions])?;
        let rows = tensor.data.chunks_exact(spec.dimensions);
        Ok(rows
            .map(|row| Embedding::new(row.to_vec()))
            .collect::<Result<_, _>>()?)
    }

    fn grid(&self, outputs: &Outputs) -> Result<PatchGrid, EmbedError> {
        let spec = &self.manifest.patches;
        let shape = [1, spec.rows, spec.columns, spec.dimensions];
        let tensor = output(outputs, &spec.name, &shape)?;
        let patches = tensor.data.chunks_exact(spec.dimensions);
        let patches = patches
            .map(|patch| Embedding::new(patch.to_vec()))
            .collect::<Result<_, _>>()?;
        Ok(PatchGrid::new(spec.columns, spec.rows, patches)?)
    }
}

impl Embed for Embedder {
    fn version(&self) -> &str {
        &self.version
    }

    fn dimensions(&self) -> usize {
        self.manifest.embedding.dimensions
    }

    fn one_photo(&self) -> Option<f32> {
        self.manifest.embedding.one_photo
    }

    fn embed(&self, pictures: &[RgbImage]) -> Result<Vec<Embedding>, EmbedError> {
        let mut all = Vec::with_capacity(pictures.len());
        for chunk in pictures.chunks(self.manifest.max_batch) {
            let data = self.prepare(chunk, all.len())?;
            let outputs = self.run(chunk.len(), &data)?;
            all.extend(self.embeddings(&outputs, chunk.len())?);
        }
        Ok(all)
    }

    fn patches(&self, picture: &RgbImage) -> Result<PatchGrid, EmbedError> {
        let data = self.prepare(std::slice::from_ref(picture), 0)?;
        self.grid(&self.run(1, &data)?)
    }
}

/// The output of that name, which must have that shape.
fn output<'o>(
    outputs: &'o Outputs,
    name: &str,
    shape: &[usize],
) -> Result<&'o OwnedOutput, InferError> {
    let found = outputs.tensors.iter().find(|t| t.name == name);
    match found {
        Some(tensor) if tensor.shape == shape => Ok(tensor),
        Some(tensor) => Err(InferError::Run(format!(
            "output `{name}` has shape {:?}, the manifest says {shape:?}",
            tensor.shape
        ))),
        None => Err(InferError::Run(format!(
            "no output `{name}`; there are {}",
            outputs.describe()
        ))),
    }
}
