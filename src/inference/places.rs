//! Where files that belong to the program lie.

use std::env;
use std::path::{Path, PathBuf};

/// The folder that the program was started from.
pub(super) fn beside_program() -> Option<PathBuf> {
    env::current_exe().ok()?.parent().map(Path::to_owned)
}

/// The root of the checkout, for a program that lies in one: as cargo says (`cargo run`,
/// `cargo test`), or the folder above `target/PROFILE`.
pub(super) fn checkout() -> Option<PathBuf> {
    match env::var_os("CARGO_MANIFEST_DIR") {
        Some(root) => Some(root.into()),
        None => above_target(&beside_program()?),
    }
}

fn above_target(dir: &Path) -> Option<PathBuf> {
    // target/PROFILE, and target/PROFILE/deps for tests and benches.
    let mut folders = dir.ancestors().take(3).skip(1);
    let target = folders.find(|a| a.file_name().is_some_and(|n| n == "target"))?;
    target.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_build_folder_leads_to_a_checkout() {
        let root = |dir: &str| above_target(Path::new(dir));
        assert_eq!(root("/src/site/target/release"), Some("/src/site".into()));
        assert_eq!(
            root("/src/site/target/debug/deps"),
            Some("/src/site".into())
        );
        assert_eq!(root("/usr/local/bin"), None);
        assert_eq!(root("/tmp/sitewarden"), None);
        assert_eq!(root("/"), None);
    }
}
