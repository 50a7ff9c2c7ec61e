//! Files that are there whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::stop;

/// Writes a file under another name and then gives it its own.
pub(super) fn write_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let _whole = stop::writing();
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
    let mut out = BufWriter::new(file.as_file_mut());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    // temporary files are made for their owner alone; what a person asked for is an ordinary file
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode)?;
    }
    file.persist(path)?;
    Ok(())
}

/// Whether a file can be written at this place, before hours of work.
pub(super) fn check_place(path: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!path.is_dir(), "it is a folder");
    // a file is put into its place by renaming, which would take a device's place too
    anyhow::ensure!(
        path.is_file() || !path.exists(),
        "it is a pipe or a device; name a file"
    );
    tempfile::NamedTempFile::new_in(folder_of(path))?;
    Ok(())
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    }
}
