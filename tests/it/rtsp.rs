//! A real RTSP server for the tests, and clips for it to send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The system's own Python: Debian's packages are for it.
const PYTHON: &str = "/usr/bin/python3";

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

/// Whether the server can run here; says so when it cannot.
pub(crate) fn is_there() -> bool {
    let import = "import gi; gi.require_version('GstRtspServer', '1.0')";
    let python = Command::new(PYTHON)
        .args(["-c", import])
        .stderr(Stdio::null())
        .status();
    let there = python.is_ok_and(|s| s.success());
    if !there {
        // cargo shows it with --nocapture only; a skipped test must be seen
        let _ = std::io::stderr().write_all(
            b"skipped: no RTSP server; apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 \
              gstreamer1.0-plugins-good gstreamer1.0-plugins-bad, as make test does\n",
        );
    }
    there
}

impl Server {
    pub(crate) fn start(clip: &Path) -> Self {
        Self::with(clip, 0, &[], None)
    }

    pub(crate) fn with(
        clip: &Path,
        port: u16,
        options: &[&str],
        user: Option<(&str, &str)>,
    ) -> Self {
        // the port of a server that was just ended may still be taken
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtsp/server.py");
            let mut command = Command::new(PYTHON);
            command
                .arg(script)
                .arg(clip)
                .args(["--port", &port.to_string()])
                .args(options);
            if let Some((user, password)) = user {
                command
                    .env("CAMERA_USER", user)
                    .env("CAMERA_PASSWORD", password);
            }
            let mut child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            if let Ok(port) = line.trim().parse() {
                return Self { child, port };
            }
            child.wait().unwrap();
            assert!(Instant::now() < deadline, "the RTSP server does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }

    /// Sends the server a signal, for example `-STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        signal_process(self.child.id(), signal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal_process(id: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &id.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// An H.264 clip with a picture that changes all the time, a key frame each second.
pub(crate) fn clip(folder: &Path, size: &str, seconds: u32) -> PathBuf {
    let path = folder.join(format!("{size}-{seconds}.mp4"));
    let source = format!("testsrc2=size={size}:rate=10");
    encode(
        &path,
        &["-f", "lavfi", "-i", &source, "-t", &seconds.to_string()],
    );
    path
}

pub(crate) fn encode(path: &Path, input: &[&str]) {
    encode_with(path, input, 0);
}

/// With so many B-frames in a row.
pub(crate) fn encode_with(path: &Path, input: &[&str], b_frames: u32) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error"])
        .args(input)
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-g",
            "10",
            "-bf",
            &b_frames.to_string(),
        ])
        .args(["-pix_fmt", "yuv420p", "-threads", "1", "-y"])
        .arg(path)
        .status()
        .unwrap_or_else(|e| panic!("ffmpeg ({e}): apt-get install ffmpeg"));
    assert!(status.success());
}

/// What a [`Link`] does to the bytes that come from the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Line {
    Whole,
    Frozen,
    Slow,
    Garbage,
}

/// A TCP relay before a server, to be disturbed. It lives until the test ends.
pub(crate) struct Link {
    pub(crate) port: u16,
    line: Arc<Mutex<Line>>,
}

impl Link {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Mutex::new(Line::Whole));
        let of_thread = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue; // dropped: the server is gone
                };
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let line = Arc::clone(&of_thread);
                std::thread::spawn(move || pass(up, server, &Mutex::new(Line::Whole)));
                std::thread::spawn(move || pass(down, client, &line));
            }
        });
        Self { port, line }
    }

    pub(crate) fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, line: &Mutex<Line>) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        while *line.lock().unwrap() == Line::Frozen {
            std::thread::sleep(Duration::from_millis(50));
        }
        let bytes = &mut bytes[..n];
        let now = *line.lock().unwrap();
        match now {
            Line::Slow => std::thread::sleep(Duration::from_millis(40)),
            Line::Garbage => (0..n.div_ceil(500)).for_each(|_| bytes[fastrand::usize(..n)] ^= 0x5a),
            Line::Whole | Line::Frozen => {}
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
