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
/// A picture that cannot be read may still be on its way; it is tried so many times after it changed last.
const TRIES: u32 = 10;
/// A picture's time that is so much earlier than the last one's is of another clock, seconds.
const BACK_S: f64 = 5.0;

/// A file as it was when it was looked at.
type Version = (SystemTime, u64);

/// Media time out of the times of files, which clocks that jump and hands may have set.
#[derive(Default)]
struct FileTime {
    /// A file's time, and the media time that it stands for.
    anchor: Option<(SystemTime, f64)>,
    last_s: f64,
}

impl FileTime {
    /// Never backwards; a time to come is now.
    fn of(&mut self, modified: SystemTime, now: SystemTime) -> f64 {
        let modified = modified.min(now);
        let (anchor, anchor_s) = *self.anchor.get_or_insert((modified, 0.0));
        let since = match modified.duration_since(anchor) {
            Ok(after) => after.as_secs_f64(),
            Err(before) => -before.duration().as_secs_f64(),
        };
        let mut time_s = anchor_s + since;
        if time_s < self.last_s - BACK_S {
            time_s = self.last_s + 1.0;
            self.anchor = Some((modified, time_s));
        }
        // two pictures of one moment
        self.last_s = time_s.max(self.last_s + 1e-3);
        self.last_s
    }
}

pub(super) fn watch(folder: &Path, options: &CameraOptions, shared: &Shared) {
    let mut done: BTreeMap<PathBuf, Version> = BTreeMap::new();
    let mut tries: BTreeMap<PathBuf, (Version, u32)> = BTreeMap::new();
    let mut time = FileTime::default();
    let before = |modified: SystemTime, path: &Path| {
        let after = options.after.as_ref();
        after.is_some_and(|(at, name)| (modified, name_of(path)) <= (*at, name.clone()))
    };
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
        let names: BTreeSet<&PathBuf> = found.iter().map(|(_, p, _)| p).collect();
        done.retain(|p, _| names.contains(p));
        tries.retain(|p, _| names.contains(p));
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
        for (modified, path, length) in &found {
            if shared.stopped() {
                return;
            }
            let version = (*modified, *length);
            // one that is written over is another picture
            if done.get(path) == Some(&version) || before(*modified, path) {
                continue;
            }
            let limits = PhotoLimits {
                max_pixels: options.max_pixels,
                ..PhotoLimits::default()
            };
            match read(path, &limits, options.max_side) {
                Ok((picture, size)) => {
                    let now = SystemTime::now();
                    let time_s = time.of(*modified, now);
                    shared.took(size);
                    shared.queue.push_waiting(LiveFrame {
                        time_s,
                        // a time to come would be remembered as one that was
                        wall: (*modified).min(now),
                        picture,
                        size,
                        name: Some(name_of(path)),
                    });
                }
                Err(e) => {
                    let tried = tries.entry(path.clone()).or_insert((version, 0));
                    if tried.0 != version {
                        *tried = (version, 0);
                    }
                    tried.1 += 1;
                    if tried.1 < TRIES {
                        continue;
                    }
                    tracing::warn!("{}: {e}", path.display());
                }
            }
            tries.remove(path);
            if !options.consume || std::fs::remove_file(path).is_err() {
                done.insert(path.clone(), version);
            }
        }
        shared.sleep(TICK);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A picture: its time, name and length.
type Listed = (SystemTime, PathBuf, u64);

/// Pictures by their time and name, and how many other files there are.
fn list(folder: &Path) -> std::io::Result<(Vec<Listed>, usize)> {
    let (mut found, mut others) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder)? {
        // one that is gone again is no error
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() && is_picture(&path) {
            found.push((meta.modified()?, path, meta.len()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_come_and_clocks_set_back_do_not_stop_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ago = |s: u64| now - Duration::from_secs(s);
        let mut time = FileTime::default();
        let to_come = now + Duration::from_secs(1_000_000_000);
        // one of 2033, then five of a minute ago, each a second after the other, then after an hour's gap
        let files = [
            to_come,
            ago(60),
            ago(59),
            ago(58),
            ago(57),
            ago(57),
            ago(10),
        ];
        let seen: Vec<f64> = files.iter().map(|at| time.of(*at, now)).collect();
        for (seen, expected) in seen.iter().zip([0.001, 1.001, 2.001, 3.001, 4.001]) {
            assert!((seen - expected).abs() < 1e-6, "{seen} {expected}");
        }
        assert!(seen[5] > seen[4] && seen[5] < seen[4] + 0.01, "{seen:?}");
        assert!((seen[6] - seen[4] - 47.0).abs() < 0.01, "{seen:?}");
    }
}
