//! `sitewarden bench` as a model engineer runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{astronaut, encoded, gradient, program, text};

fn bench<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Output {
    let mut command = program();
    // a test must not find the caller's data
    command.env_remove("SITEWARDEN_DATA");
    command.arg("bench").args(arguments).output().unwrap()
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/bench")
        .join(file)
}

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Judges the fixture's detections into `out`.
fn judge(out: &Path, more: &[&str]) -> Output {
    let (labels, detections) = (data("labels.json"), data("detections.json"));
    let mut arguments = vec![
        labels.to_str().unwrap(),
        "--predictions",
        detections.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    arguments.extend(more);
    bench(&arguments)
}

/// A set of two good photos, one missing and one broken: a bare head each, and what the labels
/// call it.
fn small_set(folder: &Path, class: &str) -> PathBuf {
    fs::create_dir_all(folder.join("val")).unwrap();
    fs::copy(astronaut(), folder.join("val/astronaut.jpg")).unwrap();
    let flat = image::DynamicImage::ImageRgb8(gradient(320, 240));
    fs::write(
        folder.join("val/plain.png"),
        encoded(&flat, image::ImageFormat::Png),
    )
    .unwrap();
    fs::write(folder.join("val/broken.jpg"), "no photo").unwrap();
    let files = ["astronaut.jpg", "plain.png", "missing.jpg", "broken.jpg"];
    let images: Vec<Value> = files
        .iter()
        .zip([(512, 512), (240, 320), (9, 9), (9, 9)])
        .zip(11..)
        .map(|((file, (w, h)), id)| json!({"id": id, "file_name": file, "width": w, "height": h}))
        .collect();
    let labels = json!({
        "images": images,
        // her head, hair and all
        "annotations": [{"id": 0, "image_id": 11, "category_id": 5, "bbox": [152, 8, 150, 150]}],
        "categories": [{"id": 5, "name": class}, {"id": 6, "name": "dog"}],
    });
    let path = folder.join("val.json");
    fs::write(&path, labels.to_string()).unwrap();
    path
}

#[test]
fn the_twelve_figures_are_those_of_pycocotools() {
    let out = tempfile::tempdir().unwrap();
    let output = judge(out.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = read(out.path().join("report.json"));
    let golden = read(data("golden.json"));
    assert_eq!(golden.as_object().unwrap().len(), 12);
    for (name, value) in golden.as_object().unwrap() {
        let ours = report["metrics"][name].as_f64().unwrap();
        assert!(
            (ours - value.as_f64().unwrap()).abs() < 1e-9,
            "{name}: {ours}, {value}"
        );
    }
    // what was read comes out again
    assert_eq!(
        read(out.path().join("predictions.json"))
            .as_array()
            .unwrap()
            .len(),
        read(data("detections.json")).as_array().unwrap().len()
    );
}

#[test]
fn a_report_fits_its_schema_and_needs_nothing_else() {
    let out = tempfile::tempdir().unwrap();
    let printed = judge(out.path(), &["--format", "json"]);
    let schema = program().args(["schema", "bench"]).output().unwrap();
    let schema = serde_json::from_slice(&schema.stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let report = read(out.path().join("report.json"));
    assert!(validator.is_valid(&report));
    assert!(validator.is_valid(&serde_json::from_slice(&printed.stdout).unwrap()));
    let mut wrong = report;
    wrong["per_class"][0]["ap"] = "high".into();
    assert!(!validator.is_valid(&wrong));
    let page = fs::read_to_string(out.path().join("report.html")).unwrap();
    for foreign in ["src=\"http", "href=\"http", "<script", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("AP50") && page.contains("class 3"));
}

#[test]
fn names_from_strangers_are_text_in_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let labels = fs::read_to_string(data("labels.json")).unwrap();
    let labels = labels.replace("class 1", "<script>alert(1)</script>");
    fs::write(folder.path().join("l.json"), labels).unwrap();
    let out = folder.path().join("out");
    let output = bench(&[
        folder.path().join("l.json").as_os_str(),
        "--predictions".as_ref(),
        data("detections.json").as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(!page.contains("<script") && page.contains("script"));
}

#[test]
fn a_model_is_run_and_what_cannot_be_judged_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let labels = small_set(folder.path(), "NO-Hardhat");
    let out = folder.path().join("out");
    let arguments = [
        labels.to_str().unwrap(),
        "--model",
        "site-nano",
        "--map",
        "head=NO-Hardhat",
        "--out",
        out.to_str().unwrap(),
    ];
    let output = bench(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report = read(out.join("report.json"));
    let found: Vec<(&str, u64)> = report["health"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["code"].as_str().unwrap(), f["count"].as_u64().unwrap()))
        .collect();
    for expected in [
        ("photo_missing", 1),
        ("photo_unreadable", 1),
        ("photo_turned", 1),
        ("class_not_in_model", 1),
        ("class_not_labelled", 13),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert_eq!(report["dataset"]["photos"], 4);
    assert_eq!(report["dataset"]["judged_photos"], 2);
    assert_eq!(report["per_class"][0]["name"], "head");
    assert_eq!(report["per_class"][0]["operating"]["found"], 1, "{report}");
    assert_eq!(report["latency"]["photos"], 2);
    let predictions = read(out.join("predictions.json"));
    let predictions = predictions.as_array().unwrap();
    assert!(predictions.len() > 1 && predictions.len() <= 600);
    for p in predictions {
        assert_eq!(p["category_id"], 5);
        assert!(p["score"].as_f64().unwrap() >= 0.001);
        assert!([11, 12].contains(&p["image_id"].as_u64().unwrap()));
    }
    // the astronaut's head is the same that a scan finds
    assert!(predictions[0]["score"].as_f64().unwrap() > 0.3);
    assert!(!out.join("predictions.part.jsonl").exists());
}

/// Photos of which people say what they show: two with her bare head, one flat, one missing.
fn stated(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder.join("photos")).unwrap();
    for file in ["a.jpg", "b.jpg"] {
        fs::copy(astronaut(), folder.join("photos").join(file)).unwrap();
    }
    let flat = image::DynamicImage::ImageRgb8(gradient(320, 240));
    flat.save(folder.join("photos/flat.png")).unwrap();
    let episode = |photo: &str, code: &str| json!({"photo": photo, "code": code});
    let mut there = episode("a.jpg", "PPE-01");
    // her head, hair and all
    there["bbox"] = json!([152, 8, 150, 150]);
    let mut elsewhere = episode("b.jpg", "PPE-01");
    elsewhere["zone"] = "corner".into();
    let mut doubtful = episode("flat.png", "PPE-01");
    doubtful["answer"] = "cannot_determine".into();
    let files = ["a.jpg", "b.jpg", "flat.png", "gone.jpg"];
    let truth = json!({
        "truth": 1,
        "judged": [{"code": "PPE-01"}, {"code": "STO-03", "condition": "no aisle in sight"}],
        "photos": (files.map(|f| json!({"file": f}))),
        "zones": [{"name": "corner", "kind": "work_area",
          "polygon": [[0.9, 0], [1, 0], [1, 0.1], [0.9, 0.1]]}],
        "episodes": [there, elsewhere, doubtful, episode("flat.png", "STO-03")],
    });
    let path = folder.join("hall.json");
    fs::write(&path, truth.to_string()).unwrap();
    path
}

#[test]
fn the_findings_on_photos_are_judged_by_what_people_say_that_they_show() {
    let folder = tempfile::tempdir().unwrap();
    let truth = stated(folder.path());
    let (out, photos) = (folder.path().join("out"), folder.path().join("photos"));
    let run = |more: &[&str]| {
        let mut arguments = vec![truth.to_str().unwrap(), "--model", "site-nano"];
        arguments.extend(["--images", photos.to_str().unwrap()]);
        arguments.extend(["--out", out.to_str().unwrap()]);
        arguments.extend(more);
        bench(&arguments)
    };
    let output = run(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report = read(out.join("report.json"));
    let schema = program().args(["schema", "bench"]).output().unwrap();
    let schema = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(
        jsonschema::validator_for(&schema)
            .unwrap()
            .is_valid(&report)
    );
    assert_eq!(report["dataset"]["format"], "hazards");
    assert!(!out.join("predictions.json").exists(), "of no boxes");
    assert_eq!(report["health"][0]["code"], "photo_missing");
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2);
    let [helmets, aisles] =
        ["PPE-01", "STO-03"].map(|code| findings.iter().find(|f| f["code"] == code).unwrap());
    // the head in its place, the other one not in the corner where people say that it is
    let counts = [
        "photos",
        "hazards",
        "right",
        "wrong",
        "missed",
        "overclaimed",
    ];
    assert_eq!(
        counts.map(|c| helmets[c].as_u64().unwrap()),
        [3, 2, 1, 1, 1, 0]
    );
    assert_eq!(helmets["recall"]["value"], 0.5);
    assert!(helmets["recall"]["low"].as_f64().unwrap() < 0.5);
    // on the flat photo nobody can say, and the program does not
    assert_eq!(helmets["answers"][3][0], 0);
    // one photo proves nothing of an aisle
    assert_eq!(
        (&aisles["missed"], &aisles["abstained"]),
        (&json!(1), &json!(1.0))
    );
    assert_eq!(report["false_alarms"][0]["photo"], "b.jpg");
    let table = text(&run(&[]).stdout);
    assert!(
        table.contains("PPE-01") && !table.contains("AP50"),
        "{table}"
    );
    let table = text(&run(&["--format", "markdown"]).stdout);
    assert!(table.starts_with("| set | model | findings |"), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
    for (lang, says) in [
        ("en", "The largest hazards without"),
        ("zh", "未判定出的最大隐患"),
    ] {
        run(&["--lang", lang]);
        let page = fs::read_to_string(out.join("report.html")).unwrap();
        assert!(page.contains(says) && !page.contains("TIDE"), "{lang}");
        assert!(page.matches("data:image/jpeg").count() >= 3, "{lang}");
    }
}

#[test]
fn annotated_hazards_that_make_no_sense_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = stated(folder.path());
    let good = fs::read_to_string(&path).unwrap();
    let out = folder.path().join("out");
    let refused = |arguments: &[&str]| {
        let all = [
            &[path.to_str().unwrap(), "--out", out.to_str().unwrap()],
            arguments,
        ]
        .concat();
        let output = bench(&all);
        assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    for (from, to, says) in [
        ("\"STO-03\"", "\"STO-99\"", "sitewarden hazards"),
        ("\"photos\":", "\"pictures\":", "one `clip`"),
        ("\"b.jpg\"", "\"../b.jpg\"", "--images"),
    ] {
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = refused(&[]);
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
    fs::write(&path, &good).unwrap();
    for arguments in [
        &["--fail-below", "0.5"][..],
        &["--map", "a=b"],
        &["--split", "val"],
    ] {
        assert!(refused(arguments).contains("labelled boxes"));
    }
    let labels = data("labels.json");
    assert!(refused(&[labels.to_str().unwrap()]).contains("apart"));
}

#[test]
fn two_models_have_a_folder_and_rows_each() {
    let folder = tempfile::tempdir().unwrap();
    let labels = small_set(folder.path(), "head");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/site-nano");
    let other = folder.path().join("other-nano");
    fs::create_dir(&other).unwrap();
    for file in ["model.toml", "golden.json", "example.jpg", "site-nano.onnx"] {
        fs::copy(shipped.join(file), other.join(file)).unwrap();
    }
    let manifest = fs::read_to_string(other.join("model.toml")).unwrap();
    let renamed = manifest.replacen("\"site-nano\"", "\"other-nano\"", 1);
    fs::write(other.join("model.toml"), renamed).unwrap();
    let out = folder.path().join("out");
    let run = |models: &[&str]| {
        let mut arguments = vec![labels.to_str().unwrap(), "--format", "markdown"];
        arguments.extend(["--out", out.to_str().unwrap()]);
        arguments.extend(models.iter().flat_map(|m| ["--model", m]));
        bench(&arguments)
    };
    let other = other.to_str().unwrap();
    let output = run(&["site-nano", other]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for name in ["model", "site-nano", "other-nano"] {
        assert!(table.contains(&format!("| {name} |")), "{table}");
    }
    let folders = fs::read_dir(&out).unwrap().map(|e| e.unwrap().path());
    let reports: Vec<Value> = folders.map(|f| read(f.join("report.json"))).collect();
    assert_eq!(reports.len(), 2);
    // the same weights
    assert_eq!(reports[0]["metrics"], reports[1]["metrics"]);
    assert_ne!(reports[0]["subject"], reports[1]["subject"]);

    let twice = run(&["site-nano", "site-nano"]);
    assert_eq!(twice.status.code(), Some(4));
    assert!(text(&twice.stderr).contains("name each once"));
}

#[test]
fn a_chinese_report_says_in_chinese_what_is_wrong_with_the_set() {
    let folder = tempfile::tempdir().unwrap();
    let labels = small_set(folder.path(), "head");
    let out = folder.path().join("out");
    let arguments = [labels.to_str().unwrap(), "--lang", "zh", "--out"];
    let output = bench(&[&arguments[..], &[out.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let report = read(out.join("report.json"));
    let health = report["health"].as_array().unwrap();
    assert!(health.len() >= 5);
    for finding in health {
        let english = finding["text"].as_str().unwrap();
        assert!(!page.contains(english), "{english}");
    }
    assert!(page.contains("张照片无法读取") && page.contains("后处理"));
}

#[test]
fn a_manifest_is_known_by_name_wherever_the_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        program()
            .args(["bench", "boxes", "--out", "out"])
            .env_remove("SITEWARDEN_DATA")
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let output = run();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains("say with --data in which folder"), "{error}");
    // a manifest that lies there comes first
    fs::create_dir(folder.path().join("datasets")).unwrap();
    fs::write(folder.path().join("datasets/boxes.toml"), "name = 3").unwrap();
    let error = text(&run().stderr);
    assert!(
        error.contains("boxes.toml") && error.contains("line 1"),
        "{error}"
    );
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let labels = small_set(folder.path(), "head");
    let out = folder.path().join("out");
    // nothing can be written in the end: what was done so far must not be lost
    fs::create_dir_all(out.join("report.html")).unwrap();
    let arguments = [labels.to_str().unwrap(), "--out", out.to_str().unwrap()];
    assert_eq!(bench(&arguments).status.code(), Some(4));
    fs::remove_dir(out.join("report.html")).unwrap();
    // the photo is not looked at again: it is not there any more
    fs::remove_file(folder.path().join("val/astronaut.jpg")).unwrap();
    assert_eq!(bench(&arguments).status.code(), Some(1));
    let report = read(out.join("report.json"));
    assert_eq!(report["per_class"][0]["operating"]["found"], 1);
    assert_eq!(report["latency"]["photos_per_s"], Value::Null);
    // a complete run leaves nothing to go on with
    assert_eq!(bench(&arguments).status.code(), Some(1));
    let report = read(out.join("report.json"));
    assert_eq!(report["per_class"][0]["boxes"], 0);
}

#[test]
fn a_comparison_says_when_there_is_none_to_show() {
    let folder = tempfile::tempdir().unwrap();
    let mut worse = read(data("detections.json"));
    for p in worse.as_array_mut().unwrap() {
        // every box is far off
        p["bbox"][0] = json!(p["bbox"][0].as_f64().unwrap() + 5000.0);
    }
    let moved = folder.path().join("worse.json");
    fs::write(&moved, worse.to_string()).unwrap();
    let (labels, same) = (data("labels.json"), data("detections.json"));
    let compare = |b: &Path| {
        let output = bench(&[
            labels.as_os_str(),
            "--compare".as_ref(),
            same.as_os_str(),
            b.as_os_str(),
            "--format".as_ref(),
            "json".as_ref(),
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let differences = |v: &Value| v["differences"].as_array().unwrap().clone();
    let none = differences(&compare(&same));
    // the mean and three classes, AP and AP50 of each
    assert_eq!(none.len(), 8);
    assert!(
        none.iter().all(|d| d["verdict"] == "no_difference_shown"),
        "{none:?}"
    );
    let worse = differences(&compare(&moved));
    assert_eq!(worse[1]["verdict"], "a_better", "{}", worse[1]);
}

#[test]
fn a_comparison_leaves_out_what_one_model_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    judge(&a, &[]);
    fs::create_dir(&b).unwrap();
    let labels = read(data("labels.json"));
    let class = &labels["categories"][0];
    let mut predictions = read(a.join("predictions.json"));
    let all = predictions.as_array_mut().unwrap();
    all.retain(|p| p["category_id"] != class["id"]);
    fs::write(b.join("predictions.json"), predictions.to_string()).unwrap();
    let compare = || {
        let labels = data("labels.json");
        bench(&[
            labels.as_os_str(),
            "--compare".as_ref(),
            a.as_os_str(),
            b.as_os_str(),
            "--format".as_ref(),
            "json".as_ref(),
        ])
    };
    let name = class["name"].as_str().unwrap();
    // nobody says that the model does not have the class: it found nothing
    let found_none: Value = serde_json::from_slice(&compare().stdout).unwrap();
    let note = found_none["notes"][0].as_str().unwrap();
    assert!(note.contains(name) && note.contains("AP 0"), "{note}");
    assert_eq!(found_none["differences"].as_array().unwrap().len(), 8);

    let mut report = read(a.join("report.json"));
    report["classes"]["not_in_model"] = json!([name]);
    fs::write(b.join("report.json"), report.to_string()).unwrap();
    let left_out: Value = serde_json::from_slice(&compare().stdout).unwrap();
    let note = left_out["notes"][0].as_str().unwrap();
    assert!(note.contains(name) && note.contains("left out"), "{note}");
    let differences = left_out["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 6);
    assert_eq!(differences[0]["verdict"], "no_difference_shown");

    for p in predictions.as_array_mut().unwrap() {
        p["image_id"] = json!(900_000_000);
    }
    fs::write(b.join("predictions.json"), predictions.to_string()).unwrap();
    let foreign = compare();
    assert_eq!(foreign.status.code(), Some(4), "{}", text(&foreign.stderr));
    assert!(text(&foreign.stderr).contains("no prediction of B is of a photo"));
}

#[test]
fn a_baseline_is_a_gate() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    assert_eq!(judge(&out, &["--fail-below", "0.1"]).status.code(), Some(0));
    let low = judge(&out, &["--fail-below", "0.9"]);
    assert_eq!(low.status.code(), Some(3));
    assert!(
        text(&low.stderr).contains("below 0.9"),
        "{}",
        text(&low.stderr)
    );

    let mut report = read(out.join("report.json"));
    let baseline = folder.path().join("baseline.json");
    let gate = |report: &Value| {
        fs::write(&baseline, report.to_string()).unwrap();
        let path = baseline.to_str().unwrap();
        judge(&out, &["--baseline", path, "--fail-below", "0.02"])
    };
    assert_eq!(gate(&report).status.code(), Some(0));
    let ap = report["per_class"][1]["ap"].as_f64().unwrap();
    report["per_class"][1]["ap"] = json!(ap + 0.01);
    assert_eq!(gate(&report).status.code(), Some(0));
    report["per_class"][1]["ap"] = json!(ap + 0.03);
    let worse = gate(&report);
    assert_eq!(worse.status.code(), Some(3));
    assert!(
        text(&worse.stderr).contains("class 2: AP"),
        "{}",
        text(&worse.stderr)
    );
    report["dataset"]["sha256"] = json!("0");
    let other = gate(&report);
    assert_eq!(other.status.code(), Some(4));
    assert!(text(&other.stderr).contains("made on other labels"));
}

#[test]
fn a_readme_table_has_a_row_for_each_class() {
    let out = tempfile::tempdir().unwrap();
    let table = text(&judge(out.path(), &["--format", "markdown"]).stdout);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2 + 1 + 3, "{table}");
    let columns = |line: &str| line.matches('|').count();
    assert!(
        lines.iter().all(|l| columns(l) == columns(lines[0])),
        "{table}"
    );
    assert!(
        lines[2].contains("mean") && lines[2].contains("**0.453**"),
        "{table}"
    );
}

#[test]
fn wrong_usage_and_bad_sets_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let labels = data("labels.json");
    let labels = labels.to_str().unwrap();
    let empty = folder.path().join("empty.json");
    fs::write(
        &empty,
        r#"{"images": [], "annotations": [], "categories": []}"#,
    )
    .unwrap();
    for (arguments, code, says) in [
        (vec![labels], 2, "--out"),
        (
            vec![labels, "--out", path, "--map", "helmet"],
            2,
            "helmet=Hardhat",
        ),
        (
            vec!["no-such-set", "--out", path],
            4,
            "no dataset \"no-such-set\"",
        ),
        (
            vec![empty.to_str().unwrap(), "--out", path],
            4,
            "lists no photos",
        ),
        (vec![labels, "--out", path], 4, "say which is which"),
        (
            vec![labels, "--out", path, "--map", "helmet=hat"],
            4,
            "the set has no class \"hat\"",
        ),
        (
            vec![labels, "--out", path, "--map", "helmet=class 1"],
            4,
            "--images",
        ),
        (vec!["shel5k", "--out", path], 4, "get it"),
    ] {
        let output = bench(&arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
}
