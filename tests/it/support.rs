//! What several tests need: the program, pictures, a place to put them.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{DynamicImage, ImageFormat, RgbImage};

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
    assert_eq!(time.len(), 19);
    // TIFF header; one directory, with the place of EXIF's (0x8769); there one or two texts
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
    let texts = [Some((0x9003u16, time)), offset.map(|o| (0x9011, o))];
    let texts: Vec<_> = texts.into_iter().flatten().collect();
    tiff.extend((texts.len() as u16).to_be_bytes());
    let mut place = tiff.len() + 12 * texts.len() + 4;
    for (tag, text) in &texts {
        tiff.extend(tag.to_be_bytes());
        tiff.extend([0, 2]);
        tiff.extend((text.len() as u32 + 1).to_be_bytes());
        tiff.extend((place as u32).to_be_bytes());
        place += text.len() + 1;
    }
    tiff.extend([0; 4]);
    for (_, text) in texts {
        tiff.extend(text.bytes().chain([0]));
    }
    jpeg_with_exif(stored, &tiff)
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
