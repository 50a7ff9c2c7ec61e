//! What an interrupted run leaves behind: a heading and a line for each photo or clip that is done.
//! A half-written last line is passed over.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::eval::STAGES;
use crate::eval::clip_findings::ClipFinding;
use crate::zone::Zones;

/// One photo that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    /// Its id.
    pub(super) photo: u64,
    /// Upright width and height, pixels.
    pub(super) size: Option<(u32, u32)>,
    /// Milliseconds by stage.
    pub(super) ms: [f32; STAGES.len()],
    /// Perceptual hash, hexadecimal.
    pub(super) hash: Option<String>,
    /// `(class id, score, [x, y, width, height])`, best first.
    pub(super) found: Vec<(u64, f64, [f64; 4])>,
    /// What scanning sees, `(class of the model, score, [x, y, width, height])`: at or above the
    /// model's own thresholds, classes that the set does not label too.
    pub(super) seen: Vec<(usize, f32, [f32; 4])>,
    /// Pixels that the model saw for one pixel of the photo.
    pub(super) scale: f32,
    /// Why it has no detections.
    pub(super) error: Option<Unseen>,
}

/// One clip that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ClipDone {
    /// Its digest.
    pub(super) sha256: String,
    /// What it was watched with.
    pub(super) zones: Zones,
    /// What was found in it.
    pub(super) findings: Vec<ClipFinding>,
}

/// Why nobody looked at a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unseen {
    /// There is no such file.
    Missing,
    /// It cannot be read.
    Unreadable(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Heading {
    sitewarden_bench: u32,
    /// Digest of everything that a prediction depends on.
    key: String,
}

/// Version of the lines.
const VERSION: u32 = 3;

/// The file that a run appends to.
pub(super) struct Part {
    file: File,
}

/// Name of the file for photos.
pub(super) const PHOTOS: &str = "predictions.part.jsonl";
/// Name of the file for clips.
pub(super) const CLIPS: &str = "findings.part.jsonl";

/// Removes the file of a run that is complete; a copy left behind does no harm.
pub(super) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

impl Part {
    /// Goes on with a file where it has the same key, else begins it anew; what is done already
    /// comes with it.
    pub(super) fn open<T: DeserializeOwned>(
        path: &Path,
        key: &str,
        restart: bool,
    ) -> anyhow::Result<(Self, Vec<T>)> {
        let cannot = || {
            format!(
                "cannot write {}; check space and permissions",
                path.display()
            )
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(restart)
            .open(path)
            .with_context(cannot)?;
        let (done, good) = read(&mut file, key).with_context(cannot)?;
        file.set_len(good).with_context(cannot)?;
        file.seek(SeekFrom::End(0)).with_context(cannot)?;
        if good == 0 {
            let heading = Heading {
                sitewarden_bench: VERSION,
                key: key.to_owned(),
            };
            write_line(&mut file, &heading).with_context(cannot)?;
        }
        Ok((Self { file }, done))
    }

    /// Appends what is done.
    pub(super) fn append(&mut self, done: &impl Serialize) -> std::io::Result<()> {
        write_line(&mut self.file, done)
    }
}

/// In one call, so that an end of the program leaves at most one half line.
fn write_line(file: &mut File, value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// The lines of the same key, and where the last whole one ends, bytes; nothing of another key.
fn read<T: DeserializeOwned>(file: &mut File, key: &str) -> std::io::Result<(Vec<T>, u64)> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut good = 0;
    let mut done = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok((done, good));
        }
        if good == 0 {
            let heading: Option<Heading> = serde_json::from_slice(&line).ok();
            if heading.is_none_or(|h| h.sitewarden_bench != VERSION || h.key != key) {
                return Ok((done, 0));
            }
        } else {
            match serde_json::from_slice(&line) {
                Ok(one) => done.push(one),
                Err(_) => return Ok((done, good)),
            }
        }
        good += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(photo: u64) -> Done {
        Done {
            photo,
            size: Some((640, 480)),
            ms: [0.5; STAGES.len()],
            hash: None,
            found: vec![(3, 0.25, [1.0, 2.5, 3.0, 4.0])],
            seen: vec![(0, 0.5, [1.0, 2.5, 3.0, 4.0])],
            scale: 0.5,
            error: None,
        }
    }

    fn open(path: &Path, key: &str, restart: bool) -> (Part, Vec<Done>) {
        Part::open(path, key, restart).unwrap()
    }

    #[test]
    fn goes_on_after_a_half_written_line_and_not_with_another_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(PHOTOS);
        let (mut part, before) = open(&path, "a", false);
        assert_eq!(before, []);
        part.append(&done(1)).unwrap();
        part.append(&done(2)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();

        let (mut part, before) = open(&path, "a", false);
        assert_eq!(before, [done(1)]);
        part.append(&done(2)).unwrap();
        assert_eq!(open(&path, "a", false).1, [done(1), done(2)]);
        assert_eq!(open(&path, "b", false).1, []);
    }

    #[test]
    fn a_restart_forgets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(PHOTOS);
        open(&path, "a", false).0.append(&done(1)).unwrap();
        assert_eq!(open(&path, "a", true).1, []);
    }
}
