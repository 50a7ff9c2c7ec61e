//! From what a person names to labelled photos.

use std::path::{Path, PathBuf};

use super::builtin::builtin;
use super::manifest::{DatasetManifest, search_path};
use super::{DatasetError, LabelledSet, Labels, coco, hex, voc, yolo};
use crate::eval::ClassMap;

/// What a person named.
#[derive(Clone, Copy)]
pub struct Open<'a> {
    /// A path, or the name of a manifest.
    pub name: &'a str,
    /// Folder of photos, where it cannot be guessed.
    pub photos: Option<&'a Path>,
    /// Split.
    pub split: Option<&'a str>,
    /// Folder that a manifest's paths start from; its own where absent.
    pub data: Option<&'a Path>,
    /// Upright width and height of a photo file, pixels.
    pub size_of: &'a dyn Fn(&Path) -> Option<(u32, u32)>,
}

/// Opens a manifest by name or path, a COCO JSON, a YOLO data.yaml or a Pascal VOC folder.
///
/// # Errors
/// Nothing of that name, files that cannot be read or are of no known format, no photos.
pub fn open(what: Open<'_>) -> Result<LabelledSet, DatasetError> {
    let given = PathBuf::from(what.name);
    if given.extension().is_some_and(|e| e == "toml") {
        let root = given.parent().unwrap_or(Path::new(""));
        return open_manifest(&DatasetManifest::read(&given)?, root, what);
    }
    if given.exists() {
        let (format, labels) = read(&given, what)?;
        let name = given.file_stem().unwrap_or(given.as_os_str());
        // DIR/val.json is better known by its folder
        let folder = given.parent().and_then(Path::file_name);
        let name = match folder {
            Some(folder) if ["val", "test", "train"].iter().any(|s| name == *s) => {
                Path::new(folder).join(name)
            }
            _ => PathBuf::from(name),
        };
        return finish(name.to_string_lossy().into_owned(), format, labels, &given);
    }
    let searched = search_path();
    let file = format!("{}.toml", what.name);
    let plain = given.components().count() == 1;
    let there = searched.iter().find(|dir| dir.join(&file).is_file());
    match (there, builtin(what.name)) {
        (Some(dir), _) if plain => {
            open_manifest(&DatasetManifest::read(&dir.join(&file))?, dir, what)
        }
        (None, Some(text)) => {
            let manifest = DatasetManifest::parse(text, Path::new(&file))?;
            open_manifest(&manifest, Path::new(""), what)
        }
        _ => Err(DatasetError::NotFound {
            name: what.name.to_owned(),
            searched,
        }),
    }
}

/// Opens what a manifest describes; its paths start from `root`, unless somebody says otherwise.
fn open_manifest(
    manifest: &DatasetManifest,
    root: &Path,
    what: Open<'_>,
) -> Result<LabelledSet, DatasetError> {
    let has = || manifest.splits.keys().cloned().collect::<Vec<_>>();
    let split = match what.split {
        Some(split) => split,
        None => ["val", "test"]
            .into_iter()
            .find(|s| manifest.splits.contains_key(*s))
            .unwrap_or("val"),
    };
    let Some(files) = manifest.splits.get(split) else {
        if manifest.splits.is_empty() {
            let reason = format!(
                "describes a set but not where it lies; get it ({}) and give the path of its labels \
                 instead",
                manifest.get.trim()
            );
            return Err(DatasetError::format(Path::new(&manifest.name), reason));
        }
        return Err(DatasetError::NoSplit {
            name: manifest.name.clone(),
            split: split.to_owned(),
            has: has(),
        });
    };
    let root = what.data.unwrap_or(root);
    let labels = root.join(&files.labels);
    if !labels.exists() {
        let reason = format!(
            "is not there; get the set ({}) and say with --data in which folder it lies",
            manifest.get.trim()
        );
        return Err(DatasetError::format(&labels, reason));
    }
    let photos = files.photos.as_ref().map(|p| root.join(p));
    let (format, mut read) = read(
        &labels,
        Open {
            photos: what.photos.or(photos.as_deref()),
            // a Pascal VOC folder without lists is one split
            split: (!voc::is_voc(&labels) || voc::has_splits(&labels)).then_some(split),
            ..what
        },
    )?;
    let others = manifest.splits.iter().filter(|(name, _)| *name != split);
    let others: Vec<(String, PathBuf)> = others
        .filter_map(|(name, files)| Some((name.clone(), root.join(files.photos.as_ref()?))))
        .collect();
    // else those of a data.yaml stay
    if !others.is_empty() {
        read.other_splits = others;
    }
    read.split = Some(split.to_owned());
    let mut set = finish(manifest.name.clone(), format, read, &labels)?;
    set.license = Some(manifest.license.clone());
    set.map = manifest.class_map();
    Ok(set)
}

fn read(path: &Path, what: Open<'_>) -> Result<(&'static str, Labels), DatasetError> {
    if path.is_dir() {
        let yaml = path.join("data.yaml");
        if yaml.is_file() {
            return Ok((
                "yolo",
                yolo::read(&yaml, what.split, what.photos, what.size_of)?,
            ));
        }
        if voc::is_voc(path) {
            return Ok(("voc", voc::read(path, what.split, what.photos)?));
        }
        let reason = "is a folder without data.yaml (YOLO) and without Annotations/ (Pascal VOC); \
                      for COCO name the JSON file";
        return Err(DatasetError::format(path, reason));
    }
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => Ok(("coco", coco::read(path, what.photos)?)),
        Some("yaml" | "yml") => Ok((
            "yolo",
            yolo::read(path, what.split, what.photos, what.size_of)?,
        )),
        _ => Err(DatasetError::format(
            path,
            "is none of COCO JSON (.json), YOLO (data.yaml), a Pascal VOC folder, a manifest (.toml)",
        )),
    }
}

fn finish(
    name: String,
    format: &'static str,
    labels: Labels,
    path: &Path,
) -> Result<LabelledSet, DatasetError> {
    if labels.truth.photos.is_empty() {
        return Err(DatasetError::NoPhotos {
            path: path.to_owned(),
        });
    }
    Ok(LabelledSet {
        name,
        split: labels.split,
        format,
        sha256: hex(labels.digest),
        license: None,
        truth: labels.truth,
        photos_dir: labels.photos_dir,
        map: ClassMap::default(),
        other_splits: labels.other_splits,
        findings: labels.findings,
    })
}
