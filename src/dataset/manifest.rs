//! `datasets/NAME.toml`: where a set comes from, its licence, and what its classes are to us.
//! Unknown keys are refused.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DatasetError;
use crate::eval::ClassMap;

/// Folders to look for manifests in, before the usual ones; separated as `PATH` is.
pub const DATASETS_VAR: &str = "SITEWARDEN_DATASETS";

/// A description of a set. The photos themselves are never part of this repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetManifest {
    /// Short name, that of the file.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// Who made it and where it is described.
    pub origin: String,
    /// Licence as its makers state it.
    pub license: String,
    /// How to get it.
    pub get: String,
    /// From the set's class to ours.
    #[serde(default)]
    pub classes: BTreeMap<String, String>,
    /// Classes of the set for which we have none.
    #[serde(default)]
    pub unmapped: Vec<String>,
    /// Splits, where they lie in the layout that its makers give them. Paths start from the folder
    /// of data (`--data`).
    #[serde(default)]
    pub splits: BTreeMap<String, SplitFiles>,
    /// Figures that others have published.
    #[serde(default)]
    pub published: Vec<Published>,
    /// Keys whose content nobody has checked against the source.
    #[serde(default)]
    pub unverified: Vec<String>,
    /// What else to know.
    #[serde(default)]
    pub notes: String,
}

/// Where one split lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitFiles {
    /// COCO JSON, `data.yaml` or Pascal VOC folder.
    pub labels: PathBuf,
    /// Folder of photos, where it is not where the format has it.
    #[serde(default)]
    pub photos: Option<PathBuf>,
}

/// A published figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Detector.
    pub model: String,
    /// `AP50`, `AP`, `mAP50-95`, … as published.
    pub metric: String,
    /// 0 to 1.
    pub value: f64,
    /// Where it is published.
    pub source: String,
}

impl DatasetManifest {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Not readable, not TOML, keys missing or unknown, a value that cannot be used.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let text = std::fs::read_to_string(path).map_err(|e| DatasetError::read(path, &e))?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file; `path` is what to call it.
    ///
    /// # Errors
    /// As [`Self::read`], but for the reading.
    pub fn parse(text: &str, path: &Path) -> Result<Self, DatasetError> {
        let manifest: Self = toml::from_str(text)
            .map_err(|e| DatasetError::format(path, e.to_string().trim_end()))?;
        match manifest.fault(path) {
            None => Ok(manifest),
            Some(reason) => Err(DatasetError::format(path, reason)),
        }
    }

    /// The first thing that is wrong.
    fn fault(&self, path: &Path) -> Option<String> {
        if path.file_stem().is_none_or(|stem| *stem != *self.name) {
            return Some(format!(
                "`name` is {:?}, must be that of the file",
                self.name
            ));
        }
        let texts = [&self.about, &self.origin, &self.license, &self.get];
        if texts.iter().any(|t| t.trim().is_empty()) {
            return Some("`about`, `origin`, `license` and `get` must say something".into());
        }
        if let Some(both) = self.unmapped.iter().find(|u| self.classes.contains_key(*u)) {
            return Some(format!("{both:?} is both in `classes` and in `unmapped`"));
        }
        let relative = |p: &Path| {
            p.components()
                .all(|c| matches!(c, std::path::Component::Normal(_)))
        };
        for (split, files) in &self.splits {
            if !relative(&files.labels) || !files.photos.as_deref().is_none_or(relative) {
                return Some(format!("splits.{split} must lie below the folder of data"));
            }
        }
        let keys = [
            "about",
            "origin",
            "license",
            "get",
            "classes",
            "splits",
            "published",
        ];
        if let Some(key) = self.unverified.iter().find(|u| !keys.contains(&u.as_str())) {
            return Some(format!(
                "`unverified` holds {key:?}, must hold names of keys"
            ));
        }
        let outside = |p: &&Published| !(0.0..=1.0).contains(&p.value);
        if let Some(p) = self.published.iter().find(outside) {
            return Some(format!("published value {} must lie in 0..=1", p.value));
        }
        None
    }

    /// Names of the set and ours.
    pub fn class_map(&self) -> ClassMap {
        let pairs = self.classes.iter();
        ClassMap {
            pairs: pairs
                .map(|(theirs, ours)| (ours.clone(), theirs.clone()))
                .collect(),
            unmapped: self.unmapped.clone(),
        }
    }
}

/// Folders that hold manifests, in the order of the search.
pub(super) fn search_path() -> Vec<PathBuf> {
    let mut path: Vec<PathBuf> = match env::var_os(DATASETS_VAR) {
        Some(list) => env::split_paths(&list)
            .filter(|p| !p.as_os_str().is_empty())
            .collect(),
        None => Vec::new(),
    };
    path.push(PathBuf::from("datasets"));
    let program = env::current_exe().ok();
    if let Some(dir) = program.as_deref().and_then(Path::parent) {
        path.push(dir.join("../share/sitewarden/datasets"));
    }
    path
}
