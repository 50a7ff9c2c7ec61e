//! A photo: bytes as received, checked and decoded.
//!
//! JPEG goes through libjpeg-turbo with DCT scaling (a quarter of the work of a full decode on
//! a phone photo); every other format through the `image` crate. EXIF orientation is read
//! here and applied by [`crate::preprocess`] after the resize.

use std::io::{Cursor, Read};
use std::path::Path;

use image::error::{ImageFormatHint, UnsupportedError, UnsupportedErrorKind};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use super::{container, heic, jpeg};
use crate::hazard::Text;
use crate::preprocess::{StoredPicture, transposes};

/// Limits that keep one hostile file from taking the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhotoLimits {
    /// Largest file, bytes.
    pub max_file_bytes: u64,
    /// Most pixels of a photo, width x height.
    pub max_pixels: u64,
    /// Most memory that decoding one photo may take, bytes (formats other than JPEG).
    pub max_decode_bytes: u64,
}

impl Default for PhotoLimits {
    fn default() -> Self {
        Self {
            max_file_bytes: 256 << 20,
            // 108-megapixel phones exist; 50 is ordinary
            max_pixels: 120_000_000,
            max_decode_bytes: 1 << 30,
        }
    }
}

/// Longest side of a photo, pixels: JPEG's own limit.
const MAX_SIDE: u32 = 65_535;

/// Most bytes that a row, the colour profile and the texts of a PNG may unpack to.
pub(super) const MAX_PNG_METADATA: u64 = 32 << 20;

/// Why a photo could not be judged. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The file system refused.
    #[error("cannot read the file: {0}; check that it is there and that you may read it")]
    Io(#[from] std::io::Error),
    /// Nothing by this name.
    #[error("{}", .0.en)]
    NotFound(Text),
    /// Nothing in it.
    #[error("the file is empty; copy or send it again")]
    Empty,
    /// Over [`PhotoLimits::max_file_bytes`].
    #[error("the file is larger than {limit} bytes; raise limits.max_file_bytes if it is wanted")]
    FileTooLarge {
        /// The limit, bytes.
        limit: u64,
    },
    /// The header declares more pixels than allowed.
    #[error(
        "the picture declares {width} x {height} pixels, more than the {limit} allowed; \
         raise limits.max_pixels if it is wanted"
    )]
    TooManyPixels {
        /// Declared width, pixels.
        width: u32,
        /// Declared height, pixels.
        height: u32,
        /// The limit, pixels.
        limit: u64,
    },
    /// A shape that no camera makes; resizing it costs memory with its length.
    #[error(
        "the picture is {width} x {height} pixels, no side may have more than {MAX_SIDE}; \
         cut it into shorter ones"
    )]
    TooLong {
        /// Declared width, pixels.
        width: u32,
        /// Declared height, pixels.
        height: u32,
    },
    /// A pipe, a device or a socket.
    #[error("it is a pipe or a device, not a file; name - to read standard input")]
    NoFile,
    /// No known signature.
    #[error("not a picture that can be read; give JPEG, PNG, WebP, BMP, TIFF, GIF or HEIC")]
    UnknownFormat,
    /// Known format, broken content.
    #[error("the {format} picture is damaged or cut short ({detail}); copy or send it again")]
    Damaged {
        /// Format name.
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// A variant of a known format that the decoder does not support.
    #[error("this kind of {format} is not supported ({detail}); save it as a plain JPEG or PNG")]
    Unsupported {
        /// Format name.
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// HEIC and its helper program.
    #[error(transparent)]
    Heic(#[from] heic::HeicError),
}

impl PhotoError {
    /// The message in both languages; what the system or a decoder said stays as it is.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::Io(e) => format!("无法读取文件：{e}；请确认文件存在且有读取权限"),
            Self::NotFound(reason) => reason.zh.clone(),
            Self::Empty => "文件为空，请重新复制或发送".to_owned(),
            Self::FileTooLarge { limit } => {
                format!("文件超过{limit}字节；确需判定时请调高 limits.max_file_bytes")
            }
            Self::TooManyPixels {
                width,
                height,
                limit,
            } => format!(
                "图片声明的尺寸为 {width} x {height} 像素，超过允许的{limit}像素；确需判定时请调高 limits.max_pixels"
            ),
            Self::TooLong { width, height } => format!(
                "图片为 {width} x {height} 像素，任一边不得超过{MAX_SIDE}像素；请裁成较短的图片"
            ),
            Self::NoFile => "这是管道或设备，不是文件；读取标准输入请写 -".to_owned(),
            Self::UnknownFormat => {
                "不是可识别的图片；请提供 JPEG、PNG、WebP、BMP、TIFF、GIF 或 HEIC".to_owned()
            }
            Self::Damaged { format, detail } => {
                format!("{format} 图片已损坏或不完整（{detail}），请重新复制或发送")
            }
            Self::Unsupported { format, detail } => {
                format!("不支持这种 {format} 图片（{detail}），请另存为普通 JPEG 或 PNG")
            }
            Self::Heic(e) => e.zh(),
        };
        Text::new(self.to_string(), zh)
    }
}

