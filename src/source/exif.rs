//! When a camera says that it took a photo: EXIF's DateTimeOriginal and OffsetTimeOriginal (EXIF
//! 3.0, 4.6.6). Nothing else of the metadata is read here, least of all where.

use std::io::Cursor;

use exif::{In, Reader, Tag, Value};
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

use super::jpeg::EXIF_WITHIN;

/// A time as the camera's clock showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraTime {
    /// On its display.
    pub local: DateTime,
    /// Of the time zone that it was set to, where it says.
    pub offset: Option<Offset>,
}

/// Larger TIFFs are not asked: the reader copies them whole.
const MAX_TIFF_BYTES: usize = 128 << 20;

/// What a JPEG, PNG, WebP, TIFF or HEIC says; nothing of other formats.
pub fn camera_time(bytes: &[u8]) -> Option<CameraTime> {
    let bytes = match bytes.get(..4)? {
        // without EXIF, the reader would look for it in all of the picture
        [0xff, 0xd8, ..] => bytes.get(..EXIF_WITHIN).unwrap_or(bytes),
        b"II*\0" | b"MM\0*" if bytes.len() > MAX_TIFF_BYTES => return None,
        _ => bytes,
    };
    // what is damaged elsewhere may still say when
    let exif = Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(bytes))
        .or_else(|e| e.distill_partial_result(|_| ()))
        .ok()?;
    let text = |tag| match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(texts) => Some(str::from_utf8(texts.first()?).ok()?.trim()),
        _ => None,
    };
    let local = DateTime::strptime("%Y:%m:%d %H:%M:%S", text(Tag::DateTimeOriginal)?).ok()?;
    let offset =
        text(Tag::OffsetTimeOriginal).and_then(|text| strtime::parse("%:z", text).ok()?.offset());
    Some(CameraTime { local, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF header, a directory that leads to EXIF's, and there the two tags.
    fn block(time: &str, offset: Option<&str>) -> Vec<u8> {
        let mut out = b"MM\0*\0\0\0\x08".to_vec();
        out.extend(b"\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0");
        let entries = 1 + u16::from(offset.is_some());
        out.extend(entries.to_be_bytes());
        let mut data = 26 + 2 + 12 * usize::from(entries) + 4;
        let mut texts = Vec::new();
        for (tag, text) in [(0x9003u16, Some(time)), (0x9011, offset)] {
            let Some(text) = text else { continue };
            out.extend(tag.to_be_bytes());
            out.extend(b"\0\x02");
            out.extend((text.len() as u32 + 1).to_be_bytes());
            out.extend((data as u32).to_be_bytes());
            data += text.len() + 1;
            texts.extend(text.bytes().chain([0]));
        }
        out.extend([0; 4]);
        out.extend(texts);
        out
    }

    #[test]
    fn a_camera_says_when_and_perhaps_in_which_zone() {
        let said = camera_time(&block("2026:05:31 09:30:00", Some("+08:00"))).unwrap();
        assert_eq!(said.local.to_string(), "2026-05-31T09:30:00");
        assert_eq!(said.offset.unwrap().seconds(), 8 * 3600);
        let said = camera_time(&block("2026:05:31 09:30:00", None)).unwrap();
        assert_eq!(said.offset, None);
        // a clock that was never set
        assert_eq!(camera_time(&block("0000:00:00 00:00:00", None)), None);
        assert_eq!(camera_time(&block("    :  :     :  :  ", None)), None);
    }

    #[test]
    fn a_block_cut_short_anywhere_says_nothing_wrong() {
        let whole = block("2026:05:31 09:30:00", Some("+08:00"));
        let right = camera_time(&whole);
        for end in 0..whole.len() {
            let said = camera_time(&whole[..end]);
            assert!(said.is_none() || said.map(|s| s.local) == right.map(|s| s.local));
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] = 0xff;
            camera_time(&broken);
        }
    }
}
