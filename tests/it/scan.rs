//! `sitewarden scan` as a person runs it.

use std::fs;

use image::{DynamicImage, ImageFormat};
use serde_json::Value;

use crate::support::{
    astronaut, encoded, gradient, jpeg_with_orientation, json, program, scan, stored_for, text,
};

fn photo(output: &Value, index: usize) -> &Value {
    &output["photos"][index]
}

fn answer<'a>(photo: &'a Value, code: &str) -> &'a Value {
    let answers = photo["answers"].as_array().unwrap();
    answers.iter().find(|a| a["code"] == code).unwrap()
}

/// Best box of a label, `[x, y, w, h]`.
fn best(photo: &Value, label: &str) -> Option<[f64; 4]> {
    let detections = photo["detections"].as_array().unwrap();
    let found = detections.iter().find(|d| d["label"] == label)?;
    Some(std::array::from_fn(|i| found["bbox"][i].as_f64().unwrap()))
}

fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let w = (a[0] + a[2]).min(b[0] + b[2]) - a[0].max(b[0]);
    let h = (a[1] + a[3]).min(b[1] + b[3]) - a[1].max(b[1]);
    let shared = w.max(0.0) * h.max(0.0);
    shared / (a[2] * a[3] + b[2] * b[3] - shared)
}

