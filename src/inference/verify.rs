//! Finding models, listing them, and reporting every check of one.

use std::env;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::embedder_manifest::EmbedderManifest;
use super::manifest::{self, Kind, MANIFEST_FILE, Manifest, ManifestError};
use super::places;
use super::{Embedder, LoadOptions, Model, ModelError, Runtime};

/// Environment variable with folders of models, separated as in `PATH`.
pub const MODELS_VAR: &str = "SITEWARDEN_MODELS";

/// Name of the card in a model's folder.
pub const CARD_FILE: &str = "MODEL_CARD.md";

/// Longest card, bytes.
const MAX_CARD: u64 = 1 << 20;

/// Where models are looked for, best first: `SITEWARDEN_MODELS`; `models` in the working
/// directory, in the checkout that the program was built in, and beside the program;
/// `../share/sitewarden/models` from there.
pub fn search_path() -> Vec<PathBuf> {
    let mut path: Vec<PathBuf> = match env::var_os(MODELS_VAR) {
        Some(list) => env::split_paths(&list)
            .filter(|p| !p.as_os_str().is_empty())
            .collect(),
        None => Vec::new(),
    };
    path.push(PathBuf::from("models"));
    path.extend(places::checkout().map(|dir| dir.join("models")));
    if let Some(beside) = places::beside_program() {
        path.push(beside.join("models"));
        path.push(beside.join("../share/sitewarden/models"));
    }
    path
}

/// The folder of a model: `name` is a path to one, or a name to look for in `path`.
///
/// # Errors
/// [`ModelError::NotFound`] with the places that were looked at.
pub fn locate(name: &str, path: &[PathBuf]) -> Result<PathBuf, ModelError> {
    let given = PathBuf::from(name);
    if given.join(MANIFEST_FILE).is_file() {
        return Ok(given);
    }
    let mut parts = given.components();
    let is_name = matches!(
        (parts.next(), parts.next()),
        (Some(std::path::Component::Normal(_)), None)
    );
    let found = path
        .iter()
        .map(|place| place.join(name))
        .find(|dir| is_name && dir.join(MANIFEST_FILE).is_file());
    found.ok_or_else(|| ModelError::NotFound {
        name: name.to_owned(),
        searched: path.to_vec(),
    })
}

/// One line of `models list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSummary {
    /// Name of its folder: what `--model` takes.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Version, input size, what it gives and licence; or why the manifest is refused.
    pub manifest: Result<ManifestSummary, String>,
}

/// What a list shows of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ManifestSummary {
    /// What it does.
    pub kind: Kind,
    /// Name in the manifest.
    pub name: String,
    /// Version in the manifest.
    pub version: String,
    /// SPDX expression.
    pub license: String,
    /// Input width and height, pixels.
    pub input: (u32, u32),
    /// Class names of a detector.
    pub labels: Vec<String>,
    /// Values of an embedding; 0 for a detector.
    pub dimensions: usize,
}

