//! A folder that fills with pictures, as recorders and cameras with FTP do: each is looked at once,
//! in the order of its time and name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use image::RgbImage;

use super::{CameraOptions, LiveFrame, Shared, State, is_picture, lock};
use crate::geometry::BBox;
use crate::preprocess::{self, PrepareError};
use crate::source::photo::{self, Photo, PhotoError, PhotoLimits};

/// How often the folder is listed.
const TICK: Duration = Duration::from_millis(200);
/// A picture that cannot be read may still be on its way; it is tried so many times.
const TRIES: u32 = 10;

pub(super) fn watch(folder: &Path, options: &CameraOptions, shared: &Shared) {
    let mut done: BTreeSet<PathBuf> = BTreeSet::new();
    let mut tries: BTreeMap<PathBuf, u32> = BTreeMap::new();
    let mut first: Option<SystemTime> = None;
    let mut last_s = 0.0f64;
    while !shared.stopped() {
        let found = match list(folder) {
            Ok(found) => found,
            Err(e) => {
                let reason = format!("{e}; check that the folder is there and readable");
                shared.set_state(State::Unreachable, reason);
                shared.sleep(Duration::from_secs(1));
                continue;
            }
        };
        let (found, others) = found;
        // names that are gone may come again
        let names: BTreeSet<&PathBuf> = found.iter().map(|(_, p)| p).collect();
        done.retain(|p| names.contains(p));
        let frames = lock(&shared.known).frames;
        match others {
            _ if frames > 0 => shared.set_state(State::Live, ""),
            0 => shared.set_state(State::Connecting, "no picture has come yet"),
            n => {
                let reason = format!(
                    "no picture has come yet; {n} other files lie there (videos are sources of their own)"
                );
                shared.set_state(State::Connecting, reason);
            }
        }
        for (modified, path) in &found {
            if shared.stopped() {
                return;
            }
            if done.contains(path) || options.after.is_some_and(|after| *modified <= after) {
                continue;
            }
            let limits = PhotoLimits {
                max_pixels: options.max_pixels,
                ..PhotoLimits::default()
            };
            match read(path, &limits, options.max_side) {
                Ok((picture, size)) => {
                    let since = modified.duration_since(*first.get_or_insert(*modified));
                    // a clock that was set back, or two pictures of one moment
                    last_s = since.map_or(0.0, |d| d.as_secs_f64()).max(last_s + 1e-3);
                    shared.took(size);
                    shared.queue.push_waiting(LiveFrame {
                        time_s: last_s,
                        wall: *modified,
                        picture,
                        size,
                    });
                }
                Err(e) => {
                    let tried = tries.entry(path.clone()).or_default();
                    *tried += 1;
                    if *tried < TRIES {
                        continue;
                    }
                    tracing::warn!("{}: {e}", path.display());
                }
            }
            tries.remove(path);
            if !options.consume || std::fs::remove_file(path).is_err() {
                done.insert(path.clone());
            }
        }
        shared.sleep(TICK);
    }
}

/// Pictures by their time and name, and how many other files there are.
fn list(folder: &Path) -> std::io::Result<(Vec<(SystemTime, PathBuf)>, usize)> {
    let (mut found, mut others) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder)? {
        // one that is gone again is no error
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() && is_picture(&path) {
            found.push((meta.modified()?, path));
        } else if meta.is_file() {
            others += 1;
        }
    }
    found.sort();
    Ok((found, others))
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Photo(#[from] PhotoError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

fn read(
    path: &Path,
    limits: &PhotoLimits,
    max_side: u32,
) -> Result<(RgbImage, (u32, u32)), ReadError> {
    let bytes = photo::read_file(path, limits)?;
    let photo = Photo::open(&bytes, limits)?;
    let (width, height) = photo.upright_size();
    let scale = (max_side as f32 / width.max(height) as f32).min(1.0);
    let side = |n: u32| ((n as f32 * scale).round() as u32).max(1);
    let target = (side(width), side(height));
    let decoded = photo.decode(Some(target))?;
    let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
    let picture = preprocess::resized_upright(decoded.stored(), whole, target)?;
    Ok((picture, (width, height)))
}