#[test]
fn a_bare_head_is_a_candidate_and_a_helmet_under_the_arm_is_none_on_the_head() {
    let output = scan(&[
        astronaut().as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document = json(&output);
    let photo = photo(&document, 0);
    assert_eq!(
        (&photo["width"], &photo["height"]),
        (&512.into(), &512.into())
    );
    assert!(photo["error"].is_null());
    // her hair is around (225, 60); on a photo that fills the square the model draws hair alone
    let head = best(photo, "head").expect("a bare head");
    assert!(head[0] < 225.0 && head[0] + head[2] > 225.0, "{head:?}");
    assert!(head[1] < 60.0 && head[1] + head[3] > 60.0, "{head:?}");
    let candidate = &photo["candidates"][0];
    assert_eq!(candidate["code"], "PPE-01", "{candidate}");
    assert_eq!(answer(photo, "PPE-01")["answer"], "non_compliant");
    assert!(!candidate["why"]["inputs"].as_array().unwrap().is_empty());
}

#[test]
fn the_answers_cover_the_whole_catalogue_with_reasons_in_both_languages() {
    let mut reasons = Vec::new();
    for lang in ["en", "zh"] {
        let path = astronaut();
        let output = scan(&[path.to_str().unwrap(), "--format", "json", "--lang", lang]);
        let document = json(&output);
        let answers = photo(&document, 0)["answers"].as_array().unwrap().clone();
        assert_eq!(answers.len(), 30);
        for a in &answers {
            assert!(!a["reason"].as_str().unwrap().is_empty(), "{a}");
        }
        reasons.push(answer(photo(&document, 0), "PPE-01")["reason"].clone());
    }
    assert!(reasons[0].as_str().unwrap().is_ascii());
    assert!(!reasons[1].as_str().unwrap().is_ascii());
}

#[test]
fn real_output_fits_the_schema_that_ships() {
    let schema = program().args(["schema", "scan"]).output().unwrap();
    let validator = jsonschema::validator_for(&json(&schema)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(astronaut(), folder.path().join("a.jpg")).unwrap();
    fs::write(folder.path().join("b.jpg"), "no photo").unwrap();
    let path = folder.path().to_str().unwrap();
    let document = json(&scan(&[path, "--format", "json"]));
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    for line in text(&scan(&[path, "--format", "jsonl"]).stdout).lines() {
        assert!(
            validator.is_valid(&serde_json::from_str(line).unwrap()),
            "{line}"
        );
    }
    // the schema can fail
    let mut wrong = document.clone();
    wrong["photos"][0]["answers"][0]["answer"] = "maybe".into();
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn one_unreadable_photo_is_reported_in_its_place_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(astronaut()).unwrap();
    fs::write(folder.path().join("1.jpg"), &good).unwrap();
    fs::write(folder.path().join("2.jpg"), b"").unwrap();
    fs::write(folder.path().join("3.jpg"), &good[..good.len() / 2]).unwrap();
    fs::write(folder.path().join("4.jpg"), "a text file").unwrap();
    fs::create_dir(folder.path().join("5")).unwrap();
    fs::write(folder.path().join("5/6.JPEG"), &good).unwrap();
    fs::write(folder.path().join("notes.txt"), "not looked at").unwrap();
    let output = scan(&[folder.path().to_str().unwrap(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    let photos = document["photos"].as_array().unwrap();
    let errors: Vec<&str> = photos
        .iter()
        .map(|p| p["error"].as_str().unwrap_or("-"))
        .collect();
    assert_eq!(photos.len(), 5, "{errors:?}");
    assert_eq!((errors[0], errors[4]), ("-", "-"));
    assert!(errors[1].contains("empty"), "{errors:?}");
    assert!(errors[2].contains("damaged or cut short"), "{errors:?}");
    assert!(errors[3].contains("not a picture"), "{errors:?}");
    assert_eq!(photos[0]["detections"], photos[4]["detections"]);
    // what can be said of an unreadable file is said
    assert_eq!(photos[2]["sha256"].as_str().unwrap().len(), 64);

    let gone = folder.path().join("gone.jpg");
    let paths = [folder.path(), &gone].map(|p| p.to_str().unwrap());
    let output = scan(&[paths[0], paths[1], "--format", "json", "--lang", "zh"]);
    let document = json(&output);
    for (i, said) in [
        (1, "文件为空"),
        (2, "已损坏或不完整"),
        (3, "不是可识别的图片"),
        (5, "没有该文件"),
    ] {
        let error = document["photos"][i]["error"].as_str().unwrap();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn of_a_file_with_several_pictures_the_record_says_that_only_the_first_was_judged() {
    let dir = tempfile::tempdir().unwrap();
    for frames in [1, 2] {
        let mut bytes = Vec::new();
        let frame = || image::Frame::new(image::RgbaImage::new(64, 48));
        image::codecs::gif::GifEncoder::new(&mut bytes)
            .encode_frames((0..frames).map(|_| frame()))
            .unwrap();
        fs::write(dir.path().join(format!("{frames}.gif")), bytes).unwrap();
    }
    let args = |lang: &'static str| ["--format", "json", "--lang", lang];
    for (lang, said) in [("en", "only the first"), ("zh", "第一页")] {
        let mut all = vec![dir.path().as_os_str()];
        let rest = args(lang);
        all.extend(rest.iter().map(|a| std::ffi::OsStr::new(*a)));
        let document = json(&scan(&all));
        assert!(photo(&document, 0)["note"].is_null());
        let note = photo(&document, 1)["note"].as_str().unwrap();
        assert!(note.contains(said), "{note}");
    }
}

#[test]
fn what_is_named_but_missing_is_an_error_in_its_place() {
    let path = astronaut();
    let output = scan(&[
        "no/such/photo.jpg",
        path.to_str().unwrap(),
        "no*match.jpg",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    assert!(
        photo(&document, 0)["error"]
            .as_str()
            .unwrap()
            .contains("no such file")
    );
    assert!(photo(&document, 1)["error"].is_null());
    assert!(
        photo(&document, 2)["error"]
            .as_str()
            .unwrap()
            .contains("no file matches")
    );
}

#[cfg(unix)]
#[test]
fn a_file_name_that_is_no_utf8_and_one_that_may_not_be_read() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.jpg");
    fs::copy(astronaut(), folder.path().join(odd)).unwrap();
    fs::copy(astronaut(), folder.path().join("locked.jpg")).unwrap();
    fs::set_permissions(
        folder.path().join("locked.jpg"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    // vanished: a link whose target has gone
    symlink("gone.jpg", folder.path().join("vanished.jpg")).unwrap();
    let output = scan(&[folder.path().to_str().unwrap(), "--format", "json"]);
    let document = json(&output);
    assert!(
        photo(&document, 0)["path"]
            .as_str()
            .unwrap()
            .ends_with("caf\u{fffd}.jpg")
    );
    assert!(photo(&document, 0)["error"].is_null());
    // root reads everything
    let locked = fs::File::open(folder.path().join("locked.jpg")).is_err();
    assert_eq!(photo(&document, 1)["error"].is_string(), locked);
    assert!(
        photo(&document, 2)["error"]
            .as_str()
            .unwrap()
            .contains("check that it is there")
    );
}

#[test]
fn standard_input_is_a_photo() {
    let output = program()
        .args(["scan", "-", "--format", "json"])
        .stdin(fs::File::open(astronaut()).unwrap())
        .output()
        .unwrap();
    assert_eq!(photo(&json(&output), 0)["path"], "-");
    assert!(best(photo(&json(&output), 0), "head").is_some());
}

#[test]
fn a_photo_stored_in_any_orientation_has_its_boxes_in_the_upright_one() {
    let folder = tempfile::tempdir().unwrap();
    // not square, so that a swapped axis shows
    let upright = image::open(astronaut())
        .unwrap()
        .crop_imm(0, 0, 512, 400)
        .to_rgb8();
    for orientation in 1..=8 {
        let bytes = jpeg_with_orientation(&stored_for(&upright, orientation), orientation);
        fs::write(folder.path().join(format!("{orientation}.jpg")), bytes).unwrap();
    }
    let document = json(&scan(&[
        folder.path().to_str().unwrap(),
        "--format",
        "json",
    ]));
    let first = best(photo(&document, 0), "head").unwrap();
    for index in 0..8 {
        let photo = photo(&document, index);
        assert_eq!(
            (&photo["width"], &photo["height"]),
            (&512.into(), &400.into())
        );
        let head = best(photo, "head").unwrap();
        assert!(
            iou(first, head) > 0.9,
            "orientation {}: {first:?} {head:?}",
            index + 1
        );
    }
}

#[test]
fn exit_code_3_only_for_what_is_looked_for() {
    let path = astronaut();
    let path = path.to_str().unwrap();
    assert_eq!(scan(&[path, "--fail-on", "general"]).status.code(), Some(3));
    assert_eq!(scan(&[path, "--fail-on", "major"]).status.code(), Some(0));
    assert_eq!(
        scan(&[path, "--fail-on", "general", "--hazards", "FIR-03"])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn wrong_usage_and_wrong_names_say_what_is_right() {
    let path = astronaut();
    let path = path.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&[], 2, "PATH"),
        (&[path, "--min-score", "7"], 2, "0 to 1"),
        (&[path, "--hazards", "PPE-99"], 4, "PPE-01"),
        (&[path, "--model", "no-such-model"], 4, "no-such-model"),
        (&[path, "--config", "no-such.toml"], 4, "no-such.toml"),
    ];
    for (arguments, code, expected) in cases {
        let output = scan(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn an_empty_hazard_code_is_refused() {
    let output = scan(&["photo.jpg", "--hazards", ","]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("a hazard code is empty"));
}

#[test]
fn a_reader_that_goes_away_is_no_success() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = program()
        .args(["scan", "--format", "json"])
        .arg(astronaut())
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn an_empty_folder_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let output = scan(&[folder.path()]);
    assert_ne!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("no photos found"));
}

#[test]
fn annotated_pictures_and_the_report_are_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let annotated = folder.path().join("deep/annotated");
    let report = folder.path().join("report.html");
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::copy(astronaut(), photos.join("a.jpg")).unwrap();
    fs::write(photos.join("b <i>.jpg"), "no photo").unwrap();
    let blank = DynamicImage::ImageRgb8(gradient(300, 200));
    fs::write(photos.join("c.png"), encoded(&blank, ImageFormat::Png)).unwrap();
    let output = scan(&[
        photos.as_os_str(),
        "--annotate".as_ref(),
        annotated.as_os_str(),
        "--report".as_ref(),
        report.as_os_str(),
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let pictures: Vec<_> = fs::read_dir(&annotated)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(pictures.len(), 2, "{pictures:?}");
    for picture in pictures {
        assert!(image::open(&picture).unwrap().width() >= 300);
    }
    let html = fs::read_to_string(report).unwrap();
    assert!(html.trim_start().starts_with("<!") && html.trim_end().ends_with("</html>"));
    assert!(html.contains("PPE-01") && html.contains("data:image/jpeg;base64,"));
    assert!(html.contains("not a picture") && !html.contains("<i>.jpg"));
}

#[test]
fn the_boxes_do_not_depend_on_what_else_is_written_nor_on_the_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = astronaut();
    let path = path.to_str().unwrap();
    let picture_dir = folder.path().join("a");
    let plain = json(&scan(&[
        path, path, path, "--format", "json", "--jobs", "1",
    ]));
    let drawn = json(&scan(&[
        path,
        path,
        path,
        "--format",
        "json",
        "--jobs",
        "3",
        "--annotate",
        picture_dir.to_str().unwrap(),
    ]));
    assert_eq!(plain, drawn);
}

#[test]
fn a_table_has_no_escape_codes_in_a_pipe_and_names_the_hazard() {
    let path = astronaut();
    let output = scan(&[path.to_str().unwrap(), "--lang", "zh"]);
    let table = text(&output.stdout);
    assert!(
        table.contains("PPE-01") && table.contains("安全帽"),
        "{table}"
    );
    assert!(!table.contains('\u{1b}') && output.stderr.is_empty());
}

#[test]
fn tiles_find_what_the_whole_view_is_too_coarse_for() {
    // the astronaut, small in one corner of a large empty photo
    let mut canvas = image::RgbImage::from_pixel(4000, 3000, image::Rgb([128, 132, 126]));
    let small = image::open(astronaut())
        .unwrap()
        .thumbnail(400, 400)
        .to_rgb8();
    image::imageops::replace(&mut canvas, &small, 3100, 2000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jpg");
    canvas.save(&path).unwrap();
    let path = path.to_str().unwrap();
    let whole = json(&scan(&[path, "--format", "json", "--tiles", "off"]));
    assert_eq!(best(photo(&whole, 0), "head"), None);
    let tiled = json(&scan(&[path, "--format", "json", "--tiles", "auto"]));
    let [x, y, w, h] = best(photo(&tiled, 0), "head").expect("a head in the tiles");
    // her face is around (225, 120) of 512
    assert!(
        x < 3276.0 && x + w > 3276.0 && y < 2094.0 && y + h > 2094.0,
        "{x} {y} {w} {h}"
    );
    assert!(w < 250.0 && h < 250.0, "{w} {h}");
}
