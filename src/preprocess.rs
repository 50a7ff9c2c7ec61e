//! From an upright RGB picture to a model's input tensor.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use image::metadata::Orientation;
use serde::{Deserialize, Serialize};

use crate::geometry::{BBox, Letterbox};

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

impl InputSpec {
    /// Values of one picture's input tensor: `3 * width * height`.
    pub fn tensor_len(&self) -> usize {
        3 * self.width as usize * self.height as usize
    }
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

/// A picture as it was stored: pixels before EXIF orientation is applied, perhaps decoded
/// at a reduced scale.
#[derive(Debug, Clone, Copy)]
pub struct StoredPicture<'a> {
    /// Pixels in stored order.
    pub pixels: &'a RgbImage,
    /// What turns the stored pixels upright.
    pub orientation: Orientation,
    /// Width and height of the upright original, pixels.
    pub upright_size: (u32, u32),
}

/// Lays `region` (pixels of the upright original; `None` is the whole picture) into the
/// model's input.
///
/// `tensor` holds [`InputSpec::tensor_len`] values and is filled in the order of `spec.layout`.
/// The orientation is applied after the resize, on the few pixels that are left.
///
/// # Errors
/// When the region is empty or the resizer refuses the picture.
pub fn prepare(
    picture: StoredPicture<'_>,
    region: Option<BBox>,
    spec: &InputSpec,
    tensor: &mut [f32],
) -> Result<Letterbox, PrepareError> {
    let (full_w, full_h) = (picture.upright_size.0 as f32, picture.upright_size.1 as f32);
    let region = region
        .unwrap_or(BBox::new(0.0, 0.0, full_w, full_h))
        .clip(full_w, full_h);
    if !region.is_valid() {
        return Err(PrepareError::EmptyRegion);
    }
    let fit = fit(region, spec);
    let small = resized_upright(picture, region, (fit.width, fit.height))?;
    fill(&small, (fit.left, fit.top), spec, tensor);
    Ok(Letterbox {
        scale_x: fit.width as f32 / region.width(),
        scale_y: fit.height as f32 / region.height(),
        pad_x: fit.left as f32,
        pad_y: fit.top as f32,
        origin_x: region.x1,
        origin_y: region.y1,
        width: region.width(),
        height: region.height(),
    })
}

/// Why a picture could not be laid into the input.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No pixel of the picture lies in the region.
    #[error("the region holds no pixel of the picture")]
    EmptyRegion,
    /// The resizer refused.
    #[error("the picture could not be resized: {0}")]
    Resize(String),
}

/// Pixels that the longer side of a `width` x `height` picture gets in the input.
pub fn fitted_size((width, height): (u32, u32), spec: &InputSpec) -> (u32, u32) {
    let fit = fit(BBox::new(0.0, 0.0, width as f32, height as f32), spec);
    (fit.width, fit.height)
}

struct Fit {
    width: u32,
    height: u32,
    left: u32,
    top: u32,
}

fn fit(region: BBox, spec: &InputSpec) -> Fit {
    let (iw, ih) = (spec.width as f32, spec.height as f32);
    if spec.resize == ResizeMode::Stretch {
        return Fit {
            width: spec.width,
            height: spec.height,
            left: 0,
            top: 0,
        };
    }
    let ratio = (iw / region.width()).min(ih / region.height());
    let side = |length: f32, limit: u32| ((length * ratio).round() as u32).clamp(1, limit);
    let (width, height) = (
        side(region.width(), spec.width),
        side(region.height(), spec.height),
    );
    let (left, top) = match spec.resize {
        ResizeMode::LetterboxCenter => ((spec.width - width) / 2, (spec.height - height) / 2),
        ResizeMode::LetterboxTopLeft | ResizeMode::Stretch => (0, 0),
    };
    Fit {
        width,
        height,
        left,
        top,
    }
}

