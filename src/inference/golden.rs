//! The recorded run: a fixed input, and what the model gave for it where it was released.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::GoldenSpec;
use super::{ModelError, Outputs};
use crate::preprocess::{InputSpec, Layout};

/// Values recorded of each output at most: enough to catch a swap of channels, colours or
/// weights, small enough to read.
const SAMPLES: usize = 256;

/// Longest file of a record, bytes: the largest input that a manifest allows.
const MAX_FILE: u64 = 1 << 30;

/// `golden.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// What was fed: as `golden.input` in the manifest.
    pub input: String,
    /// Recorded outputs, in the model's order.
    pub outputs: Vec<GoldenOutput>,
}

/// Some values of one output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenOutput {
    /// Name of the tensor.
    pub name: String,
    /// Shape, batch axis included.
    pub shape: Vec<usize>,
    /// Flat row-major indices.
    pub indices: Vec<usize>,
    /// Values there.
    pub values: Vec<f32>,
}

/// Why the run differs from the record.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GoldenError {
    /// A file of the record cannot be used.
    #[error("{file}: {reason}; record it again with `sitewarden models golden`")]
    File {
        /// File name in the model's folder.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Outputs of other names or shapes.
    #[error("the model gives {actual}, the recorded run has {recorded}")]
    Outputs {
        /// Names and shapes now.
        actual: String,
        /// Names and shapes then.
        recorded: String,
    },
    /// A value beyond the tolerance.
    #[error(
        "output `{output}` at {index} is {actual}, recorded was {recorded} (tolerance {tolerance}): \
         this machine or this library does not compute what the model's author measured"
    )]
    Value {
        /// Name of the tensor.
        output: String,
        /// Flat index.
        index: usize,
        /// Value now.
        actual: f32,
        /// Value then.
        recorded: f32,
        /// As the manifest says.
        tolerance: f32,
    },
}

/// The input `ramp` for one picture: pixel `(7 c + 13 y + 29 x) mod 256`, brought to the
/// network's range as the manifest says, `(pixel * scale - mean[c]) / std[c]`. Row-major in the
/// manifest's layout. `c` counts in the order that the network takes.
pub fn ramp(input: &InputSpec) -> Vec<f32> {
    let (w, h) = (input.width as usize, input.height as usize);
    let value = |c: usize, y: usize, x: usize| {
        let pixel = ((7 * c + 13 * y + 29 * x) % 256) as f32;
        (pixel * input.scale - input.mean[c]) / input.std[c]
    };
    let mut data = Vec::with_capacity(3 * w * h);
    match input.layout {
        Layout::Nchw => {
            for c in 0..3 {
                for y in 0..h {
                    data.extend((0..w).map(|x| value(c, y, x)));
                }
            }
        }
        Layout::Nhwc => {
            for y in 0..h {
                for x in 0..w {
                    data.extend((0..3).map(|c| value(c, y, x)));
                }
            }
        }
    }
    data
}

