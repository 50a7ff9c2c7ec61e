//! Live sources: what cameras, networks and children do, and that each is survived.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sitewarden::source::camera::{
    Address, Camera, CameraOptions, ClipPart, EvidenceError, LiveFrame, Mode, RingOptions, State,
    Transport,
};

use crate::rtsp::{self, Server};
use crate::support::{encoded, gradient, text};

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(90);

fn quick() -> CameraOptions {
    CameraOptions {
        back_off: Duration::from_millis(100),
        stall: Duration::from_secs(6),
        ..CameraOptions::default()
    }
}

fn open(url: &str, options: CameraOptions) -> Camera {
    Camera::open(Address::parse(url).unwrap(), options)
}

/// The next so many frames; fails when they do not come.
fn frames(camera: &Camera, n: usize) -> Vec<LiveFrame> {
    let until = Instant::now() + PATIENCE;
    let mut frames = Vec::new();
    while frames.len() < n {
        assert!(Instant::now() < until, "{:?}", camera.status());
        frames.extend(camera.next(Duration::from_millis(200)));
    }
    frames
}

/// Waits, taking frames, until the status is as wanted.
fn wait_for(camera: &Camera, what: &str, is: impl Fn(&sitewarden::source::camera::Status) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is(&camera.status()) {
        assert!(Instant::now() < until, "{what}: {:?}", camera.status());
        let _ = camera.next(Duration::from_millis(100));
    }
}

fn wait_for_state(camera: &Camera, state: State) {
    wait_for(camera, state.as_str(), |s| s.state == state);
}

#[test]
fn rtsp_over_tcp_and_udp_gives_small_frames_with_their_times() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&rtsp::clip(folder.path(), "1280x720", 60));
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = open(
            &server.url(),
            CameraOptions {
                transport,
                ..quick()
            },
        );
        let frames = frames(&camera, 6);
        assert_eq!(camera.status().state, State::Live);
        assert!(camera.status().frame_age_s.is_some());
        for frame in &frames {
            assert_eq!(frame.size, (1280, 720), "{transport:?}");
            assert_eq!(
                frame.picture.dimensions(),
                (640, 360),
                "scaled by the child"
            );
        }
        assert!(frames.windows(2).all(|w| w[0].time_s < w[1].time_s));
    }
}

#[test]
fn a_wrong_password_is_told_and_no_password_is_seen_anywhere() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = rtsp::clip(folder.path(), "320x240", 60);
    let secret = "fjord-4711-w0rd";
    let server = Server::with(&clip, 0, &[], Some(("warden", secret)));
    let url = |password: &str| format!("rtsp://warden:{password}@127.0.0.1:{}/cam", server.port);

    let wrong = open(&url("wrong-4711-w0rd"), quick());
    wait_for_state(&wrong, State::Unauthorised);
    let reason = wrong.status().reason;
    assert!(reason.contains("check user name and password"), "{reason}");
    assert!(!reason.contains("4711"), "{reason}");

    let right = open(&url(secret), quick());
    frames(&right, 2);
    let mut looked_at = 0;
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Ok(arguments) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        looked_at += usize::from(text(&arguments).contains("ffmpeg"));
        assert!(!text(&arguments).contains("4711"), "{}", text(&arguments));
    }
    assert!(looked_at > 0, "the child must have been there to be seen");
}

#[test]
fn a_server_that_goes_and_comes_again_and_again_is_survived() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clips = ["640x480", "320x240"].map(|size| rtsp::clip(folder.path(), size, 60));
    let mut server = Some(Server::start(&clips[0]));
    let port = server.as_ref().unwrap().port;
    let camera = open(&server.as_ref().unwrap().url(), quick());
    let mut last_s = 0.0;
    for round in 0..6 {
        let size = [(640, 480), (320, 240)][round % 2];
        wait_for(&camera, "another resolution", |s| s.size == Some(size));
        let frames = frames(&camera, 3);
        assert!(frames.iter().all(|f| f.time_s > last_s), "time went back");
        last_s = frames[2].time_s;
        drop(server.take());
        wait_for(&camera, "gone", |s| s.state != State::Live);
        server = Some(Server::with(&clips[(round + 1) % 2], port, &[], None));
        wait_for_state(&camera, State::Live);
    }
    assert!(camera.status().restarts >= 6);
}

