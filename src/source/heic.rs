//! HEIC and HEIF through a child `heif-convert` (Debian's package libheif-examples): the
//! decoder of a patent-laden, much-attacked format stays outside this process.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

/// Converts the first picture of a HEIC file into a PNG.
///
/// # Errors
/// [`HeicError`].
pub fn convert(bytes: &[u8]) -> Result<Vec<u8>, HeicError> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("in.heic");
    let target = folder.path().join("out.png");
    std::fs::File::create(&source)?.write_all(bytes)?;
    let log = std::fs::File::create(folder.path().join("log"))?;
    let child = Command::new("heif-convert")
        .args([&source, &target])
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
    if status.success() && target.exists() {
        return Ok(std::fs::read(target)?);
    }
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let reason = log.lines().next().unwrap_or("no reason given").trim();
    Err(HeicError::Failed(reason.chars().take(200).collect()))
}
