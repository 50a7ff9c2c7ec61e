//! The photos of a set through a model, as `scan` has it, down to the least scores.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::Setup;
use super::part::{self, Done, Part, Unseen};
use super::progress;
use crate::dataset::{self, LabelledSet};
use crate::detection::Detection;
use crate::eval::report::Finding;
use crate::eval::{ClassPlan, LabelledPhoto, Prediction, STAGES};
use crate::geometry::BBox;
use crate::inference::{Detect, Model};
use crate::pipeline::ordered::for_each_ordered;
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings, Scratch, hex};
use crate::pipeline::picture::photo_fingerprint;
use crate::rules::{Catalogue, RuleSet};
use crate::source::discover::{Found, discover};
use crate::source::photo::{PhotoError, PhotoLimits, read_file};

/// Least score of a prediction: COCO's curves need the doubtful ones too.
pub(super) const MIN_SCORE: f32 = 0.001;
/// Most predictions for one photo.
pub(super) const MAX_PER_PHOTO: usize = 300;

/// What came of the photos.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// In the order of the photos, best first within each.
    pub(super) predictions: Vec<Prediction>,
    /// What scanning sees in each photo that was seen.
    pub(super) seen: Vec<Sight>,
    /// Milliseconds by stage, for each photo that was seen.
    pub(super) times: Vec<[f32; STAGES.len()]>,
    /// Seconds for all photos; `None` where a part of them was done before.
    pub(super) wall_s: Option<f64>,
    /// Photos that nobody could look at.
    pub(super) unseen: HashSet<u64>,
    /// What is wrong with photos.
    pub(super) findings: Vec<Finding>,
}

/// One photo as scanning sees it.
#[derive(Debug)]
pub(super) struct Sight {
    /// [`LabelledPhoto::id`].
    pub(super) photo: u64,
    /// Upright, pixels.
    pub(super) size: (u32, u32),
    /// As in [`crate::rules::Scene::seen_scale`].
    pub(super) scale: f32,
    /// At or above the model's thresholds.
    pub(super) detections: Vec<Detection>,
}

/// Hashes of the photos of the other splits: the same for every model, so looked up once.
pub(super) type Others = OnceCell<Vec<(String, u128)>>;

/// Runs the model over every photo that an earlier, interrupted run has not done.
pub(super) fn look_at(
    setup: &Setup<'_>,
    set: &LabelledSet,
    plan: &ClassPlan,
    model: &Model,
    others: &Others,
    out: &Path,
) -> anyhow::Result<Look> {
    let manifest = model.manifest();
    // no rules: a benchmark asks what was seen, not what it means
    let rules = RuleSet::new(&Catalogue::builtin(), Some(&[]))?;
    let settings = PhotoSettings {
        limits: setup.limits.clone(),
        tiles: setup.tiles,
        min_score: Some(MIN_SCORE),
        ..PhotoSettings::default()
    };
    let pipeline = PhotoPipeline::new(model, &rules, settings);
    let judged = manifest
        .labels
        .iter()
        .map(|l| plan.by_name(l).map(|j| j.id));
    let judged: Vec<Option<u64>> = judged.collect();
    let thresholds = manifest.class_thresholds();

    let key = key(set, model, setup, &judged)?;
    let (mut part, before) = Part::open::<Done>(&out.join(part::PHOTOS), &key, setup.args.restart)?;
    let known: HashSet<u64> = set.truth.photos.iter().map(|p| p.id).collect();
    let mut done: HashMap<u64, Done> = before.into_iter().map(|d| (d.photo, d)).collect();
    done.retain(|id, _| known.contains(id));
    let resumed = !done.is_empty();
    let rest: Vec<&LabelledPhoto> = set
        .truth
        .photos
        .iter()
        .filter(|p| !done.contains_key(&p.id))
        .collect();

    let progress = progress::photos(set.truth.photos.len(), done.len(), "")?;
    let start = Instant::now();
    let mut failed = None;
    let workers = (0..setup.jobs.get()).map(|_| Scratch::default()).collect();
    for_each_ordered(
        rest.into_iter(),
        workers,
        |scratch, _, photo| look(&pipeline, set, &judged, &thresholds, photo, scratch),
        |_, photo| {
            progress.inc(1);
            let appended = part.append(&photo);
            done.insert(photo.photo, photo);
            match appended {
                Ok(()) => ControlFlow::Continue(()),
                Err(e) => {
                    failed = Some(e);
                    ControlFlow::Break(())
                }
            }
        },
    );
    let wall_s = start.elapsed().as_secs_f64();
    progress.finish_and_clear();
    if let Some(e) = failed {
        return Err(e)
            .with_context(|| format!("cannot write to {}; make room there", out.display()));
    }
    // of a few photos only, on trial, nobody asks whether others look like them
    if setup.args.limit.is_none() && others.get().is_none() {
        let _ = others.set(other_hashes(set, &setup.limits)?);
    }
    let others = others.get().map_or(&[][..], Vec::as_slice);
    Ok(gather(set, others, done, (!resumed).then_some(wall_s)))
}

