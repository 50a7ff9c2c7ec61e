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
    let lines = lines(&output);
    let schema = json(&program().args(["schema", "watch"]).output().unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(lines.iter().all(|l| validator.is_valid(l)));
    assert!(!validator.is_valid(&serde_json::json!({"event": "opened"})));
    let summary = lines.last().unwrap();
    assert_eq!(summary["answers"][0]["code"], "PPE-01", "{summary}");
    assert_eq!(summary["answers"][0]["answer"], "non_compliant");
    let events: Vec<&str> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["watching", "opened", "ended", "watched"],
        "{lines:?}"
    );
    assert!(
        lines[1..3]
            .iter()
            .all(|l| l["code"] == "PPE-01" && l["finding"] == 1)
    );
    assert!(lines[2]["seen"].as_array().unwrap().len() >= 2, "{lines:?}");
    let opened = lines[1]["time_s"].as_f64().unwrap();
    assert!((0.9..2.0).contains(&opened), "{opened}");
}

/// Somebody who is there, and without being seen on the way elsewhere; changed by a filter then.
fn elsewhere(folder: &Path, change: &str) -> Vec<Value> {
    let place = |x: u32| format!("pad=1280:640:{x}:140:0x808080,trim=end=3,setpts=PTS-STARTPTS");
    let filter = format!(
        "scale=360:360,split[a][b];[a]{}[c];[b]{change},{}[d];[c][d]concat",
        place(200),
        place(600)
    );
    let path = clip(folder, &filter, 6);
    let output = watch(&[
        path.to_str().unwrap(),
        "--format",
        "jsonl",
        "--hazards",
        "PPE-02",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut lines = lines(&output);
    lines.retain(|l| l["code"] == "PPE-02" && l["event"] != "ended");
    lines
}

#[test]
fn who_is_found_again_elsewhere_is_known_by_their_clothes() {
    let folder = tempfile::tempdir().unwrap();
    let same = elsewhere(folder.path(), "null");
    let events: Vec<&str> = same.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["opened", "seen"], "{same:?}");
    // the orange suit is blue
    let other = elsewhere(folder.path(), "colorchannelmixer=0:0:1:0:0:1:0:0:1:0:0:0");
    let events: Vec<&str> = other.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["opened", "opened"], "{other:?}");
}

