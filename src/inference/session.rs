//! Sessions of ONNX Runtime: building, pooling, running.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use half::f16;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef, ValueType};

use super::manifest::SizeOrder;
use super::runtime::Runtime;
use super::{InferError, Outputs, OwnedOutput, Provider, Threads};

/// Builds one session from the bytes of an ONNX file.
pub(super) fn build(
    runtime: &Runtime,
    onnx: &[u8],
    threads: Threads,
    provider: Provider,
) -> ort::Result<Session> {
    let mut builder = Session::builder(&runtime.environment)?
        .with_intra_threads(threads.per_session.max(1))?
        // Threads that spin while they wait take the core from the other sessions.
        .with_intra_op_spinning(threads.sessions <= 1)?;
    if let Some(dispatch) = provider.dispatch() {
        builder = builder.with_execution_providers([dispatch.error_on_failure()])?;
    }
    builder.commit_from_memory(onnx)
}

/// Sessions that wait for work. Checking one out blocks until one is free.
pub(super) struct Pool {
    sessions: Vec<Mutex<Session>>,
    free: Mutex<Vec<usize>>,
    returned: Condvar,
}

impl Pool {
    pub(super) fn new(sessions: Vec<Session>) -> Self {
        Self {
            free: Mutex::new((0..sessions.len()).collect()),
            sessions: sessions.into_iter().map(Mutex::new).collect(),
            returned: Condvar::new(),
        }
    }

    /// How many runs may go on at once.
    pub(super) fn size(&self) -> usize {
        self.sessions.len()
    }

    /// Runs `work` with a session of its own, which comes back even if `work` panics.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        let lease = self.check_out();
        work(&mut lock(&self.sessions[lease.index]))
    }

    fn check_out(&self) -> Lease<'_> {
        let mut free = lock(&self.free);
        loop {
            if let Some(index) = free.pop() {
                return Lease { pool: self, index };
            }
            free = self
                .returned
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Lease<'p> {
    pool: &'p Pool,
    index: usize,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        lock(&self.pool.free).push(self.index);
        self.pool.returned.notify_one();
    }
}

/// A poisoned lock is taken over: a list of numbers cannot be half-changed, and a session
/// carries nothing from one run to the next.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The picture input and its element type.
pub(super) struct PictureInput<'a> {
    pub(super) name: &'a str,
    pub(super) element: TensorElementType,
}

/// The size input, its element type, and the size to feed.
pub(super) struct SizeValues<'a> {
    pub(super) name: &'a str,
    pub(super) element: TensorElementType,
    pub(super) order: SizeOrder,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// One run over `shape[0]` pictures. Gives every output as the model gives it, batch and all.
pub(super) fn run(
    session: &mut Session,
    picture: &PictureInput<'_>,
    size: Option<&SizeValues<'_>>,
    shape: &[usize; 4],
    data: &[f32],
) -> Result<Outputs, InferError> {
    let failed = |e: ort::Error| InferError::Run(e.to_string());
    let names: Vec<String> = session
        .outputs()
        .iter()
        .map(|o| o.name().to_owned())
        .collect();

    let mut inputs = vec![(
        picture.name,
        picture_value(picture.element, shape, data).map_err(failed)?,
    )];
    if let Some(size) = size {
        inputs.push((size.name, size_value(size, shape[0]).map_err(failed)?));
    }
    let values = session.run(inputs).map_err(failed)?;
    let tensors = names
        .into_iter()
        .map(|name| match values.get(&name) {
            Some(value) => read(name, value),
            None => Err(InferError::Run(format!("gave no output `{name}`"))),
        })
        .collect::<Result<_, _>>()?;
    Ok(Outputs { tensors })
}

/// The picture tensor in the model's element type; `f32` is lent, not copied.
fn picture_value<'d>(
    element: TensorElementType,
    shape: &[usize; 4],
    data: &'d [f32],
) -> ort::Result<SessionInputValue<'d>> {
    let shape = *shape;
    Ok(match element {
        TensorElementType::Float16 => {
            let halves: Vec<f16> = data.iter().map(|&v| f16::from_f32(v)).collect();
            Tensor::from_array((shape, halves))?.into()
        }
        TensorElementType::Uint8 => {
            // `as` saturates, so values beyond a byte end at 0 or 255.
            let bytes: Vec<u8> = data.iter().map(|v| v.round() as u8).collect();
            Tensor::from_array((shape, bytes))?.into()
        }
        _ => TensorRef::from_array_view((shape, data))?.into(),
    })
}

fn size_value(size: &SizeValues<'_>, batch: usize) -> ort::Result<SessionInputValue<'static>> {
    let pair = match size.order {
        SizeOrder::WidthHeight => [size.width, size.height],
        SizeOrder::HeightWidth => [size.height, size.width],
    };
    let shape = [batch, 2];
    let values = || pair.iter().copied().cycle().take(2 * batch);
    Ok(match size.element {
        TensorElementType::Float32 => {
            let values: Vec<f32> = values().map(|v| v as f32).collect();
            Tensor::from_array((shape, values))?.into()
        }
        TensorElementType::Int32 => {
            // Input sides are limited to 8192 by the manifest.
            let values: Vec<i32> = values().map(|v| v as i32).collect();
            Tensor::from_array((shape, values))?.into()
        }
        _ => {
            let values: Vec<i64> = values().map(i64::from).collect();
            Tensor::from_array((shape, values))?.into()
        }
    })
}

/// An output as `f32`, whatever numbers it holds.
fn read(name: String, value: &DynValue) -> Result<OwnedOutput, InferError> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        return Err(InferError::Run(format!(
            "output `{name}` is no tensor; export the model without the ZipMap or sequence node"
        )));
    };
    let shape: Vec<usize> = shape
        .iter()
        .map(|&n| usize::try_from(n).unwrap_or(0))
        .collect();
    if shape.contains(&0) {
        let data = Vec::new();
        return Ok(OwnedOutput { name, shape, data });
    }
    macro_rules! floats {
        ($element:ty, $convert:expr) => {
            value
                .try_extract_tensor::<$element>()
                .map(|(_, data)| data.iter().map($convert).collect())
        };
    }
    // Class numbers are small; nothing that a detector gives needs more than 24 bits.
    let data: ort::Result<Vec<f32>> = match ty {
        TensorElementType::Float32 => floats!(f32, |v| *v),
        TensorElementType::Float16 => floats!(f16, |v| v.to_f32()),
        TensorElementType::Float64 => floats!(f64, |v| *v as f32),
        TensorElementType::Int64 => floats!(i64, |v| *v as f32),
        TensorElementType::Int32 => floats!(i32, |v| *v as f32),
        TensorElementType::Uint8 => floats!(u8, |v| f32::from(*v)),
        other => {
            return Err(InferError::Run(format!(
                "output `{name}` holds {other} values, which no detector head has"
            )));
        }
    };
    let data = data.map_err(|e| InferError::Run(format!("output `{name}`: {e}")))?;
    Ok(OwnedOutput { name, shape, data })
}
