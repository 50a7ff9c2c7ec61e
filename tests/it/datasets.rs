//! The manifests in `datasets/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sitewarden::dataset::DatasetManifest;
use sitewarden::rules::Catalogue;

fn manifests() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// Every label that a rule of the catalogue or the model that ships knows.
fn vocabulary() -> BTreeSet<String> {
    let model = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models/site-nano/model.toml"),
    );
    let model: toml::Table = model.unwrap().parse().unwrap();
    let catalogue: toml::Table = Catalogue::builtin_toml().parse().unwrap();
    let mut labels = BTreeSet::new();
    for table in [model, catalogue] {
        collect(&toml::Value::Table(table), &mut labels);
    }
    labels
}

/// The strings of every `labels = […]`, wherever it stands.
fn collect(value: &toml::Value, into: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                if let (true, Some(labels)) = (key == "labels", value.as_array()) {
                    into.extend(labels.iter().filter_map(|l| Some(l.as_str()?.to_owned())));
                }
                collect(value, into);
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|v| collect(v, into)),
        _ => {}
    }
}

#[test]
fn every_manifest_parses_and_maps_to_labels_that_we_know() {
    let vocabulary = vocabulary();
    assert!(vocabulary.contains("helmet") && vocabulary.contains("excavator"));
    let files = manifests();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let manifest = DatasetManifest::read(&file).unwrap();
        for (theirs, ours) in &manifest.classes {
            assert!(
                vocabulary.contains(ours),
                "{}: {theirs} is mapped to {ours}, which no rule and no model knows",
                file.display()
            );
        }
        assert!(
            !manifest.classes.is_empty() || manifest.unverified.iter().any(|u| u == "classes"),
            "{}: no classes, and it does not say why",
            file.display()
        );
    }
}

#[test]
fn a_manifest_with_a_slip_of_the_pen_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let good = "name = \"x\"\nabout = \"a\"\norigin = \"o\"\nlicense = \"l\"\nget = \"g\"\n";
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        DatasetManifest::read(&path).unwrap_err().to_string()
    };
    std::fs::write(&path, good).unwrap();
    assert!(DatasetManifest::read(&path).is_ok());
    for (more, says) in [
        ("licence = \"MIT\"\n", "licence"),
        ("unverified = [\"colour\"]\n", "names of keys"),
        ("unmapped = [\"a\"]\n[classes]\na = \"person\"\n", "both in"),
        (
            "[splits.val]\nlabels = \"../up.json\"\n",
            "below the folder of data",
        ),
        (
            "[splits.val]\nlabels = \"/etc/val.json\"\n",
            "below the folder of data",
        ),
        (
            "[[published]]\nmodel = \"m\"\nmetric = \"AP50\"\nvalue = 89.0\nsource = \"s\"\n",
            "must lie in 0..=1",
        ),
    ] {
        let error = refused(&format!("{good}{more}"));
        assert!(error.contains(says), "{more}: {error}");
    }
    assert!(refused(&good.replace("\"x\"", "\"y\"")).contains("that of the file"));
    assert!(refused(&good.replace("\"o\"", "\" \"")).contains("must say something"));
}

/// The annotations that ship.
#[test]
fn every_file_of_episodes_is_sound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/episodes");
    let catalogue = sitewarden::rules::Catalogue::builtin();
    let mut clips = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let truth = sitewarden::eval::episodes::ClipTruth::parse(&text)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for j in &truth.judged {
            assert!(
                catalogue.kind(&j.code).is_some(),
                "{}: {}",
                path.display(),
                j.code
            );
        }
        assert!(
            truth.episodes.is_sorted_by(|a, b| a.start_s <= b.start_s),
            "{}",
            path.display()
        );
        clips += 1;
    }
    assert!(clips >= 7);
}
