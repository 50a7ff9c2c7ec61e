//! A bank as one file, to be lent to another office: JSON lines under a signature.
//!
//! ```text
//! {"format":"sitewarden-bank 1","office":"north","version":12,"embedder":{…},"pictures":true}
//! {"picture":{"sha256":"…","data":"base64"}}      each before the first sample of it
//! {"sample":{…},"embedding":"base64 of little-endian f32"}
//! {"hmac_sha256":"…"}                              over all bytes before this line
//! ```
//!
//! The signature is HMAC-SHA-256 (RFC 2104) with a key that both offices have: it shows that the file
//! is whole and from somebody with the key. Nothing of a file is used before all of it was checked.

use std::io::{BufRead, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{EmbedderId, Sample};
use crate::embedding::Embedding;

/// What a file says of itself first.
const FORMAT: &str = "sitewarden-bank 1";
/// Longest line: a photo of 128 MiB in base64.
const LONGEST_LINE: u64 = 180 << 20;
const LARGEST_PICTURE: usize = 128 << 20;
/// Shortest key: as long as the digest.
const SHORTEST_KEY: usize = 32;

/// Why a file is not taken. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// A key that somebody could guess.
    #[error(
        "the key is {0} bytes long, must be at least {SHORTEST_KEY}: whoever lends makes one with `openssl rand -hex 32` and \
         gives it to the borrower"
    )]
    Key(usize),
    /// Not what was signed.
    #[error(
        "the signature does not fit: the file was altered or cut off on its way, or was signed with \
         another key; ask its office for both again"
    )]
    Signature,
    /// No such file.
    #[error(
        "line {line}: {problem}; this is no bank that `sitewarden bank export` of this version wrote"
    )]
    Format {
        /// Where.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The file system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Always the same.
    format: String,
    /// Who lends it.
    pub office: String,
    /// Version of the lender's bank.
    pub version: i64,
    /// Whose embeddings are in it.
    pub embedder: EmbedderId,
    /// Whether the photos are in it.
    pub pictures: bool,
}

impl Head {
    /// A head of the present format.
    pub fn new(office: String, version: i64, embedder: EmbedderId, pictures: bool) -> Self {
        Self {
            format: FORMAT.to_owned(),
            office,
            version,
            embedder,
            pictures,
        }
    }
}

