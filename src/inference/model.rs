//! A model that has been checked: loading, running, recording its golden run.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use ndarray::ArrayView4;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::golden;
use super::manifest::{GoldenSpec, Manifest, SizeInput};
use super::session::{self, PictureInput, Pool, SizeValues};
use super::verify::{Checks, Step};
use super::{Detect, InferError, LoadOptions, ModelError, Outputs, Runtime};
use crate::geometry::Letterbox;
use crate::preprocess::{InputSpec, Layout};

/// A model that passed every check, with its sessions.
pub struct Model {
    manifest: Manifest,
    dir: PathBuf,
    pub(super) pool: Pool,
    picture_element: TensorElementType,
    size_element: Option<TensorElementType>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.manifest.name)
            .field("dir", &self.dir)
            .field("sessions", &self.pool.size())
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Loads the model in a folder: reads the manifest, checks the digest of the ONNX file, its
    /// inputs and outputs, runs it once and, where the manifest declares a golden run, compares.
    ///
    /// # Errors
    /// The first check that fails. A model is refused rather than trusted.
    pub fn load(runtime: &Runtime, dir: &Path, options: LoadOptions) -> Result<Self, ModelError> {
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
        let manifest = Manifest::read(dir)?;
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
        let (picture_element, size_element) = check_inputs(
            &manifest.input,
            manifest.size_input.as_ref(),
            &path,
            &sessions[0],
        )?;
        check_batch(manifest.max_batch, &path, &sessions[0])?;
        let pool = Pool::new(sessions);
        let model = Self {
            manifest,
            dir: dir.to_owned(),
            pool,
            picture_element,
            size_element,
        };
        checks.passed(format!(
            "`{}`, {}x{}",
            model.manifest.input.name, model.manifest.input.width, model.manifest.input.height
        ));

        checks.start(Step::Outputs);
        let outputs = model.probe()?;
        checks.passed(outputs.describe());

        checks.start(Step::Golden);
        match &model.manifest.golden {
            Some(spec) if check_golden => {
                let compared = model.compare(spec, &outputs)?;
                checks.passed(format!("{compared} values within {}", spec.tolerance));
            }
            Some(_) => checks.skipped("not compared while recording"),
            None => {
                checks.skipped("no golden run declared: `sitewarden models golden` records one")
            }
        }
        Ok(model)
    }

    /// The folder that it came from.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// One run with the golden input (or the ramp), decoded to see that the outputs fit the
    /// manifest.
    fn probe(&self) -> Result<Outputs, ModelError> {
        let golden = |error| ModelError::Golden {
            dir: self.dir.clone(),
            error,
        };
        let data = golden::input(
            &self.dir,
            self.manifest.golden.as_ref(),
            &self.manifest.input,
        )
        .map_err(golden)?;
        let shape = input_shape(&self.manifest.input, 1);
        let outputs = self.run(&shape, &data).map_err(|error| ModelError::Probe {
            dir: self.dir.clone(),
            error,
        })?;
        let (w, h) = (self.manifest.input.width, self.manifest.input.height);
        let letterbox = Letterbox {
            scale_x: 1.0,
            scale_y: 1.0,
            pad_x: 0.0,
            pad_y: 0.0,
            origin_x: 0.0,
            origin_y: 0.0,
            width: w as f32,
            height: h as f32,
        };
        self.manifest
            .decode(&outputs, &letterbox, &self.manifest.class_thresholds())
            .map_err(|error| ModelError::Outputs {
                dir: self.dir.clone(),
                error,
            })?;
        Ok(outputs)
    }

    fn compare(&self, spec: &GoldenSpec, outputs: &Outputs) -> Result<usize, ModelError> {
        golden::read(&self.dir, spec)
            .and_then(|record| golden::compare(&record, outputs, spec.tolerance))
            .map_err(|error| ModelError::Golden {
                dir: self.dir.clone(),
                error,
            })
    }

    /// Records the golden run of the model in a folder, on this machine, and writes its file.
    /// Gives the path written, and the manifest lines to add where `[golden]` is missing.
    ///
    /// # Errors
    /// The model does not load, or the file cannot be written.
    pub fn make_golden(
        runtime: &Runtime,
        dir: &Path,
    ) -> Result<(PathBuf, Option<String>), ModelError> {
        let mut checks = Checks::default();
        let options = LoadOptions::default();
        let model = Self::load_with(runtime, dir, options, false, &mut checks)?;
        let outputs = model.probe()?;
        golden::write(dir, model.manifest.golden.as_ref(), &outputs)
    }

    fn run(&self, shape: &[usize; 4], data: &[f32]) -> Result<Outputs, InferError> {
        let picture = PictureInput {
            name: &self.manifest.input.name,
            element: self.picture_element,
        };
        let size = match (&self.manifest.size_input, self.size_element) {
            (Some(spec), Some(element)) => Some(SizeValues {
                name: &spec.name,
                element,
                order: spec.order,
                width: self.manifest.input.width,
                height: self.manifest.input.height,
            }),
            _ => None,
        };
        self.pool
            .with(|session| session::run(session, &picture, size.as_ref(), shape, data))
    }
}

impl Detect for Model {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn detect(&self, input: ArrayView4<'_, f32>) -> Result<Vec<Outputs>, InferError> {
        let pictures = input.shape()[0];
        let expected = input_shape(&self.manifest.input, pictures);
        if input.shape() != expected {
            return Err(InferError::InputShape {
                shape: input.shape().to_vec(),
                expected: expected.to_vec(),
            });
        }
        let input = input.as_standard_layout();
        let data = input.as_slice().unwrap_or_default();
        let one: usize = expected[1..].iter().product();

        let mut all = Vec::with_capacity(pictures);
        for chunk in data.chunks(one * self.manifest.max_batch) {
            let batch = chunk.len() / one;
            let outputs = self.run(&input_shape(&self.manifest.input, batch), chunk)?;
            all.extend(outputs.split(batch)?);
        }
        Ok(all)
    }

