//! What lets people in: the code of the room, capabilities of seats, recovery words, and the
//! instructor's secret.
//!
//! A secret is compared by its digest ([`blake3::Hash`] compares in constant time), and is never
//! shown by `Debug`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Letters and digits that nobody takes for another when read from a wall.
const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
/// Characters of a join code: about 30 bits. Guesses are counted, see [`super::attempts`].
const CODE: usize = 6;
/// Random bytes in a capability.
const CAPABILITY: usize = 32;
/// Syllables of a recovery word: a consonant and a vowel, somewhat more than 6 bits each.
const SYLLABLES: usize = 6;
const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 8] = b"aeiouaei";

/// A secret that can only be compared.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest(blake3::Hash);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Digest {
    /// The digest of a secret.
    pub fn of(secret: &str) -> Digest {
        Digest(blake3::hash(secret.as_bytes()))
    }

    /// As hex, for the register on disk.
    pub fn hex(&self) -> String {
        self.0.to_hex().to_string()
    }

    /// Reads what [`Digest::hex`] wrote.
    pub fn from_hex(hex: &str) -> Option<Digest> {
        blake3::Hash::from_hex(hex).ok().map(Digest)
    }

    /// Whether this is the digest of `secret`; the time it takes tells nothing of where they
    /// differ.
    pub fn is(&self, secret: &str) -> bool {
        *self == Digest::of(secret)
    }
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| format!("no random bytes: {e}"))?;
    Ok(bytes)
}

/// A new join code.
///
/// # Errors
/// If the system has no random bytes.
pub fn code() -> Result<String, String> {
    let mut out = String::new();
    while out.len() < CODE {
        // Bytes past the last whole multiple would make the first letters likelier.
        let fair = random::<16>()?.into_iter().filter(|b| *b < 248);
        out.extend(fair.map(|b| char::from(ALPHABET[usize::from(b) % 31])));
    }
    out.truncate(CODE);
    Ok(out)
}

/// What somebody typed as a join code: case, spaces and dashes do not matter.
pub fn normal_code(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// A new capability.
///
/// # Errors
/// If the system has no random bytes.
pub fn capability() -> Result<String, String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<CAPABILITY>()?))
}

/// A new recovery word, such as `bado-fine-kuzi`: about 37 bits that can be said aloud.
///
/// # Errors
/// If the system has no random bytes.
pub fn word() -> Result<String, String> {
    let bytes = random::<SYLLABLES>()?;
    let mut out = String::new();
    for (n, byte) in bytes.into_iter().enumerate() {
        if n > 0 && n % 2 == 0 {
            out.push('-');
        }
        out.push(char::from(CONSONANTS[usize::from(byte & 15)]));
        out.push(char::from(VOWELS[usize::from(byte >> 4 & 7)]));
    }
    Ok(out)
}

/// What somebody typed as a recovery word.
pub fn normal_word(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_of_their_alphabets() {
        let codes: std::collections::BTreeSet<String> = (0..200).map(|_| code().unwrap()).collect();
        assert_eq!(codes.len(), 200);
        assert!(codes.iter().all(|c| c.len() == CODE && c.bytes().all(|b| ALPHABET.contains(&b))));
        let words: std::collections::BTreeSet<String> = (0..200).map(|_| word().unwrap()).collect();
        assert_eq!(words.len(), 200);
        assert!(words.iter().all(|w| w.len() == 14 && normal_word(w).len() == 12));
        assert_eq!(capability().unwrap().len(), 43);
    }

    #[test]
    fn what_is_typed_is_forgiven_and_what_is_compared_is_not() {
        assert_eq!(normal_code(" ab2-9z "), "AB29Z");
        assert_eq!(normal_word("Bado fine_KUZI"), "badofinekuzi");
        let digest = Digest::of("one");
        assert!(digest.is("one") && !digest.is("One") && !digest.is(""));
        assert_eq!(Digest::from_hex(&digest.hex()), Some(digest.clone()));
        assert_eq!(format!("{digest:?}"), "Digest(..)");
    }
}
