//! Finding, listing and verifying.

use super::*;

#[test]
fn by_name_and_by_path() {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", MANIFEST, YOLOV8);
    let path = [PathBuf::from("/nowhere"), shelf.0.path().to_owned()];
    assert_eq!(locate("tiny", &path), Ok(dir.clone()));
    assert_eq!(locate(dir.to_str().unwrap(), &[]), Ok(dir));

    let error = locate("large", &path).unwrap_err().to_string();
    assert!(
        error.contains("no model \"large\": looked in /nowhere, "),
        "{error}"
    );
    assert!(error.contains(MODELS_VAR), "{error}");
    // A name is one folder: it does not climb out of the search path.
    let (inner, name) = (shelf.0.path().join("tiny"), "../tiny");
    assert!(locate(name, &[inner]).is_err());
}

#[test]
fn a_list_shows_refused_manifests_too() {
    let (shelf, other) = (Shelf::new(), Shelf::new());
    shelf.model("b", MANIFEST, YOLOV8);
    shelf.model("a", "name = 1", YOLOV8);
    std::fs::create_dir(shelf.0.path().join("no-model")).unwrap();
    other.model("b", "", YOLOV8);
    let found = list(&[
        shelf.0.path().into(),
        other.0.path().into(),
        "/nowhere".into(),
    ]);
    let names: Vec<_> = found
        .iter()
        .map(|m| (m.name.as_str(), m.manifest.is_ok()))
        .collect();
    assert_eq!(names, [("a", false), ("b", true)]);
    let summary = found[1].manifest.as_ref().unwrap();
    assert_eq!((summary.input, summary.labels.len()), ((32, 32), 2));
}

fn outcomes(report: &VerifyReport) -> Vec<(Step, &'static str)> {
    let word = |o: &Outcome| match o {
        Outcome::Passed(_) => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Skipped(_) => "skipped",
    };
    report
        .checks
        .iter()
        .map(|c| (c.step, word(&c.outcome)))
        .collect()
}

#[test]
fn every_check_is_reported() {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", MANIFEST, YOLOV8);
    let report = verify(&runtime(), &dir, LoadOptions::default());
    assert!(report.ok());
    let all = [
        Step::Manifest,
        Step::Digest,
        Step::Graph,
        Step::Inputs,
        Step::Outputs,
    ];
    let mut expected: Vec<_> = all.map(|s| (s, "passed")).into();
    expected.push((Step::Golden, "skipped"));
    assert_eq!(outcomes(&report), expected);

    let (_, lines) = Model::make_golden(&runtime(), &dir).unwrap();
    let manifest = MANIFEST.to_owned() + &lines.unwrap();
    let dir = shelf.model("tiny", &manifest, YOLOV8);
    let report = verify(&runtime(), &dir, LoadOptions::default());
    assert_eq!(outcomes(&report).last(), Some(&(Step::Golden, "passed")));
    // Nothing to add where the manifest has a golden run.
    assert_eq!(Model::make_golden(&runtime(), &dir).unwrap().1, None);
}

#[test]
fn a_failed_check_is_the_last() {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", &MANIFEST.replace("SHA256", &"0".repeat(64)), YOLOV8);
    let report = verify(&runtime(), &dir, LoadOptions::default());
    assert!(!report.ok());
    assert_eq!(
        outcomes(&report),
        [(Step::Manifest, "passed"), (Step::Digest, "failed")]
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["checks"][1]["step"], "digest");
    assert_eq!(json["checks"][1]["outcome"], "failed");
}

#[test]
fn provider_names_round_trip() {
    for (name, provider) in Provider::ALL {
        assert_eq!(name.parse(), Ok(provider));
        assert_eq!(provider.to_string(), name);
    }
    assert!("npu".parse::<Provider>().unwrap_err().contains("cpu, cuda"));
}

#[test]
fn a_library_that_is_not_there() {
    let error = Runtime::load(Some(Path::new("/nowhere/libonnxruntime.so")));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("/nowhere/libonnxruntime.so"), "{error}");
}
