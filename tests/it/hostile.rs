//! Inputs, places and moments that mean harm, or look like it: what `scan` must live through.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageFormat};
use serde_json::Value;

use crate::support::{astronaut, encoded, gradient, json, png_chunk, program, scan, text};

/// Waits for the child, which ends by itself or fails the test; gives its highest memory use
/// in MiB too.
fn watched(command: &mut Command) -> (Output, usize) {
    let folder = tempfile::tempdir().unwrap();
    // files, for a pipe that nobody reads fills up
    let [out, err] = ["out", "err"].map(|name| folder.path().join(name));
    let mut child = command
        .stdout(fs::File::create(&out).unwrap())
        .stderr(fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        peak = peak.max(peak_mib(&child).unwrap_or(0));
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let output = Output {
        status,
        stdout: fs::read(out).unwrap(),
        stderr: fs::read(err).unwrap(),
    };
    (output, peak)
}

fn peak_mib(child: &Child) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

fn scanning(arguments: &[&Path]) -> Command {
    let mut command = program();
    command.arg("scan").args(arguments);
    command
}

fn small_photo() -> Vec<u8> {
    encoded(
        &DynamicImage::ImageRgb8(gradient(64, 48)),
        ImageFormat::Jpeg,
    )
}

fn errors(document: &Value) -> Vec<Option<&str>> {
    let photos = document["photos"].as_array().unwrap();
    photos.iter().map(|p| p["error"].as_str()).collect()
}

#[test]
fn a_colour_profile_that_unpacks_to_512_mib_costs_little() {
    // the encoder packs a black picture as a stream of zeros: that is the profile
    let black = encoded(&DynamicImage::new_luma8(16384, 32768), ImageFormat::Png);
    let at = black.windows(4).position(|w| w == b"IDAT").unwrap();
    let length = u32::from_be_bytes(black[at - 4..at].try_into().unwrap()) as usize;
    let mut profile = b"x\0\0".to_vec();
    profile.extend(&black[at + 4..at + 4 + length]);
    let mut png = encoded(&DynamicImage::new_rgb8(4, 4), ImageFormat::Png);
    let header = 8 + 12 + 13;
    png.splice(header..header, png_chunk(b"iCCP", &profile));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bomb.png"), png).unwrap();
    fs::write(folder.path().join("plain.jpg"), small_photo()).unwrap();
    let (_, plain) = watched(&mut scanning(&[&folder.path().join("plain.jpg")]));
    let (output, peak) = watched(&mut scanning(&[&folder.path().join("bomb.png")]));
    assert!(peak < plain + 150, "{peak} MiB, a plain photo {plain}");
    assert!(output.status.code() <= Some(1), "{}", text(&output.stderr));
}

#[test]
fn a_long_folder_needs_no_more_memory_than_a_short_one() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.html");
    // files of a mebibyte, most of them refused: quick to scan, and none can be kept unseen
    let mut photo = small_photo();
    photo.resize(1 << 20, 0);
    let broken = vec![b'x'; 1 << 20];
    let mut peaks = Vec::new();
    for count in [20, 200] {
        for i in 0..count {
            let bytes = if i % 4 == 0 { &photo } else { &broken };
            fs::write(folder.path().join(format!("{i}.jpg")), bytes).unwrap();
        }
        let (output, peak) = watched(
            scanning(&[folder.path(), Path::new("--report"), &report]).args(["--jobs", "2"]),
        );
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        peaks.push(peak);
    }
    assert!(peaks[1] < peaks[0] + 40, "{peaks:?} MiB");
}

#[test]
fn a_pipe_or_a_device_behind_a_link_in_a_folder_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("a.jpg");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    symlink(&fifo, folder.path().join("b.jpg")).unwrap();
    symlink("/dev/zero", folder.path().join("c.jpg")).unwrap();
    symlink("d.jpg", folder.path().join("d.jpg")).unwrap();
    fs::write(folder.path().join("e.jpg"), small_photo()).unwrap();
    let (output, _) = watched(scanning(&[folder.path()]).args(["--format", "json"]));
    let document = json(&output);
    let errors = errors(&document);
    // the loop of links is told, the good one is judged
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].unwrap().contains("check that it is there"));
    assert_eq!(errors[1], None);
}

#[test]
fn a_pipe_that_is_named_itself_is_told_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("a.jpg");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let (output, _) = watched(scanning(&[fifo.as_path(), &astronaut()]).args(["--format", "json"]));
    let document = json(&output);
    let errors = errors(&document);
    assert!(errors[0].unwrap().contains("pipe"), "{errors:?}");
    assert_eq!(errors[1], None);
}

#[test]
fn a_report_takes_the_place_of_no_device() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("report.html");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let (output, _) = watched(&mut scanning(&[
        astronaut().as_path(),
        Path::new("--report"),
        &fifo,
    ]));
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("device"),
        "{}",
        text(&output.stderr)
    );
    assert!(!fs::metadata(&fifo).unwrap().is_file());
}

#[test]
fn standard_input_is_read_once() {
    let output = program()
        .args(["scan", "-", "-", "--jobs", "2", "--format", "json"])
        .stdin(fs::File::open(astronaut()).unwrap())
        .output()
        .unwrap();
    let document = json(&output);
    let errors = errors(&document);
    assert_eq!(errors[0], None);
    assert!(errors[1].unwrap().contains("only once"), "{errors:?}");
}

