//! What is wrong with a set, said before any score.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::is_pixels;
use crate::eval::report::{Finding, Weight};
use crate::eval::{GroundTruth, LabelledBox, near_pairs};

/// Examples kept of each finding.
const EXAMPLES: usize = 5;
/// Most boxes of one photo: matching takes time with their square, and nobody has labelled more.
const MOST_BOXES: usize = 10_000;
/// A box may reach so far beyond its photo, pixels: labelling programs round.
const SLACK_PX: f64 = 2.0;

/// Looks at the labels alone and takes out what cannot be judged by: boxes of unknown photos or
/// classes, boxes that are no numbers or have no area, photos whose id is taken.
pub fn check_labels(truth: &mut GroundTruth) -> Vec<Finding> {
    let mut found = Vec::new();
    let files: HashMap<u64, String> = truth
        .photos
        .iter()
        .map(|p| (p.id, p.file.clone()))
        .collect();
    let at = |b: &LabelledBox| {
        let file = files.get(&b.photo).map_or("?", String::as_str);
        format!("box {} of {file} {:?}", b.id, b.bbox)
    };

    let mut ids = HashSet::new();
    let twice = taken_out(
        &mut truth.photos,
        |p| ids.insert(p.id),
        |p| format!("{} ({})", p.id, p.file),
    );
    add(
        &mut found,
        "photo_id_twice",
        Weight::Error,
        twice,
        "photos whose id is taken by an earlier one; left out, and their boxes may stand with the earlier one",
    );
    let again = repeated(truth.photos.iter().map(|p| p.file.as_str()));
    add(
        &mut found,
        "photo_twice",
        Weight::Warning,
        again,
        "photos listed more than once under different ids; each counts",
    );

    let mut ids = HashSet::new();
    let twice = taken_out(
        &mut truth.classes,
        |c| ids.insert(c.id),
        |c| format!("{} ({})", c.id, c.name),
    );
    add(
        &mut found,
        "class_id_twice",
        Weight::Error,
        twice,
        "classes whose id is taken by an earlier one; left out, and their boxes count for the earlier one",
    );

    let sizes: HashMap<u64, (u32, u32)> = truth
        .photos
        .iter()
        .map(|p| (p.id, (p.width, p.height)))
        .collect();
    let classes: HashSet<u64> = truth.classes.iter().map(|c| c.id).collect();
    let orphans = taken_out(
        &mut truth.boxes,
        |b| sizes.contains_key(&b.photo),
        |b| format!("box {} names photo {}", b.id, b.photo),
    );
    add(
        &mut found,
        "unknown_photo",
        Weight::Error,
        orphans,
        "boxes of a photo id that the set does not list; left out",
    );
    let unknown = taken_out(
        &mut truth.boxes,
        |b| classes.contains(&b.class),
        |b| format!("box {} names class {}", b.id, b.class),
    );
    add(
        &mut found,
        "unknown_class",
        Weight::Error,
        unknown,
        "boxes of a class id that the set does not list; left out",
    );
    let mut count: HashMap<u64, usize> = HashMap::new();
    for b in &truth.boxes {
        *count.entry(b.photo).or_default() += 1;
    }
    count.retain(|_, n| *n > MOST_BOXES);
    let crowded = taken_out(
        &mut truth.photos,
        |p| !count.contains_key(&p.id),
        |p| format!("{} ({} boxes)", p.file, count[&p.id]),
    );
    truth.boxes.retain(|b| !count.contains_key(&b.photo));
    add(
        &mut found,
        "photo_with_too_many_boxes",
        Weight::Error,
        crowded,
        "photos with more than 10,000 boxes; left out: are the image ids of the labels right?",
    );
    let broken = taken_out(
        &mut truth.boxes,
        |b| b.bbox.iter().all(|v| is_pixels(*v)),
        at,
    );
    add(
        &mut found,
        "box_not_a_number",
        Weight::Error,
        broken,
        "boxes with a coordinate that is missing, no number or beyond any photo; left out",
    );
    let empty = taken_out(&mut truth.boxes, |b| b.bbox[2] > 0.0 && b.bbox[3] > 0.0, at);
    add(
        &mut found,
        "box_without_area",
        Weight::Error,
        empty,
        "boxes without width or height; left out (pycocotools would count them as missed)",
    );

    let outside = truth.boxes.iter().filter(|b| {
        let (w, h) = sizes.get(&b.photo).copied().unwrap_or_default();
        let [x, y, bw, bh] = b.bbox;
        let beyond = |end: f64, side: u32| side > 0 && end > f64::from(side) + SLACK_PX;
        x < -SLACK_PX || y < -SLACK_PX || beyond(x + bw, w) || beyond(y + bh, h)
    });
    let outside = outside.map(at).collect();
    add(
        &mut found,
        "box_outside",
        Weight::Warning,
        outside,
        "boxes that reach beyond their photo; kept as they are",
    );
    let mut seen = HashSet::new();
    let same = truth
        .boxes
        .iter()
        .filter(|b| !seen.insert((b.photo, b.class, b.bbox.map(f64::to_bits))));
    let same = same.map(at).collect();
    add(
        &mut found,
        "box_twice",
        Weight::Warning,
        same,
        "boxes that repeat another one of the same class; each counts, so one of them is missed",
    );

    let used: HashSet<u64> = truth.boxes.iter().map(|b| b.class).collect();
    let unused = truth
        .classes
        .iter()
        .filter(|c| !used.contains(&c.id))
        .map(|c| c.name.clone());
    add(
        &mut found,
        "class_without_box",
        Weight::Note,
        unused.collect(),
        "classes without a single box; they have no figures",
    );
    let with_box: HashSet<u64> = truth.boxes.iter().map(|b| b.photo).collect();
    let bare = truth
        .photos
        .iter()
        .filter(|p| !with_box.contains(&p.id))
        .map(|p| p.file.clone());
    add(
        &mut found,
        "photo_without_box",
        Weight::Note,
        bare.collect(),
        "photos without a box; every detection of a judged class there is a false alarm",
    );
    found
}

