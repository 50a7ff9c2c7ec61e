//! Where a source is. An address may hold a password: nothing but the child that needs it ever sees
//! it whole.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of source an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A live stream that ffmpeg opens: RTSP, or HTTP (MJPEG, HLS).
    Stream,
    /// A video file.
    File(PathBuf),
    /// A folder that fills with pictures.
    Folder(PathBuf),
}

/// Where a source is. Its `Display` and `Debug` hide user names, passwords and queries.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// What kind.
    pub place: Place,
    whole: String,
    shown: String,
}

/// Why an address is refused. The message does not hold the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme.
    #[error(
        "`{0}://` is no source of video; give rtsp://, rtsps://, http://, https://, a file or a folder"
    )]
    Scheme(String),
    /// It begins like an address and is none.
    #[error("`{0}:` is to be followed by `//`; write the address as {0}://…")]
    Slashes(String),
    /// A control character: it could smuggle an option into ffmpeg's play list.
    #[error("an address must not hold control characters; write it on one line")]
    Control,
}

const SCHEMES: [&str; 4] = ["rtsp", "rtsps", "http", "https"];

impl Address {
    /// Reads an address, or the name of a file or folder.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        let Some((scheme, _)) = text.split_once("://") else {
            // with a slash too few it would be taken for a file, and shown with its password
            let bare = SCHEMES.iter().find(|s| lower.starts_with(&format!("{s}:")));
            return match bare {
                Some(scheme) => Err(AddressError::Slashes((*scheme).to_owned())),
                None => Ok(Self::of_path(Path::new(text))),
            };
        };
        if text.chars().any(char::is_control) {
            return Err(AddressError::Control);
        }
        if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
            let shown = scheme.chars().all(plain) && scheme.len() <= 20;
            let shown = if shown { scheme } else { "…" };
            return Err(AddressError::Scheme(shown.to_owned()));
        }
        Ok(Self {
            place: Place::Stream,
            whole: text.to_owned(),
            shown: redacted(text),
        })
    }

    /// Says which one it is of several that look the same without their secrets.
    pub fn number(&mut self, n: usize) {
        self.shown = format!("{} ({n})", self.shown);
    }

    /// A file or folder; one that is not there yet is a folder if its name ends in a slash.
    pub fn of_path(path: &Path) -> Self {
        let shown = path.to_string_lossy().into_owned();
        let place = if path.is_dir() || shown.ends_with('/') {
            Place::Folder(path.to_owned())
        } else {
            Place::File(path.to_owned())
        };
        Self {
            place,
            whole: shown.clone(),
            shown,
        }
    }

    /// Whether it is RTSP.
    pub(super) fn is_rtsp(&self) -> bool {
        self.whole.to_ascii_lowercase().starts_with("rtsp")
    }

    /// Whether the address itself holds a user name, a password or a query.
    pub fn holds_secret(&self) -> bool {
        self.place == Place::Stream && self.whole != self.shown
    }

    /// The address with everything in it, for the child's standard input only.
    pub(super) fn whole(&self) -> &str {
        &self.whole
    }

    /// A text without this address's secrets: ffmpeg's complaints repeat what they were given.
    pub(super) fn clean(&self, text: &str) -> String {
        if self.place != Place::Stream {
            return text.to_owned();
        }
        let mut clean = text.replace(&self.whole, &self.shown);
        for part in secrets(&self.whole) {
            clean = clean.replace(&part, "…");
        }
        // HLS asks for addresses that the play list names, with tokens of their own
        clean
            .split(' ')
            .map(|word| {
                let bare = word.trim_matches(|c| "'\"[],;".contains(c));
                if bare.contains("://") {
                    word.replace(bare, &redacted(bare))
                } else {
                    word.to_owned()
                }
            })
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown)
    }
}

/// Scheme, user information, the rest up to the query, the query.
fn parts(url: &str) -> Option<(&str, &str, &str, &str)> {
    let (scheme, all) = url.split_once("://")?;
    let (before, query) = all.split_once(['?', '#']).unwrap_or((all, ""));
    let authority = &before[..before.find('/').unwrap_or(before.len())];
    // a password may hold an @ that somebody forgot to write as %40
    if let Some(at) = authority.rfind('@') {
        return Some((scheme, &before[..at], &before[at + 1..], query));
    }
    // or a slash, ? or #: what may be one is taken for one
    if authority.contains(':') {
        if let Some(at) = before.rfind('@') {
            return Some((scheme, &before[..at], &before[at + 1..], query));
        }
        if let Some(at) = all.rfind('@') {
            // that may have been a query all along
            let after = &all[at + 1..];
            let end = after.find(['?', '#', '&', '=']).unwrap_or(after.len());
            return Some((scheme, &all[..at], &after[..end], &after[end..]));
        }
    }
    Some((scheme, "", before, query))
}

/// What may be a secret in a path: some recorders have it there (`/user=admin_password=…_channel=1.sdp`,
/// `/admin:…/ch1`). What follows `=` or `:` in each part of it, but for the port of the host.
fn secrets_in(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/').enumerate();
    parts.filter_map(|(i, part)| {
        let (_, value) = part.split_once(if i == 0 {
            '='
        } else {
            ['=', ':'].into_iter().find(|c| part.contains(*c))?
        })?;
        Some(value)
    })
}

