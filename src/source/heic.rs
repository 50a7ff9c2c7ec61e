//! HEIC and HEIF through a child `heif-convert` (Debian's package libheif-examples): the
//! decoder of a patent-laden, much-attacked format stays outside this process.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::photo::PhotoLimits;

/// Longest time that one conversion may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a HEIC picture could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HeicError {
    /// The helper program is not installed.
    #[error(
        "HEIC pictures need the program heif-convert; install the package libheif-examples \
         (apt-get install libheif-examples) or save the picture as JPEG"
    )]
    NoConverter,
    /// The helper program failed.
    #[error("the HEIC picture is damaged or not supported ({0}); save it as JPEG and try again")]
    Failed(String),
    /// Temporary files.
    #[error("cannot convert the HEIC picture: {0}; check that the temporary folder is writable")]
    Io(#[from] std::io::Error),
}

impl HeicError {
    /// The message in Chinese; what the system or the helper program said stays as it is.
    pub(super) fn zh(&self) -> String {
        match self {
            Self::NoConverter => {
                "读取 HEIC 图片需要 heif-convert 程序；请安装软件包 libheif-examples\
                （apt-get install libheif-examples），或另存为 JPEG"
                    .to_owned()
            }
            Self::Failed(said) => {
                format!("HEIC 图片已损坏或不受支持（{said}），请另存为 JPEG 后重试")
            }
            Self::Io(e) => format!("无法转换 HEIC 图片：{e}；请检查临时文件夹是否可写"),
        }
    }
}

/// Whether the bytes begin like an ISO base media file with a HEIF brand.
pub fn is_heic(bytes: &[u8]) -> bool {
    const BRANDS: [&[u8]; 8] = [
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"heif", b"mif1", b"msf1",
    ];
    bytes.get(4..8) == Some(b"ftyp")
        && bytes
            .get(8..12)
            .is_some_and(|brand| BRANDS.contains(&brand))
}

/// Converts the first picture of a HEIC file into a PNG, or a JPEG where that cannot be. The child's
/// memory is bounded: a few hundred bytes may declare a thousand million pixels.
///
/// # Errors
/// [`HeicError`].
pub fn convert(bytes: &[u8], limits: &PhotoLimits) -> Result<Vec<u8>, HeicError> {
    let _busy = BUSY.read().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("in.heic");
    std::fs::File::create(&source)?.write_all(bytes)?;
    let log_path = folder.path().join("log");
    let mut status = None;
    // a PNG comes out empty, without an error, where it does not take the colour profile; a JPEG then does
    for kind in ["png", "jpg"] {
        let target = folder.path().join(format!("out.{kind}"));
        let ended = run(
            converter(&source, &target, limits),
            std::fs::File::create(&log_path)?,
        )?;
        // of several pictures in one file each gets a number
        for target in [target, folder.path().join(format!("out-1.{kind}"))] {
            let written = std::fs::read(target).unwrap_or_default();
            if ended.success() && !written.is_empty() {
                return Ok(written);
            }
        }
        status = Some(ended);
        if !ended.success() {
            break;
        }
    }
    let log = std::fs::read_to_string(log_path).unwrap_or_default();
    let reason = match (log.lines().next(), status) {
        (Some(line), _) => line.trim().chars().take(200).collect(),
        (None, Some(status)) => format!("heif-convert ended with {status} and wrote no picture"),
        (None, None) => "heif-convert did not run".to_owned(),
    };
    Err(HeicError::Failed(reason))
}

/// Waits for the converter, within bounds.
fn run(mut converter: Command, log: std::fs::File) -> Result<ExitStatus, HeicError> {
    let child = converter
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    let mut child = match child {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(HeicError::NoConverter),
        other => other?,
    };
    let deadline = Instant::now() + TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if STOP.load(Ordering::Relaxed) {
            child.kill()?;
            child.wait()?;
            return Err(HeicError::Failed("stopped by a signal".into()));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(HeicError::Failed(format!(
                "not done after {} seconds",
                TIMEOUT.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if status.code() == Some(NO_SUCH_COMMAND) {
        return Err(HeicError::NoConverter);
    }
    Ok(status)
}

static STOP: AtomicBool = AtomicBool::new(false);
static BUSY: RwLock<()> = RwLock::new(());

/// Ends all conversions; none runs, and nothing of them is left, while the result is held.
pub fn stop() -> RwLockWriteGuard<'static, ()> {
    STOP.store(true, Ordering::Relaxed);
    BUSY.write().unwrap_or_else(PoisonError::into_inner)
}

/// What a shell answers when it does not find the program.
const NO_SUCH_COMMAND: i32 = 127;

/// Address space of the converter beyond the pixels themselves, KiB: stacks and heaps of its
/// threads.
#[cfg(unix)]
const CONVERTER_KIB: u64 = 2 << 20;

#[cfg(unix)]
fn converter(source: &Path, target: &Path, limits: &PhotoLimits) -> Command {
    let mut shell = Command::new("sh");
    // where a system knows no such limit, the conversion goes on without it
    shell.args([
        "-c",
        "ulimit -v \"$1\" 2>/dev/null; exec heif-convert \"$2\" \"$3\"",
    ]);
    shell.arg("sh");
    shell.arg((CONVERTER_KIB + limits.max_decode_bytes / 1024).to_string());
    shell.args([source, target]);
    shell
}

#[cfg(not(unix))]
fn converter(source: &Path, target: &Path, _: &PhotoLimits) -> Command {
    let mut command = Command::new("heif-convert");
    command.args([source, target]);
    command
}
