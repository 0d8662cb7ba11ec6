//! Tokens that were verified, by their SHA-256: a signature costs a hundred
//! times what a look-up does.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::claims::Verified;

/// Names a token without being it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, token.as_bytes()).as_ref()) {
            *to = *from;
        }
        Self(hash)
    }
}

/// At most twice `half` tokens, in two generations: when the young one is full
/// it becomes the old one, and what was not asked for since is forgotten.
#[derive(Debug)]
pub(super) struct Cache {
    young: HashMap<TokenHash, Verified>,
    old: HashMap<TokenHash, Verified>,
    half: usize,
}

impl Cache {
    pub(super) fn new(half: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half }
    }

    pub(super) fn find(&mut self, hash: TokenHash) -> Option<Verified> {
        if let Some(verified) = self.young.get(&hash) {
            return Some(verified.clone());
        }
        let verified = self.old.remove(&hash)?;
        self.insert(hash, verified.clone());
        Some(verified)
    }

    pub(super) fn insert(&mut self, hash: TokenHash, verified: Verified) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, verified);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use crate::auth::Principal;

    use super::*;

    fn verified(name: &str) -> Verified {
        let principal = Principal { name: name.to_owned(), authorities: Vec::new(), expires_at: None };
        Verified { principal: Arc::new(principal), not_before: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn the_hash_is_sha_256() {
        let TokenHash(hash) = TokenHash::of("abc");
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let mut cache = Cache::new(10);
        let asked = TokenHash::of("asked");
        cache.insert(asked, verified("ann"));
        for n in 0..1000 {
            assert_eq!(cache.find(asked).unwrap().principal.name, "ann");
            cache.insert(TokenHash::of(&n.to_string()), verified("bob"));
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        assert!(cache.find(TokenHash::of("0")).is_none());
    }
}
