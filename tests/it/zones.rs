//! `sitewarden watch --zones`: what stays in a zone is one finding, whatever the light does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::rtsp::{self, Server};
use crate::support::{astronaut, program, text};
use crate::watch::{clip, lines, watch};

const ZONES: &str = "
[[zone]]
name = 'hydrant'
kind = 'keep_clear'
polygon = [[0.3, 0.35], [0.75, 0.35], [0.75, 0.95], [0.3, 0.95]]

[[zone]]
name = 'door'
kind = 'exit'
polygon = [[0.0, 0.3], [0.25, 0.3], [0.25, 0.9], [0.0, 0.9]]
";

/// Concrete with joints and grain.
fn floor() -> RgbImage {
    RgbImage::from_fn(320, 240, |x, y| {
        let grain = ((x * 7919 + y * 104_729 + x * y * 31) % 23) as u8;
        let joint = if x % 50 < 3 || y % 50 < 3 { 45 } else { 0 };
        Rgb([
            130 + grain - joint,
            130 + grain - joint,
            126 + grain - joint,
        ])
    })
}

/// A crate of planks.
fn goods() -> RgbImage {
    RgbImage::from_fn(70, 80, |x, y| {
        let plank = if y / 8 % 2 == 0 { 1.0 } else { 0.55 };
        Rgb([170.0, 125.0, 70.0].map(|v: f64| (v * plank) as u8 + (x % 5) as u8))
    })
}

fn with_goods() -> RgbImage {
    let mut picture = floor();
    image::imageops::overlay(&mut picture, &goods(), 130, 120);
    picture
}

fn written(folder: &Path, name: &str, picture: &RgbImage) -> PathBuf {
    let path = folder.join(name);
    picture.save(&path).unwrap();
    path
}

fn zones(folder: &Path, toml: &str) -> String {
    let path = folder.join("zones.toml");
    std::fs::write(&path, toml).unwrap();
    path.to_str().unwrap().to_owned()
}

fn findings(lines: &[Value]) -> Vec<(String, String, u64)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    lines
        .iter()
        .filter(|l| l["finding"].is_u64() && l["time_s"].is_f64())
        .map(|l| {
            (
                text(&l["event"]),
                text(&l["code"]),
                l["finding"].as_u64().unwrap(),
            )
        })
        .collect()
}

fn told(event: &str, code: &str, finding: u64) -> (String, String, u64) {
    (event.to_owned(), code.to_owned(), finding)
}

