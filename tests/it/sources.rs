//! Sources of `watch` and the service beside streams: files, folders; and what a watch says at its end.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use sitewarden::source::camera::{Address, Camera, CameraOptions};

use crate::support::{astronaut, text};
use crate::watch::{clip, lines, watch};

fn answers(path: &str, more: &[&str]) -> Vec<Value> {
    let output = watch(&[&[path, "--format", "jsonl"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines = lines(&output);
    lines.last().unwrap()["answers"].as_array().unwrap().clone()
}

fn of<'a>(answers: &'a [Value], code: &str) -> &'a Value {
    let found = answers.iter().find(|a| a["code"] == code);
    found.unwrap_or_else(|| panic!("{code}: {answers:?}"))
}

#[test]
fn what_a_view_cannot_be_judged_for_is_told_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "crop=400:512:10*t:0", 3);
    let path = path.to_str().unwrap();
    let all = answers(path, &[]);
    assert_eq!(all.len(), 30);
    let said = |all: &[Value], code: &str| {
        let answer = of(all, code);
        (
            answer["answer"].as_str().unwrap().to_owned(),
            answer["judged"].as_bool().unwrap(),
            answer["reason"].as_str().unwrap().to_owned(),
        )
    };
    let (answer, judged, reason) = said(&all, "PPE-01");
    assert_eq!((answer.as_str(), judged), ("non_compliant", true));
    assert!(reason.starts_with("1 finding, the first at "), "{reason}");
    for (code, word) in [
        ("EGR-01", "exit"),
        ("EQP-04", "[ground]"),
        ("STO-05", "chain"),
    ] {
        let (answer, judged, reason) = said(&all, code);
        assert_eq!((answer.as_str(), judged), ("cannot_determine", false));
        assert!(reason.contains(word), "{code}: {reason}");
    }
    // with an exit and nothing else: that is judged, protective equipment is not
    let zones = folder.path().join("zones.toml");
    let zone = "[[zone]]\nname = \"door\"\nkind = \"exit\"\npolygon = [[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1]]\n";
    fs::write(&zones, zone).unwrap();
    let zones_path = zones.to_str().unwrap();
    let all = answers(path, &["--zones", zones_path]);
    let (answer, judged, reason) = said(&all, "PPE-01");
    assert_eq!((answer.as_str(), judged), ("cannot_determine", false));
    assert!(reason.contains("work_area"), "{reason}");
    let (_, judged, reason) = said(&all, "EGR-01");
    assert!(judged && reason.starts_with("door: "), "{reason}");
    // for people: a row for each that was asked for, the codes of the rest
    let output = watch(&[path, "--hazards", "EGR-02"]);
    let said = text(&output.stdout);
    assert!(said.contains("EGR-02  cannot_determine  No zone"), "{said}");
    let said = text(&watch(&[path]).stdout);
    assert!(
        said.contains("not judged: ") && said.contains("EGR-02"),
        "{said}"
    );
    // what nobody looks for is refused, not watched in vain
    fs::write(&zones, format!("{zone}objects = [\"persn\"]\n")).unwrap();
    let output = watch(&[path, "--zones", zones_path]);
    assert_eq!(output.status.code(), Some(4));
    let said = text(&output.stderr);
    assert!(
        said.contains("persn") && said.contains("`objects`"),
        "{said}"
    );
}

#[test]
fn what_was_not_seen_is_not_called_compliant() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "crop=400:512:10*t:0", 6);
    let zones = folder.path().join("zones.toml");
    fs::copy(astronaut(), folder.path().join("clean.png")).unwrap();
    let zone = "[[zone]]\nname = \"door\"\nkind = \"exit\"\npolygon = [[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1]]\n\
                hazards = [\"EGR-01\"]\n";
    fs::write(&zones, zone).unwrap();
    let zones = zones.to_str().unwrap();
    let none_is_compliant = |path: &Path, code: i32| {
        let output = watch(&[
            path.to_str().unwrap(),
            "--zones",
            zones,
            "--format",
            "jsonl",
        ]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let last = lines(&output).pop().unwrap();
        let all = last["answers"].as_array().unwrap().clone();
        let wrong = |a: &&Value| a["answer"] == "compliant" || a["answer"] == "not_applicable";
        (all.iter().filter(wrong).count(), last)
    };
    // what stood there from the beginning is not known
    let (_, last) = none_is_compliant(&path, 0);
    let door = of(last["answers"].as_array().unwrap(), "EGR-01").clone();
    assert_eq!(door["answer"], "cannot_determine", "{door}");
    // too dark to see anything
    let dark = folder.path().join("dark");
    fs::create_dir(&dark).unwrap();
    let dark = clip(&dark, "lutyuv=y=val*0.02", 6);
    let (compliant, last) = none_is_compliant(&dark, 0);
    assert_eq!(compliant, 0, "{last}");
    // cut short
    let whole = folder.path().join("whole.mkv");
    let made = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&path)
        .args(["-c", "copy"])
        .arg(&whole)
        .status()
        .unwrap();
    assert!(made.success());
    let bytes = fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mkv");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let (compliant, last) = none_is_compliant(&cut, 1);
    assert_eq!(compliant, 0, "{last}");
    assert!(last["damaged"].is_string(), "{last}");
}