/// A recorded run of a clip in `folder`.
fn record(folder: &Path) -> PathBuf {
    let path = clip(folder, "crop=400:512:10*t:0", 3);
    let output = watch(&[path.to_str().unwrap(), "--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let run = folder.join("run.jsonl");
    std::fs::write(&run, &output.stdout).unwrap();
    run
}

fn replay(run: &Path, arguments: &[&str]) -> Output {
    let mut command = program();
    command.arg("replay").arg(run).args(arguments);
    command.output().unwrap()
}

#[test]
fn a_recorded_clip_is_replayed_and_only_what_a_change_takes_away_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let run = record(folder.path());
    let output = replay(&run, &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document = json(&output);
    assert_eq!(document["compared"], 1);
    assert_eq!(document["clips"], serde_json::json!([]));

    let page = folder.path().join("page.html");
    let page_name = page.to_str().unwrap();
    let stricter = ["--thresholds", "head=0.999", "--format", "json"];
    let arguments = [&stricter[..], &["--report", page_name]].concat();
    let output = replay(&run, &arguments);
    let first = std::fs::read(&page).unwrap();
    let document = json(&output);
    let gone = document["clips"][0]["gone"].as_array().unwrap();
    assert_eq!(gone.len(), 1, "{document}");
    assert_eq!(gone[0]["code"], "PPE-01");
    assert_eq!(document["clips"][0]["appeared"], serde_json::json!([]));
    let pictures = text(&first).matches("data:image/jpeg;base64,").count();
    assert_eq!(pictures, 2, "both sides");
    let again = replay(&run, &arguments);
    assert_eq!(output.stdout, again.stdout);
    assert!(first == std::fs::read(&page).unwrap(), "another page");

    let schema = json(&program().args(["schema", "replay-clips"]).output().unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&document));
    assert!(!validator.is_valid(&serde_json::json!({"compared": 1})));
}

#[test]
fn a_clip_that_cannot_be_compared_is_told_and_a_run_without_its_heading_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = record(folder.path());
    let lines = std::fs::read_to_string(&run).unwrap();
    // a run that was broken off
    let all_but_the_last = lines.trim_end().rsplit_once('\n').unwrap().0;
    std::fs::write(&run, all_but_the_last).unwrap();
    let output = replay(&run, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("record it again"));
    std::fs::write(&run, &lines).unwrap();
    std::fs::write(folder.path().join("clip.mp4"), "another").unwrap();
    let output = replay(&run, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("digest"));
    std::fs::write(&run, lines.split_once('\n').unwrap().1).unwrap();
    let output = replay(&run, &[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("watch … --format jsonl"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_run_with_zones_is_replayed_with_them_and_one_of_live_sources_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "crop=400:512:10*t:0", 3);
    let zones = folder.path().join("zones.toml");
    // she stands outside
    let polygon = "[[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1]]";
    let text_of_zones =
        format!("[[zone]]\nname = 'corner'\nkind = 'work_area'\npolygon = {polygon}");
    std::fs::write(&zones, text_of_zones).unwrap();
    let arguments = ["--zones", zones.to_str().unwrap(), "--format", "jsonl"];
    let output = watch(&[&[path.to_str().unwrap()], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines = lines(&output);
    assert_eq!(lines[0]["zones"]["zone"][0]["name"], "corner");
    assert!(lines.iter().all(|l| l["code"] != "PPE-01"), "{lines:?}");
    let run = folder.path().join("run.jsonl");
    std::fs::write(&run, &output.stdout).unwrap();
    let document = json(&replay(&run, &["--format", "json"]));
    assert_eq!(document["compared"], 1);
    assert_eq!(document["clips"], serde_json::json!([]));

    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let output = watch(&[
        pictures.to_str().unwrap(),
        "--for",
        "1",
        "--format",
        "jsonl",
    ]);
    assert!(text(&output.stdout).contains("\"event\":\"source\""));
    std::fs::write(&run, &output.stdout).unwrap();
    let output = replay(&run, &[]);
    assert_eq!(output.status.code(), Some(4));
    let error = text(&output.stderr);
    assert!(error.contains("live sources only"), "{error}");
}

#[test]
fn annotated_clips_are_judged_and_the_page_shows_what_was_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "crop=400:512:10*t:0", 3);
    let sha256 = {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(std::fs::read(&path).unwrap());
        digest
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    // her bare head, and one that is not there
    let episode = |id: u32, x: u32| {
        serde_json::json!({"id": id, "code": "PPE-01", "answer": "non_compliant", "start_s": 0,
            "end_s": 3, "zone": null, "person": id, "part_px": 150, "note": "<b>by eye</b>",
            "boxes": [{"t_s": 0, "bbox": [x, 0, 240, 512]}, {"t_s": 3, "bbox": [x, 0, 240, 512]}]})
    };
    let truth = serde_json::json!({"truth": 1, "annotated_by": "", "zones": [], "people": [],
        "distractors": [], "ignore": [], "notes": "",
        "clip": {"file": "clip.mp4", "sha256": sha256, "width": 400, "height": 512, "fps": 10,
            "frames": 30, "duration_s": 3, "origin": "", "licence": ""},
        "judged": [{"code": "PPE-01", "condition": ""}],
        "episodes": [episode(1, 90), {"id": 2, "code": "PPE-01", "answer": "non_compliant",
            "start_s": 0, "end_s": 3, "zone": null, "note": "<b>by eye</b>",
            "boxes": [{"t_s": 0, "bbox": [0, 450, 20, 40]}, {"t_s": 3, "bbox": [0, 450, 20, 45]}]}]});
    let truth_path = folder.path().join("clip.json");
    std::fs::write(&truth_path, truth.to_string()).unwrap();
    let out = folder.path().join("out");
    let output = program()
        .arg("bench")
        .arg(&truth_path)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value =
        serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let total = &report["total"][0];
    assert_eq!(
        (&total["episodes"], &total["found"]),
        (&2.into(), &1.into()),
        "{total}"
    );
    assert_eq!(total["recall"]["value"], 0.5);
    assert!(
        total["recall"]["low"].as_f64().unwrap() < 0.1,
        "two say little"
    );
    assert_eq!(total["false_alarms_per_hour"]["value"], 0.0);
    // none in three seconds: up to 3.689 in those, in an hour
    let high = total["false_alarms_per_hour"]["high"].as_f64().unwrap();
    assert!((high - 3.6889 * 1200.0).abs() < 1.0, "{high}");
    assert_eq!(report["clips"][0]["findings"][0]["verdict"], "found");
    let schema = json(&program().args(["schema", "bench-clips"]).output().unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&report));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    // the largest moment of the second one is the end of the clip, after its last frame
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 1);
    assert!(page.contains("class=\"chart timeline\"") && !page.contains("<b>by eye"));
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    // a complete run leaves nothing to go on with
    assert!(!out.join("findings.part.jsonl").exists());
}

#[test]
fn an_interrupted_bench_of_clips_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "crop=400:512:10*t:0", 2);
    let truth = |name: &str, file: &Path| {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(std::fs::read(file).unwrap());
        let sha256: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        let truth = serde_json::json!({"truth": 1, "annotated_by": "", "zones": [], "people": [],
            "distractors": [], "ignore": [], "notes": "",
            "clip": {"file": file.file_name().unwrap().to_str().unwrap(), "sha256": sha256,
                "width": 400, "height": 512, "fps": 10, "frames": 20, "duration_s": 2,
                "origin": "", "licence": ""},
            "judged": [{"code": "PPE-01", "condition": ""}], "episodes": []});
        let path = folder.path().join(name);
        std::fs::write(&path, truth.to_string()).unwrap();
        path
    };
    let good = truth("good.json", &path);
    // breaks off when the first one is done
    let broken = folder.path().join("broken.mp4");
    std::fs::write(&broken, "no video").unwrap();
    let broken = truth("broken.json", &broken);
    let out = folder.path().join("out");
    let bench = |truths: &[&Path]| {
        let mut command = program();
        command.arg("bench").args(truths).arg("--out").arg(&out);
        command.output().unwrap()
    };
    let output = bench(&[&good, &broken]);
    assert_eq!(output.status.code(), Some(4));
    let part = out.join("findings.part.jsonl");
    let done = std::fs::read_to_string(&part).unwrap();
    assert_eq!(done.lines().count(), 2, "{done}");
    // what was found then is taken, the clip is not watched again
    std::fs::write(&part, done.replace("\"finding\":1,", "\"finding\":77,")).unwrap();
    let output = bench(&[&good]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value =
        serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["clips"][0]["findings"][0]["finding"]["finding"], 77);
    assert!(!part.exists());
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
