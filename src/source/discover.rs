//! From what a person names (files, folders, patterns) to the photos meant.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::hazard::Text;

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
        reason: Text,
    },
}

/// How the name of an annotated picture ends. A folder's walk passes it by: it is no photo, and its
/// original has been looked at.
pub const ANNOTATED_ENDING: &str = ".annotated.jpg";

/// Walks the arguments in order, folders recursively in the order of their names, lazily: of a
/// million photos, only the names in one folder are held. Links to folders are not followed,
/// and `skip`, where the results go, is not entered.
pub fn discover(
    arguments: Vec<PathBuf>,
    skip: Option<PathBuf>,
) -> impl Iterator<Item = Found> + Send {
    let mut stdin_seen = false;
    arguments.into_iter().flat_map(move |argument| {
        if argument != Path::new("-") {
            return expand(argument, skip.as_deref());
        }
        if std::mem::replace(&mut stdin_seen, true) {
            return missing(
                argument,
                Text::new(
                    "standard input can be read only once; name - once",
                    "标准输入只能读取一次，请只写一个 -",
                ),
            );
        }
        one(Found::Stdin)
    })
}

fn expand(argument: PathBuf, skip: Option<&Path>) -> Box<dyn Iterator<Item = Found> + Send> {
    if argument.is_dir() {
        return Box::new(walk(&argument, skip));
    }
    if argument.symlink_metadata().is_ok() {
        return one(Found::File(argument));
    }
    // A pattern that the shell did not expand (quoted, or on Windows).
    match argument.to_str().filter(|s| s.contains(['*', '?', '['])) {
        Some(pattern) => globbed(pattern, skip),
        None => missing(
            argument.clone(),
            Text::new(
                "there is no such file or folder; check its spelling",
                "没有该文件或文件夹，请检查名称",
            ),
        ),
    }
}

fn one(found: Found) -> Box<dyn Iterator<Item = Found> + Send> {
    Box::new(std::iter::once(found))
}

fn missing(path: PathBuf, reason: Text) -> Box<dyn Iterator<Item = Found> + Send> {
    one(Found::Missing { path, reason })
}

fn globbed(pattern: &str, skip: Option<&Path>) -> Box<dyn Iterator<Item = Found> + Send> {
    let paths = match glob::glob(pattern) {
        Ok(paths) => paths,
        Err(e) => {
            return missing(
                pattern.into(),
                Text::new(
                    format!("there is no such file, and as a pattern it is not valid: {e}"),
                    format!("没有该文件，作为通配符也无效：{e}"),
                ),
            );
        }
    };
    let mut paths = paths.peekable();
    if paths.peek().is_none() {
        return missing(
            pattern.into(),
            Text::new(
                "no file matches this pattern; check its spelling",
                "没有与该通配符相符的文件，请检查写法",
            ),
        );
    }
    let skip = skip.map(Path::to_owned);
    Box::new(paths.flat_map(move |path| match path {
        Ok(path) if path.is_dir() => Box::new(walk(&path, skip.as_deref())),
        Ok(path) => one(Found::File(path)),
        Err(e) => missing(
            e.path().to_owned(),
            Text::new(
                format!("cannot be read: {}", e.error()),
                format!("无法读取：{}", e.error()),
            ),
        ),
    }))
}

fn walk(folder: &Path, skip: Option<&Path>) -> impl Iterator<Item = Found> + Send + use<> {
    let root = folder.to_owned();
    // the folder itself may be reached by another name
    let skip = skip.and_then(|path| path.canonicalize().ok());
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| {
            let same = || entry.path().canonicalize().ok() == skip;
            !(skip.is_some() && entry.depth() > 0 && entry.file_type().is_dir() && same())
        })
        .filter_map(move |entry| match entry {
            Ok(entry) => {
                // A link to a photo counts, a broken one too: it is reported. A link to a folder
                // does not (cycles), nor does a pipe or a device: reading one may never end.
                let file = entry.file_type().is_file()
                    || (entry.path_is_symlink()
                        && entry.path().metadata().map_or(true, |m| m.is_file()));
                (file && is_photo(entry.path())).then(|| Found::File(entry.into_path()))
            }
            Err(e) => Some(Found::Missing {
                path: e.path().unwrap_or(&root).to_owned(),
                reason: Text::new(
                    format!("the folder cannot be read: {e}; check its permissions"),
                    format!("无法读取该文件夹：{e}；请检查其权限"),
                ),
            }),
        })
}

fn is_photo(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.as_encoded_bytes());
    let ours = name.is_some_and(|name| name.ends_with(ANNOTATED_ENDING.as_bytes()));
    has_photo_ending(path) && !ours
}

/// Whether a file's name ends like a photo's.
pub fn has_photo_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}
