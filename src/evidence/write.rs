//! A whole file, past the page cache where the file system lets us: nobody reads an original soon, and what
//! has been written straight to the disk is durable at a third of the time and a tenth of the processor's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

/// Addresses and lengths of direct writes are multiples of this: the largest block of disks in use.
const BLOCK: usize = 4096;
/// Bytes of one write.
const CHUNK: usize = 256 * BLOCK;

/// A new file in `folder` with these bytes, not yet durable.
pub(super) fn whole(bytes: &[u8], folder: &Path) -> io::Result<NamedTempFile> {
    match direct(bytes, folder) {
        // the file system has no such writes, or wants larger blocks
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            Ok(file)
        }
        done => done,
    }
}

fn direct(bytes: &[u8], folder: &Path) -> io::Result<NamedTempFile> {
    let open = |path: &Path| {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(path)
    };
    let file: NamedTempFile<File> = tempfile::Builder::new().make_in(folder, open)?;
    let mut room = vec![0; bytes.len().next_multiple_of(BLOCK).min(CHUNK) + BLOCK];
    let start = room.as_ptr().align_offset(BLOCK);
    for chunk in bytes.chunks(CHUNK) {
        let filled = chunk.len().next_multiple_of(BLOCK);
        let Some(room) = room.get_mut(start..start + filled) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        room[..chunk.len()].copy_from_slice(chunk);
        room[chunk.len()..].fill(0);
        file.as_file().write_all(room)?;
    }
    // the last block was filled up
    file.as_file().set_len(bytes.len() as u64)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_length_is_what_was_given() {
        let folder = tempfile::tempdir().unwrap();
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, CHUNK, 2 * CHUNK + 77] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            let file = whole(&bytes, folder.path()).unwrap();
            assert_eq!(std::fs::read(file.path()).unwrap(), bytes, "{len}");
        }
    }

    #[test]
    fn a_file_system_without_direct_writes_does_too() {
        // in memory on most systems, where Linux has no direct writes before 6.6; elsewhere this shows nothing new
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() {
            shm.to_owned()
        } else {
            std::env::temp_dir()
        };
        let file = whole(b"as received", &folder).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"as received");
    }
}
