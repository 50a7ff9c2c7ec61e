//! Finding and loading the ONNX Runtime library, once for each process.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::places;

/// Environment variable with the path of the library; comes before everything else.
pub const LIBRARY_VAR: &str = "SITEWARDEN_ORT_LIB";

/// The variable that other programs of the field use; comes second.
const COMMON_LIBRARY_VAR: &str = "ORT_DYLIB_PATH";

/// File name of the library on this system.
const LIBRARY: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else if cfg!(windows) {
    "onnxruntime.dll"
} else {
    "libonnxruntime.so"
};

/// Where `make runtime` puts the library in a checkout.
const CACHE: &str = ".cache/onnxruntime";

/// The loaded ONNX Runtime. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(super) environment: Environment,
    library: PathBuf,
}

/// Why ONNX Runtime is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// A path was given, and no file is there.
    #[error("{origin} names the ONNX Runtime library {}, which is not there; correct it or unset it", path.display())]
    NotThere {
        /// Who named it.
        origin: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// No library, one that is too old, or a file that is none.
    #[error(
        "cannot load the ONNX Runtime library: {reason}\n\
         run `make runtime` to fetch it, or set {LIBRARY_VAR} to the path of {LIBRARY} (1.24 or newer)"
    )]
    Load {
        /// What the loader said.
        reason: String,
    },
    /// Another library is in use already; a process has only one.
    #[error("ONNX Runtime is already loaded from {}; {} cannot be used as well", loaded.display(), wanted.display())]
    Loaded {
        /// In use.
        loaded: PathBuf,
        /// Asked for.
        wanted: PathBuf,
    },
}

/// The one environment of the process: ONNX Runtime allows no second one.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// Loads the library, or gives the one that is loaded.
    ///
    /// Without a path: `SITEWARDEN_ORT_LIB`; `ORT_DYLIB_PATH`;
    /// `.cache/onnxruntime/libonnxruntime.so` in the checkout that the program was built in;
    /// `libonnxruntime.so` beside the program or in `../lib` from there; then wherever the
    /// system's loader looks. A failed attempt may be repeated.
    ///
    /// # Errors
    /// [`RuntimeError`] says what was tried and what to do.
    pub fn load(library: Option<&Path>) -> Result<Self, RuntimeError> {
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = RUNTIME.get() {
            return match library {
                Some(wanted) if !same_file(wanted, &runtime.library) => Err(RuntimeError::Loaded {
                    loaded: runtime.library.clone(),
                    wanted: wanted.to_owned(),
                }),
                _ => Ok(runtime.clone()),
            };
        }

        let library = match library {
            Some(path) => named("the configuration", path.to_owned())?,
            None => find()?,
        };
        let load = |reason: String| RuntimeError::Load { reason };
        let environment = ort::init_from(&library)
            .map_err(|e| load(e.to_string()))?
            .with_name("sitewarden")
            .with_telemetry(false)
            .build()
            .map_err(|e| load(e.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        tracing::debug!(library = %library.display(), "loaded ONNX Runtime");
        Ok(RUNTIME
            .get_or_init(|| Self {
                environment,
                library,
            })
            .clone())
    }

    /// The library as it was found.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Version and build of the library, as it describes itself.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// A path that someone named must exist: falling through to another library would hide the slip.
fn named(origin: &'static str, path: PathBuf) -> Result<PathBuf, RuntimeError> {
    if path.is_file() {
        // ort takes a relative path as relative to the program, not to the working directory.
        Ok(path.canonicalize().unwrap_or(path))
    } else {
        Err(RuntimeError::NotThere { origin, path })
    }
}

fn find() -> Result<PathBuf, RuntimeError> {
    for variable in [LIBRARY_VAR, COMMON_LIBRARY_VAR] {
        if let Some(path) = env::var_os(variable).filter(|p| !p.is_empty()) {
            return named(variable, path.into());
        }
    }
    // Never the working directory: code that lies beside someone's photos must not run.
    let cache = places::checkout().map(|dir| dir.join(CACHE));
    let beside = places::beside_program();
    let lib = beside.as_deref().map(|dir| dir.join("../lib"));
    for place in [cache, beside, lib].into_iter().flatten() {
        let file = place.join(LIBRARY);
        if file.is_file() {
            return Ok(file.canonicalize().unwrap_or(file));
        }
    }
    Ok(PathBuf::from(LIBRARY))
}