/// Everything that a prediction depends on.
fn key(
    set: &LabelledSet,
    model: &Model,
    setup: &Setup<'_>,
    judged: &[Option<u64>],
) -> anyhow::Result<String> {
    let parts = serde_json::to_vec(&(
        env!("CARGO_PKG_VERSION"),
        model.manifest(),
        &set.sha256,
        &set.photos_dir,
        setup.tiles,
        &setup.limits,
        judged,
        (MIN_SCORE, MAX_PER_PHOTO),
    ))?;
    Ok(hex(&Sha256::digest(parts)))
}

fn look(
    pipeline: &PhotoPipeline<'_>,
    set: &LabelledSet,
    judged: &[Option<u64>],
    thresholds: &[f32],
    photo: &LabelledPhoto,
    scratch: &mut Scratch,
) -> Done {
    let start = Instant::now();
    let limits = &pipeline.settings().limits;
    let bytes = match photo_path(&set.photos_dir, &photo.file) {
        Some(path) => read_file(&path, limits).map_err(|e| match e {
            PhotoError::Io(e) if e.kind() == std::io::ErrorKind::NotFound => Unseen::Missing,
            e => Unseen::Unreadable(e.to_string()),
        }),
        None => Err(Unseen::Unreadable(
            "its path leads out of the folder of photos".into(),
        )),
    };
    let read_ms = start.elapsed().as_secs_f32() * 1e3;
    let seen = bytes.and_then(|bytes| {
        let seen = pipeline.see(&bytes, scratch);
        seen.map_err(|e| Unseen::Unreadable(e.to_string()))
    });
    let mut done = Done {
        photo: photo.id,
        size: None,
        ms: [0.0; STAGES.len()],
        hash: None,
        found: Vec::new(),
        seen: Vec::new(),
        scale: 1.0,
        error: None,
    };
    match seen {
        Err(unseen) => done.error = Some(unseen),
        Ok(seen) => {
            let t = seen.took;
            let ms = [
                t.decode_ms,
                t.preprocess_ms,
                t.inference_ms,
                t.postprocess_ms,
            ];
            let [decode, preprocess, inference, postprocess] = ms.map(|v| v as f32);
            done.ms = [read_ms, decode, preprocess, inference, postprocess];
            done.size = Some(seen.size);
            done.hash = seen.fingerprint.map(|h| format!("{h:032x}"));
            done.scale = seen.scale;
            let sure = seen
                .detections
                .iter()
                .filter(|d| d.score >= thresholds[d.class]);
            done.seen = sure.map(|d| (d.class, d.score, d.bbox.to_xywh())).collect();
            let labelled = seen
                .detections
                .iter()
                .filter_map(|d| Some((judged[d.class]?, d)));
            done.found = labelled
                .take(MAX_PER_PHOTO)
                .map(|(class, d)| {
                    let bbox = d.bbox.to_xywh().map(|v| rounded(v, 1e3));
                    (class, rounded(d.score, 1e6), bbox)
                })
                .collect();
        }
    }
    done
}

/// As many decimals as mean something: a thousandth of a pixel, a millionth of a score.
pub(super) fn rounded(value: f32, parts: f64) -> f64 {
    (f64::from(value) * parts).round() / parts
}

/// The file of a photo, unless its name leads elsewhere: labels come from strangers.
pub(super) fn photo_path(dir: &Path, file: &str) -> Option<PathBuf> {
    let inside = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    Path::new(file)
        .components()
        .all(inside)
        .then(|| dir.join(file))
}

