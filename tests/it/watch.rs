//! `sitewarden watch`: clips made by ffmpeg from a photo.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{astronaut, json, program, text};

/// A clip of `seconds` s of the astronaut.
pub(crate) fn clip(folder: &Path, filter: &str, seconds: u32) -> PathBuf {
    let path = folder.join("clip.mp4");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-loop", "1", "-i"])
        .arg(astronaut())
        .args(["-t", &seconds.to_string(), "-r", "10", "-vf", filter])
        .args(["-pix_fmt", "yuv420p", "-c:v", "mpeg4", "-q:v", "2", "-y"])
        .arg(&path)
        .status()
        .unwrap_or_else(|e| panic!("ffmpeg ({e}): apt-get install ffmpeg"));
    assert!(status.success());
    path
}

pub(crate) fn watch(arguments: &[&str]) -> Output {
    program().arg("watch").args(arguments).output().unwrap()
}

pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn one_bare_head_is_one_finding_however_many_frames_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let drifting = "crop=400:512:10*t:0";
    let path = clip(folder.path(), drifting, 4);
    let path = path.to_str().unwrap();
    let output = watch(&[path, "--format", "jsonl", "--hazards", "PPE-01"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut lines = lines(&output);
    let schema = json(&program().args(["schema", "watch"]).output().unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(lines.iter().all(|l| validator.is_valid(l)));
    assert!(!validator.is_valid(&serde_json::json!({"event": "opened"})));
    let summary = lines.pop().unwrap();
    assert_eq!(summary["answers"][0]["code"], "PPE-01", "{summary}");
    assert_eq!(summary["answers"][0]["answer"], "non_compliant");
    let events: Vec<&str> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["opened", "ended"], "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|l| l["code"] == "PPE-01" && l["finding"] == 1)
    );
    let opened = lines[0]["time_s"].as_f64().unwrap();
    assert!((0.9..2.0).contains(&opened), "{opened}");
}

#[test]
fn what_is_no_video_is_told_and_the_next_one_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let good = clip(folder.path(), "scale=256:256", 1);
    let bad = folder.path().join("bad.mp4");
    std::fs::write(&bad, "no video").unwrap();
    let missing = folder.path().join("missing.mp4");
    let paths = [bad, missing, good].map(|p| p.to_str().unwrap().to_owned());
    let output = watch(&[&paths[0], &paths[1], &paths[2], "--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("bad.mp4") && errors.contains("missing.mp4"),
        "{errors}"
    );
    assert!(errors.contains("check that it is a video"), "{errors}");
}
