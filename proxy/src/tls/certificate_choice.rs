//! Which of several certificates that fit a host name is the best.
//!
//! ELB page: "SSL certificates for your Application Load Balancer", certificate
//! list. The criteria in their order: public key algorithm (ECDSA before RSA),
//! expiration, hash of the signature, key length, validity period. Of the last
//! the page does not say what is better: here the certificate that ends later is.
//! What still is alike goes by the order of the listener's list.

use rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer, public_key::PublicKey,
    signature_algorithm::SignatureAlgorithm,
};

/// What the choice looks at, read from the certificate once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qualities {
    /// Algorithm of the public key.
    pub algorithm: KeyAlgorithm,
    /// End of the validity, in seconds since 1970.
    pub not_after: i64,
    /// The SHA's number: 1, 224, 256, 384 or 512; 0 for MD5 and what is unknown.
    pub hash: u16,
    /// Length of the key in bits.
    pub key_bits: usize,
}

/// Algorithm of a certificate's key, the better one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// RSA.
    Rsa,
    /// ECDSA.
    Ecdsa,
}

/// The certificate holds a key that an ALB takes no certificates with, such as Ed25519.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsupportedKey;

impl Qualities {
    /// Reads them from the leaf certificate.
    ///
    /// # Errors
    ///
    /// [`UnsupportedKey`] if the key is neither RSA nor ECDSA.
    pub fn of(leaf: &X509Certificate<'_>) -> Result<Self, UnsupportedKey> {
        let (algorithm, key_bits) = match leaf.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => (KeyAlgorithm::Rsa, key.key_size()),
            Ok(PublicKey::EC(point)) => (KeyAlgorithm::Ecdsa, point.key_size()),
            _ => return Err(UnsupportedKey),
        };
        Ok(Self {
            algorithm,
            not_after: leaf.validity().not_after.timestamp(),
            hash: hash_of(leaf),
            key_bits,
        })
    }

    /// The better of two certificates has the greater rank.
    #[must_use]
    pub const fn rank(&self, now: i64) -> Rank {
        Rank(self.algorithm, self.not_after >= now, self.hash, self.key_bits, self.not_after)
    }
}

/// The criteria in the order in which they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(KeyAlgorithm, bool, u16, usize, i64);

fn hash_of(leaf: &X509Certificate<'_>) -> u16 {
    /// OIDs of hash functions, as RSASSA-PSS parameters name them.
    const SHA2: &str = "2.16.840.1.101.3.4.2.";
    let oid = leaf.signature_algorithm.algorithm.to_id_string();
    match oid.as_str() {
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => 1,
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => 224,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => 256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => 384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => 512,
        _ => match SignatureAlgorithm::try_from(&leaf.signature_algorithm) {
            Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
                let hash = parameters.hash_algorithm_oid().to_id_string();
                match hash.strip_prefix(SHA2) {
                    Some("1") => 256,
                    Some("2") => 384,
                    Some("3") => 512,
                    Some("4") => 224,
                    // The default of the parameters is SHA-1.
                    _ => 1,
                }
            }
            _ => 0,
        },
    }
}

/// Reads a certificate for its qualities; `None` if it is none.
#[must_use]
pub fn parse<'a>(leaf: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(leaf).ok().map(|(_, leaf)| leaf)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, RsaKeySize, SignatureAlgorithm};

    use super::*;

    const NOW: i64 = 1_000;

    const fn certificate(algorithm: KeyAlgorithm, not_after: i64, hash: u16, key_bits: usize) -> Qualities {
        Qualities { algorithm, not_after, hash, key_bits }
    }

    /// The better one first, by one criterion each; all that counts less speaks for the other.
    #[test]
    fn the_criteria_count_in_elbs_order() {
        use KeyAlgorithm::{Ecdsa, Rsa};
        let pairs = [
            (certificate(Ecdsa, 10, 256, 256), certificate(Rsa, 9_000, 512, 4096)),
            (certificate(Rsa, 1_000, 0, 1024), certificate(Rsa, 999, 512, 4096)),
            (certificate(Rsa, 2_000, 384, 2048), certificate(Rsa, 9_000, 256, 4096)),
            (certificate(Rsa, 2_000, 1, 2048), certificate(Rsa, 9_000, 0, 4096)),
            (certificate(Ecdsa, 2_000, 256, 384), certificate(Ecdsa, 9_000, 256, 256)),
            (certificate(Ecdsa, 9_000, 256, 256), certificate(Ecdsa, 2_000, 256, 256)),
        ];
        for (better, worse) in pairs {
            assert!(better.rank(NOW) > worse.rank(NOW), "{better:?} {worse:?}");
        }
    }

    fn made(algorithm: &'static SignatureAlgorithm) -> Result<Qualities, UnsupportedKey> {
        let key = if algorithm == &rcgen::PKCS_RSA_SHA512 {
            KeyPair::generate_rsa_for(algorithm, RsaKeySize::_2048).unwrap()
        } else {
            KeyPair::generate_for(algorithm).unwrap()
        };
        let made = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        Qualities::of(&parse(made.der()).unwrap())
    }

    #[test]
    fn qualities_are_read_from_the_certificate() {
        let read = |algorithm| made(algorithm).map(|it| (it.algorithm, it.hash, it.key_bits));
        assert_eq!(read(&rcgen::PKCS_ECDSA_P256_SHA256), Ok((KeyAlgorithm::Ecdsa, 256, 256)));
        assert_eq!(read(&rcgen::PKCS_ECDSA_P384_SHA384), Ok((KeyAlgorithm::Ecdsa, 384, 384)));
        assert_eq!(read(&rcgen::PKCS_RSA_SHA512), Ok((KeyAlgorithm::Rsa, 512, 2048)));
        assert_eq!(read(&rcgen::PKCS_ED25519), Err(UnsupportedKey));
    }
}