#[test]
fn six_minutes_of_obstruction_in_ten_are_exactly_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let clean = written(folder.path(), "floor.png", &floor());
    let goods = written(folder.path(), "goods.png", &goods());
    let video = folder.path().join("yard.mp4");
    // clouds, a lamp that flickers, a noisy sensor; the crate from minute two to minute eight
    let filter = "[0][1]overlay=130:120:enable='between(t,120,480)',\
                  eq=brightness='0.1*sin(t/40)':eval=frame,noise=alls=10:allf=t";
    rtsp::encode(
        &video,
        &[
            "-loop",
            "1",
            "-r",
            "2",
            "-i",
            clean.to_str().unwrap(),
            "-loop",
            "1",
            "-r",
            "2",
            "-i",
            goods.to_str().unwrap(),
            "-filter_complex",
            filter,
            "-t",
            "600",
        ],
    );
    let evidence = folder.path().join("evidence");
    let output = watch(&[
        video.to_str().unwrap(),
        "--zones",
        &zones(folder.path(), ZONES),
        "--evidence",
        evidence.to_str().unwrap(),
        "--fps",
        "1",
        "--format",
        "jsonl",
        "--hazards",
        "FIR-01,EGR-01",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines = lines(&output);
    let expected = [told("opened", "FIR-01", 1), told("cleared", "FIR-01", 1)];
    assert_eq!(findings(&lines), expected, "{lines:#?}");
    let opened = lines.iter().find(|l| l["event"] == "opened").unwrap();
    assert_eq!(opened["zone"], "hydrant");
    let (from, to) = (
        opened["time_s"].as_f64().unwrap(),
        lines.iter().find(|l| l["event"] == "cleared"),
    );
    assert!((420.0..440.0).contains(&from), "five minutes: {from}");
    let to = to.unwrap()["time_s"].as_f64().unwrap();
    assert!((500.0..530.0).contains(&to), "half a minute: {to}");
    let written = lines.iter().find(|l| l["event"] == "evidence").unwrap();
    for (name, size) in [("picture", 2_000), ("clip", 10_000)] {
        let file = evidence.join(written[name].as_str().unwrap());
        assert!(std::fs::metadata(&file).unwrap().len() > size, "{name}");
        assert_eq!(
            written[format!("{name}_sha256")].as_str().unwrap().len(),
            64
        );
    }
}

#[test]
fn an_annotated_clip_is_watched_with_its_zones() {
    use sha2::{Digest, Sha256};
    let folder = tempfile::tempdir().unwrap();
    let clean = written(folder.path(), "floor.png", &floor());
    let goods = written(folder.path(), "goods.png", &goods());
    let video = folder.path().join("yard.mp4");
    let [clean, goods] = [&clean, &goods].map(|p| p.to_str().unwrap());
    let filter = "[0][1]overlay=130:120:enable='gte(t,10)',noise=alls=10:allf=t";
    rtsp::encode(
        &video,
        &[
            "-loop",
            "1",
            "-r",
            "5",
            "-i",
            clean,
            "-loop",
            "1",
            "-r",
            "5",
            "-i",
            goods,
            "-filter_complex",
            filter,
            "-t",
            "30",
        ],
    );
    let digest = Sha256::digest(std::fs::read(&video).unwrap());
    let sha256: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    let zone = |name: &str, kind: &str, [x1, y1, x2, y2]: [f64; 4]| {
        serde_json::json!({"name": name, "kind": kind, "loitering_time": 8,
            "polygon": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]})
    };
    let truth = serde_json::json!({"truth": 1,
        "clip": {"file": "yard.mp4", "sha256": sha256, "width": 320, "height": 240, "fps": 5,
            "frames": 150, "duration_s": 30, "origin": "", "licence": ""},
        "zones": [zone("hydrant", "keep_clear", [0.3, 0.35, 0.75, 0.95]),
            zone("door", "exit", [0.0, 0.3, 0.25, 0.9])],
        "judged": [{"code": "FIR-01"}, {"code": "EGR-01"}, {"code": "PPE-01"}],
        "episodes": [{"id": 1, "code": "FIR-01", "answer": "non_compliant", "start_s": 10,
            "end_s": 30, "zone": "hydrant"}]});
    let path = folder.path().join("yard.json");
    std::fs::write(&path, truth.to_string()).unwrap();
    let out = folder.path().join("out");
    let mut command = program();
    let command = command.arg("bench").arg(&path).arg("--out").arg(&out);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value =
        serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let total = |code: &str| {
        let totals = report["total"].as_array().unwrap();
        totals.iter().find(|t| t["code"] == code).unwrap().clone()
    };
    let hydrant = total("FIR-01");
    assert_eq!(
        (&hydrant["found"], &hydrant["false_alarms"]),
        (&1.into(), &0.into())
    );
    let delay = hydrant["median_delay_s"].as_f64().unwrap();
    assert!((8.0..14.0).contains(&delay), "eight seconds: {delay}");
    assert_eq!(total("EGR-01")["false_alarms"], 0);
    let finding = &report["clips"][0]["findings"][0]["finding"];
    assert_eq!(finding["zone"], "hydrant", "{finding}");
    assert_eq!(
        report["clips"][0]["zones"]["zone"][2]["name"],
        "(whole picture)"
    );
}

/// Puts pictures of these seconds into a folder.
fn fill(folder: &Path, seconds: std::ops::Range<u64>, picture: &RgbImage) {
    let began = SystemTime::now() - Duration::from_secs(3600);
    for s in seconds {
        let hidden = folder.join("new");
        picture
            .save_with_format(&hidden, image::ImageFormat::Png)
            .unwrap();
        let file = std::fs::File::options().write(true).open(&hidden).unwrap();
        file.set_modified(began + Duration::from_secs(s)).unwrap();
        std::fs::rename(&hidden, folder.join(format!("{s:04}.png"))).unwrap();
    }
}