#[test]
fn a_camera_that_freezes_is_stalled_and_opened_again() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&rtsp::clip(folder.path(), "320x240", 120));
    let options = CameraOptions {
        stall: Duration::from_secs(3),
        ..quick()
    };
    let camera = open(&server.url(), options);
    frames(&camera, 2);
    server.signal("-STOP");
    wait_for(&camera, "stalled", |s| s.state != State::Live);
    assert!(!camera.status().reason.is_empty());
    server.signal("-CONT");
    wait_for_state(&camera, State::Live);
    frames(&camera, 2);
}

#[test]
fn lost_packets_and_a_killed_child_are_survived() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = rtsp::clip(folder.path(), "640x480", 120);
    let server = Server::with(&clip, 0, &["--drop", "0.1"], None);
    let ring = RingOptions {
        folder: folder.path().join("ring"),
        seconds: 10,
    };
    let camera = open(
        &server.url(),
        CameraOptions {
            ring: Some(ring),
            ..quick()
        },
    );
    frames(&camera, 10);
    let restarts = camera.status().restarts;
    let ring = folder.path().join("ring").to_string_lossy().into_owned();
    let killed = children_with(&ring);
    assert_eq!(killed.len(), 1, "one child for one source");
    rtsp::signal_process(killed[0], "-KILL");
    wait_for(&camera, "restarted", |s| {
        s.restarts > restarts && s.state == State::Live
    });
    frames(&camera, 5);
}

/// Children of this process with this text among their arguments.
pub(crate) fn children_with(argument: &str) -> Vec<u32> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let arguments = text(&std::fs::read(entry.path().join("cmdline")).ok()?);
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.to_owned();
            (parent == own && arguments.contains(argument)).then_some(id)
        })
        .collect()
}

/// What is kept around this frame, once it is there; takes frames meanwhile.
fn kept_around(camera: &Camera, frame: &LiveFrame, seconds: f64) -> ClipPart {
    let (at_s, until) = (frame.time_s, Instant::now() + PATIENCE);
    loop {
        frames(camera, 1);
        match camera.kept(at_s, at_s - seconds, at_s + seconds) {
            Some(part) if part.is_whole => return part,
            _ => assert!(Instant::now() < until),
        }
    }
}

/// The picture of it is, of these frames, the one at `i` or at most so many `off`, as it came.
fn shows(part: &ClipPart, frames: &[LiveFrame], i: usize, off: usize, folder: &Path) {
    let path = folder.join("p.jpg");
    part.write_picture(&path).unwrap();
    let picture = image::open(&path).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), frames[i].size);
    let apart = |frame: &LiveFrame| -> u64 {
        let both = picture.as_raw().iter().zip(frame.picture.as_raw());
        both.map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    };
    let all: Vec<u64> = frames.iter().map(apart).collect();
    let nearest = (0..all.len()).min_by_key(|j| all[*j]).unwrap();
    assert!(nearest.abs_diff(i) <= off, "{nearest} for {i}: {all:?}");
}

/// Seconds and frames of its clip.
fn clip_of(part: &ClipPart, folder: &Path) -> (f64, f64) {
    let clip = folder.join("c.mp4");
    part.write_clip(&clip).unwrap();
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=codec_name,duration,nb_read_frames"])
        .arg(&clip)
        .output()
        .unwrap();
    let probed = text(&probe.stdout);
    let mut fields = probed.trim().split(',');
    assert_eq!(fields.next(), Some("h264"));
    let mut number = || fields.next().unwrap().parse().unwrap();
    (number(), number())
}

