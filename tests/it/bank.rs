//! `sitewarden bank` as a person runs it, with an embedder that knows colours only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{encoded, json, program, text};

/// A data folder, an embedder and pictures.
struct Office {
    folder: tempfile::TempDir,
}

const ORANGE: [u8; 3] = [250, 130, 10];
const GREEN: [u8; 3] = [10, 220, 60];
const BLUE: [u8; 3] = [20, 40, 230];

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Self { folder };
        office.embedder("embedder", "1");
        office
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The embedder of the tests, in this version.
    fn embedder(&self, folder: &str, version: &str) {
        let onnx =
            fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/embedder.onnx"))
                .unwrap();
        let digest: String = Sha256::digest(&onnx)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let manifest = format!(
            r#"
kind = "embedder"
name = "colours"
version = "{version}"
file = "model.onnx"
sha256 = "{digest}"
license = "Apache-2.0"
max_batch = 4

[input]
name = "images"
width = 32
height = 32
layout = "nchw"
color = "rgb"
scale = 1.0
resize = "stretch"

[embedding]
name = "embedding"
dimensions = 5

[patches]
name = "patches"
rows = 4
columns = 4
dimensions = 3
"#
        );
        let dir = self.path(folder);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("model.toml"), manifest).unwrap();
        fs::write(dir.join("model.onnx"), onnx).unwrap();
    }

    /// A picture of about this colour, each number another one.
    fn picture(&self, colour: [u8; 3], number: u8) -> PathBuf {
        let path = self.path(&format!("{}-{number}.png", colour[0]));
        let picture = RgbImage::from_fn(64, 48, |x, y| {
            let spot = (x / 8 + y / 8 + u32::from(number)) % 5 == 0;
            Rgb(colour.map(|c| c.saturating_sub(if spot { number } else { number / 2 })))
        });
        fs::write(
            &path,
            encoded(&DynamicImage::ImageRgb8(picture), ImageFormat::Png),
        )
        .unwrap();
        path
    }

    fn bank_with(&self, embedder: &str, arguments: &[&str]) -> Output {
        program()
            .args(["bank", "--by", "ann", "--data"])
            .arg(self.path("data"))
            .arg("--embedder")
            .arg(self.path(embedder))
            .args(arguments)
            .output()
            .unwrap()
    }

    fn bank(&self, arguments: &[&str]) -> Output {
        self.bank_with("embedder", arguments)
    }

    fn add(&self, options: &[&str], pictures: &[PathBuf]) -> Vec<String> {
        let paths = pictures.iter().map(|p| p.to_str().unwrap());
        let arguments: Vec<&str> = ["add"]
            .into_iter()
            .chain(options.iter().copied())
            .chain(paths)
            .collect();
        let output = self.bank(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
            .lines()
            .skip(1)
            .map(|l| l.trim().to_owned())
            .collect()
    }

    /// Five orange pictures are EQP-02, twenty blue ones a place as it should be.
    fn taught() -> (Self, Vec<String>) {
        let office = Self::new();
        let orange: Vec<_> = (0..5).map(|n| office.picture(ORANGE, n)).collect();
        let added = office.add(&["--hazard", "EQP-02", "--site", "hall"], &orange);
        let blue: Vec<_> = (0..20).map(|n| office.picture(BLUE, n)).collect();
        office.add(&["--reference", "--site", "hall"], &blue);
        (office, added)
    }

    fn search(&self, picture: &Path, more: &[&str]) -> Value {
        let arguments = [
            &["search", picture.to_str().unwrap(), "--format", "json"],
            more,
        ]
        .concat();
        json(&self.bank(&arguments))
    }

    fn ledger_check(&self) -> Output {
        program()
            .args(["ledger", "check", "--data"])
            .arg(self.path("data"))
            .output()
            .unwrap()
    }

    fn ledger_is_sound(&self) {
        let output = self.ledger_check();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

#[test]
fn a_kind_is_taught_searched_forgotten_and_brought_back() {
    let (office, added) = Office::taught();
    assert_eq!(added.len(), 5);
    let probe = office.picture(ORANGE, 30);
    let found = office.search(&probe, &["--site", "hall"]);
    assert_eq!(found["samples"], 5 + 20 * 53, "{found}");
    let of = |found: &Value| found["verdicts"]["EQP-02"].clone();
    assert_eq!(of(&found)["ruling"], "confirm", "{}", of(&found));
    assert_eq!(of(&found)["calibration"]["held_out"], 20);
    assert_eq!(of(&found)["calibration"]["clean"], 20);
    assert!(found["neighbours"][0]["similarity"].as_f64().unwrap() > 0.99);
    let blue = office.search(&office.picture(BLUE, 10), &["--site", "hall"]);
    assert_eq!(of(&blue)["ruling"], "unknown");

    let removed = office.bank(&["remove", &added[0], &added[1], "--reason", "blurred"]);
    assert!(removed.status.success(), "{}", text(&removed.stderr));
    let without = office.search(&probe, &["--site", "hall"]);
    assert_eq!(without["samples"], 3 + 20 * 53);
    assert!(office.bank(&["undo"]).status.success());
    let again = office.search(&probe, &["--site", "hall"]);
    assert_eq!(again["bank_version"], 4);
    for part in ["neighbours", "verdicts"] {
        assert_eq!(again[part].to_string(), found[part].to_string());
    }
    // as it was
    let then = office.search(&probe, &["--site", "hall", "--at", "3"]);
    assert_eq!(
        then["verdicts"].to_string(),
        without["verdicts"].to_string()
    );
    let pictures = office.path("pictures");
    let folder = pictures.to_str().unwrap();
    let list = office.bank(&[
        "list",
        "--hazard",
        "EQP-02",
        "--lang",
        "zh",
        "--pictures",
        folder,
    ]);
    let list = text(&list.stdout);
    assert!(list.contains("5 samples at version 4"), "{list}");
    let log = office.bank(&["log", "-n", "3", "--json"]);
    let log: Vec<Value> = text(&log.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(log.len(), 3);
    assert_eq!(
        (&log[0]["version"], &log[0]["undoes"]),
        (&4.into(), &3.into())
    );
    assert_eq!(log[1]["undone_by"], 4);
    assert_eq!(log[2]["added"], 20 * 53);
    let log = text(&office.bank(&["log"]).stdout);
    assert!(log.contains("undo of 3") && log.contains("ann"), "{log}");
    assert!(
        list.contains("电线私拉乱接") && list.contains("hall"),
        "{list}"
    );
    let shown = image::open(pictures.join(format!("{}.jpg", added[0]))).unwrap();
    assert!(shown.to_rgb8().get_pixel(30, 20).0[0] > 200);
    assert_eq!(fs::read_dir(&pictures).unwrap().count(), 5);
    let near = office.path("near");
    let search = ["search", probe.to_str().unwrap(), "-k", "2", "--lang", "zh"];
    let search = [&search[..], &["--pictures", near.to_str().unwrap()]].concat();
    let said = text(&office.bank(&search).stdout);
    assert!(said.contains("confirm") && said.contains('。'), "{said}");
    assert_eq!(fs::read_dir(&near).unwrap().count(), 2);
    let check = json(&office.bank(&["check", "--coreset", "40", "--json"]));
    assert_eq!(check["coreset"]["keep"].as_array().unwrap().len(), 40);
    assert_eq!(check["coverage"].as_array().unwrap().len(), 2);
    office.ledger_is_sound();
}

#[test]
fn what_does_not_go_is_said_with_the_way_out() {
    let office = Office::new();
    let orange = office.picture(ORANGE, 0);
    let orange = orange.to_str().unwrap();
    let refused = |arguments: &[&str], word: &str| {
        let output = office.bank(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    };
    refused(&["search", orange], "there is no bank in");
    let nowhere = program().args(["bank", "list"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("--data DIR"));
    refused(&["add", "--hazard", "EQP-99", orange], "EQP-99");
    let ids = office.add(&["--hazard", "EQP-02"], &[orange.into()]);
    refused(
        &[
            "add",
            "--hazard",
            "EQP-02",
            "--negative",
            "--scope",
            "camera",
            orange,
        ],
        "camera",
    );
    refused(
        &[
            "add",
            "--hazard",
            "EQP-02",
            "--box",
            "900,900,10,10",
            orange,
        ],
        "no photo could be added",
    );
    refused(
        &["add", "--hazard", "EQP-02", "--box", "0,0,99999,10", orange],
        "no photo could be added",
    );
    refused(
        &["add", "--hazard", "EQP-02", "--site", "a/b", orange],
        "slash",
    );
    refused(&["search", orange, "--at", "9"], "no version 9");
    refused(&["search", orange, "--false-alarm-rate", "0"], "above 0");
    assert!(office.bank(&["remove", &ids[0]]).status.success());
    refused(&["remove", &ids[0]], "taken away before");
    refused(&["search", orange], "the bank is empty");
    assert!(office.bank(&["undo"]).status.success());

    // one sample: nothing to hold it against
    let alone = office.search(Path::new(orange), &[]);
    assert_eq!(
        alone["verdicts"]["EQP-02"]["reason"]["why"],
        "too_few_held_out"
    );

    // another version of the embedder knows nothing of a version that is past
    office.embedder("newer", "2");
    let arguments = ["search", orange, "--at", "1"];
    let output = office.bank_with("newer", &arguments);
    assert!(
        text(&output.stderr).contains("none of the 1 sample has an embedding of colours 2"),
        "{}",
        text(&output.stderr)
    );
    let output = office.bank_with("newer", &["embed"]);
    assert!(text(&output.stdout).contains("1 samples embedded"));
    assert!(office.bank_with("newer", &arguments).status.success());

    // a damaged index is made anew
    let index = office.path("data/bank.index");
    assert!(office.bank(&["search", orange]).status.success());
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&index, &bytes).unwrap();
    let check = office.ledger_check();
    assert_eq!(check.status.code(), Some(3));
    assert!(text(&check.stdout).contains("damaged"));
    let output = office.bank(&["search", orange]);
    assert!(output.status.success() && text(&output.stderr).contains("made anew"));
    office.ledger_is_sound();
}

#[test]
fn an_outline_is_kept_and_an_altered_photo_is_told() {
    let office = Office::new();
    let picture = office.picture(ORANGE, 1);
    let photo = picture.to_str().unwrap();
    let add = |mask: &str| office.bank(&["add", "--hazard", "EQP-02", "--mask", mask, photo]);
    let refused = add("0,0,9999,0,0,10");
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("corners within the photo"));
    assert!(add("0,0,10,0,10,10,0,10").status.success());
    let listed = office.bank(&["list", "--json"]);
    let row: Value = serde_json::from_str(text(&listed.stdout).trim()).unwrap();
    assert_eq!(row["mask"].as_array().unwrap().len(), 4);
    assert_eq!(row["area"][3], row["mask"][3][1]);
    // searched by the same outline it is itself, by the whole photo hardly
    let itself = office.search(&picture, &["--mask", "0,0,10,0,10,10,0,10"]);
    assert!(
        itself["neighbours"][0]["similarity"].as_f64().unwrap() > 0.9999,
        "{itself}"
    );
    assert!(office.search(&picture, &[])["neighbours"][0]["similarity"].as_f64() < Some(0.9999));
    for part in [["--box", "a,1,2,3,4"], ["--box", "5,5,1,1"]] {
        let refused = office.bank(&["search", part[0], part[1], photo]);
        assert!(!refused.status.success(), "{part:?}");
    }
    let refused = office.bank(&["search", "--mask", "0,0,1", photo]);
    assert!(
        text(&refused.stderr).contains("--mask"),
        "{}",
        text(&refused.stderr)
    );
    office.ledger_is_sound();

    let sha256 = row["photo_sha256"].as_str().unwrap();
    let original = office.path(&format!("data/originals/{}/{sha256}", &sha256[..2]));
    let mut bytes = fs::read(&original).unwrap();
    bytes[40] ^= 1;
    fs::remove_file(&original).unwrap();
    fs::write(&original, &bytes).unwrap();
    let check = office.ledger_check();
    assert_eq!(check.status.code(), Some(3));
    assert!(text(&check.stdout).contains("altered on disk"));
}

#[test]
fn a_bank_is_lent_to_another_office() {
    let (north, _) = Office::taught();
    let south = Office::new();
    let file = north.path("north.bank");
    let (key, other) = (north.path("key"), north.path("other"));
    fs::write(&key, "ab".repeat(32) + "\n").unwrap();
    fs::write(&other, "cd".repeat(32)).unwrap();
    let (file, key, other) = (
        file.to_str().unwrap(),
        key.to_str().unwrap(),
        other.to_str().unwrap(),
    );
    for (pictures, expected) in [
        (false, "1065 added"),
        (true, "1065 there already, 1065 of them completed"),
        // the second time all is there already
        (true, "1065 there already\n"),
    ] {
        let mut export = vec!["export", file, "--key", key, "--office", "north"];
        if !pictures {
            export.push("--no-pictures");
        }
        let output = north.bank(&export);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let size = fs::metadata(file).unwrap().len();
        assert!(
            size > 100_000 && pictures == fs::read_to_string(file).unwrap().contains("\"data\"")
        );
        let refused = south.bank(&["import", file, "--key", other]);
        assert_eq!(refused.status.code(), Some(4));
        assert!(text(&refused.stderr).contains("signature does not fit"));
        let output = south.bank(&["import", file, "--key", key]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(said.contains(expected), "{said}");
        let probe = south.picture(ORANGE, 30);
        let found = south.search(&probe, &[]);
        assert_eq!(found["verdicts"]["EQP-02"]["ruling"], "confirm", "{found}");
        assert_eq!(found["neighbours"][0]["site"], "north/hall");
        south.ledger_is_sound();
    }
    // the kinds of the lender are not all known here
    let own = north.path("own.toml");
    fs::write(
        &own,
        "version = \"1\"\n[[hazard]]\ncode = \"OWN-01\"\naspect = \"equipment\"\nseverity = \"general\"\n\
         name = { en = \"Gap\", zh = \"缺口\" }\nphoto_reason = { en = \"No.\", zh = \"无\" }\n",
    )
    .unwrap();
    let config = north.path("own-config.toml");
    fs::write(&config, "[hazards]\ncatalogue = \"own.toml\"\n").unwrap();
    let picture = north.picture(GREEN, 3);
    let added = north.bank(&[
        "--config",
        config.to_str().unwrap(),
        "add",
        "--hazard",
        "OWN-01",
        picture.to_str().unwrap(),
    ]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    let exported = north.bank(&["export", file, "--key", key, "--office", "north"]);
    assert!(exported.status.success());
    let output = south.bank(&["import", file, "--key", key]);
    assert!(
        text(&output.stderr).contains("no OWN-01"),
        "{}",
        text(&output.stderr)
    );
    let list = text(&south.bank(&["list", "--hazard", "OWN-01"]).stdout);
    assert!(list.contains("(not in the catalogue)"), "{list}");
    north.ledger_is_sound();
    // half a file
    let whole = fs::read(file).unwrap();
    fs::write(file, &whole[..whole.len() / 2]).unwrap();
    let refused = south.bank(&["import", file, "--key", key]);
    assert!(text(&refused.stderr).contains("signature does not fit"));
}

#[test]
fn a_scan_asks_the_bank() {
    let (office, _) = Office::taught();
    // a blue place, of the middle of its references, with an orange thing in it
    let place = BLUE.map(|c| c - 6);
    let scene = |colour: [u8; 3], name: &str| {
        let picture = RgbImage::from_fn(320, 240, |x, y| {
            let inside = (160..240).contains(&x) && (80..160).contains(&y);
            Rgb(if inside { colour } else { place })
        });
        let path = office.path(name);
        fs::write(
            &path,
            encoded(&DynamicImage::ImageRgb8(picture), ImageFormat::Png),
        )
        .unwrap();
        path
    };
    let scan = |photo: &Path| {
        let output = program()
            .args(["scan", "--format", "json", "--site", "hall", "--bank"])
            .arg(office.path("data"))
            .arg("--embedder")
            .arg(office.path("embedder"))
            .arg(photo)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        json(&output)
    };
    let wire = scene(ORANGE, "wiring.png");
    let found = scan(&wire);
    assert_eq!(found["settings"]["bank"]["version"], 2);
    let candidates = found["photos"][0]["candidates"].as_array().unwrap();
    let wiring: Vec<_> = candidates
        .iter()
        .filter(|c| c["code"] == "EQP-02")
        .collect();
    assert_eq!(wiring.len(), 1, "{candidates:?}");
    assert_eq!(wiring[0]["why"]["rule"], "bank");
    assert_eq!(wiring[0]["why"]["samples"][0]["role"], "positive");
    let x = wiring[0]["bbox"][0].as_f64().unwrap();
    assert!((120.0..=200.0).contains(&x), "{}", wiring[0]);
    let clean = scan(&scene(place, "clean.png"));
    assert_eq!(clean["photos"][0]["candidates"], Value::Array(vec![]));
    // the schema that ships knows of it
    let schema = program().args(["schema", "scan"]).output().unwrap();
    let validator = jsonschema::validator_for(&json(&schema)).unwrap();
    assert!(validator.is_valid(&found) && validator.is_valid(&clean));
    // dismissed at this site six times, by six pictures: not again
    let green: Vec<_> = (0..6).map(|n| office.picture(GREEN, n)).collect();
    office.add(
        &[
            "--hazard",
            "EQP-02",
            "--negative",
            "--scope",
            "site",
            "--site",
            "hall",
        ],
        &green,
    );
    let search = office.search(&office.picture(GREEN, 9), &["--site", "hall"]);
    assert_eq!(
        search["verdicts"]["EQP-02"]["ruling"], "suppress",
        "{search}"
    );
    let elsewhere = office.search(&office.picture(GREEN, 9), &["--site", "yard"]);
    assert_ne!(elsewhere["verdicts"]["EQP-02"]["ruling"], "suppress");
    // again with the bank as it is now: the decision stands; without, what the bank found is gone, and that is said
    let run = office.path("run.json");
    fs::write(&run, found.to_string()).unwrap();
    let replay = |more: &[&str]| {
        let mut command = program();
        command.args(["replay", "--format", "json"]).arg(&run);
        command.args(more).output().unwrap()
    };
    let data = office.path("data");
    let embedder = office.path("embedder");
    let [data, embedder] = [&data, &embedder].map(|path| path.to_str().unwrap());
    let again = json(&replay(&["--bank", data, "--embedder", embedder]));
    assert_eq!(again["photos"], Value::Array(vec![]), "{again}");
    assert_eq!(again["now"]["settings"]["bank"]["version"], 3);
    assert_eq!(again["now"]["settings"]["bank"]["site"], "hall");
    let without = replay(&[]);
    assert!(text(&without.stderr).contains("the run asked the sample bank (version 2)"));
    assert_eq!(json(&without)["photos"][0]["gone"][0]["code"], "EQP-02");
    office.ledger_is_sound();
}
