//! The bare cost of a scan: for each JPEG, decode at the best DCT scale and one run of the
//! model on a constant tensor. Nothing else: no digest, resize, normalisation, postprocessing,
//! rules or output. `benches/peers/scan_peers.py` sets `sitewarden scan` against it.
//!
//! `cargo bench --bench bare_cost -- --model DIR --jobs N PHOTO...`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program: it may stop at the first surprise, and it prints"
)]

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ndarray::ArrayView4;
use sitewarden::inference::{Detect, LoadOptions, Model, Runtime, Threads};
use sitewarden::preprocess::fitted_size;
use sitewarden::source::photo::{Photo, PhotoLimits};

fn main() {
    let mut model = PathBuf::from("models/site-nano");
    let mut jobs = std::thread::available_parallelism().unwrap();
    let mut photos = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--model" => model = arguments.next().unwrap().into(),
            "--jobs" => jobs = arguments.next().unwrap().parse::<NonZero<usize>>().unwrap(),
            _ => photos.push(PathBuf::from(argument)),
        }
    }
    if photos.is_empty() {
        println!("name the JPEGs to measure on; `make bench-peers` does");
        return;
    }
    let options = LoadOptions {
        threads: Threads::throughput(jobs),
        ..LoadOptions::default()
    };
    let model = Model::load(&Runtime::load(None).unwrap(), &model, options).unwrap();
    let todo = Mutex::new(photos.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..jobs.get() {
            scope.spawn(|| {
                let tensor = vec![114.0; model.manifest().input.tensor_len()];
                loop {
                    let Some(path) = todo.lock().unwrap().next() else {
                        return;
                    };
                    one(&model, &path, &tensor);
                }
            });
        }
    });
}

fn one(model: &Model, path: &Path, tensor: &[f32]) {
    let spec = &model.manifest().input;
    let bytes = std::fs::read(path).unwrap();
    let photo = Photo::open(&bytes, &PhotoLimits::default()).unwrap();
    let size = fitted_size(photo.upright_size(), spec);
    std::hint::black_box(photo.decode(Some(size)).unwrap());
    let shape = (1, 3, spec.height as usize, spec.width as usize);
    let input = ArrayView4::from_shape(shape, tensor).unwrap();
    std::hint::black_box(model.detect(input).unwrap());
}