/// Watches a folder until this event has come, or for a minute and a half; the events up to then.
fn watch_until(arguments: &[&str], event: &str) -> Vec<Value> {
    let mut child = program()
        .arg("watch")
        .args(arguments)
        .args(["--format", "jsonl", "--for", "90"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines: Vec<Value> = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(serde_json::from_str(&line.unwrap()).unwrap());
        if lines.last().unwrap()["event"] == event {
            rtsp::signal_process(child.id(), "-TERM");
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "a signal ends it in order");
    lines
}

#[test]
fn a_restart_does_not_double_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("yard");
    std::fs::create_dir(&pictures).unwrap();
    let quick = ZONES.replace(
        "kind = 'keep_clear'",
        "kind = 'keep_clear'\nloitering_time = 8",
    );
    let zones = zones(folder.path(), &quick);
    let state = folder.path().join("state.json");
    let arguments = [
        pictures.to_str().unwrap(),
        "--zones",
        &zones,
        "--state",
        state.to_str().unwrap(),
        "--hazards",
        "FIR-01",
    ];
    fill(&pictures, 0..12, &floor());
    fill(&pictures, 12..30, &with_goods());
    let lines = watch_until(&arguments, "opened");
    assert_eq!(findings(&lines), [told("opened", "FIR-01", 1)]);

    for old in std::fs::read_dir(&pictures).unwrap() {
        std::fs::remove_file(old.unwrap().path()).unwrap();
    }
    // it still stands there, and is taken away later
    fill(&pictures, 100..130, &with_goods());
    fill(&pictures, 130..150, &floor());
    let lines = watch_until(&arguments, "cleared");
    assert_eq!(findings(&lines), [told("cleared", "FIR-01", 1)]);
}

#[test]
fn a_camera_gives_one_finding_whatever_happens_to_its_server() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("astronaut.mp4");
    let photo = astronaut();
    let photo = photo.to_str().unwrap();
    rtsp::encode(
        &video,
        &[
            "-loop",
            "1",
            "-r",
            "10",
            "-i",
            photo,
            "-t",
            "40",
            "-vf",
            "scale=400:400,noise=alls=6:allf=t",
        ],
    );
    let server = Server::start(&video);
    let (url, port) = (server.url(), server.port);
    let mut child = program()
        .args([
            "watch",
            &url,
            "--format",
            "jsonl",
            "--hazards",
            "PPE-01",
            "--for",
            "150",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let mut server = Some(server);
    let (mut lines, mut live) = (Vec::<Value>::new(), 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if line["event"] == "opened" && server.is_some() {
            drop(server.take());
            server = Some(Server::with(&video, port, &[], None));
            live = 0;
        }
        live += usize::from(line["state"] == "live");
        lines.push(line);
        if live == 1 && !findings(&lines).is_empty() {
            // long enough for a second finding, were there one
            std::thread::sleep(Duration::from_secs(15));
            rtsp::signal_process(id, "-TERM");
            live += 1;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let opened: Vec<_> = findings(&lines)
        .into_iter()
        .filter(|f| f.0 == "opened")
        .collect();
    assert_eq!(opened, [told("opened", "PPE-01", 1)], "{lines:#?}");
}

#[test]
fn protective_equipment_is_judged_in_work_areas_only() {
    let folder = tempfile::tempdir().unwrap();
    let video = clip(folder.path(), "scale=400:400", 3);
    let opened = |x: (f32, f32)| {
        let toml = format!(
            "[[zone]]\nname = 'work'\nkind = 'work_area'\n\
             polygon = [[{0}, 0.0], [{1}, 0.0], [{1}, 1.0], [{0}, 1.0]]",
            x.0, x.1
        );
        let zones = zones(folder.path(), &toml);
        let output = watch(&[
            video.to_str().unwrap(),
            "--zones",
            &zones,
            "--format",
            "jsonl",
            "--hazards",
            "PPE-01",
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        findings(&lines(&output))
            .iter()
            .filter(|f| f.0 == "opened")
            .count()
    };
    assert_eq!(opened((0.0, 1.0)), 1);
    assert_eq!(opened((0.0, 0.05)), 0);
}

#[test]
fn mistakes_are_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let error = |toml: &str| {
        let output = watch(&["none.mp4", "--zones", &zones(folder.path(), toml)]);
        assert_eq!(output.status.code(), Some(4));
        text(&output.stderr)
    };
    assert!(error(&ZONES.replace("0.95", "95")).contains("not pixels"));
    let named = ZONES.replace("kind = 'exit'", "kind = 'exit'\nhazards = ['EGR-99']");
    assert!(error(&named).contains("no hazard EGR-99"));
    let output = watch(&["rtsp://bob:s3cret-w0rd@127.0.0.1:1/cam"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4));
    assert!(said.contains("@FILE") && !said.contains("s3cret"), "{said}");
}