#[test]
fn a_file_is_stopped_by_for_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "crop=400:512:10*t:0", 120);
    let began = Instant::now();
    let output = watch(&[path.to_str().unwrap(), "--for", "1", "--format", "jsonl"]);
    assert!(output.status.success());
    let (lines, said) = (lines(&output), text(&output.stderr));
    assert!(said.contains("stopped by --for at"), "{said}");
    assert!(lines.iter().all(|l| l["event"] != "watched"), "{lines:?}");
    // all of it takes a minute at least
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_stream_that_never_came_is_no_success() {
    let output = watch(&["rtsp://127.0.0.1:1/x", "--for", "2"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("unreachable"));
    assert!(!text(&output.stdout).contains("pipe:0"));
    assert!(text(&output.stderr).contains("no picture came"));
}

#[test]
fn a_folder_is_looked_at_once_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("in");
    fs::create_dir(&pictures).unwrap();
    let put = |n: u64| {
        let path = pictures.join(format!("{n}.png"));
        fs::copy(astronaut(), &path).unwrap();
        let at = SystemTime::now() - Duration::from_secs(1000) + Duration::from_millis(200 * n);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(at).unwrap();
    };
    for n in 0..12 {
        put(n);
    }
    let state = folder.path().join("state.json");
    let run = || {
        let output = watch(&[
            pictures.to_str().unwrap(),
            "--hazards",
            "PPE-01",
            "--format",
            "jsonl",
            "--state",
            state.to_str().unwrap(),
            "--for",
            "12",
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        lines(&output)
    };
    let count = |lines: &[Value], event: &str| lines.iter().filter(|l| l["event"] == event).count();
    let first = run();
    assert_eq!(count(&first, "opened"), 1, "{first:?}");
    let again = run();
    assert_eq!(
        count(&again, "opened") + count(&again, "seen"),
        0,
        "{again:?}"
    );
    assert_eq!(again.last().unwrap()["frames"], 0, "{again:?}");
    for n in 20..32 {
        put(n);
    }
    let more = run();
    assert_eq!(more.last().unwrap()["frames"], 12, "{more:?}");
    assert_eq!(count(&more, "opened"), 0, "{more:?}");
}

fn next(camera: &Camera) -> Option<(u32, u32)> {
    let frame = camera.next(Duration::from_secs(20))?;
    Some(frame.size)
}

fn opened(path: &Path) -> Camera {
    let options = CameraOptions {
        back_off: Duration::from_millis(100),
        ..CameraOptions::default()
    };
    Camera::open(Address::of_path(path), options)
}

#[test]
fn a_video_file_is_a_camera_that_plays_over_and_over() {
    let folder = tempfile::tempdir().unwrap();
    let camera = opened(&clip(folder.path(), "crop=400:512:10*t:0", 2));
    let mut times = Vec::new();
    while times.len() < 20 {
        let frame = camera.next(Duration::from_secs(20)).expect("a frame");
        times.push(frame.time_s);
    }
    // longer than the clip, at its own speed
    assert!(times[19] - times[0] > 2.5, "{times:?}");
    assert_eq!(camera.status().restarts, 0);
}

#[test]
fn a_picture_that_comes_slowly_or_is_written_over_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let photo = fs::read(astronaut()).unwrap();
    let camera = opened(folder.path());
    let path = folder.path().join("snapshot.png");
    // longer than a whole picture is tried for
    for part in 1..=5 {
        fs::write(&path, &photo[..photo.len() * part / 6]).unwrap();
        std::thread::sleep(Duration::from_millis(900));
    }
    assert_eq!(camera.status().frames, 0);
    fs::write(&path, &photo).unwrap();
    assert!(next(&camera).is_some());
    fs::write(&path, &photo).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now()).unwrap();
    assert!(next(&camera).is_some(), "written over");
}

#[test]
fn evidence_of_sources_with_like_names_is_apart() {
    let folder = tempfile::tempdir().unwrap();
    let made = clip(folder.path(), "crop=400:512:10*t:0", 3);
    let gates = ["东门.mp4", "西门.mp4"].map(|name| folder.path().join(name));
    for gate in &gates {
        fs::copy(&made, gate).unwrap();
    }
    let evidence = folder.path().join("evidence");
    let output = watch(&[
        gates[0].to_str().unwrap(),
        gates[1].to_str().unwrap(),
        "--hazards",
        "PPE-01",
        "--evidence",
        evidence.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // a picture and a clip of each
    assert_eq!(fs::read_dir(&evidence).unwrap().count(), 4);
}
