//! Sealing of what stickiness cookies carry, and the keys for it.
//!
//! AES-256-GCM-SIV (RFC 8452): authenticated, and unlike plain GCM still safe if
//! a random nonce ever repeats, which counts because each response seals anew.
//! The first key seals; all open, so a key is rotated by putting the new one
//! first on every replica. A key is 32 random bytes.

use std::{
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::CryptoRng;
use thiserror::Error;

/// Length of a key, in bytes.
pub const KEY_LENGTH: usize = 32;
/// Length of a nonce, in bytes.
pub const NONCE_LENGTH: usize = 12;
/// How many bytes sealing adds: the nonce in front and the tag behind.
pub const OVERHEAD: usize = NONCE_LENGTH + 16;

/// The keys of one configuration.
pub struct Keys {
    sealing: LessSafeKey,
    /// Keys that only open any more.
    former: Vec<LessSafeKey>,
    /// What other keys are derived from, the sealing key's first.
    roots: Vec<Prk>,
}

/// A key file that cannot be used. The operator's fault.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// No file was named.
    #[error("no stickiness key file given")]
    NoFile,
    /// The file cannot be read.
    #[error("cannot read stickiness key {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not one line with a key.
    #[error("stickiness key {} is not one line of 32 bytes in base64 or hex", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The cipher refused to seal. Ours; does not happen with texts of cookie size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("cannot seal")]
pub struct SealError;

impl Keys {
    /// Keys from their bytes: `sealing` seals and opens, `former` only open.
    #[must_use]
    pub fn new(sealing: &[u8; KEY_LENGTH], former: &[[u8; KEY_LENGTH]]) -> Self {
        let salt = Salt::new(HKDF_SHA256, b"albeit");
        let roots = std::iter::once(sealing).chain(former).map(|key| salt.extract(key)).collect();
        Self { sealing: key(sealing), former: former.iter().map(key).collect(), roots }
    }

    /// Other keys, one of each key and the sealing key's first: the same wherever the keys are the same,
    /// and of no use for anything but `purpose` (HKDF, RFC 5869).
    pub fn derive<'a>(&'a self, purpose: &'a [&'a [u8]]) -> impl Iterator<Item = [u8; KEY_LENGTH]> + 'a {
        self.roots.iter().filter_map(move |root| {
            let mut derived = [0; KEY_LENGTH];
            root.expand(purpose, HKDF_SHA256).and_then(|okm| okm.fill(&mut derived)).ok()?;
            Some(derived)
        })
    }

    /// One new key.
    #[must_use]
    pub fn generate(random: &mut impl CryptoRng) -> Self {
        Self::new(&draw(random), &[])
    }

    /// Reads one key per file; the first seals.
    ///
    /// A file holds one line: 32 bytes as 64 hex digits, or as base64 with or without padding.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] for the first file that is unreadable or malformed, or if there is none.
    pub fn read(files: &[PathBuf]) -> Result<Self, KeyFileError> {
        let (first, others) = files.split_first().ok_or(KeyFileError::NoFile)?;
        let former: Result<Vec<_>, _> = others.iter().map(|path| read_key_file(path)).collect();
        Ok(Self::new(&read_key_file(first)?, &former?))
    }

    /// Seals `text` with the first key: nonce, ciphertext, tag.
    ///
    /// `context` is not in the result, but must be the same to open it; it keeps one kind of cookie
    /// from being taken for another. `nonce` is random.
    ///
    /// # Errors
    ///
    /// [`SealError`] if `text` is longer than the cipher takes (64 GB).
    pub fn seal(&self, context: &[u8], text: &[u8], nonce: [u8; NONCE_LENGTH]) -> Result<Vec<u8>, SealError> {
        let mut sealed = Vec::with_capacity(text.len() + OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let in_place = sealed.get_mut(NONCE_LENGTH..).ok_or(SealError)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .sealing
            .seal_in_place_separate_tag(nonce, Aad::from(context), in_place)
            .map_err(|_| SealError)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The text of what one of the keys sealed in the same context; `None` for anything else.
    #[must_use]
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        std::iter::once(&self.sealing).chain(&self.former).find_map(|key| {
            let mut in_place = ciphertext.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let length = key.open_in_place(nonce, Aad::from(context), &mut in_place).ok()?.len();
            in_place.truncate(length);
            Some(in_place)
        })
    }
}

impl fmt::Debug for Keys {
    /// How many keys there are, never the keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keys").field("former", &self.former.len()).finish_non_exhaustive()
    }
}

/// Writes a new key to a new file that only its owner can read (mode 0600).
///
/// # Errors
///
/// `AlreadyExists` if there is a file: a key is never overwritten. Otherwise what creating and
/// writing the file reports.
pub fn write_key_file(path: &Path, random: &mut impl CryptoRng) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", STANDARD.encode(draw(random)))
}

/// The bytes of a new key.
#[must_use]
pub fn draw(random: &mut impl CryptoRng) -> [u8; KEY_LENGTH] {
    let mut bytes = [0; KEY_LENGTH];
    random.fill_bytes(&mut bytes);
    bytes
}

#[expect(clippy::expect_used, reason = "a key of 32 bytes is what AES-256 takes")]
fn key(bytes: &[u8; KEY_LENGTH]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, bytes).expect("32 bytes are an AES-256 key"))
}

