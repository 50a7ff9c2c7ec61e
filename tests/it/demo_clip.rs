//! The demonstration's clip (`make test` fetches it as `make demo` does), as a file and over a real RTSP
//! server: few, right candidates.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use sitewarden::geometry::BBox;
use sitewarden::zone::Zones;

use crate::rtsp::{self, Server};
use crate::support::{program, text};
use crate::watch::{lines, watch};

const ZONES: &str = "tests/data/vtest-zones.toml";
const SIZE: (u32, u32) = (768, 576);

/// The clip, unless it was never fetched, which is said.
fn fetched() -> Option<PathBuf> {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/demo/vtest.avi");
    if clip.exists() {
        return Some(clip);
    }
    let _ = std::io::stderr()
        .write_all(b"skipped: no .cache/demo/vtest.avi; make test fetches it, as make demo does\n");
    None
}

/// The first so many seconds, as a camera would send them.
fn start(clip: &Path, seconds: u32, to: &Path) {
    let seconds = seconds.to_string();
    rtsp::encode(to, &["-t", &seconds, "-i", clip.to_str().unwrap()]);
}

/// What was found of people: the boxes, each once.
fn vests_missing(lines: &[Value]) -> Vec<BBox> {
    let zones = Zones::parse(&std::fs::read_to_string(ZONES).unwrap()).unwrap();
    let opened = lines.iter().filter(|l| l["event"] == "opened");
    let found: Vec<BBox> = opened
        .filter(|line| {
            // heads that are large enough in a part of the frame are bare
            assert!(
                line["code"] == "PPE-01" || line["code"] == "PPE-02",
                "{line}"
            );
            line["code"] == "PPE-02"
        })
        .map(|line| {
            let bbox: [f32; 4] = serde_json::from_value(line["bbox"].clone()).unwrap();
            BBox::from_xywh(bbox)
        })
        .collect();
    for bbox in &found {
        // on the tarmac; the score's best frame may be a step beyond its edge
        let (x, y) = bbox.bottom_center();
        let near = [
            (0.0, 0.0),
            (-15.0, 0.0),
            (15.0, 0.0),
            (0.0, -15.0),
            (0.0, 15.0),
        ];
        let inside = near.iter().any(|(dx, dy)| {
            let at = bbox.translate(*dx, *dy);
            zones.zones[0].holds(at, SIZE)
        });
        assert!(inside, "({x}, {y}) is outside the yard");
    }
    found
}

#[test]
fn the_clip_as_a_file_gives_few_findings_and_says_what_is_too_small() {
    let Some(clip) = fetched() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start_of_it = folder.path().join("start.mp4");
    start(&clip, 20, &start_of_it);
    let path = start_of_it.to_str().unwrap();
    let output = watch(&[path, "--zones", ZONES, "--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines = lines(&output);
    // eight people cross the yard in these seconds, nobody wears a vest
    let found = vests_missing(&lines).len();
    assert!(
        (5..=10).contains(&found),
        "{found} findings of eight people"
    );
    // vests lie on the grass
    let cleared = |l: &Value| l["event"] == "cleared" && l["code"] == "PPE-02";
    assert!(!lines.iter().any(cleared), "{lines:#?}");
    let answer = |lines: &[Value], code: &str| {
        let answers = lines.last().unwrap()["answers"].as_array().unwrap();
        let of_code = answers.iter().find(|a| a["code"] == code).unwrap();
        of_code["answer"].as_str().unwrap().to_owned()
    };
    assert_eq!(answer(&lines, "PPE-02"), "non_compliant");
    // so seldom, only whole frames are looked at
    let output = watch(&[path, "--fps", "2", "--format", "jsonl"]);
    let answer = answer(&self::lines(&output), "PPE-01");
    assert_eq!(answer, "cannot_determine", "heads of 12 pixels");
}

#[test]
fn the_clip_over_rtsp_gives_its_first_findings_in_the_yard() {
    if !rtsp::is_there() {
        return;
    }
    let Some(clip) = fetched() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sent = folder.path().join("sent.mp4");
    start(&clip, 80, &sent);
    let server = Server::start(&sent);
    // a busy machine drops pictures and comes to them later: it ends with the third finding
    let mut child = program()
        .args(["watch", &server.url(), "--zones", ZONES])
        .args(["--format", "jsonl", "--for", "75"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut lines, mut opened) = (Vec::<Value>::new(), 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let is_vest = line["event"] == "opened" && line["code"] == "PPE-02";
        opened += usize::from(is_vest);
        if is_vest && opened == 3 {
            rtsp::signal_process(child.id(), "-TERM");
        }
        lines.push(line);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.iter().any(|l| l["state"] == "live"), "{lines:#?}");
    let found = vests_missing(&lines);
    assert!(found.len() >= 3, "{lines:#?}");
}
