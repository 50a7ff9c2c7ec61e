//! The picture path: header, limits, decoding, the way into the model's input.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sitewarden::preprocess::{ColorOrder, InputSpec, Layout, ResizeMode, prepare};
use sitewarden::source::heic::is_heic;
use sitewarden::source::photo::{Photo, PhotoLimits};

const SIDE: u32 = 32;

fuzz_target!(|bytes: &[u8]| {
    // HEIC is decoded by another program
    if is_heic(bytes) {
        return;
    }
    let limits = PhotoLimits {
        max_file_bytes: 1 << 20,
        max_pixels: 1 << 20,
        max_decode_bytes: 64 << 20,
    };
    let Ok(photo) = Photo::open(bytes, &limits) else {
        return;
    };
    let Ok(decoded) = photo.decode(Some((SIDE, SIDE))) else {
        return;
    };
    let spec = InputSpec {
        name: "images".into(),
        width: SIDE,
        height: SIDE,
        layout: Layout::Nchw,
        color: ColorOrder::Rgb,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
        resize: ResizeMode::LetterboxCenter,
        pad_value: 114,
    };
    let mut tensor = vec![f32::NAN; spec.tensor_len()];
    let letterbox = prepare(decoded.stored(), None, &spec, &mut tensor).expect("a decoded photo");
    assert!(letterbox.scale_x > 0.0 && letterbox.scale_y > 0.0);
    assert!(tensor.iter().all(|v| (0.0..=255.0).contains(v)));
});