#[test]
fn names_that_steer_terminals_pages_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    let annotated = folder.path().join("annotated");
    let report = folder.path().join("report.html");
    fs::create_dir(&photos).unwrap();
    let names = [
        "\u{1b}[31mred\n.jpg".to_owned(),
        "\"'><script>alert(1)</script".to_owned().replace('/', "") + ".jpg",
        format!("{}.jpg", "中".repeat(83)),
        "\u{202e}gpj.jpg".to_owned(),
    ];
    for name in &names {
        fs::write(photos.join(name), small_photo()).unwrap();
    }
    let output = scan(&[
        photos.as_os_str(),
        "--annotate".as_ref(),
        annotated.as_os_str(),
        "--report".as_ref(),
        report.as_os_str(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains(['\u{1b}', '\u{202e}']));
    assert_eq!(fs::read_dir(&annotated).unwrap().count(), names.len());
    assert!(
        !fs::read_to_string(report)
            .unwrap()
            .contains("<script>alert")
    );
    let document = json(&scan(&[
        photos.as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ]));
    assert_eq!(errors(&document), [None; 4]);
    // messages too: nothing can be written into this folder
    let output = scan(&[
        photos.as_os_str(),
        "--annotate".as_ref(),
        "/proc/self".as_ref(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !text(&output.stderr).contains('\u{1b}'),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn annotated_pictures_inside_the_folder_are_not_scanned_again() {
    let folder = tempfile::tempdir().unwrap();
    let annotated = folder.path().join("z");
    fs::write(folder.path().join("a.jpg"), small_photo()).unwrap();
    for _ in 0..2 {
        let output = scan(&[
            folder.path().as_os_str(),
            "--annotate".as_ref(),
            annotated.as_os_str(),
            "--format".as_ref(),
            "json".as_ref(),
        ]);
        assert_eq!(errors(&json(&output)).len(), 1);
    }
    assert_eq!(fs::read_dir(&annotated).unwrap().count(), 1);
    // nor by a later run that knows nothing of them
    let output = scan(&[
        folder.path().as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ]);
    assert_eq!(errors(&json(&output)).len(), 1);
}

#[test]
fn places_that_cannot_be_written_are_told_before_the_work_and_exit_codes_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = astronaut();
    let photo = path.to_str().unwrap();
    let taken = folder.path().to_str().unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (
            &["--report", "/no/such/folder/r.html"],
            4,
            "check the folder",
        ),
        (&["--report", taken], 4, "it is a folder"),
        (&["--report", photo], 2, "report.html"),
        (&["--annotate", photo], 4, "name another"),
        (&["--jobs", "100000"], 2, "1 to 256"),
    ];
    for (arguments, code, expected) in cases {
        let output = scan(&[&[photo], arguments].concat());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_does_not_cost_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.html");
    let full = || fs::File::create("/dev/full").unwrap();
    let mut command = scanning(&[&astronaut()]);
    let output = command.stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("make room"));
    let mut command = scanning(&[&astronaut(), Path::new("--report"), &report]);
    let output = command.stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(fs::read_to_string(&report).unwrap().contains("PPE-01"));
}

#[test]
fn a_reader_that_goes_away_does_not_cost_the_report_nor_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.html");
    let mut child = scanning(&[&astronaut(), Path::new("--report"), &report])
        .args(["--fail-on", "general"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(report.exists());
}

#[test]
fn a_signal_in_mid_run_leaves_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    let out = folder.path().join("out");
    fs::create_dir(&photos).unwrap();
    for i in 0..300 {
        fs::write(photos.join(format!("{i}.jpg")), small_photo()).unwrap();
    }
    let mut child = scanning(&[&photos, Path::new("--annotate"), &out])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pictures = || -> Vec<PathBuf> {
        let entries = fs::read_dir(&out).into_iter().flatten();
        entries.map(|e| e.unwrap().path()).collect()
    };
    while pictures().len() < 3 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = format!("kill -TERM {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    let status = child.wait().unwrap();
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(15), "{status}");
    for picture in pictures() {
        assert_eq!(picture.extension().unwrap(), "jpg", "{picture:?}");
        image::open(&picture).unwrap();
    }
}

#[test]
fn heic_with_several_pictures_and_without_the_converter() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.png"), folder.path().join("b.png"));
    gradient(64, 48).save(&a).unwrap();
    gradient(48, 64).save(&b).unwrap();
    let both = folder.path().join("both.heic");
    let encoder = Command::new("heif-enc")
        .args([&a, &b])
        .arg("-o")
        .arg(&both)
        .output();
    assert!(
        encoder
            .expect("heif-enc: apt-get install libheif-examples")
            .status
            .success()
    );
    let document = json(&scan(&[
        both.as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ]));
    assert_eq!(errors(&document), [None]);
    assert_eq!(document["photos"][0]["width"], 64);
    // a shell, but no converter
    let bare = folder.path().join("bin");
    fs::create_dir(&bare).unwrap();
    symlink("/bin/sh", bare.join("sh")).unwrap();
    for path in [bare.as_path(), Path::new("/nowhere")] {
        let output = scanning(&[&both]).env("PATH", path).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains("libheif-examples"));
    }
}