#[test]
fn key_frames_will_do_while_nothing_happens_and_the_ring_keeps_all() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&rtsp::clip(folder.path(), "640x480", 120));
    let ring = RingOptions {
        folder: folder.path().to_owned(),
        seconds: 20,
    };
    let options = CameraOptions {
        mode: Mode::Idle,
        ring: Some(ring),
        ..quick()
    };
    let camera = open(&server.url(), options);
    let gaps = |frames: &[LiveFrame]| -> Vec<f64> {
        frames
            .windows(2)
            .map(|w| w[1].time_s - w[0].time_s)
            .collect()
    };
    let idle = frames(&camera, 8);
    assert!(camera.status().idle);
    // a key frame each second; the stream's own clock says so whatever the machine does
    assert!(gaps(&idle).iter().all(|g| *g > 0.8), "{:?}", gaps(&idle));
    let part = kept_around(&camera, &idle[0], 1.0);
    shows(&part, &idle, 0, 0, folder.path());
    let part = kept_around(&camera, &idle[6], 3.0);
    shows(&part, &idle, 6, 0, folder.path());
    // from a key frame before, at most as long as a segment
    let (seconds, n) = clip_of(&part, folder.path());
    assert!((5.9..8.2).contains(&seconds), "{seconds} s");
    assert!(
        (n / seconds - 10.0).abs() < 0.3,
        "all frames: {n} in {seconds} s"
    );

    camera.set_mode(Mode::Active);
    wait_for(&camera, "awake", |s| !s.idle);
    let restarts = camera.status().restarts;
    let awake = frames(&camera, 12);
    assert!(
        gaps(&awake[2..]).iter().any(|g| *g < 0.5),
        "{:?}",
        gaps(&awake)
    );
    assert_eq!(camera.status().restarts, restarts, "no break in between");
}

#[test]
fn a_stream_with_b_frames_is_taken_in_and_kept() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("b-frames.mp4");
    let source = "testsrc2=size=320x240:rate=10";
    rtsp::encode_with(&clip, &["-f", "lavfi", "-i", source, "-t", "60"], 3);
    let server = Server::start(&clip);
    let ring = Some(RingOptions {
        folder: folder.path().to_owned(),
        seconds: 10,
    });
    let options = CameraOptions {
        fps: 10.0,
        ring,
        ..quick()
    };
    let camera = open(&server.url(), options);
    let frames = frames(&camera, 40);
    assert!(frames.windows(2).all(|w| w[0].time_s < w[1].time_s));
    // the first, and some in the midst of a segment
    for i in [0, 33, 34, 35] {
        let part = kept_around(&camera, &frames[i], 2.0);
        // by RTSP no packet says when it is to be decoded: ffmpeg's times are wrong by as much as it reorders
        shows(&part, &frames, i, 2, folder.path());
        let (seconds, n) = clip_of(&part, folder.path());
        assert!(
            (if i == 0 { 1.9 } else { 3.9 }..6.2).contains(&seconds),
            "{seconds} s"
        );
        // the cut is by the order of decoding
        assert!((n - 10.0 * seconds).abs() < 4.0, "{n} in {seconds} s");
    }
    // once it is written over, nobody gets something else for it
    let at_s = frames[35].time_s;
    let part = kept_around(&camera, &frames[35], 1.0);
    let until = Instant::now() + PATIENCE;
    while camera.kept(at_s, at_s - 1.0, at_s + 1.0).is_some() {
        assert!(Instant::now() < until);
        let _ = camera.next(Duration::from_millis(100));
    }
    let path = folder.path().join("gone");
    assert!(matches!(part.write_clip(&path), Err(EvidenceError::Gone)));
    assert!(matches!(
        part.write_picture(&path),
        Err(EvidenceError::Gone)
    ));
    assert_eq!(camera.status().restarts, 0, "{:?}", camera.status());
}

