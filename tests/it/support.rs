//! What several tests need: the program, pictures, a place to put them.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{DynamicImage, ImageEncoder, ImageFormat, RgbImage};

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sitewarden"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs `sitewarden scan` with these arguments.
pub(crate) fn scan<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Output {
    program().arg("scan").args(arguments).output().unwrap()
}

/// Standard output as JSON.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!(
            "no JSON ({e}): {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A photo of a person whose head is bare and who holds a helmet under the arm.
pub(crate) fn astronaut() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/astronaut.jpg")
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Smooth colours with structure in both axes, so that every turn or flip shows.
pub(crate) fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (fx, fy) = (x * 255 / width, y * 255 / height);
        image::Rgb([fx as u8, fy as u8, (255 - fx / 2 - fy / 4) as u8])
    })
}

/// A JPEG whose EXIF says that it must be turned by `orientation` (1 to 8).
pub(crate) fn jpeg_with_orientation(stored: &RgbImage, orientation: u8) -> Vec<u8> {
    // TIFF header, one directory entry: tag 0x0112, type SHORT, count 1
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    jpeg_with_exif(stored, &tiff)
}

/// A JPEG whose EXIF says when it was taken (`2026:05:31 09:00:00`), and perhaps by which offset
/// (`+08:00`).
pub(crate) fn jpeg_taken(stored: &RgbImage, time: &str, offset: Option<&str>) -> Vec<u8> {
    jpeg_with_exif(stored, &tiff_taken(None, time, offset))
}

/// As [`jpeg_taken`], as a PNG.
pub(crate) fn png_taken(stored: &RgbImage, time: &str, offset: Option<&str>) -> Vec<u8> {
    /// Signature, and the header's chunk.
    const HEAD: usize = 8 + 25;
    let png = encoded(&DynamicImage::ImageRgb8(stored.clone()), ImageFormat::Png);
    let exif = png_chunk(b"eXIf", &tiff_taken(None, time, offset));
    [&png[..HEAD], &exif, &png[HEAD..]].concat()
}

/// As [`jpeg_taken`], as a WebP.
pub(crate) fn webp_taken(stored: &RgbImage, time: &str, offset: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
    encoder
        .set_exif_metadata(tiff_taken(None, time, offset))
        .unwrap();
    stored.write_with_encoder(encoder).unwrap();
    bytes
}

/// Where a photo of these helpers was taken, three fractions, as EXIF has it.
pub(crate) const LATITUDE: [u8; 24] =
    *b"\0\0\0\x34\0\0\0\x01\0\0\0\x1f\0\0\0\x01\0\0\0\x0c\0\0\0\x07";

/// A TIFF that says when and where it was taken: of a picture, or what other formats hold as EXIF.
pub(crate) fn tiff_taken(stored: Option<&RgbImage>, time: &str, offset: Option<&str>) -> Vec<u8> {
    let text = |tag: u16, text: &str| (tag, 2u16, text.len() + 1, [text.as_bytes(), &[0]].concat());
    let short = |tag: u16, value: u16| (tag, 3u16, 1, value.to_be_bytes().to_vec());
    let long = |tag: u16, value: usize| (tag, 4u16, 1, (value as u32).to_be_bytes().to_vec());
    let mut out = b"MM\0*\0\0\0\0".to_vec();
    let exif_at = out.len();
    let mut exif = vec![text(0x9003, time)];
    exif.extend(offset.map(|offset| text(0x9011, offset)));
    out.extend(directory(exif_at, &exif));
    let gps_at = out.len();
    let gps = [text(1, "N"), (2, 5, 3, LATITUDE.to_vec())];
    out.extend(directory(gps_at, &gps));
    let mut first = Vec::new();
    if let Some(stored) = stored {
        let (width, height) = stored.dimensions();
        first = vec![
            long(256, width as usize),
            long(257, height as usize),
            (258, 3, 3, [0, 8, 0, 8, 0, 8].to_vec()),
            short(259, 1),
            short(262, 2),
            long(273, out.len()),
            short(277, 3),
            long(278, height as usize),
            long(279, stored.as_raw().len()),
        ];
        out.extend(stored.as_raw());
    }
    first.extend([long(0x8769, exif_at), long(0x8825, gps_at)]);
    let first_at = out.len();
    out.extend(directory(first_at, &first));
    out[4..8].copy_from_slice(&(first_at as u32).to_be_bytes());
    out
}

/// A directory of a TIFF: tag, type, count and data of each entry. What does not fit into an entry
/// follows.
fn directory(at: usize, entries: &[(u16, u16, usize, Vec<u8>)]) -> Vec<u8> {
    let mut out = (entries.len() as u16).to_be_bytes().to_vec();
    let mut behind = Vec::<u8>::new();
    let behind_at = at + 2 + 12 * entries.len() + 4;
    for (tag, kind, count, data) in entries {
        out.extend(tag.to_be_bytes());
        out.extend(kind.to_be_bytes());
        out.extend((*count as u32).to_be_bytes());
        let mut here = data.clone();
        if data.len() > 4 {
            here = ((behind_at + behind.len()) as u32).to_be_bytes().to_vec();
            behind.extend(data);
        }
        here.resize(4, 0);
        out.extend(here);
    }
    out.extend([0; 4]);
    out.extend(behind);
    out
}

fn jpeg_with_exif(stored: &RgbImage, tiff: &[u8]) -> Vec<u8> {
    let jpeg = encoded(&DynamicImage::ImageRgb8(stored.clone()), ImageFormat::Jpeg);
    let exif = [b"Exif\0\0", tiff].concat();
    let length = (exif.len() + 2) as u16;
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// The pixels that a camera stores for an upright picture and an EXIF orientation, written
/// down from the EXIF specification (4.6.4, tag 274: which visual sides the stored 0th row
/// and 0th column are).
pub(crate) fn stored_for(upright: &RgbImage, orientation: u8) -> RgbImage {
    let (w, h) = upright.dimensions();
    let (sw, sh) = if orientation >= 5 { (h, w) } else { (w, h) };
    RgbImage::from_fn(sw, sh, |col, row| {
        let (x, y) = match orientation {
            1 => (col, row),                 // row 0 top, column 0 left
            2 => (w - 1 - col, row),         // top, right
            3 => (w - 1 - col, h - 1 - row), // bottom, right
            4 => (col, h - 1 - row),         // bottom, left
            5 => (row, col),                 // left, top
            6 => (w - 1 - row, col),         // right, top
            7 => (w - 1 - row, h - 1 - col), // right, bottom
            8 => (row, h - 1 - col),         // left, bottom
            _ => unreachable!(),
        };
        *upright.get_pixel(x, y)
    })
}

pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| {
            (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg())
        })
    })
}

/// A chunk of a PNG, with its length and checksum.
pub(crate) fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    let crc = crc32(&chunk[4..]);
    chunk.extend(crc.to_be_bytes());
    chunk
}
