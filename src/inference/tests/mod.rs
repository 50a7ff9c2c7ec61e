//! Manifests, and real ONNX files in the real library (`tests/data/models`, made by
//! `generate.py` there).

mod embedder;
mod lookup;
mod manifest;
mod refusal;
mod run;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

const YOLOV8: &[u8] = include_bytes!("../../../tests/data/models/yolov8.onnx");

/// A manifest that fits `YOLOV8`.
const MANIFEST: &str = r#"
name = "tiny"
version = "1"
file = "model.onnx"
sha256 = "SHA256"
license = "Apache-2.0"
labels = ["helmet", "head"]
max_batch = 4

[input]
name = "images"
width = 32
height = 32
layout = "nchw"
color = "bgr"
scale = 1.0
resize = "letterbox_top_left"

[head]
family = "yolov8"

[thresholds]
default = 0.01
"#;

/// Folders for models; gone with the test.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A model folder. `SHA256` in the manifest becomes the digest of the file.
    fn model(&self, name: &str, manifest: &str, onnx: &[u8]) -> PathBuf {
        let dir = self.0.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let digest: String = Sha256::digest(onnx)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        std::fs::write(dir.join("model.onnx"), onnx).unwrap();
        std::fs::write(dir.join(MANIFEST_FILE), manifest.replace("SHA256", &digest)).unwrap();
        dir
    }
}

fn runtime() -> Runtime {
    match Runtime::load(None) {
        Ok(runtime) => runtime,
        Err(e) => panic!("these tests need ONNX Runtime: {e}"),
    }
}

fn load(dir: &Path) -> Result<Model, ModelError> {
    Model::load(&runtime(), dir, LoadOptions::default())
}
