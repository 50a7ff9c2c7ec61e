//! `sitewarden replay`: a recorded run against a change.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{astronaut, json, program, text};

/// A folder with a run of three photos: the astronaut, her right half, nothing on it.
struct Run(tempfile::TempDir);

impl Run {
    fn new(format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let picture = image::open(astronaut()).unwrap();
        fs::copy(astronaut(), folder.path().join("a.jpg")).unwrap();
        let half = picture.crop_imm(100, 0, 412, 512);
        half.save(folder.path().join("b.png")).unwrap();
        let grey = image::DynamicImage::new_luma8(320, 240);
        grey.save(folder.path().join("c.png")).unwrap();
        let run = Self(folder);
        let output = run.command(&["scan", "a.jpg", "b.png", "c.png", "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        fs::write(run.path().join("run.json"), &output.stdout).unwrap();
        run
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/site-nano");
        program()
            .current_dir(self.path())
            .env("SITEWARDEN_MODEL", models)
            .args(arguments)
            .output()
            .unwrap()
    }

    fn replay(&self, arguments: &[&str]) -> Output {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/site-nano");
        let model = model.to_str().unwrap();
        let all = [&["replay", "run.json", "--model", model], arguments].concat();
        self.command(&all)
    }
}

fn changed(document: &Value) -> Vec<&str> {
    let photos = document["photos"].as_array().unwrap();
    photos.iter().map(|p| p["path"].as_str().unwrap()).collect()
}

#[test]
fn with_nothing_changed_every_decision_stands() {
    for format in ["json", "jsonl"] {
        let output = Run::new(format).replay(&["--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let document = json(&output);
        assert_eq!(document["compared"], 3);
        assert!(changed(&document).is_empty(), "{document}");
    }
}

#[test]
fn a_threshold_that_takes_the_bare_head_away_changes_those_decisions_and_no_other() {
    let run = Run::new("json");
    let arguments = ["--thresholds", "head=0.999", "--format", "json"];
    let output = run.replay(&arguments);
    let document = json(&output);
    assert_eq!(changed(&document), ["a.jpg", "b.png"]);
    let photo = &document["photos"][0];
    assert_eq!(photo["answers"][0]["code"], "PPE-01");
    assert_eq!(photo["answers"][0]["was"], "non_compliant");
    assert_ne!(photo["answers"][0]["now"], "non_compliant");
    assert_eq!(photo["gone"][0]["code"], "PPE-01");
    assert_eq!(document["summary"][0]["photos"], 2);
    assert_eq!(
        output.stdout,
        run.replay(&arguments).stdout,
        "not the same twice"
    );
    let table = text(&run.replay(&["--thresholds", "head=0.999"]).stdout);
    assert!(table.contains("2 would be decided otherwise"), "{table}");

    let schema = json(&program().args(["schema", "replay"]).output().unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&document));
    let mut wrong = document;
    wrong["photos"][0]["answers"][0]["was"] = "maybe".into();
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn the_thresholds_of_the_run_are_kept_whatever_the_model_says_today() {
    let run = Run::new("json");
    let file = run.path().join("run.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    document["settings"]["thresholds"]["head"] = 0.999.into();
    fs::write(&file, document.to_string()).unwrap();
    // as if the run had been made with them: without that bare head, two decisions differ
    let output = run.command(&["replay", "run.json", "--format", "json"]);
    assert_eq!(changed(&json(&output)), ["a.jpg", "b.png"]);
}

#[test]
fn other_rules_change_the_decisions_of_their_kind() {
    let run = Run::new("json");
    let rules = "version = 't'\n[[hazard]]\ncode = 'PPE-01'\nenabled = false\n";
    fs::write(run.path().join("rules.toml"), rules).unwrap();
    let output = run.replay(&["--rules", "rules.toml", "--format", "json"]);
    let document = json(&output);
    let codes: Vec<&Value> = document["summary"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["code"])
        .collect();
    assert!(
        codes.iter().all(|c| **c == "PPE-01") && !codes.is_empty(),
        "{codes:?}"
    );
    assert!(document["photos"][0]["answers"][0]["now"].is_null());
}

#[test]
fn the_page_shows_both_sides() {
    let run = Run::new("json");
    let output = run.replay(&["--thresholds", "head=0.999", "--report", "page.html"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = fs::read_to_string(run.path().join("page.html")).unwrap();
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 4);
    assert!(page.contains("a.jpg") && page.ends_with("</html>\n"));
}

#[test]
fn what_cannot_be_compared_is_told_and_counted() {
    let run = Run::new("json");
    fs::remove_file(run.path().join("a.jpg")).unwrap();
    let grey = image::DynamicImage::new_luma8(300, 200);
    grey.save(run.path().join("b.png")).unwrap();
    let output = run.replay(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    assert_eq!(document["compared"], 1);
    let reasons = document["not_compared"].to_string();
    assert!(
        reasons.contains("--photos") && reasons.contains("digest"),
        "{reasons}"
    );
}

#[test]
fn what_is_no_run_or_no_class_is_refused_with_what_to_do() {
    let run = Run::new("json");
    fs::write(run.path().join("run.json"), "{}").unwrap();
    let output = run.replay(&[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("--format json"),
        "{}",
        text(&output.stderr)
    );
    let output = Run::new("json").replay(&["--thresholds", "hemlet=0.5"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("helmet"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(
        run.replay(&["--thresholds", "helmet"]).status.code(),
        Some(2)
    );
}