/// Reads a whole file, at most [`PhotoLimits::max_file_bytes`].
///
/// # Errors
/// [`PhotoError::Io`], [`PhotoError::Empty`], [`PhotoError::FileTooLarge`].
pub fn read_file(path: &Path, limits: &PhotoLimits) -> Result<Vec<u8>, PhotoError> {
    // looked at before it is opened: opening a pipe waits for somebody to write
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(PhotoError::Io(std::io::ErrorKind::IsADirectory.into()));
    }
    if !metadata.is_file() {
        return Err(PhotoError::NoFile);
    }
    let limit = limits.max_file_bytes;
    if metadata.len() > limit {
        return Err(PhotoError::FileTooLarge { limit });
    }
    read(std::fs::File::open(path)?, limits)
}

/// Reads a whole stream, at most [`PhotoLimits::max_file_bytes`].
///
/// # Errors
/// As [`read_file`].
pub fn read(source: impl Read, limits: &PhotoLimits) -> Result<Vec<u8>, PhotoError> {
    let limit = limits.max_file_bytes;
    let mut bytes = Vec::new();
    source
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0 => Err(PhotoError::Empty),
        n if n > limit => Err(PhotoError::FileTooLarge { limit }),
        _ => Ok(bytes),
    }
}

/// A photo whose header has been read and found within the limits.
#[derive(Debug)]
pub struct Photo<'a> {
    bytes: std::borrow::Cow<'a, [u8]>,
    format: ImageFormat,
    /// Pixels as stored, before orientation.
    stored_size: (u32, u32),
    orientation: Orientation,
    max_decode_bytes: u64,
}

/// Decoded pixels, perhaps at a reduced scale, in stored order.
#[derive(Debug)]
pub struct DecodedPhoto {
    pixels: RgbImage,
    orientation: Orientation,
    upright_size: (u32, u32),
}

impl DecodedPhoto {
    /// The view that [`crate::preprocess`] takes.
    pub fn stored(&self) -> StoredPicture<'_> {
        StoredPicture {
            pixels: &self.pixels,
            orientation: self.orientation,
            upright_size: self.upright_size,
        }
    }
}

impl<'a> Photo<'a> {
    /// Reads the header: format, size, orientation. HEIC is converted by a child process.
    ///
    /// # Errors
    /// When the bytes are no known picture, damaged in the header, or over a limit.
    pub fn open(bytes: &'a [u8], limits: &PhotoLimits) -> Result<Self, PhotoError> {
        if bytes.is_empty() {
            return Err(PhotoError::Empty);
        }
        if heic::is_heic(bytes) {
            let png = heic::convert(bytes, limits)?;
            // the converter has already applied the orientation
            let mut photo = Self::open_owned(png.into(), limits).map_err(|e| match e {
                PhotoError::Damaged { detail, .. } => heic::HeicError::Failed(detail).into(),
                other => other,
            })?;
            photo.orientation = Orientation::NoTransforms;
            return Ok(photo);
        }
        Self::open_owned(bytes.into(), limits)
    }

