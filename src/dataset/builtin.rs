//! The manifests of `datasets/`, so that their names work wherever the program runs.

macro_rules! builtin {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../datasets/", $name, ".toml")),
        )
    };
}

/// Name and text of each.
const BUILTIN: [(&str, &str); 15] = [
    builtin!("boxes"),
    builtin!("cctv-fire"),
    builtin!("chv"),
    builtin!("coco"),
    builtin!("construction-site-safety"),
    builtin!("d-fire"),
    builtin!("fasdd"),
    builtin!("fire-indoor"),
    builtin!("forklift-person"),
    builtin!("hard-hat-workers"),
    builtin!("mocs"),
    builtin!("pictor-ppe"),
    builtin!("sh17"),
    builtin!("shel5k"),
    builtin!("shwd"),
];

/// The manifest of a name.
pub(super) fn builtin(name: &str) -> Option<&'static str> {
    let known = BUILTIN.iter().find(|(n, _)| *n == name);
    known.map(|(_, text)| *text)
}

/// Every name, for error messages.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::DatasetManifest;

    #[test]
    fn every_manifest_is_built_in_and_sound() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "toml"))
            .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(files, names().collect::<Vec<_>>());
        for name in names() {
            let path = format!("{name}.toml");
            DatasetManifest::parse(builtin(name).unwrap(), path.as_ref()).unwrap();
        }
    }
}
