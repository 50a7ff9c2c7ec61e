//! From what a person names (files, folders, patterns) to the photos meant.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// File endings that a folder is searched for. A file that is named itself is always tried.
const ENDINGS: [&str; 12] = [
    "jpg", "jpeg", "jpe", "png", "webp", "bmp", "tif", "tiff", "gif", "heic", "heif", "hif",
];

/// One thing to scan, or why it could not be found.
#[derive(Debug)]
pub enum Found {
    /// A file to try.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Something named that cannot be scanned; it is reported in its place.
    Missing {
        /// As named.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// Walks the arguments in order, folders recursively in the order of their names, lazily:
/// a folder of a million photos costs no memory. Links to folders are not followed.
pub fn discover(arguments: Vec<PathBuf>) -> impl Iterator<Item = Found> + Send {
    arguments.into_iter().flat_map(expand)
}

fn expand(argument: PathBuf) -> Box<dyn Iterator<Item = Found> + Send> {
    if argument == Path::new("-") {
        return one(Found::Stdin);
    }
    if argument.is_dir() {
        return Box::new(walk(&argument));
    }
    if argument.symlink_metadata().is_ok() {
        return one(Found::File(argument));
    }
    // A pattern that the shell did not expand (quoted, or on Windows).
    match argument.to_str().filter(|s| s.contains(['*', '?', '['])) {
        Some(pattern) => globbed(pattern),
        None => missing(argument.clone(), "there is no such file or folder"),
    }
}

fn one(found: Found) -> Box<dyn Iterator<Item = Found> + Send> {
    Box::new(std::iter::once(found))
}

fn missing(path: PathBuf, reason: impl Into<String>) -> Box<dyn Iterator<Item = Found> + Send> {
    one(Found::Missing {
        path,
        reason: reason.into(),
    })
}

fn globbed(pattern: &str) -> Box<dyn Iterator<Item = Found> + Send> {
    let paths = match glob::glob(pattern) {
        Ok(paths) => paths,
        Err(e) => return missing(pattern.into(), format!("not a valid pattern: {e}")),
    };
    let mut paths = paths.peekable();
    if paths.peek().is_none() {
        return missing(pattern.into(), "no file matches this pattern");
    }
    Box::new(paths.flat_map(|path| match path {
        Ok(path) if path.is_dir() => Box::new(walk(&path)),
        Ok(path) => one(Found::File(path)),
        Err(e) => missing(
            e.path().to_owned(),
            format!("cannot be read: {}", e.error()),
        ),
    }))
}

fn walk(folder: &Path) -> impl Iterator<Item = Found> + Send + use<> {
    let root = folder.to_owned();
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(move |entry| match entry {
            Ok(entry) => {
                // a link to a photo counts, a link to a folder does not (cycles)
                let file = entry.file_type().is_file()
                    || (entry.path_is_symlink() && !entry.path().is_dir());
                (file && has_photo_ending(entry.path())).then(|| Found::File(entry.into_path()))
            }
            Err(e) => Some(Found::Missing {
                path: e.path().unwrap_or(&root).to_owned(),
                reason: format!("the folder cannot be read: {e}; check its permissions"),
            }),
        })
}

fn has_photo_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}