/// The input of the recorded run; `ramp` where the manifest declares none.
pub(super) fn input(
    dir: &Path,
    golden: Option<&GoldenSpec>,
    input: &InputSpec,
) -> Result<Vec<f32>, GoldenError> {
    let file = match golden {
        Some(spec) if spec.input != "ramp" => &spec.input,
        _ => return Ok(ramp(input)),
    };
    let fault = |reason: String| GoldenError::File {
        file: file.clone(),
        reason,
    };
    let bytes =
        super::read_plain_file(&dir.join(file), MAX_FILE).map_err(|e| fault(e.to_string()))?;
    let expected = input.tensor_len();
    if bytes.len() != 4 * expected {
        return Err(fault(format!(
            "has {} bytes, one picture as little-endian f32 has {}",
            bytes.len(),
            4 * expected
        )));
    }
    let (values, _) = bytes.as_chunks::<4>();
    Ok(values.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

/// Reads a record.
pub(super) fn read(dir: &Path, spec: &GoldenSpec) -> Result<Golden, GoldenError> {
    let fault = |reason: String| GoldenError::File {
        file: spec.output.clone(),
        reason,
    };
    let text = super::read_plain_file(&dir.join(&spec.output), MAX_FILE)
        .map_err(|e| fault(e.to_string()))?;
    let golden: Golden = serde_json::from_slice(&text).map_err(|e| fault(e.to_string()))?;
    if golden.input != spec.input {
        return Err(fault(format!(
            "was recorded with the input {:?}, the manifest says {:?}",
            golden.input, spec.input
        )));
    }
    let empty = golden.outputs.iter().all(|o| o.values.is_empty());
    if empty
        || golden
            .outputs
            .iter()
            .any(|o| o.indices.len() != o.values.len())
    {
        return Err(fault(
            "must hold as many `values` as `indices`, and some".into(),
        ));
    }
    Ok(golden)
}

/// Makes a record: evenly spread values of each output, and its largest one.
fn record(input: &str, outputs: &Outputs) -> Golden {
    let outputs = outputs.tensors.iter().map(|t| {
        let step = t.data.len().div_ceil(SAMPLES).max(1);
        let largest = (0..t.data.len()).max_by(|&a, &b| t.data[a].total_cmp(&t.data[b]));
        let mut indices: Vec<usize> = (0..t.data.len()).step_by(step).chain(largest).collect();
        indices.sort_unstable();
        indices.dedup();
        GoldenOutput {
            name: t.name.clone(),
            shape: t.shape.clone(),
            values: indices.iter().map(|&i| t.data[i]).collect(),
            indices,
        }
    });
    Golden {
        input: input.to_owned(),
        outputs: outputs.collect(),
    }
}

/// Writes a record as `spec` says, or as it would by default. Gives the path written, and the manifest
/// lines to add where there is no `spec`.
pub(super) fn write(
    dir: &Path,
    spec: Option<&GoldenSpec>,
    outputs: &Outputs,
) -> Result<(PathBuf, Option<String>), ModelError> {
    let add = spec.is_none().then(|| {
        let spec = GoldenSpec::default();
        format!(
            "[golden]\ninput = \"{}\"\noutput = \"{}\"\ntolerance = {}\n",
            spec.input, spec.output, spec.tolerance
        )
    });
    let spec = spec.cloned().unwrap_or_default();
    let path = dir.join(&spec.output);
    let write = |reason: String| ModelError::Write {
        path: path.clone(),
        reason,
    };
    let text =
        serde_json::to_string(&record(&spec.input, outputs)).map_err(|e| write(e.to_string()))?;
    std::fs::write(&path, text + "\n").map_err(|e| write(e.to_string()))?;
    Ok((path, add))
}

/// Holds a run against a record; gives the number of values compared.
pub(super) fn compare(
    golden: &Golden,
    outputs: &Outputs,
    tolerance: f32,
) -> Result<usize, GoldenError> {
    let actual: Vec<_> = outputs
        .tensors
        .iter()
        .map(|t| (&t.name, &t.shape))
        .collect();
    let recorded: Vec<_> = golden.outputs.iter().map(|o| (&o.name, &o.shape)).collect();
    if actual != recorded {
        return Err(GoldenError::Outputs {
            actual: format!("{actual:?}"),
            recorded: format!("{recorded:?}"),
        });
    }
    let mut compared = 0;
    for (output, tensor) in golden.outputs.iter().zip(&outputs.tensors) {
        for (&index, &recorded) in output.indices.iter().zip(&output.values) {
            let actual = tensor.data.get(index).copied().unwrap_or(f32::NAN);
            let near = (actual - recorded).abs() <= tolerance * recorded.abs().max(1.0);
            // NaN is near nothing.
            if !near {
                return Err(GoldenError::Value {
                    output: output.name.clone(),
                    index,
                    actual,
                    recorded,
                    tolerance,
                });
            }
            compared += 1;
        }
    }
    Ok(compared)
}