/// Any line but the first and the last.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A photo.
    Picture {
        /// SHA-256 of its bytes, as told.
        sha256: String,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// A sample.
    Sample {
        /// Which.
        sample: Sample,
        /// Its embedding.
        embedding: Embedding,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Raw {
    Picture { picture: RawPicture },
    Sample { sample: Sample, embedding: String },
    End { hmac_sha256: String },
}

#[derive(Serialize, Deserialize)]
struct RawPicture {
    sha256: String,
    data: String,
}

/// Refuses a key that somebody could guess.
///
/// # Errors
/// [`PortableError::Key`].
pub fn check_key(key: &[u8]) -> Result<(), PortableError> {
    if key.len() < SHORTEST_KEY {
        return Err(PortableError::Key(key.len()));
    }
    Ok(())
}

fn signer(key: &[u8]) -> Result<Hmac<Sha256>, PortableError> {
    check_key(key)?;
    Hmac::new_from_slice(key).map_err(|_| PortableError::Key(key.len()))
}

/// Writes a bank.
pub struct Writer<W> {
    out: W,
    mac: Hmac<Sha256>,
}

impl<W: Write> Writer<W> {
    /// Begins with the head.
    ///
    /// # Errors
    /// A key that is too short, or what the system said.
    pub fn new(out: W, key: &[u8], head: &Head) -> Result<Self, PortableError> {
        let mut writer = Self {
            out,
            mac: signer(key)?,
        };
        writer.put(head)?;
        Ok(writer)
    }

    fn put(&mut self, line: &impl Serialize) -> Result<(), PortableError> {
        let mut text = serde_json::to_vec(line).map_err(std::io::Error::other)?;
        text.push(b'\n');
        self.mac.update(&text);
        Ok(self.out.write_all(&text)?)
    }

    /// A photo; before its first sample. Whether it goes with it: one larger than what is read does not.
    ///
    /// # Errors
    /// What the system said.
    pub fn picture(&mut self, sha256: &str, data: &[u8]) -> Result<bool, PortableError> {
        if data.len() > LARGEST_PICTURE {
            return Ok(false);
        }
        self.put(&Raw::Picture {
            picture: RawPicture {
                sha256: sha256.to_owned(),
                data: STANDARD.encode(data),
            },
        })?;
        Ok(true)
    }

    /// A sample.
    ///
    /// # Errors
    /// What the system said.
    pub fn sample(&mut self, sample: &Sample, embedding: &Embedding) -> Result<(), PortableError> {
        self.put(&Raw::Sample {
            sample: sample.clone(),
            embedding: STANDARD.encode(embedding.to_le_bytes()),
        })
    }

    /// Signs what was written.
    ///
    /// # Errors
    /// What the system said.
    pub fn finish(mut self) -> Result<W, PortableError> {
        let tag = self.mac.finalize().into_bytes();
        let end = Raw::End {
            hmac_sha256: tag.iter().map(|b| format!("{b:02x}")).collect(),
        };
        let text = serde_json::to_vec(&end).map_err(std::io::Error::other)?;
        self.out.write_all(&text)?;
        self.out.write_all(b"\n")?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn next_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    n: usize,
) -> Result<bool, PortableError> {
    line.clear();
    input.by_ref().take(LONGEST_LINE).read_until(b'\n', line)?;
    if line.len() as u64 == LONGEST_LINE {
        return Err(PortableError::Format {
            line: n,
            problem: "is too long".to_owned(),
        });
    }
    Ok(!line.is_empty())
}

/// Reads the whole file and checks its signature; gives the number of lines before it.
///
/// # Errors
/// A signature that does not fit, or is missing.
pub fn verify(input: &mut impl BufRead, key: &[u8]) -> Result<usize, PortableError> {
    let mut mac = signer(key)?;
    let (mut line, mut before) = (Vec::new(), Vec::new());
    let mut n = 0;
    while next_line(input, &mut line, n + 1)? {
        if n > 0 {
            mac.update(&before);
        }
        n += 1;
        std::mem::swap(&mut line, &mut before);
    }
    let end = serde_json::from_slice::<Raw>(&before);
    let Ok(Raw::End { hmac_sha256 }) = end else {
        return Err(PortableError::Signature);
    };
    let tag: Option<Vec<u8>> = (0..hmac_sha256.len() / 2)
        .map(|i| u8::from_str_radix(hmac_sha256.get(2 * i..2 * i + 2)?, 16).ok())
        .collect();
    // in constant time
    mac.verify_slice(&tag.unwrap_or_default())
        .map_err(|_| PortableError::Signature)?;
    Ok(n - 1)
}

/// Reads the lines of a file whose signature was checked: the head, then each line by `each`.
///
/// # Errors
/// What is no such file, or what `each` said.
pub fn read<E: From<PortableError>>(
    input: &mut impl BufRead,
    lines: usize,
    mut each: impl FnMut(&Head, Line) -> Result<(), E>,
) -> Result<Head, E> {
    let mut line = Vec::new();
    let wrong = |n: usize, e: &dyn std::fmt::Display| PortableError::Format {
        line: n,
        problem: e.to_string(),
    };
    next_line(input, &mut line, 1)?;
    let head: Head = serde_json::from_slice(&line).map_err(|e| wrong(1, &e))?;
    if head.format != FORMAT {
        return Err(wrong(
            1,
            &format!("its format is {:?}, not {FORMAT:?}", head.format),
        )
        .into());
    }
    for n in 2..=lines {
        next_line(input, &mut line, n)?;
        let raw: Raw = serde_json::from_slice(&line).map_err(|e| wrong(n, &e))?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|e| wrong(n, &e));
        let parsed = match raw {
            Raw::Picture { picture } => Line::Picture {
                data: decode(&picture.data)?,
                sha256: picture.sha256,
            },
            Raw::Sample { sample, embedding } => {
                let embedding =
                    Embedding::from_le_bytes(&decode(&embedding)?).map_err(|e| wrong(n, &e))?;
                if embedding.dimensions() != head.embedder.dimensions {
                    return Err(wrong(n, &"an embedding of another size than the head says").into());
                }
                Line::Sample { sample, embedding }
            }
            Raw::End { .. } => return Err(wrong(n, &"a signature in the middle").into()),
        };
        each(&head, parsed)?;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::{Place, Role, Scope};
    use crate::id::Id;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn file() -> Vec<u8> {
        let embedder = EmbedderId {
            version: "test 1".to_owned(),
            dimensions: 2,
        };
        let head = Head::new("north".to_owned(), 3, embedder, true);
        let mut writer = Writer::new(Vec::new(), KEY, &head).unwrap();
        writer.picture("ab", b"photo").unwrap();
        let sample = Sample {
            id: Id::from_uuid(uuid::Uuid::from_u128(5)),
            role: Role::Negative,
            hazard: Some("EQP-02".to_owned()),
            scope: Scope::Everywhere,
            place: Place::default(),
            photo_sha256: "ab".to_owned(),
            area: [0.0, 0.1, 0.3, 1.0 / 3.0],
            mask: crate::bank::Mask::parse("0,0.1,0.3,0.1,0.3,0.3333333333333333", [1.0; 2]).ok(),
            case: None,
        };
        let embedding = Embedding::new(vec![0.6, -0.8]).unwrap();
        writer.sample(&sample, &embedding).unwrap();
        writer.finish().unwrap()
    }

    fn read_all(bytes: &[u8], key: &[u8]) -> Result<(Head, Vec<Line>), PortableError> {
        let lines = verify(&mut &bytes[..], key)?;
        let mut all = Vec::new();
        let head = read(&mut &bytes[..], lines, |_, line| {
            all.push(line);
            Ok::<_, PortableError>(())
        })?;
        Ok((head, all))
    }

    #[test]
    fn what_was_written_is_read_bit_for_bit() {
        let (head, lines) = read_all(&file(), KEY).unwrap();
        assert_eq!((head.office.as_str(), head.version), ("north", 3));
        assert!(matches!(&lines[0], Line::Picture { data, .. } if data == b"photo"));
        let Line::Sample { sample, embedding } = &lines[1] else {
            panic!("{lines:?}")
        };
        assert_eq!(sample.area[3].to_bits(), (1.0f64 / 3.0).to_bits());
        assert_eq!(sample.mask.as_ref().unwrap().area(), sample.area);
        assert_eq!(embedding.values(), [0.6, -0.8]);
    }

    #[test]
    fn whatever_is_altered_is_refused() {
        let good = file();
        for at in 0..good.len() - 1 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(read_all(&bad, KEY).is_err(), "byte {at}");
        }
        for length in 0..good.len() - 1 {
            let cut = read_all(&good[..length], KEY);
            assert!(
                matches!(cut, Err(PortableError::Signature)),
                "{length}: {cut:?}"
            );
        }
        let twice = [&good[..], &good[..]].concat();
        assert!(read_all(&twice, KEY).is_err());
        assert!(matches!(
            read_all(&good, &[7; 32]),
            Err(PortableError::Signature)
        ));
        assert!(matches!(
            read_all(&good, b"short"),
            Err(PortableError::Key(5))
        ));
    }
}
