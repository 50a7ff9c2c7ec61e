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

    // with a colour profile that no PNG takes, as many programs write them
    let jpeg = std::fs::read(astronaut()).unwrap();
    let mut profile = b"ICC_PROFILE\0\x01\x01".to_vec();
    profile.resize(214, 0);
    let mut odd = jpeg[..2].to_vec();
    odd.extend([0xff, 0xe2, 0, profile.len() as u8 + 2]);
    odd.extend(profile);
    odd.extend(&jpeg[2..]);
    let (source, odd_heic) = (
        folder.path().join("odd.jpg"),
        folder.path().join("odd.heic"),
    );
    std::fs::write(&source, odd).unwrap();
    let encoder = Command::new("heif-enc")
        .arg(&source)
        .arg("-o")
        .arg(&odd_heic)
        .output();
    assert!(encoder.unwrap().status.success());
    let output = program()
        .args(["scan", "--format", "json"])
        .arg(&odd_heic)
        .output()
        .unwrap();
    let photo = &json(&output)["photos"][0];
    assert!(photo["error"].is_null(), "{photo}");
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
