//! Pascal VOC: a folder with `Annotations/*.xml`, `JPEGImages/` and `ImageSets/Main/SPLIT.txt`.
//! Without lists of splits all of it is one.
//!
//! Read by hotcoco: `xmin … ymax` are 1-based and inclusive as in the devkit, `difficult` objects
//! count neither as misses nor as false alarms.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::{DatasetError, Labels, read_bytes};
use crate::eval::report::{Finding, Weight};
use crate::eval::{GroundTruth, LabelledBox, LabelledClass, LabelledPhoto};

/// Whether `dir` looks like one.
pub(super) fn is_voc(dir: &Path) -> bool {
    dir.join("Annotations").is_dir()
}

/// Whether it has lists of splits.
pub(super) fn has_splits(dir: &Path) -> bool {
    dir.join("ImageSets").join("Main").is_dir()
}

/// Splits in the order in which one is chosen when nobody names one.
const SPLITS: [&str; 4] = ["val", "test", "trainval", "train"];
/// Examples kept of each finding.
const EXAMPLES: usize = 5;

/// Reads a folder: the photos that `ImageSets/Main/SPLIT.txt` lists; without `split` the first of
/// val, test, trainval, train that has a list, or all photos where there are no lists.
pub(super) fn read(
    dir: &Path,
    split: Option<&str>,
    photos: Option<&Path>,
) -> Result<Labels, DatasetError> {
    let annotations = dir.join("Annotations");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&annotations)
        .map_err(|e| DatasetError::read(&annotations, &e))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "xml"))
        .collect();
    files.sort();
    let read = hotcoco::convert::voc_to_coco(dir).map_err(|e| {
        let reason = format!("is no Pascal VOC folder that can be read: {e}; mend or remove it");
        DatasetError::format(dir, reason)
    })?;
    let mut labels = Labels {
        photos_dir: photos.map_or_else(|| dir.join("JPEGImages"), Path::to_owned),
        ..Labels::default()
    };
    for file in &files {
        labels.digest.update(read_bytes(file)?);
    }
    let has = splits(&dir.join("ImageSets").join("Main"));
    let usual = || SPLITS.into_iter().find(|s| has.iter().any(|h| h == s));
    let split = split.or_else(usual);
    let wanted = split.map(|s| listed(dir, s)).transpose()?;
    let mut kept = HashSet::new();
    for (image, file) in read.images.iter().zip(&files) {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        if wanted.as_ref().is_some_and(|w| !w.contains(&*stem)) {
            continue;
        }
        kept.insert(image.id);
        labels.truth.photos.push(LabelledPhoto {
            id: image.id,
            file: photo_file(&labels.photos_dir, &stem, &image.file_name),
            width: image.width,
            height: image.height,
        });
    }
    let boxes = read
        .annotations
        .iter()
        .filter(|a| kept.contains(&a.image_id));
    labels.truth = GroundTruth {
        boxes: boxes
            .map(|a| LabelledBox {
                id: a.id,
                photo: a.image_id,
                class: a.category_id,
                bbox: a.bbox.unwrap_or([f64::NAN; 4]),
                area: a.area.unwrap_or(f64::NAN),
                crowd: a.iscrowd,
            })
            .collect(),
        classes: read
            .categories
            .into_iter()
            .map(|c| LabelledClass {
                id: c.id,
                name: c.name,
            })
            .collect(),
        photos: labels.truth.photos,
    };
    if let Some(split) = split {
        labels.findings = without_labels(split, wanted.unwrap_or_default(), &files);
        labels.split = Some(split.to_owned());
        // one folder holds the photos of all splits
        let others = has.iter().any(|s| s != split);
        let rest = others.then(|| ("other splits".to_owned(), labels.photos_dir.clone()));
        labels.other_splits.extend(rest);
    }
    Ok(labels)
}

/// Photos of a list that nobody labelled: test sets are published so.
fn without_labels(split: &str, mut wanted: HashSet<String>, files: &[PathBuf]) -> Vec<Finding> {
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        wanted.remove(&*stem);
    }
    let mut stems: Vec<String> = wanted.into_iter().collect();
    if stems.is_empty() {
        return Vec::new();
    }
    stems.sort();
    vec![Finding {
        code: "listed_without_labels".into(),
        weight: Weight::Error,
        count: stems.len(),
        text: format!(
            "photos that ImageSets/Main/{split}.txt lists have no file in Annotations/; left out"
        ),
        examples: stems.into_iter().take(EXAMPLES).collect(),
    }]
}

/// Stems in a split's list.
fn listed(dir: &Path, split: &str) -> Result<HashSet<String>, DatasetError> {
    let sets = dir.join("ImageSets").join("Main");
    if !sets.is_dir() {
        let reason = format!(
            "has no ImageSets/Main/ and so no split {split:?}; leave --split out, or write \
             ImageSets/Main/{split}.txt with a name on each line"
        );
        return Err(DatasetError::format(dir, reason));
    }
    let list = sets.join(format!("{split}.txt"));
    let bytes = read_bytes(&list).map_err(|_| DatasetError::NoSplit {
        name: dir.display().to_string(),
        split: split.to_owned(),
        has: splits(&sets),
    })?;
    let text = String::from_utf8_lossy(&bytes);
    // the devkit's class lists have a second column
    let stems = text.lines().filter_map(|l| l.split_whitespace().next());
    Ok(stems.map(str::to_owned).collect())
}

fn splits(sets: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(sets)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "txt"))
        .filter_map(|p| Some(p.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// `<filename>` is often that of the labeller's own disk: the name of the XML file decides where
/// there is such a photo.
fn photo_file(photos: &Path, stem: &str, declared: &str) -> String {
    let same = ["jpg", "JPG", "jpeg", "png", "PNG", "bmp", "webp"];
    let mut names = same.iter().map(|ending| format!("{stem}.{ending}"));
    names
        .find(|name| photos.join(name).is_file())
        .unwrap_or_else(|| declared.to_owned())
}