fn read_key_file(path: &Path) -> Result<[u8; KEY_LENGTH], KeyFileError> {
    let text = fs::read(path).map_err(|source| KeyFileError::Unreadable { path: path.to_owned(), source })?;
    parse_key(text.trim_ascii()).ok_or_else(|| KeyFileError::Malformed { path: path.to_owned() })
}

fn parse_key(text: &[u8]) -> Option<[u8; KEY_LENGTH]> {
    if text.len() == 2 * KEY_LENGTH {
        return parse_hex(text);
    }
    let unpadded = text.strip_suffix(b"=").unwrap_or(text);
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(unpadded).ok()?.try_into().ok()
}

fn parse_hex(text: &[u8]) -> Option<[u8; KEY_LENGTH]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, _) = text.as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    const NONCE: [u8; NONCE_LENGTH] = [7; NONCE_LENGTH];

    #[test]
    fn a_former_key_still_opens_and_the_first_one_seals() {
        let old = Keys::new(&[1; 32], &[]);
        let rotated = Keys::new(&[2; 32], &[[1; 32]]);
        let sealed = old.seal(b"c", b"text", NONCE).unwrap();
        assert_eq!(rotated.open(b"c", &sealed).as_deref(), Some(b"text".as_slice()));
        let sealed = rotated.seal(b"c", b"text", NONCE).unwrap();
        assert_eq!(old.open(b"c", &sealed), None);
    }

    #[test]
    fn a_context_is_bound_to_what_was_sealed_in_it() {
        let keys = Keys::generate(&mut rand::rng());
        let sealed = keys.seal(b"AWSALB", b"text", NONCE).unwrap();
        assert_eq!(keys.open(b"AWSALBTG", &sealed), None);
    }

    #[test]
    fn derived_keys_differ_by_key_and_purpose() {
        let keys = Keys::new(&[1; 32], &[[2; 32]]);
        let derive = |keys: &Keys, purpose: &[u8]| keys.derive(&[purpose]).collect::<Vec<_>>();
        let derived = derive(&keys, b"a");
        assert_eq!(derived.len(), 2);
        assert_ne!(derived[0], derived[1]);
        assert_ne!(derived, derive(&keys, b"b"));
        assert_eq!(derived[1..], derive(&Keys::new(&[2; 32], &[]), b"a"));
        assert!(!derived.contains(&[1; 32]));
    }

    #[test]
    fn a_key_file_is_private_read_back_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stickiness.key");
        write_key_file(&path, &mut rand::rng()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = Keys::read(std::slice::from_ref(&path)).unwrap().seal(b"", b"x", NONCE).unwrap();
        let again = write_key_file(&path, &mut rand::rng()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert!(Keys::read(&[path]).unwrap().open(b"", &sealed).is_some());
    }

    #[test]
    fn a_key_is_hex_or_base64_of_thirty_two_bytes() {
        let bytes: [u8; 32] = std::array::from_fn(|index| u8::try_from(index * 7).unwrap());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let base64 = STANDARD.encode(bytes);
        for text in [hex.as_str(), &hex.to_lowercase(), &base64, base64.trim_end_matches('=')] {
            assert_eq!(parse_key(text.as_bytes()), Some(bytes), "{text}");
        }
        let (zz, short) = ("zz".repeat(32), STANDARD.encode([0; 31]));
        for text in ["", "word", &zz, &short, &format!("{base64}=="), &format!("{base64}\n{base64}")] {
            assert_eq!(parse_key(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing.key");
        let message = Keys::read(std::slice::from_ref(&missing)).unwrap_err().to_string();
        assert_eq!(message, format!("cannot read stickiness key {}", missing.display()));
        let empty = directory.path().join("empty.key");
        fs::write(&empty, "\n").unwrap();
        let message = Keys::read(std::slice::from_ref(&empty)).unwrap_err().to_string();
        assert!(message.contains(&empty.display().to_string()), "{message}");
        assert!(matches!(Keys::read(&[]), Err(KeyFileError::NoFile)));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(key: [u8; 32], nonce: [u8; NONCE_LENGTH], text: Vec<u8>, context: Vec<u8>) {
            let keys = Keys::new(&key, &[]);
            let sealed = keys.seal(&context, &text, nonce).unwrap();
            prop_assert_eq!(sealed.len(), text.len() + OVERHEAD);
            prop_assert_eq!(keys.open(&context, &sealed), Some(text));
        }

        #[test]
        fn a_changed_or_cut_text_does_not_open(nonce: [u8; NONCE_LENGTH], bit in 0..8_u8, at: prop::sample::Index) {
            let keys = Keys::new(&[3; 32], &[[4; 32]]);
            let sealed = keys.seal(b"", b"target", nonce).unwrap();
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= 1 << bit;
            prop_assert_eq!(keys.open(b"", &changed), None);
            prop_assert_eq!(keys.open(b"", &sealed[..at.index(sealed.len())]), None);
        }

        #[test]
        fn bytes_from_elsewhere_never_open(bytes: Vec<u8>) {
            prop_assert_eq!(Keys::new(&[3; 32], &[]).open(b"", &bytes), None);
        }
    }
}
