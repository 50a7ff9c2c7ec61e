//! YOLO: a `data.yaml` with the folders of photos, and beside each photo's folder `images` one
//! `labels` with a text file for each photo: `class cx cy w h`, fractions of the photo's size.
//!
//! Rows with more numbers are outlines of an object (YOLO's segmentation labels): their box counts.

use std::path::{Path, PathBuf};

use sha2::Digest;
use yaml_rust2::parser::{EventReceiver, Parser};
use yaml_rust2::{Event, Yaml, YamlLoader};

use super::{DatasetError, Labels, read_bytes};
use crate::eval::report::{Finding, Weight};
use crate::eval::{LabelledBox, LabelledClass, LabelledPhoto};

/// What is looked up for each photo: fractions mean nothing without a size.
pub(super) type SizeOf<'a> = &'a dyn Fn(&Path) -> Option<(u32, u32)>;

const SPLITS: [&str; 3] = ["val", "test", "train"];
const PHOTO_ENDINGS: [&str; 7] = ["jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"];
/// Examples kept of each finding.
const EXAMPLES: usize = 5;

/// Reads one split: the one named, or the first of val, test, train that the file names.
pub(super) fn read(
    yaml: &Path,
    split: Option<&str>,
    photos: Option<&Path>,
    size_of: SizeOf<'_>,
) -> Result<Labels, DatasetError> {
    let bytes = read_bytes(yaml)?;
    let text = String::from_utf8_lossy(&bytes);
    let no_yaml = |e| DatasetError::format(yaml, format!("is no YAML: {e}"));
    let mut aliases = Aliases(false);
    Parser::new_from_str(&text)
        .load(&mut aliases, true)
        .map_err(no_yaml)?;
    if aliases.0 {
        let reason = "uses YAML aliases (*name), which are not followed; write the values out";
        return Err(DatasetError::format(yaml, reason));
    }
    let parsed = YamlLoader::load_from_str(&text).map_err(no_yaml)?;
    let data = parsed.first().unwrap_or(&Yaml::BadValue);
    let mut labels = Labels::default();
    labels.digest.update(&bytes);
    labels.truth.classes = names(data).ok_or_else(|| {
        let reason = "has no `names` that can be read: give a list of class names, or a map from \
                      number to name";
        DatasetError::format(yaml, reason)
    })?;
    let root = yaml.parent().unwrap_or(Path::new(""));
    let root = data["path"]
        .as_str()
        .map_or(root.to_owned(), |p| root.join(p));
    let folder = |name: &str| data[name].as_str().map(|p| folder(yaml, &root, p));
    let has: Vec<&str> = SPLITS.into_iter().filter(|s| folder(s).is_some()).collect();
    let chosen = match split {
        Some(split) => has.iter().find(|s| **s == split),
        None => has.first(),
    };
    if has.is_empty() {
        let reason = "names no folder of photos: give `val: path/to/images` (one folder; lists of \
                      folders are not read)";
        return Err(DatasetError::format(yaml, reason));
    }
    let Some(&chosen) = chosen else {
        return Err(DatasetError::NoSplit {
            name: yaml.display().to_string(),
            split: split.unwrap_or("val").to_owned(),
            has: has.iter().map(|&s| s.to_owned()).collect(),
        });
    };
    labels.photos_dir = match photos {
        Some(dir) => dir.to_owned(),
        None => folder(chosen).unwrap_or_default(),
    };
    if !labels.photos_dir.is_dir() {
        let reason = format!(
            "`{chosen}` leads to {}, which is no folder; correct it, or say with --images where the \
             photos lie (lists of photos in text files are not read)",
            labels.photos_dir.display()
        );
        return Err(DatasetError::format(yaml, reason));
    }
    labels.other_splits = has
        .iter()
        .filter(|s| **s != chosen)
        .filter_map(|s| Some(((*s).to_owned(), folder(s)?)))
        .collect();
    labels.split = Some(chosen.to_owned());
    read_photos(&mut labels, size_of)?;
    Ok(labels)
}

/// Whether a document has aliases: each is a copy, and copies of copies fill any memory.
struct Aliases(bool);

impl EventReceiver for Aliases {
    fn on_event(&mut self, event: Event) {
        self.0 |= matches!(event, Event::Alias(_));
    }
}

/// Roboflow writes `../valid/images` for what lies in `valid/images`.
fn folder(yaml: &Path, root: &Path, path: &str) -> PathBuf {
    let beside = yaml.parent().unwrap_or(Path::new(""));
    let places = [root.join(path), beside.join(path.trim_start_matches("../"))];
    let there = places.iter().find(|p| p.is_dir());
    there.unwrap_or(&places[0]).clone()
}

fn names(data: &Yaml) -> Option<Vec<LabelledClass>> {
    let text = |y: &Yaml| match y {
        Yaml::String(s) => Some(s.clone()),
        Yaml::Integer(i) => Some(i.to_string()),
        _ => None,
    };
    match &data["names"] {
        Yaml::Array(names) => names
            .iter()
            .zip(0..)
            .map(|(name, id)| {
                Some(LabelledClass {
                    id,
                    name: text(name)?,
                })
            })
            .collect(),
        Yaml::Hash(names) => names
            .iter()
            .map(|(id, name)| {
                let id = id.as_i64().and_then(|i| u64::try_from(i).ok())?;
                Some(LabelledClass {
                    id,
                    name: text(name)?,
                })
            })
            .collect(),
        _ => None,
    }
}