/// Cuts `region` (upright original pixels) out of the stored picture, brings it to `size`
/// (upright) and turns it upright.
///
/// # Errors
/// When the resizer refuses the picture.
pub fn resized_upright(
    picture: StoredPicture<'_>,
    region: BBox,
    (width, height): (u32, u32),
) -> Result<RgbImage, PrepareError> {
    let stored = stored_region(picture, region);
    let (w, h) = if transposes(picture.orientation) {
        (height, width)
    } else {
        (width, height)
    };
    let failed = |e: &dyn std::fmt::Display| PrepareError::Resize(e.to_string());
    let (sw, sh) = picture.pixels.dimensions();
    let source =
        ImageRef::new(sw, sh, picture.pixels.as_raw(), PixelType::U8x3).map_err(|e| failed(&e))?;
    let mut target = Image::new(w, h, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        // widths are taken in double precision: rounded to single they may reach over the edge
        .crop(
            f64::from(stored.x1),
            f64::from(stored.y1),
            f64::from(stored.x2) - f64::from(stored.x1),
            f64::from(stored.y2) - f64::from(stored.y1),
        );
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| failed(&e))?;
    let small = RgbImage::from_raw(w, h, target.into_vec())
        .ok_or_else(|| failed(&"the resized buffer has a wrong length"))?;
    Ok(upright(small, picture.orientation))
}

/// Applies an EXIF orientation.
pub fn upright(pixels: RgbImage, orientation: Orientation) -> RgbImage {
    if orientation == Orientation::NoTransforms {
        return pixels;
    }
    let mut picture = image::DynamicImage::ImageRgb8(pixels);
    picture.apply_orientation(orientation);
    picture.into_rgb8()
}

