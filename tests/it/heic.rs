//! HEIC through the child program.

use std::process::Command;

use crate::support::{astronaut, json, program, text};

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn a_heic_photo_is_scanned_and_without_the_converter_the_package_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let heic = folder.path().join("a.heic");
    let made = Command::new("heif-enc")
        .arg(astronaut())
        .arg("-o")
        .arg(&heic)
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        println!("skipped: heif-enc is not here; `make test` installs it");
        return;
    }
    let output = program()
        .args(["scan", "--format", "json"])
        .arg(&heic)
        .output()
        .unwrap();
    let photo = &json(&output)["photos"][0];
    assert!(photo["error"].is_null(), "{photo}");
    assert_eq!(
        (&photo["width"], &photo["height"]),
        (&512.into(), &512.into())
    );
    assert!(!photo["detections"].as_array().unwrap().is_empty());

    let without = program()
        .args(["scan", "--format", "json"])
        .arg(&heic)
        .env("PATH", folder.path())
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(1), "{}", text(&without.stderr));
    let error = json(&without)["photos"][0]["error"].clone();
    assert!(
        error.as_str().unwrap().contains("libheif-examples"),
        "{error}"
    );

    std::fs::write(&heic, &std::fs::read(&heic).unwrap()[..400]).unwrap();
    let broken = program()
        .args(["scan", "--format", "json"])
        .arg(&heic)
        .output()
        .unwrap();
    let error = json(&broken)["photos"][0]["error"].clone();
    assert!(
        error.as_str().unwrap().contains("damaged or not supported"),
        "{error}"
    );
}