#[test]
fn h265_is_taken_in_and_its_clips_are_h264() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("h265.mp4");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi"])
        .args(["-i", "testsrc2=size=320x240:rate=10", "-t", "30"])
        .args([
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-x265-params",
            "log-level=none",
        ])
        .args(["-g", "10", "-bf", "0", "-pix_fmt", "yuv420p"])
        .arg(&clip)
        .status()
        .unwrap();
    assert!(made.success());
    let options = CameraOptions {
        fps: 10.0,
        ring: Some(RingOptions {
            folder: folder.path().to_owned(),
            seconds: 20,
        }),
        ..quick()
    };
    let camera = open(clip.to_str().unwrap(), options);
    let frames = frames(&camera, 40);
    let part = kept_around(&camera, &frames[34], 2.0);
    shows(&part, &frames, 34, 0, folder.path());
    let (seconds, n) = clip_of(&part, folder.path());
    assert!((3.9..6.2).contains(&seconds), "{seconds} s");
    assert!((n - 10.0 * seconds).abs() < 2.0, "{n} in {seconds} s");
}

#[test]
fn nobody_there_is_told_with_what_to_do() {
    // bound and closed: nobody listens there
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let camera = open(&format!("rtsp://127.0.0.1:{port}/cam"), quick());
    wait_for_state(&camera, State::Unreachable);
    assert!(
        camera.status().reason.contains("network"),
        "{}",
        camera.status().reason
    );
}

/// Answers every request by its path, until the test ends.
fn serve(
    answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            let answer = std::sync::Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let n = stream.read(&mut request).unwrap_or(0);
                let request = text(&request[..n]);
                let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
                let _ = answer(&path, &mut stream);
            });
        }
    });
    port
}

#[test]
fn http_mjpeg_is_a_source() {
    let jpeg = encoded(&gradient(320, 240).into(), image::ImageFormat::Jpeg);
    let port = serve(move |_, stream| {
        stream.write_all(
            b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n",
        )?;
        loop {
            write!(
                stream,
                "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                jpeg.len()
            )?;
            stream.write_all(&jpeg)?;
            stream.write_all(b"\r\n")?;
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let camera = open(&format!("http://127.0.0.1:{port}/video"), quick());
    let frames = frames(&camera, 3);
    assert_eq!(frames[0].size, (320, 240));
}

#[test]
fn hls_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let clip = rtsp::clip(folder.path(), "320x240", 20);
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&clip)
        .args([
            "-c",
            "copy",
            "-f",
            "hls",
            "-hls_time",
            "2",
            "-hls_list_size",
            "0",
        ])
        .arg(folder.path().join("live.m3u8"))
        .status()
        .unwrap();
    assert!(made.success());
    let at: PathBuf = folder.path().to_owned();
    let port = serve(move |path, stream| {
        let name = path.trim_start_matches('/').split('?').next().unwrap_or("");
        match std::fs::read(at.join(name)) {
            Ok(bytes) => {
                write!(
                    stream,
                    "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n",
                    bytes.len()
                )?;
                stream.write_all(&bytes)
            }
            Err(_) => stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n"),
        }
    });
    let camera = open(
        &format!("http://127.0.0.1:{port}/live.m3u8?token=abcdef"),
        quick(),
    );
    assert_eq!(frames(&camera, 5)[0].size, (320, 240));
    let missing = open(&format!("http://127.0.0.1:{port}/none.m3u8"), quick());
    wait_for_state(&missing, State::Unreadable);
}

#[test]
fn a_folder_that_fills_gives_each_picture_once() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, width: u32| {
        let jpeg = encoded(&gradient(width, 240).into(), image::ImageFormat::Jpeg);
        // as recorders do: the name is there before the picture is whole
        let path: PathBuf = folder.path().join(name);
        let (first, rest) = jpeg.split_at(jpeg.len() / 2);
        let mut file = std::fs::File::create(path).unwrap();
        file.write_all(first).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        file.write_all(rest).unwrap();
    };
    put("a.jpg", 300);
    std::fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    let camera = Camera::open(Address::of_path(Path::new(folder.path())), quick());
    assert_eq!(frames(&camera, 1)[0].size, (300, 240));
    put("b.jpg", 310);
    put("c.jpg", 320);
    let next: Vec<u32> = frames(&camera, 2).iter().map(|f| f.size.0).collect();
    assert_eq!(next, [310, 320]);
    assert!(camera.next(Duration::from_secs(1)).is_none(), "each once");
    assert_eq!(camera.status().state, State::Live);
}