fn gather(
    set: &LabelledSet,
    others: &[(String, u128)],
    mut done: HashMap<u64, Done>,
    wall_s: Option<f64>,
) -> Look {
    let mut look = Look {
        wall_s,
        ..Look::default()
    };
    let (mut missing, mut unreadable, mut sizes, mut hashes) = (vec![], vec![], vec![], vec![]);
    for photo in &set.truth.photos {
        let Some(one) = done.remove(&photo.id) else {
            continue;
        };
        match one.error {
            Some(Unseen::Missing) => missing.push(photo.file.clone()),
            Some(Unseen::Unreadable(why)) => unreadable.push((photo.file.clone(), why)),
            None => {
                look.times.push(one.ms);
                if let Some(own) = one.size {
                    sizes.push((photo.file.clone(), (photo.width, photo.height), own));
                }
                if let Some(size) = one.size {
                    look.seen.push(Sight {
                        photo: photo.id,
                        size,
                        scale: one.scale,
                        detections: one
                            .seen
                            .into_iter()
                            .map(|(class, score, bbox)| Detection {
                                class,
                                score,
                                bbox: BBox::from_xywh(bbox),
                            })
                            .collect(),
                    });
                }
                let hash = one.hash.and_then(|h| u128::from_str_radix(&h, 16).ok());
                hashes.extend(hash.map(|h| (photo.file.clone(), h)));
                let found = one
                    .found
                    .into_iter()
                    .map(|(class, score, bbox)| Prediction {
                        photo: photo.id,
                        class,
                        bbox,
                        score,
                    });
                look.predictions.extend(found);
                continue;
            }
        }
        look.unseen.insert(photo.id);
    }
    look.findings = dataset::check_photos(missing, unreadable, sizes.into_iter());
    look.findings
        .extend(dataset::check_duplicates(&hashes, others));
    look
}

/// Hashes of the photos of the other splits, where a manifest or a data.yaml names them.
fn other_hashes(set: &LabelledSet, limits: &PhotoLimits) -> anyhow::Result<Vec<(String, u128)>> {
    use rayon::prelude::*;
    let photos = other_photos(set);
    let progress = progress::photos(photos.len(), 0, " of other splits")?;
    let hashes = photos.par_iter().filter_map(|(name, path)| {
        progress.inc(1);
        let bytes = read_file(path, limits).ok()?;
        let hash = photo_fingerprint(&bytes, limits).ok()??;
        Some((name.clone(), hash))
    });
    let hashes = hashes.collect();
    progress.finish_and_clear();
    Ok(hashes)
}

/// The photos in the folders of other splits, each once, by what to call it. Splits may share a
/// folder: what belongs to this one is no copy of itself.
fn other_photos(set: &LabelledSet) -> Vec<(String, PathBuf)> {
    let whole = |dir: &Path| dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let own_dir = whole(&set.photos_dir);
    let own = set.truth.photos.iter();
    let mut seen: HashSet<PathBuf> = own.filter_map(|p| photo_path(&own_dir, &p.file)).collect();
    let mut photos = Vec::new();
    for (split, dir) in &set.other_splits {
        let dir = whole(dir);
        for found in discover(vec![dir.clone()], None) {
            let Found::File(path) = found else {
                continue;
            };
            if seen.insert(path.clone()) {
                let file = path.strip_prefix(&dir).unwrap_or(&path);
                photos.push((format!("{split}: {}", file.display()), path));
            }
        }
    }
    photos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{ClassMap, GroundTruth};

    #[test]
    fn splits_that_share_a_folder_are_no_copies_of_one_another() {
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        ["images/a.jpg", "images/b.jpg", "more/c.jpg"]
            .into_iter()
            .for_each(file);
        let photo = |file: &str| LabelledPhoto {
            id: 1,
            file: file.into(),
            width: 1,
            height: 1,
        };
        let set = LabelledSet {
            name: "x".into(),
            split: Some("val".into()),
            format: "coco",
            sha256: String::new(),
            license: None,
            truth: GroundTruth {
                photos: vec![photo("a.jpg")],
                ..GroundTruth::default()
            },
            photos_dir: root.path().join("images"),
            map: ClassMap::default(),
            other_splits: ["images", "more", "images", "nowhere"]
                .iter()
                .zip(["test", "train", "extra", "old"])
                .map(|(dir, split)| (split.to_owned(), root.path().join(dir)))
                .collect(),
            findings: Vec::new(),
        };
        let names: Vec<String> = other_photos(&set).into_iter().map(|p| p.0).collect();
        assert_eq!(names, ["test: b.jpg", "train: c.jpg"]);
    }
}
