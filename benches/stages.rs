//! One criterion bench for each stage of a photo's way.

#![allow(
    clippy::unwrap_used,
    reason = "a measuring program may stop at the first surprise"
)]
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;
use std::io::Cursor;

use criterion::{Criterion, criterion_group, criterion_main};
use image::{DynamicImage, ImageFormat, RgbImage};
use ndarray::ArrayView4;
use sha2::{Digest, Sha256};
use sitewarden::detection::Detection;
use sitewarden::geometry::BBox;
use sitewarden::inference::{self, Detect, LoadOptions, Model, Runtime};
use sitewarden::pipeline::photo::{PhotoPipeline, PhotoSettings, Scratch};
use sitewarden::postprocess::nms;
use sitewarden::preprocess::{fitted_size, prepare};
use sitewarden::render::{AnnotateOptions, annotate};
use sitewarden::rules::{Catalogue, RuleSet, Scene, evaluate};
use sitewarden::source::photo::{Photo, PhotoLimits};
use sitewarden::tiling::{Tiles, plan};

/// A 12-megapixel JPEG with the detail of a real picture (the test photo, tiled, with noise).
fn phone_photo() -> Vec<u8> {
    let tile = image::open("tests/data/astronaut.jpg").unwrap().to_rgb8();
    let mut seed = 1u32;
    let picture = RgbImage::from_fn(4000, 3000, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (seed >> 29) as u8;
        let image::Rgb(p) = *tile.get_pixel(x % 512, y % 512);
        image::Rgb(p.map(|v| v.saturating_add(noise)))
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture)
        .write_to(&mut bytes, ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}

/// A crowd: 40 persons with heads and helmets, as boxes.
fn crowd(labels: usize) -> Vec<Detection> {
    (0..40)
        .flat_map(|i| {
            let (x, y) = ((i % 10) as f32 * 90.0, (i / 10) as f32 * 210.0);
            let person = BBox::new(x, y, x + 80.0, y + 200.0);
            let head = BBox::new(x + 28.0, y, x + 52.0, y + 28.0);
            [(0, person), (1 + i % 2, head)].map(|(class, bbox)| Detection {
                class: class.min(labels - 1),
                score: 0.5 + i as f32 / 100.0,
                bbox,
            })
        })
        .collect()
}

fn stages(c: &mut Criterion) {
    let runtime = Runtime::load(None).unwrap();
    let dir = inference::locate("site-nano", &inference::search_path()).unwrap();
    let model = Model::load(&runtime, &dir, LoadOptions::default()).unwrap();
    let manifest = model.manifest().clone();
    let spec = &manifest.input;
    let jpeg = phone_photo();
    let limits = PhotoLimits::default();
    let photo = Photo::open(&jpeg, &limits).unwrap();
    let size = photo.upright_size();

    c.bench_function("digest", |b| b.iter(|| Sha256::digest(black_box(&jpeg))));
    c.bench_function("open", |b| {
        b.iter(|| Photo::open(black_box(&jpeg), &limits).unwrap())
    });
    c.bench_function("decode", |b| {
        b.iter(|| photo.decode(Some(fitted_size(size, spec))).unwrap());
    });
    let decoded = photo.decode(Some(fitted_size(size, spec))).unwrap();
    let mut tensor = vec![0.0; spec.tensor_len()];
    c.bench_function("prepare", |b| {
        b.iter(|| prepare(decoded.stored(), None, spec, &mut tensor).unwrap());
    });
    let letterbox = prepare(decoded.stored(), None, spec, &mut tensor).unwrap();
    let shape = (1, 3, spec.height as usize, spec.width as usize);
    let input = ArrayView4::from_shape(shape, &tensor).unwrap();
    c.bench_function("infer", |b| {
        b.iter(|| model.detect(black_box(input)).unwrap())
    });
    let outputs = model.detect(input).unwrap().remove(0);
    let thresholds = manifest.class_thresholds();
    c.bench_function("postprocess", |b| {
        b.iter(|| manifest.decode(&outputs, &letterbox, &thresholds).unwrap());
    });
    let boxes = crowd(manifest.labels.len());
    c.bench_function("nms of 80", |b| {
        b.iter(|| nms(black_box(boxes.clone()), 0.65, true, 300));
    });
    c.bench_function("tile plan", |b| {
        b.iter(|| plan(Tiles::Auto, black_box(size), spec.width))
    });
    let rules = RuleSet::new(&Catalogue::builtin(), None).unwrap();
    let labels = manifest.label_map();
    let scene = Scene {
        width: 1000,
        height: 1000,
        detections: &boxes,
        labels: &labels,
        seen_scale: 1.0,
    };
    c.bench_function("rules, crowd of 40", |b| {
        b.iter(|| evaluate(&rules, black_box(&scene), None));
    });
    let pipeline = PhotoPipeline::new(&model, &rules, PhotoSettings::default());
    let mut scratch = Scratch::default();
    c.bench_function("whole photo", |b| {
        b.iter(|| pipeline.record("a.jpg".into(), Ok(&jpeg), &mut scratch));
    });
    let record = pipeline.record("a.jpg".into(), Ok(&jpeg), &mut scratch);
    c.bench_function("record as JSON", |b| {
        b.iter(|| serde_json::to_vec(black_box(&record)).unwrap());
    });
    let picture = RgbImage::from_pixel(2048, 1536, image::Rgb([90, 110, 120]));
    let options = AnnotateOptions::standalone(sitewarden::hazard::Lang::En, "bench");
    c.bench_function("annotate", |b| {
        b.iter(|| annotate(&picture, &record, &options))
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = stages
}
criterion_main!(benches);
