//! From an upright RGB picture to a model's input tensor.

use serde::{Deserialize, Serialize};

/// What a model wants to be fed, as its manifest states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Name of the input tensor.
    pub name: String,
    /// Input width, pixels.
    pub width: u32,
    /// Input height, pixels.
    pub height: u32,
    /// Order of the axes.
    pub layout: Layout,
    /// Order of the colour channels.
    pub color: ColorOrder,
    /// `value = (pixel * scale - mean[c]) / std[c]`, pixel in `0..=255`, c in the order of `color`.
    pub scale: f32,
    /// Mean for each channel, in the order of `color`.
    #[serde(default)]
    pub mean: [f32; 3],
    /// Standard deviation for each channel, in the order of `color`.
    #[serde(default = "ones")]
    pub std: [f32; 3],
    /// How the picture is brought to size.
    pub resize: ResizeMode,
    /// Grey value of the padding, `0..=255`.
    #[serde(default = "pad_value")]
    pub pad_value: u8,
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

fn pad_value() -> u8 {
    114
}

/// Order of the axes of the input tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// batch, channel, row, column.
    Nchw,
    /// batch, row, column, channel.
    Nhwc,
}

/// Order of the colour channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorOrder {
    /// red, green, blue.
    Rgb,
    /// blue, green, red.
    Bgr,
}

/// How a picture is brought to the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// Aspect kept, picture at the top left, padding right and below (YOLOX).
    LetterboxTopLeft,
    /// Aspect kept, picture in the middle, padding around it (Ultralytics).
    LetterboxCenter,
    /// Both axes stretched to fit (DETR family, SSD).
    Stretch,
}
