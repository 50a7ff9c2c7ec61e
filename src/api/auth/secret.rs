//! Passwords, keys and session tokens.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::api::problem::Problem;

/// Shortest password (NIST SP 800-63B-4, 3.1.1.2, for a password alone: 15).
pub(super) const MIN_PASSWORD_CHARS: usize = 15;
/// Longest: hashing is work.
pub(super) const MAX_PASSWORD_BYTES: usize = 1024;

/// Begins every API key: tells leaked ones from other programs' secrets.
pub(crate) const KEY_PREFIX: &str = "sw_";

/// A key or token of 256 random bits, and what is stored of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// A new one. `prefix` tells leaked secrets of this program from others.
    pub(crate) fn random(prefix: &str) -> Result<Self, Problem> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| Problem::fault(&e))?;
        Ok(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// As it was sent by a caller.
    pub(crate) fn sent(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// To be shown once.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored. 256 random bits need no slow hash: nobody guesses them.
    pub(crate) fn digest(&self) -> String {
        hex(&Sha256::digest(&self.0))
    }

    /// The token that a page sends along with a change: known to whoever can read the answer of
    /// the sign-in, not to another site that makes a browser send the cookie.
    pub(crate) fn csrf_token(&self) -> String {
        hex(&Sha256::digest(format!("csrf {}", self.0)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Compares without telling by its time where the two differ.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// A password as stored: Argon2id with a salt of its own. Slow on purpose.
pub(crate) fn hash_password(password: &str) -> Result<String, Problem> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|e| Problem::fault(&e))
}

/// Whether this is the password. Without a stored hash it takes as long and says no, so that the
/// time does not tell which accounts there are.
pub(super) fn verify_password(password: &str, stored: Option<&str>) -> bool {
    // of a random password that nobody knows
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2l0ZXdhcmRlbi1ub2JvZHk$\
                          4mKzUaZyPGh6yyCQbpTbMNcgjtdb0k4vBvr8kGEm1tM";
    let hash = PasswordHash::new(stored.unwrap_or(NOBODY));
    let fits = hash.is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    });
    fits && stored.is_some()
}

/// What is wrong with a new password.
pub(crate) fn check_new_password(password: &str) -> Result<(), Problem> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(Problem::invalid(
            format!("The password has fewer than {MIN_PASSWORD_CHARS} characters."),
            "Choose a longer one; several words are easy to remember.",
        ));
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(Problem::invalid(
            format!("The password has more than {MAX_PASSWORD_BYTES} bytes."),
            "Choose a shorter one.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let hash = hash_password("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password("correct horse battery", Some(&hash)));
        assert!(!verify_password("correct horse batterz", Some(&hash)));
        assert!(!verify_password("correct horse battery", None));
        assert!(!verify_password("x", Some("not a hash")));
        assert_ne!(hash, hash_password("correct horse battery").unwrap());
    }

    #[test]
    fn the_hash_of_nobody_is_a_hash() {
        // else the time would tell which accounts there are
        const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2l0ZXdhcmRlbi1ub2JvZHk$\
                              4mKzUaZyPGh6yyCQbpTbMNcgjtdb0k4vBvr8kGEm1tM";
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn secrets_differ_and_are_stored_as_digests() {
        let (a, b) = (
            Secret::random("sw_").unwrap(),
            Secret::random("sw_").unwrap(),
        );
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose().len(), 3 + 43);
        assert_eq!(a.digest(), Secret::sent(a.expose()).digest());
        assert_ne!(a.csrf_token(), a.digest());
    }

    #[test]
    fn short_passwords_are_refused() {
        assert!(check_new_password("short").is_err());
        assert!(check_new_password(&"x".repeat(2000)).is_err());
        assert!(check_new_password("several words are easy").is_ok());
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }
}