fn read_photos(labels: &mut Labels, size_of: SizeOf<'_>) -> Result<(), DatasetError> {
    let dir = labels.photos_dir.clone();
    let is_photo = |p: &Path| {
        let ending = p
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_lowercase);
        ending.is_some_and(|e| PHOTO_ENDINGS.contains(&e.as_str()))
    };
    let walk = walkdir::WalkDir::new(&dir).sort_by_file_name();
    let (mut unlabelled, mut bad_lines) = (Vec::new(), Vec::new());
    for (entry, id) in walk
        .into_iter()
        .filter(|e| e.as_ref().map_or(true, |e| is_photo(e.path())))
        .zip(1..)
    {
        let entry = entry.map_err(|e| DatasetError::read(&dir, &e.into()))?;
        let path = entry.path();
        let file = path.strip_prefix(&dir).unwrap_or(path).to_string_lossy();
        // a photo that cannot be read is found out when its turn comes
        let (width, height) = size_of(path).unwrap_or((0, 0));
        labels.truth.photos.push(LabelledPhoto {
            id,
            file: file.clone().into_owned(),
            width,
            height,
        });
        let Ok(text) = std::fs::read(labels_file(path)) else {
            unlabelled.push(file.into_owned());
            continue;
        };
        labels.digest.update(file.as_bytes());
        labels.digest.update(&text);
        for (line, number) in String::from_utf8_lossy(&text).lines().zip(1..) {
            if line.trim().is_empty() {
                continue;
            }
            match row(line) {
                Some((class, bbox)) => {
                    let bbox = scaled(bbox, (width, height));
                    labels.truth.boxes.push(LabelledBox {
                        id: labels.truth.boxes.len() as u64 + 1,
                        photo: id,
                        class,
                        bbox,
                        area: bbox[2] * bbox[3],
                        crowd: false,
                    });
                }
                None => bad_lines.push(format!("{file} line {number}: {line}")),
            }
        }
    }
    let mut add = |code: &str, weight, text: &str, all: Vec<String>| {
        if !all.is_empty() {
            labels.findings.push(Finding {
                code: code.to_owned(),
                weight,
                count: all.len(),
                text: text.to_owned(),
                examples: all.into_iter().take(EXAMPLES).collect(),
            });
        }
    };
    add(
        "no_label_file",
        Weight::Note,
        "photos without a label file; taken as photos without objects",
        unlabelled,
    );
    add(
        "bad_label_line",
        Weight::Error,
        "label lines that are not `class cx cy w h`; left out",
        bad_lines,
    );
    Ok(())
}

/// `…/images/…/a.jpg` has its labels in `…/labels/…/a.txt`; else they lie beside the photo.
fn labels_file(photo: &Path) -> PathBuf {
    let text = photo.with_extension("txt");
    let mut parts: Vec<_> = text.components().collect();
    let images = parts.iter().rposition(|p| p.as_os_str() == "images");
    if let Some(at) = images {
        parts[at] = std::path::Component::Normal("labels".as_ref());
        let labels: PathBuf = parts.iter().collect();
        if labels.is_file() {
            return labels;
        }
    }
    text
}

/// Class and `[x, y, w, h]` as fractions.
fn row(line: &str) -> Option<(u64, [f64; 4])> {
    let mut words = line.split_whitespace();
    let class = words.next()?.parse::<f64>().ok()?;
    if class < 0.0 || class.fract() != 0.0 {
        return None;
    }
    let v: Vec<f64> = words.map(|w| w.parse().ok()).collect::<Option<_>>()?;
    let bbox = match v[..] {
        // a sixth number is a score
        [cx, cy, w, h] | [cx, cy, w, h, _] => [cx - w / 2.0, cy - h / 2.0, w, h],
        [] | [_] | [_, _] | [_, _, _] => return None,
        _ if v.len().is_multiple_of(2) => {
            let least = |of: usize| {
                v.iter()
                    .skip(of)
                    .step_by(2)
                    .copied()
                    .fold(f64::MAX, f64::min)
            };
            let most = |of: usize| {
                v.iter()
                    .skip(of)
                    .step_by(2)
                    .copied()
                    .fold(f64::MIN, f64::max)
            };
            [least(0), least(1), most(0) - least(0), most(1) - least(1)]
        }
        _ => return None,
    };
    Some((class as u64, bbox))
}

fn scaled([x, y, w, h]: [f64; 4], (width, height): (u32, u32)) -> [f64; 4] {
    let (width, height) = (f64::from(width), f64::from(height));
    [x * width, y * height, w * width, h * height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_boxes_or_outlines() {
        assert_eq!(
            row("3 0.5 0.5 0.5 0.25"),
            Some((3, [0.25, 0.375, 0.5, 0.25]))
        );
        assert_eq!(row("0 0.5 0.5 1 1 0.9"), Some((0, [0.0, 0.0, 1.0, 1.0])));
        assert_eq!(
            row("1 0.25 0.5 0.75 0.5 0.5 1.0"),
            Some((1, [0.25, 0.5, 0.5, 0.5]))
        );
        for bad in [
            "",
            "a 1 1 1 1",
            "-1 0 0 1 1",
            "1 0.5 0.5",
            "1 0 0 x 1",
            "1.5 0 0 1 1",
        ] {
            assert_eq!(row(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn labels_lie_in_the_sister_folder_or_beside_the_photo() {
        let root = tempfile::tempdir().unwrap();
        let labels = root.path().join("labels/val");
        std::fs::create_dir_all(&labels).unwrap();
        std::fs::write(labels.join("a.txt"), "").unwrap();
        let photo = root.path().join("images/val/a.jpg");
        assert_eq!(labels_file(&photo), labels.join("a.txt"));
        let other = root.path().join("images/val/b.jpg");
        assert_eq!(labels_file(&other), root.path().join("images/val/b.txt"));
    }
}
