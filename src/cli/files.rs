//! Files that are there whole or not at all.

use std::io::Write;
use std::path::Path;

use super::stop;

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let _whole = stop::writing();
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
    file.write_all(bytes)?;
    persist(file, path)
}

/// Gives a temporary file its name.
pub(super) fn persist(file: tempfile::NamedTempFile, path: &Path) -> anyhow::Result<()> {
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
    tempfile::NamedTempFile::new_in(folder_of(path))?;
    Ok(())
}

/// The folder in which a file stands.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    }
}
