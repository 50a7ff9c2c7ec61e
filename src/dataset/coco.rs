//! COCO's `instances` JSON: `images`, `annotations`, `categories`. Other keys are passed over.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use sha2::Digest;

use super::{DatasetError, Labels, read_bytes};
use crate::eval::{GroundTruth, LabelledBox, LabelledClass, LabelledPhoto};

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    #[serde(deserialize_with = "id")]
    id: u64,
    file_name: String,
    #[serde(default)]
    width: Option<f64>,
    #[serde(default)]
    height: Option<f64>,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default, deserialize_with = "id")]
    id: u64,
    #[serde(deserialize_with = "id")]
    image_id: u64,
    #[serde(deserialize_with = "id")]
    category_id: u64,
    #[serde(default)]
    bbox: Vec<Option<f64>>,
    #[serde(default)]
    area: Option<f64>,
    #[serde(default, deserialize_with = "flag")]
    iscrowd: bool,
}

#[derive(Deserialize)]
struct Category {
    #[serde(deserialize_with = "id")]
    id: u64,
    name: String,
}

/// Reads a file; `photos` where they do not lie beside it.
pub(super) fn read(path: &Path, photos: Option<&Path>) -> Result<Labels, DatasetError> {
    let bytes = read_bytes(path)?;
    let mut labels = Labels::default();
    labels.digest.update(&bytes);
    labels.truth = parse(&bytes).map_err(|e| {
        let reason = format!(
            "is no COCO instances file ({e}); it needs `images`, `annotations` and `categories`, \
             with whole numbers from 0 as ids"
        );
        DatasetError::format(path, reason)
    })?;
    labels.photos_dir = match photos {
        Some(dir) => dir.to_owned(),
        None => photos_dir(path, &labels.truth),
    };
    Ok(labels)
}

/// Ground truth from the bytes of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<GroundTruth, serde_json::Error> {
    // some Windows programs begin a file with a mark
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file: File = serde_json::from_slice(&without_nan(bytes))?;
    let photos = file.images.into_iter().map(|i| LabelledPhoto {
        id: i.id,
        file: i.file_name,
        // a size is only compared with the photo's own
        width: i.width.unwrap_or(0.0) as u32,
        height: i.height.unwrap_or(0.0) as u32,
    });
    let boxes = file.annotations.into_iter().map(|a| {
        let mut bbox = [f64::NAN; 4];
        if a.bbox.len() == 4 {
            for (to, from) in bbox.iter_mut().zip(&a.bbox) {
                *to = from.unwrap_or(f64::NAN);
            }
        }
        LabelledBox {
            id: a.id,
            photo: a.image_id,
            class: a.category_id,
            // pycocotools takes any area; one that is none would leave the box out of the counts
            area: a.area.filter(|a| *a > 0.0).unwrap_or(bbox[2] * bbox[3]),
            bbox,
            crowd: a.iscrowd,
        }
    });
    let classes = file.categories.into_iter().map(|c| LabelledClass {
        id: c.id,
        name: c.name,
    });
    Ok(GroundTruth {
        photos: photos.collect(),
        boxes: boxes.collect(),
        classes: classes.collect(),
    })
}

/// Where the photos of `DIR/NAME.json` lie when nobody says: the first of `DIR/NAME/`, `DIR/`,
/// `DIR/images/NAME/`, `DIR/images/`, `DIR/../images/NAME/`, `DIR/../NAME/` that holds the first
/// one.
fn photos_dir(path: &Path, truth: &GroundTruth) -> std::path::PathBuf {
    let dir = path.parent().unwrap_or(Path::new(""));
    let stem = path.file_stem().unwrap_or_default();
    // instances_val2017.json belongs to val2017/
    let short = stem.to_string_lossy().replace("instances_", "");
    let places = [
        dir.join(stem),
        dir.to_owned(),
        dir.join("images").join(&short),
        dir.join("images"),
        dir.join("..").join("images").join(&short),
        dir.join("..").join(&short),
    ];
    let first = truth.photos.first().map_or("", |p| &p.file);
    let holds = |dir: &&std::path::PathBuf| dir.join(first).is_file();
    places.iter().find(holds).unwrap_or(&places[0]).clone()
}

/// Python writes `NaN` and `Infinity`, which are no JSON; they become `null` here and are found
/// again by the health check.
pub(super) fn without_nan(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|w| w == word);
    if !holds(b"NaN") && !holds(b"Infinity") {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        let rest = &bytes[at..];
        match (quoted, WORDS.iter().find(|w| rest.starts_with(w))) {
            (false, Some(word)) => {
                out.extend(b"null");
                at += word.len();
            }
            (true, _) if rest.len() > 1 && rest[0] == b'\\' => {
                out.extend(&rest[..2]);
                at += 2;
            }
            _ => {
                quoted ^= rest[0] == b'"';
                out.push(rest[0]);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// Whole numbers from 0; pandas writes them as `1.0`.
pub(super) fn id<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(d)?;
    // above 2^53 a float is no exact number any more
    let float = || {
        let f = number.as_f64()?;
        (f >= 0.0 && f.fract() == 0.0 && f < 9e15).then_some(f as u64)
    };
    number
        .as_u64()
        .or_else(float)
        .ok_or_else(|| D::Error::custom(format!("the id {number} is no whole number from 0")))
}

/// 0, 1, 0.0, 1.0, false or true.
fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    match serde_json::Value::deserialize(d)? {
        serde_json::Value::Bool(b) => Ok(b),
        serde_json::Value::Number(n) => Ok(n.as_f64() != Some(0.0)),
        serde_json::Value::Null => Ok(false),
        other => Err(D::Error::custom(format!(
            "iscrowd is {other}, must be 0 or 1"
        ))),
    }
}