/// Every model in the folders of `path`, by name. Of two with one name the first in the path is
/// listed, as [`locate`] finds it. Nothing is loaded.
pub fn list(path: &[PathBuf]) -> Vec<ModelSummary> {
    let mut found: Vec<ModelSummary> = Vec::new();
    for place in path {
        // A place that does not exist has no models.
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let dir = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if dir.join(MANIFEST_FILE).is_file() && found.iter().all(|m| m.name != name) {
                found.push(summary(name, dir));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn summary(name: String, dir: PathBuf) -> ModelSummary {
    let manifest = manifest_summary(&dir).map_err(|e| e.to_string());
    ModelSummary {
        name,
        dir,
        manifest,
    }
}

fn manifest_summary(dir: &Path) -> Result<ManifestSummary, ManifestError> {
    Ok(match kind(dir)? {
        Kind::Detector => {
            let m = Manifest::read(dir)?;
            ManifestSummary {
                kind: m.kind,
                name: m.name,
                version: m.version,
                license: m.license,
                input: (m.input.width, m.input.height),
                labels: m.labels,
                dimensions: 0,
            }
        }
        Kind::Embedder => {
            let m = EmbedderManifest::read(dir)?;
            ManifestSummary {
                kind: m.kind,
                name: m.name,
                version: m.version,
                license: m.license,
                input: (m.input.width, m.input.height),
                labels: Vec::new(),
                dimensions: m.embedding.dimensions,
            }
        }
    })
}

fn kind(dir: &Path) -> Result<Kind, ManifestError> {
    let (text, file) = manifest::read_text(dir)?;
    Kind::of(&text, &file)
}

/// A model's card: what it is for, how good it is and where it fails.
///
/// # Errors
/// The folder has none, or it is no text.
pub fn card(dir: &Path) -> Result<String, ModelError> {
    let path = dir.join(CARD_FILE);
    super::read_plain_file(&path, MAX_CARD)
        .and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
        })
        .map_err(|e| ModelError::Card {
            path,
            reason: e.to_string(),
        })
}

/// Records the golden run of a model of either kind. Gives the path written, and the manifest lines to
/// add where `[golden]` is missing.
///
/// # Errors
/// The model does not load, or the file cannot be written.
pub fn make_golden(runtime: &Runtime, dir: &Path) -> Result<(PathBuf, Option<String>), ModelError> {
    match kind(dir)? {
        Kind::Detector => Model::make_golden(runtime, dir),
        Kind::Embedder => Embedder::make_golden(runtime, dir),
    }
}

/// The checks of a model, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// `model.toml` is there and makes sense.
    Manifest,
    /// The ONNX file is the one that the manifest means.
    Digest,
    /// ONNX Runtime takes the graph, on the execution provider asked for.
    Graph,
    /// The graph asks for what the manifest feeds.
    Inputs,
    /// One run gives outputs that the head can read, or unit vectors of the size declared.
    Outputs,
    /// The recorded run is repeated.
    Golden,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// Passed, with what was seen.
    Passed(String),
    /// Failed, with the reason and what to do.
    Failed(String),
    /// Not done, with the reason.
    Skipped(String),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Which.
    pub step: Step,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The checks of one model, in the order in which they were made. Checks after a failed one
/// were not made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    /// The model's folder.
    pub dir: PathBuf,
    /// Every check made.
    pub checks: Vec<Check>,
}

impl VerifyReport {
    /// Whether no check failed.
    pub fn ok(&self) -> bool {
        !self
            .checks
            .iter()
            .any(|c| matches!(c.outcome, Outcome::Failed(_)))
    }
}

/// Loads a model as [`Model::load`] or [`Embedder::load`] does and reports each check.
pub fn verify(runtime: &Runtime, dir: &Path, options: LoadOptions) -> VerifyReport {
    let mut checks = Checks::default();
    // a manifest that cannot be read fails as a detector's
    let loaded = match kind(dir).unwrap_or_default() {
        Kind::Detector => Model::load_with(runtime, dir, options, true, &mut checks).map(drop),
        Kind::Embedder => Embedder::load_with(runtime, dir, options, true, &mut checks).map(drop),
    };
    if let Err(e) = loaded {
        checks.end(Outcome::Failed(e.to_string()));
    }
    VerifyReport {
        dir: dir.to_owned(),
        checks: checks.done,
    }
}

/// Collects checks while a model loads.
#[derive(Debug, Default)]
pub(super) struct Checks {
    current: Option<Step>,
    done: Vec<Check>,
}

impl Checks {
    pub(super) fn start(&mut self, step: Step) {
        self.current = Some(step);
    }

    pub(super) fn passed(&mut self, detail: impl Into<String>) {
        self.end(Outcome::Passed(detail.into()));
    }

    pub(super) fn skipped(&mut self, detail: impl Into<String>) {
        self.end(Outcome::Skipped(detail.into()));
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(step) = self.current.take() {
            self.done.push(Check { step, outcome });
        }
    }
}