    fn parallelism(&self) -> NonZero<usize> {
        NonZero::new(self.pool.size()).unwrap_or(NonZero::<usize>::MIN)
    }
}

/// All sessions, in parallel: one takes as long to optimise its graph as a run or two.
pub(super) fn build_all(
    runtime: &Runtime,
    path: &Path,
    onnx: &[u8],
    options: LoadOptions,
) -> Result<Vec<Session>, ModelError> {
    let LoadOptions { threads, provider } = options;
    (0..threads.sessions.max(1))
        .into_par_iter()
        .map(|_| session::build(runtime, onnx, threads, provider))
        .collect::<ort::Result<_>>()
        .map_err(|e| ModelError::Refused {
            path: path.to_owned(),
            provider,
            reason: e.to_string(),
        })
}

/// Shape of the picture input for `batch` pictures.
pub(super) fn input_shape(input: &InputSpec, batch: usize) -> [usize; 4] {
    let (w, h) = (input.width as usize, input.height as usize);
    match input.layout {
        Layout::Nchw => [batch, 3, h, w],
        Layout::Nhwc => [batch, h, w, 3],
    }
}

/// Longest ONNX file, bytes; its format ends at 2 GiB.
const MAX_WEIGHTS: u64 = 2 << 30;

/// Reads the ONNX file and holds its digest against the manifest. The bytes that were checked
/// are the bytes that run.
pub(super) fn read_weights(path: &Path, declared: &str) -> Result<Vec<u8>, ModelError> {
    let bytes = super::read_plain_file(path, MAX_WEIGHTS).map_err(|e| ModelError::Weights {
        path: path.to_owned(),
        reason: e.to_string(),
    })?;
    let actual: String = Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    if actual != declared {
        return Err(ModelError::Digest {
            path: path.to_owned(),
            declared: declared.to_owned(),
            actual,
        });
    }
    Ok(bytes)
}

/// The graph must ask for what the manifest declares, and for nothing else.
pub(super) fn check_inputs(
    spec: &InputSpec,
    size_input: Option<&SizeInput>,
    path: &Path,
    session: &Session,
) -> Result<(TensorElementType, Option<TensorElementType>), ModelError> {
    let inputs = session.inputs();
    let refuse = |reason: String| ModelError::Inputs {
        path: path.to_owned(),
        reason,
    };
    let find = |key: &str, name: &str| {
        inputs.iter().find(|i| i.name() == name).ok_or_else(|| {
            refuse(format!(
                "has no input `{name}` ({key}); it has {}",
                list(inputs)
            ))
        })
    };
    let tensor = |outlet: &Outlet| match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Ok((*ty, shape.to_vec())),
        other => Err(refuse(format!(
            "input `{}` is {other}, no tensor",
            outlet.name()
        ))),
    };

    let (element, shape) = tensor(find("input.name", &spec.name)?)?;
    let (w, h) = (i64::from(spec.width), i64::from(spec.height));
    let expected = match spec.layout {
        Layout::Nchw => [1, 3, h, w],
        Layout::Nhwc => [1, h, w, 3],
    };
    let fits = shape.len() == 4 && shape.iter().zip(expected).all(|(&s, e)| s == -1 || s == e);
    if !fits {
        return Err(refuse(format!(
            "input `{}` has shape {shape:?} (-1 is free), the manifest says {expected:?}; \
             correct input.layout, input.width or input.height",
            spec.name
        )));
    }
    use TensorElementType::{Float16, Float32, Int32, Int64, Uint8};
    if !matches!(element, Float32 | Float16 | Uint8) {
        return Err(refuse(format!(
            "input `{}` takes {element}; float32, float16 and uint8 are served",
            spec.name
        )));
    }

    let size = match size_input {
        None => None,
        Some(spec) => {
            let (element, shape) = tensor(find("size_input.name", &spec.name)?)?;
            let fits = matches!(shape[..], [batch, 2 | -1] if batch == -1 || batch == 1);
            if !fits || !matches!(element, Int64 | Int32 | Float32) {
                return Err(refuse(format!(
                    "input `{}` is {element} {shape:?}, a size input is batch x 2",
                    spec.name
                )));
            }
            Some(element)
        }
    };
    let declared = 1 + usize::from(size.is_some());
    if inputs.len() != declared {
        return Err(refuse(format!(
            "asks for {}, the manifest feeds {declared}; a DETR export wants [size_input]",
            list(inputs)
        )));
    }
    Ok((element, size))
}

/// More than one picture in a run needs a free first axis on every side.
pub(super) fn check_batch(
    max_batch: usize,
    path: &Path,
    session: &Session,
) -> Result<(), ModelError> {
    if max_batch == 1 {
        return Ok(());
    }
    let fixed = session.inputs().iter().chain(session.outputs()).find(
        |o| !matches!(o.dtype(), ValueType::Tensor { shape, .. } if shape.first() == Some(&-1)),
    );
    match fixed {
        None => Ok(()),
        Some(outlet) => Err(ModelError::Inputs {
            path: path.to_owned(),
            reason: format!(
                "has a fixed batch axis at `{}`, so `max_batch` must be 1",
                outlet.name()
            ),
        }),
    }
}

fn list(outlets: &[Outlet]) -> String {
    let names: Vec<String> = outlets
        .iter()
        .map(|o| format!("`{}` {}", o.name(), o.dtype()))
        .collect();
    names.join(", ")
}
