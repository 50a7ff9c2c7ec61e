//! Pictures that come damaged are not looked at, nor what is predicted from them.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sitewarden::source::camera::{Address, Camera, CameraOptions, Mode, State, Status};

/// Pictures of a clip, a key frame in each ten.
const PICTURES: usize = 200;
/// As the child makes its pictures, so that undamaged ones are the same to the last bit.
const PICTURE: [&str; 6] = ["-vf", "scale=flags=area", "-c:v", "ppm", "-f", "image2pipe"];

fn ffmpeg(arguments: &[&str], path: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "fatal", "-threads", "1", "-y"])
        .args(arguments)
        .arg(path)
        .output()
        .unwrap_or_else(|e| panic!("ffmpeg ({e}): apt-get install ffmpeg"));
    assert!(output.status.success(), "{arguments:?}");
    output.stdout
}

fn clip(folder: &Path, encoder: &[&str]) -> PathBuf {
    let path = folder.join(format!("{}.ts", encoder.concat()));
    let source = "testsrc2=size=320x240:rate=10:duration=20,noise=alls=8:all_seed=5";
    let arguments = ["-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"];
    let head = ["-g", "10", "-threads", "1"];
    ffmpeg(&[&arguments, encoder, &head].concat(), &path);
    path
}

/// Every picture that ffmpeg makes of a file, damaged or not.
fn pictures(file: &Path) -> Vec<Vec<u8>> {
    let input = ["-i", file.to_str().unwrap(), "-fps_mode", "passthrough"];
    let all = ffmpeg(&[&input[..], &PICTURE].concat(), Path::new("-"));
    let header = b"P6\n320 240\n255\n".len();
    let one = header + 3 * 320 * 240;
    all.chunks(one).map(|p| p[header..].to_vec()).collect()
}

/// Turns stretches of the video's bytes into others, the same each time: what MPEG-TS carries, not its own
/// bytes. The first key frames stay whole.
fn disturb(file: &Path) -> PathBuf {
    let mut bytes = std::fs::read(file).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let packets = bytes.len() / 188;
    for _ in 0..6 {
        let first = random.usize(packets / 10..packets - 15);
        for packet in bytes.chunks_mut(188).skip(first).take(15) {
            let begins_or_pads = packet[1] & 0x40 != 0 || packet[3] & 0x20 != 0;
            if !begins_or_pads {
                packet[4..].iter_mut().for_each(|b| *b = random.u8(..));
            }
        }
    }
    let path = file.with_extension("disturbed.ts");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The pictures that a camera shows of a file, and its status at the end.
fn shown(file: &Path, mode: Mode) -> (Vec<Vec<u8>>, Status) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/clip.ts", listener.local_addr().unwrap());
    let bytes = std::fs::read(file).unwrap();
    let serving = std::thread::spawn(move || {
        // once: then it is gone
        let (mut client, _) = listener.accept().unwrap();
        drop(listener);
        let _ = client.read(&mut [0; 4096]);
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
        let _ = client.write_all(head.as_bytes());
        let _ = client.write_all(&bytes);
    });
    let options = CameraOptions {
        fps: 100.0,
        mode,
        back_off: Duration::from_millis(500),
        ..CameraOptions::default()
    };
    let camera = Camera::open(Address::parse(&url).unwrap(), options);
    let mut shown = Vec::new();
    let until = Instant::now() + Duration::from_secs(90);
    while camera.status().restarts == 0 || camera.status().state == State::Live {
        assert!(Instant::now() < until, "{:?}", camera.status());
        let next = camera.next(Duration::from_millis(50));
        shown.extend(next.map(|f| f.picture.into_raw()));
    }
    serving.join().unwrap();
    (shown, camera.status())
}

/// How many are none of these.
fn others(pictures: &[Vec<u8>], clean: &HashSet<Vec<u8>>) -> usize {
    pictures.iter().filter(|p| !clean.contains(*p)).count()
}

const H264: [&str; 6] = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "0"];
const H264_B_FRAMES: [&str; 6] = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2"];
const H265: [&str; 6] = [
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=none:keyint=10:min-keyint=10:open-gop=0:bframes=0",
];

#[test]
fn a_clean_stream_loses_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    for encoder in [H264, H264_B_FRAMES, H265] {
        let clip = clip(folder.path(), &encoder);
        let clean: HashSet<Vec<u8>> = pictures(&clip).into_iter().collect();
        assert_eq!(clean.len(), PICTURES, "all differ");
        let (shown, status) = shown(&clip, Mode::Active);
        assert_eq!(status.frames, PICTURES as u64, "{encoder:?} {status:?}");
        assert_eq!(status.damaged, 0, "{encoder:?}");
        assert_eq!(others(&shown, &clean), 0, "{encoder:?}");
    }
}

#[test]
fn a_disturbed_stream_shows_whole_pictures_only() {
    let folder = tempfile::tempdir().unwrap();
    for encoder in [H264, H264_B_FRAMES] {
        let clip = clip(folder.path(), &encoder);
        let clean: HashSet<Vec<u8>> = pictures(&clip).into_iter().collect();
        let disturbed = disturb(&clip);
        let bad = others(&pictures(&disturbed), &clean);
        assert!(bad >= 15, "{encoder:?}: {bad} bad pictures are no test");
        let (seen, status) = shown(&disturbed, Mode::Active);
        assert_eq!(others(&seen, &clean), 0, "of {bad} {encoder:?} {status:?}");
        // what is not damaged is not lost with it: at most a second for each, and the one after
        assert!(status.damaged >= 10, "{encoder:?} {status:?}");
        assert!(status.frames >= 100, "{encoder:?} {status:?}");

        let (seen, status) = shown(&disturbed, Mode::Idle);
        assert_eq!(others(&seen, &clean), 0, "{encoder:?} {status:?}");
        assert!(
            (10..=20).contains(&status.frames),
            "{encoder:?} {status:?}: one each second"
        );
    }
}

#[test]
fn what_is_predicted_from_a_picture_that_was_lost_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), &H265);
    let clean: HashSet<Vec<u8>> = pictures(&clip).into_iter().collect();
    let lossy = folder.path().join("lossy.ts");
    let input = ["-i", clip.to_str().unwrap(), "-c", "copy"];
    let lose = ["-bsf:v", "noise=drop='eq(n,33)+eq(n,87)'"];
    ffmpeg(&[&input[..], &lose].concat(), &lossy);
    let bad = others(&pictures(&lossy), &clean);
    assert!(bad >= 2, "{bad} bad pictures are no test");
    let (seen, status) = shown(&lossy, Mode::Active);
    assert_eq!(others(&seen, &clean), 0, "of {bad} {status:?}");
    assert!(status.damaged >= bad as u64, "{status:?}");
    assert!(status.frames >= 170, "{status:?}");
}