    fn open_owned(
        bytes: std::borrow::Cow<'a, [u8]>,
        limits: &PhotoLimits,
    ) -> Result<Self, PhotoError> {
        let format = image::guess_format(&bytes).map_err(|_| PhotoError::UnknownFormat)?;
        let name = format_name(format).ok_or(PhotoError::UnknownFormat)?;
        let mut bytes = bytes;
        let (stored_size, orientation) = if format == ImageFormat::Jpeg {
            let orientation = jpeg::orientation(&bytes);
            let size = jpeg::size(&bytes).or_else(|error| -> Result<_, PhotoError> {
                let bare = jpeg::without_metadata(&bytes).ok_or(error)?;
                let size = jpeg::size(&bare)?;
                bytes = bare.into();
                Ok(size)
            })?;
            (size, orientation)
        } else {
            let mut decoder = decoder(&bytes, format).map_err(|e| match e {
                // not a limit that a person has set
                image::ImageError::Limits(_) => PhotoError::Unsupported {
                    format: name,
                    detail: format!(
                        "a row, its texts or its colour profile take more than {} MiB",
                        MAX_PNG_METADATA >> 20
                    ),
                },
                e => image_error(name, &e),
            })?;
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            (decoder.dimensions(), orientation)
        };
        let (width, height) = stored_size;
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            return Err(PhotoError::TooManyPixels {
                width,
                height,
                limit: limits.max_pixels,
            });
        }
        if width.max(height) > MAX_SIDE {
            return Err(PhotoError::TooLong { width, height });
        }
        if width == 0 || height == 0 {
            return Err(PhotoError::Damaged {
                format: name,
                detail: "it has no pixels".into(),
            });
        }
        Ok(Self {
            bytes,
            format,
            stored_size,
            orientation,
            max_decode_bytes: limits.max_decode_bytes,
        })
    }

    /// Width and height of the upright photo, pixels.
    pub fn upright_size(&self) -> (u32, u32) {
        swap_if(transposes(self.orientation), self.stored_size)
    }

    /// Whether the file holds further pages or frames, which are not judged.
    pub fn holds_several(&self) -> bool {
        container::holds_several(&self.bytes, self.format, self.max_decode_bytes)
    }

    /// Decodes to at least `min_size` (upright width and height, pixels) where the photo has
    /// that many: the largest DCT reduction that still does. `None` decodes at full size.
    ///
    /// # Errors
    /// [`PhotoError::Damaged`] for anything less than a whole, sound picture: a hazard may
    /// stand in the part that is missing. One thing cannot be told: a BMP or TIFF without
    /// compression whose end was filled with zeros is a picture with a black edge.
    pub fn decode(&self, min_size: Option<(u32, u32)>) -> Result<DecodedPhoto, PhotoError> {
        let pixels = if self.format == ImageFormat::Jpeg {
            let wanted = min_size.map(|size| swap_if(transposes(self.orientation), size));
            jpeg::decode(&self.bytes, self.stored_size, wanted)?
        } else {
            let name = format_name(self.format).ok_or(PhotoError::UnknownFormat)?;
            if self.format == ImageFormat::WebP && container::webp_ends_in_zeros(&self.bytes) {
                return Err(PhotoError::Damaged {
                    format: name,
                    detail: "its end is filled with zeros".into(),
                });
            }
            self.decode_other().map_err(|e| image_error(name, &e))?
        };
        Ok(DecodedPhoto {
            pixels,
            orientation: self.orientation,
            upright_size: self.upright_size(),
        })
    }

    fn decode_other(&self) -> Result<RgbImage, image::ImageError> {
        let mut decoder = decoder(&self.bytes, self.format)?;
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(self.max_decode_bytes);
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        let colour = decoder.color_type();
        if matches!(colour, ColorType::Rgb32F | ColorType::Rgba32F) {
            // what its numbers mean as brightness is not said in the file
            let what = UnsupportedErrorKind::Color(colour.into());
            let hint = ImageFormatHint::Exact(self.format);
            let error = UnsupportedError::from_format_and_kind(hint, what);
            return Err(image::ImageError::Unsupported(error));
        }
        // the picture as stored, and what it is turned into
        let turned = match colour {
            ColorType::Rgb8 => 0,
            c if c.has_alpha() => 7 * pixels,
            _ => 3 * pixels,
        };
        limits.reserve(decoder.total_bytes().saturating_add(turned))?;
        decoder.set_limits(limits)?;
        let picture = DynamicImage::from_decoder(decoder)?;
        Ok(if picture.color().has_alpha() {
            over_white(picture)
        } else {
            picture.into_rgb8()
        })
    }
}

fn swap_if(swap: bool, (a, b): (u32, u32)) -> (u32, u32) {
    if swap { (b, a) } else { (a, b) }
}

pub(super) fn decoder(
    bytes: &[u8],
    format: ImageFormat,
) -> Result<impl ImageDecoder + '_, image::ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits(); // dimensions are checked first, memory when decoding
    if format == ImageFormat::Png {
        // a profile is unpacked with the header
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(MAX_PNG_METADATA);
        reader.limits(limits);
    }
    reader.into_decoder()
}

/// Transparent pixels may hold anything; a viewer shows them white.
fn over_white(picture: DynamicImage) -> RgbImage {
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut rgb = RgbImage::new(width, height);
    for (out, pixel) in rgb.pixels_mut().zip(rgba.pixels()) {
        let alpha = u32::from(pixel[3]);
        for c in 0..3 {
            out[c] = ((u32::from(pixel[c]) * alpha + 255 * (255 - alpha)) / 255) as u8;
        }
    }
    rgb
}

fn format_name(format: ImageFormat) -> Option<&'static str> {
    Some(match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Gif => "GIF",
        _ => return None,
    })
}

fn image_error(format: &'static str, error: &image::ImageError) -> PhotoError {
    let detail = error.to_string();
    match error {
        image::ImageError::Unsupported(_) => PhotoError::Unsupported { format, detail },
        image::ImageError::Limits(_) => PhotoError::Unsupported {
            format,
            detail: format!("{detail}; raise limits.max_decode_bytes if it is wanted"),
        },
        _ => PhotoError::Damaged { format, detail },
    }
}