fn redacted(url: &str) -> String {
    let Some((scheme, _, rest, query)) = parts(url) else {
        return "…".to_owned();
    };
    // which of a recorder's channels it is, is no secret
    let told: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            pair.split_once('=').is_some_and(|(name, value)| {
                let name = name.to_ascii_lowercase();
                let plain = [
                    "channel", "ch", "chn", "stream", "subtype", "profile", "camera", "cam",
                ];
                let short = value.len() <= 3 && value.chars().all(|c| c.is_ascii_digit());
                plain.contains(&name.as_str()) && short
            })
        })
        .collect();
    let query = match (query.is_empty(), told.is_empty()) {
        (true, _) => String::new(),
        (_, true) => "?…".to_owned(),
        (_, false) => format!("?{}&…", told.join("&")),
    };
    let mut shown = rest.to_owned();
    for secret in secrets_in(rest).filter(|secret| !secret.is_empty()) {
        shown = shown.replace(secret, "…");
    }
    let rest = shown;
    format!("{scheme}://{rest}{query}")
}

/// What of it must not be told, the longest first.
fn secrets(url: &str) -> Vec<String> {
    let Some((_, user, rest, query)) = parts(url) else {
        return Vec::new();
    };
    let mut secrets: Vec<String> = vec![user.to_owned(), query.to_owned()];
    // ffmpeg takes an address apart where a password has what belongs between parts
    secrets.extend(user.split([':', '/', '?', '#', '@']).map(str::to_owned));
    for secret in secrets_in(rest) {
        secrets.push(secret.to_owned());
        // as far as the parts of it can be told
        secrets.extend(secret.split(['_', '&', '=', ':']).map(str::to_owned));
    }
    secrets.extend(
        user.split_once(':')
            .map(|(_, password)| password.to_owned()),
    );
    let values = query
        .split('&')
        .filter_map(|pair| Some(pair.split_once('=')?.1));
    secrets.extend(values.map(str::to_owned));
    // a word of three letters would tear holes into every message
    secrets.retain(|s| s.len() > 3);
    secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let address =
            Address::parse("rtsp://bob:s3cr@tw0rd@10.0.0.7:554/cam?token=abcdef&ch=1").unwrap();
        for shown in [address.to_string(), format!("{address:?}")] {
            for secret in ["bob", "s3cr", "w0rd", "abcdef"] {
                assert!(!shown.contains(secret), "{shown}");
            }
            assert!(shown.contains("10.0.0.7:554/cam"), "{shown}");
        }
        assert!(address.holds_secret());
        assert!(
            !Address::parse("rtsp://10.0.0.7/cam")
                .unwrap()
                .holds_secret()
        );
        let log = "Impossible to open 'rtsp://bob:s3cr@tw0rd@10.0.0.7:554/cam?token=abcdef&ch=1' (s3cr@tw0rd)";
        let clean = address.clean(log);
        assert!(
            !clean.contains("s3cr") && !clean.contains("abcdef"),
            "{clean}"
        );
        let other = address.clean("cannot open 'https://cdn.example/a.ts?sig=xyzxyz' now");
        assert!(
            !other.contains("xyzxyz") && other.contains("cdn.example/a.ts"),
            "{other}"
        );
    }

    #[test]
    fn secrets_in_odd_places_are_not_shown_either() {
        for (address, secret, left) in [
            (
                "rtsp://warden:Sec/retPW1@10.0.0.7/cam",
                "ret",
                "10.0.0.7/cam",
            ),
            (
                "rtsp://warden:Sec?retPW1@10.0.0.7/cam",
                "Sec",
                "10.0.0.7/cam",
            ),
            (
                "rtsp://warden:Sec#retPW1@10.0.0.7/cam",
                "Sec",
                "10.0.0.7/cam",
            ),
            (
                " rtsp://warden:retPW1@10.0.0.7/cam\n",
                "ret",
                "10.0.0.7/cam",
            ),
            (
                "rtsp://10.0.0.7/token=AAAAA/pwd=retPW1/x",
                "ret",
                "10.0.0.7/token",
            ),
            ("rtsp://10.0.0.7:554/admin:retPW1/ch1", "ret", "/ch1"),
            (
                "rtsp://10.0.0.7:554/user=admin_password=retPW1_channel=1.sdp",
                "ret",
                "10.0.0.7:554/user",
            ),
        ] {
            let parsed = Address::parse(address).unwrap();
            let shown = parsed.to_string();
            assert!(!shown.contains(secret) && shown.contains(left), "{shown}");
            assert!(parsed.holds_secret(), "{address}");
            let log = parsed.clean(&format!("cannot open {}: retPW1", address.trim()));
            assert!(!log.contains("retPW1"), "{log}");
        }
        for address in [
            "http://10.0.0.7:8080/video?user=me@x.cn&sig=retPW1",
            "rtsp://u:a?b@host/c?sig=retPW1",
        ] {
            let parsed = Address::parse(address).unwrap();
            let log = parsed.clean(&format!("{parsed}: cannot open {address}: retPW1"));
            assert!(!log.contains("retPW1"), "{log}");
        }
        for address in [
            "rtsp+tcp://bob:s3cret@host",
            "rtsp:/bob:s3cret@host",
            "RTSP:bob:s3cret@host",
        ] {
            let error = Address::parse(address).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let plain = Address::parse("rtsp://10.0.0.7:554/stream/1").unwrap();
        assert!(!plain.holds_secret());
        assert_eq!(plain.to_string(), "rtsp://10.0.0.7:554/stream/1");
    }

    #[test]
    fn what_is_no_source_is_refused() {
        let error = |t: &str| Address::parse(t).unwrap_err().to_string();
        assert!(error("ftp://host/x").contains("rtsp://"));
        assert!(error("rtsp://host/x\noption a b").contains("one line"));
        assert_eq!(
            Address::parse("clip.mp4").unwrap().place,
            Place::File("clip.mp4".into())
        );
    }
}
