//! `model.toml`: refused or usable, never a panic.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sitewarden::geometry::Letterbox;
use sitewarden::inference::{Manifest, Outputs};

fuzz_target!(|text: &str| {
    let Ok(manifest) = Manifest::parse(text, Path::new("model.toml")) else {
        return;
    };
    let thresholds = manifest.class_thresholds();
    assert_eq!(thresholds.len(), manifest.labels.len());
    assert!(thresholds.iter().all(|t| (0.0..=1.0).contains(t)));
    assert_eq!(manifest.label_map().name(0), manifest.labels[0]);
    let letterbox = Letterbox {
        scale_x: 1.0,
        scale_y: 1.0,
        pad_x: 0.0,
        pad_y: 0.0,
        origin_x: 0.0,
        origin_y: 0.0,
        width: manifest.input.width as f32,
        height: manifest.input.height as f32,
    };
    // no head makes something of nothing
    let nothing = manifest.decode(&Outputs::default(), &letterbox, &thresholds);
    assert!(nothing.is_err());
});