/// What came to light when the photos were read: `(file, reason)` for the ones that could not be,
/// and `(file, declared size, own size)` for the others, where both are known.
pub fn check_photos(
    missing: Vec<String>,
    unreadable: Vec<(String, String)>,
    sizes: impl Iterator<Item = (String, (u32, u32), (u32, u32))>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    add(
        &mut found,
        "photo_missing",
        Weight::Error,
        missing,
        "photos that are not there; left out of the figures",
    );
    let unreadable = unreadable
        .into_iter()
        .map(|(file, why)| format!("{file}: {why}"));
    add(
        &mut found,
        "photo_unreadable",
        Weight::Error,
        unreadable.collect(),
        "photos that cannot be read; left out of the figures",
    );
    let (mut turned, mut other) = (Vec::new(), Vec::new());
    for (file, declared, own) in sizes {
        let text = format!(
            "{file}: labels say {} x {}, the upright photo has {} x {}",
            declared.0, declared.1, own.0, own.1
        );
        if declared == own || declared.0 == 0 || declared.1 == 0 {
            continue;
        } else if declared == (own.1, own.0) {
            turned.push(text);
        } else {
            other.push(text);
        }
    }
    add(
        &mut found,
        "photo_turned",
        Weight::Warning,
        turned,
        "photos labelled lying down: the labelling program passed over their EXIF orientation, so their boxes do not fit the upright photo",
    );
    add(
        &mut found,
        "photo_other_size",
        Weight::Warning,
        other,
        "photos of another size than the labels say; their boxes may not fit",
    );
    found
}

/// Photos that look the same: within the split, and across to others. `hashes` are those of the
/// split; `others` come with the name of theirs.
pub fn check_duplicates(hashes: &[(String, u128)], others: &[(String, u128)]) -> Vec<Finding> {
    let (names, all): (Vec<&str>, Vec<u128>) = hashes
        .iter()
        .chain(others)
        .map(|(name, hash)| (name.as_str(), *hash))
        .unzip();
    let (mut within, mut across) = (Vec::new(), Vec::new());
    let mut leaked = HashSet::new();
    for (i, j) in near_pairs(&all) {
        let text = format!("{} = {}", names[i], names[j]);
        if j < hashes.len() {
            within.push(text);
        } else if i < hashes.len() && leaked.insert(i) {
            across.push(text);
        }
    }
    let mut found = Vec::new();
    add(
        &mut found,
        "duplicate_across_splits",
        Weight::Warning,
        across,
        "photos that look like one in another split (perceptual hash): figures may be too good",
    );
    add(
        &mut found,
        "duplicate_within_split",
        Weight::Warning,
        within,
        "pairs of photos of this split that look the same (perceptual hash): they count twice",
    );
    found
}

/// Removes what `good` refuses and describes it.
fn taken_out<T>(
    items: &mut Vec<T>,
    mut good: impl FnMut(&T) -> bool,
    describe: impl Fn(&T) -> String,
) -> Vec<String> {
    let mut out = Vec::new();
    items.retain(|item| {
        let keep = good(item);
        if !keep {
            out.push(describe(item));
        }
        keep
    });
    out
}

fn repeated<T: Eq + Hash + ToString + Copy>(items: impl Iterator<Item = T>) -> Vec<String> {
    let mut seen = HashSet::new();
    items
        .filter(|i| !seen.insert(*i))
        .map(|i| i.to_string())
        .collect()
}

fn add(found: &mut Vec<Finding>, code: &str, weight: Weight, all: Vec<String>, text: &str) {
    if all.is_empty() {
        return;
    }
    found.push(Finding {
        code: code.to_owned(),
        weight,
        count: all.len(),
        text: text.to_owned(),
        examples: all.into_iter().take(EXAMPLES).collect(),
    });
}