/// Whether width and height change places.
pub fn transposes(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The region, given in upright original pixels, in pixels of the stored (reduced) picture.
fn stored_region(picture: StoredPicture<'_>, region: BBox) -> BBox {
    let (sw, sh) = picture.pixels.dimensions();
    let (sw, sh) = (sw as f32, sh as f32);
    // the upright picture at the stored scale
    let (uw, uh) = if transposes(picture.orientation) {
        (sh, sw)
    } else {
        (sw, sh)
    };
    let (kx, ky) = (
        uw / picture.upright_size.0 as f32,
        uh / picture.upright_size.1 as f32,
    );
    let u = BBox::new(
        region.x1 * kx,
        region.y1 * ky,
        region.x2 * kx,
        region.y2 * ky,
    );
    // the inverse of each orientation; stored is `sw` x `sh`
    let stored = match picture.orientation {
        Orientation::NoTransforms => u,
        Orientation::FlipHorizontal => BBox::new(sw - u.x2, u.y1, sw - u.x1, u.y2),
        Orientation::FlipVertical => BBox::new(u.x1, sh - u.y2, u.x2, sh - u.y1),
        Orientation::Rotate180 => BBox::new(sw - u.x2, sh - u.y2, sw - u.x1, sh - u.y1),
        Orientation::Rotate90 => BBox::new(u.y1, sh - u.x2, u.y2, sh - u.x1),
        Orientation::Rotate270 => BBox::new(sw - u.y2, u.x1, sw - u.y1, u.x2),
        Orientation::Rotate90FlipH => BBox::new(u.y1, u.x1, u.y2, u.x2),
        Orientation::Rotate270FlipH => BBox::new(sw - u.y2, sh - u.x2, sw - u.y1, sh - u.x1),
    };
    stored.clip(sw, sh)
}

fn fill(small: &RgbImage, (left, top): (u32, u32), spec: &InputSpec, tensor: &mut [f32]) {
    let (width, height) = (spec.width as usize, spec.height as usize);
    let (left, top) = (left as usize, top as usize);
    let small_width = small.width() as usize;
    let gain: [f32; 3] = std::array::from_fn(|c| spec.scale / spec.std[c]);
    let bias: [f32; 3] = std::array::from_fn(|c| -spec.mean[c] / spec.std[c]);
    let pad: [f32; 3] = std::array::from_fn(|c| f32::from(spec.pad_value) * gain[c] + bias[c]);
    // index of the source channel for each channel of the input
    let source: [usize; 3] = match spec.color {
        ColorOrder::Rgb => [0, 1, 2],
        ColorOrder::Bgr => [2, 1, 0],
    };
    let plane = width * height;
    match spec.layout {
        Layout::Nchw => {
            for c in 0..3 {
                let channel = &mut tensor[c * plane..(c + 1) * plane];
                channel.fill(pad[c]);
                for (y, row) in small.as_raw().chunks_exact(3 * small_width).enumerate() {
                    let start = (top + y) * width + left;
                    let out = &mut channel[start..start + small_width];
                    for (value, pixel) in out.iter_mut().zip(row.chunks_exact(3)) {
                        *value = f32::from(pixel[source[c]]) * gain[c] + bias[c];
                    }
                }
            }
        }
        Layout::Nhwc => {
            for pixel in tensor.chunks_exact_mut(3) {
                pixel.copy_from_slice(&pad);
            }
            for (y, row) in small.as_raw().chunks_exact(3 * small_width).enumerate() {
                let start = ((top + y) * width + left) * 3;
                let out = &mut tensor[start..start + 3 * small_width];
                for (values, pixel) in out.chunks_exact_mut(3).zip(row.chunks_exact(3)) {
                    for c in 0..3 {
                        values[c] = f32::from(pixel[source[c]]) * gain[c] + bias[c];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(resize: ResizeMode, layout: Layout, color: ColorOrder) -> InputSpec {
        InputSpec {
            name: "images".into(),
            width: 64,
            height: 64,
            layout,
            color,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
            resize,
            pad_value: 114,
        }
    }

    /// Four quadrants of plain colour: red, green / blue, white.
    fn quadrants(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            match (x < width / 2, y < height / 2) {
                (true, true) => image::Rgb([255, 0, 0]),
                (false, true) => image::Rgb([0, 255, 0]),
                (true, false) => image::Rgb([0, 0, 255]),
                (false, false) => image::Rgb([255, 255, 255]),
            }
        })
    }

    const ORIENTATIONS: [Orientation; 8] = [
        Orientation::NoTransforms,
        Orientation::FlipHorizontal,
        Orientation::Rotate180,
        Orientation::FlipVertical,
        Orientation::Rotate90FlipH,
        Orientation::Rotate90,
        Orientation::Rotate270FlipH,
        Orientation::Rotate270,
    ];

    #[test]
    fn a_region_of_the_stored_picture_equals_the_region_of_the_upright_one() {
        let stored = quadrants(80, 48);
        for orientation in ORIENTATIONS {
            let up = upright(stored.clone(), orientation);
            let upright_size = (up.width() * 10, up.height() * 10);
            let straight = StoredPicture {
                pixels: &up,
                orientation: Orientation::NoTransforms,
                upright_size,
            };
            let turned = StoredPicture {
                pixels: &stored,
                orientation,
                upright_size,
            };
            let region = BBox::new(100.0, 50.0, 310.0, 330.0);
            let a = resized_upright(straight, region, (21, 28)).unwrap();
            let b = resized_upright(turned, region, (21, 28)).unwrap();
            let worst = a
                .as_raw()
                .iter()
                .zip(b.as_raw())
                .map(|(x, y)| x.abs_diff(*y))
                .max();
            // rounding of a flipped kernel may differ by one grey level
            assert!(worst <= Some(1), "{orientation:?}: differs by {worst:?}");
        }
    }

    #[test]
    fn channels_layout_and_padding_are_where_the_manifest_says() {
        let picture = RgbImage::from_pixel(32, 16, image::Rgb([10, 20, 30]));
        let stored = StoredPicture {
            pixels: &picture,
            orientation: Orientation::NoTransforms,
            upright_size: (32, 16),
        };
        let mut t = vec![0.0; 3 * 64 * 64];
        let at = |c: usize, y: usize, x: usize| c * 64 * 64 + y * 64 + x;
        let s = spec(ResizeMode::LetterboxTopLeft, Layout::Nchw, ColorOrder::Bgr);
        let letterbox = prepare(stored, None, &s, &mut t).unwrap();
        assert_eq!((letterbox.scale_x, letterbox.pad_y), (2.0, 0.0));
        assert_eq!(
            [t[at(0, 0, 0)], t[at(2, 31, 63)], t[at(0, 32, 0)]],
            [30.0, 10.0, 114.0]
        );
        let s = spec(ResizeMode::LetterboxCenter, Layout::Nhwc, ColorOrder::Rgb);
        let letterbox = prepare(stored, None, &s, &mut t).unwrap();
        assert_eq!(letterbox.pad_y, 16.0);
        assert_eq!(t[..3], [114.0; 3]);
        assert_eq!(t[3 * (16 * 64)..3 * (16 * 64) + 3], [10.0, 20.0, 30.0]);
    }

    #[test]
    fn a_region_that_ends_at_the_edge_is_never_beyond_it() {
        let picture = RgbImage::from_pixel(360, 360, image::Rgb([10, 20, 30]));
        let stored = StoredPicture {
            pixels: &picture,
            orientation: Orientation::NoTransforms,
            upright_size: (640, 640),
        };
        // in single precision the scaled left edge and the width add up to more than 360
        let mut over = 0;
        for i in 0..200u8 {
            let region = BBox::new(21.3 + 1.37 * f32::from(i), 0.0, 640.0, 640.0);
            let scaled = stored_region(stored, region);
            over += u32::from(f64::from(scaled.x1) + f64::from(scaled.width()) > 360.0);
            let small = resized_upright(stored, region, (50, 50)).unwrap();
            assert_eq!(small.get_pixel(49, 49).0, [10, 20, 30]);
        }
        assert!(over > 0);
    }

    #[test]
    fn mean_and_std_are_applied_per_channel() {
        let picture = RgbImage::from_pixel(8, 8, image::Rgb([255, 0, 128]));
        let stored = StoredPicture {
            pixels: &picture,
            orientation: Orientation::NoTransforms,
            upright_size: (8, 8),
        };
        let mut s = spec(ResizeMode::Stretch, Layout::Nchw, ColorOrder::Rgb);
        s.scale = 1.0 / 255.0;
        s.mean = [0.485, 0.456, 0.406];
        s.std = [0.229, 0.224, 0.225];
        let mut t = vec![0.0; s.tensor_len()];
        prepare(stored, None, &s, &mut t).unwrap();
        let expected = [
            (1.0 - 0.485) / 0.229,
            -0.456 / 0.224,
            (128.0 / 255.0 - 0.406) / 0.225,
        ];
        for (c, e) in expected.iter().enumerate() {
            assert!(
                (t[c * 4096] - e).abs() < 1e-5,
                "channel {c}: {} {e}",
                t[c * 4096]
            );
        }
    }

    proptest! {
        #[test]
        fn letterbox_inverse_undoes_forward(
            w in 1u32..5000, h in 1u32..5000,
            a in 0.0f32..1.0, b in 0.0f32..1.0, c in 0.0f32..1.0, d in 0.0f32..1.0,
            center in any::<bool>(),
        ) {
            let mode = if center { ResizeMode::LetterboxCenter } else { ResizeMode::LetterboxTopLeft };
            let s = spec(mode, Layout::Nchw, ColorOrder::Rgb);
            let full = BBox::new(0.0, 0.0, w as f32, h as f32);
            let f = fit(full, &s);
            prop_assert!(f.left + f.width <= s.width && f.top + f.height <= s.height);
            let letterbox = Letterbox {
                scale_x: f.width as f32 / w as f32, scale_y: f.height as f32 / h as f32,
                pad_x: f.left as f32, pad_y: f.top as f32,
                origin_x: 0.0, origin_y: 0.0, width: w as f32, height: h as f32,
            };
            let inside = BBox::new(a.min(b) * w as f32, c.min(d) * h as f32, a.max(b) * w as f32, c.max(d) * h as f32);
            let back = letterbox.inverse(letterbox.forward(inside));
            for (x, y) in [(back.x1, inside.x1), (back.y1, inside.y1), (back.x2, inside.x2), (back.y2, inside.y2)] {
                prop_assert!((x - y).abs() < 0.01 * (w.max(h) as f32 / 64.0).max(1.0), "{back:?} {inside:?}");
            }
        }
    }
}
