//! Which sources to watch: the command line, `${NAME}` out of the environment, lists in files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::source::camera::Address;

/// Reads the sources. A password in an argument is refused: everybody who can list processes sees it.
pub(super) fn read(arguments: &[OsString]) -> anyhow::Result<Vec<Address>> {
    let mut sources = Vec::new();
    for argument in arguments {
        let Some(argument) = argument.to_str() else {
            sources.push(Address::of_path(Path::new(argument)));
            continue;
        };
        if let Some(file) = argument.strip_prefix('@') {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the list of sources {file}"))?;
            let lines = text.lines().map(str::trim).enumerate();
            for (i, line) in lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
                let source = expanded(line).and_then(|l| Ok(Address::parse(&l)?));
                sources.push(source.with_context(|| format!("{file}, line {}", i + 1))?);
            }
            continue;
        }
        let source = Address::parse(&expanded(argument)?)?;
        if source.holds_secret() && Address::parse(argument).is_ok_and(|a| a == source) {
            bail!(
                "{source}: a password in an argument is seen by everybody who can list processes; \
                 write the address into a file that only you can read and give @FILE, or write \
                 '${{NAME}}' for an environment variable"
            );
        }
        sources.push(source);
    }
    ensure!(!sources.is_empty(), "the list of sources is empty");
    // what is told, kept and written goes by what is shown of a source
    let mut shown = BTreeMap::new();
    for source in &mut sources {
        let n = shown.entry(source.to_string()).or_insert(0);
        *n += 1;
        if *n > 1 {
            source.number(*n);
        }
    }
    Ok(sources)
}

/// With `${NAME}` replaced from the environment.
pub(in crate::cli) fn expanded(text: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').context("a `${` has no `}`")?;
        out += before;
        out += &std::env::var(name)
            .with_context(|| format!("the environment variable {name} is not set"))?;
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_come_from_files_and_the_environment_only() {
        let read_one = |text: &str| read(&[text.into()]);
        let error = format!("{:#}", read_one("rtsp://bob:s3cret@host/cam").unwrap_err());
        assert!(
            error.contains("@FILE") && !error.contains("s3cret"),
            "{error}"
        );
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("cameras");
        std::fs::write(
            &list,
            "# yard\nrtsp://bob:s3cret@host/cam\n\nrtsp://host/b\n",
        )
        .unwrap();
        let sources = read_one(&format!("@{}", list.display())).unwrap();
        assert_eq!(sources.len(), 2);
        std::fs::write(&list, "http://host/a?channel=1\nhttp://host/a?channel=2\n").unwrap();
        let channels = read_one(&format!("@{}", list.display())).unwrap();
        assert_eq!(channels[1].to_string(), "http://host/a?channel=2&…");
        std::fs::write(&list, "http://host/a?t=1\nhttp://host/a?t=2\n").unwrap();
        let tokens = read_one(&format!("@{}", list.display())).unwrap();
        assert_eq!(tokens[1].to_string(), "http://host/a?… (2)");
        assert!(sources[0].holds_secret() && !sources[0].to_string().contains("s3cret"));
        assert!(read_one("rtsp://${SITEWARDEN_NO_SUCH_VARIABLE}@host/").is_err());
    }
}
