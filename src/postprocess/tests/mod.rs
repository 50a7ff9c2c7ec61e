//! Golden values from each family's reference implementation, and properties.

mod golden;
mod nms;
mod refusal;
mod robust;

use super::*;

fn head(toml: &str) -> HeadSpec {
    toml::from_str(toml).expect("a head")
}

fn output<'a>(name: &'a str, shape: &'a [usize], data: &'a [f32]) -> OutputTensor<'a> {
    OutputTensor { name, shape, data }
}

/// Input pixels are original pixels, 64 x 64.
fn identity() -> Letterbox {
    Letterbox {
        scale_x: 1.0,
        scale_y: 1.0,
        pad_x: 0.0,
        pad_y: 0.0,
        origin_x: 0.0,
        origin_y: 0.0,
        width: 64.0,
        height: 64.0,
    }
}
