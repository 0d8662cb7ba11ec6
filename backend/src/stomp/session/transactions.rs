//! Frames that wait for their COMMIT.

use std::collections::{HashMap, VecDeque};

use super::Output;

/// Transactions that a session may have open at one time.
const OPEN_LIMIT: usize = 16;

/// Frames that may wait in all of them.
const FRAME_LIMIT: usize = 1000;

/// Something to do at a COMMIT.
#[derive(Debug)]
pub(super) struct Work {
    /// For the owner; the COMMIT itself has nothing for it.
    pub(super) output: Option<Output>,
    /// Written when it is done.
    pub(super) receipt: Option<String>,
    /// Bytes that it keeps.
    pub(super) size: usize,
}

/// What is wrong with a frame of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TransactionError {
    /// BEGIN twice.
    #[error("transaction is in use")]
    InUse,
    /// No BEGIN, or COMMIT or ABORT before.
    #[error("unknown transaction")]
    Unknown,
    /// More than [`OPEN_LIMIT`].
    #[error("too many transactions")]
    TooMany,
    /// More than [`FRAME_LIMIT`] frames, or too many bytes.
    #[error("transactions hold too much")]
    TooLarge,
}

/// The transactions of a session.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: HashMap<String, Vec<Work>>,
    /// Of all that are open.
    frames: usize,
    /// Of all that are open.
    bytes: usize,
    /// What is left of a COMMIT.
    committed: VecDeque<Work>,
}

impl Transactions {
    pub(super) fn begin(&mut self, name: &str) -> Result<(), TransactionError> {
        if self.open.contains_key(name) {
            return Err(TransactionError::InUse);
        }
        if self.open.len() >= OPEN_LIMIT {
            return Err(TransactionError::TooMany);
        }
        self.open.insert(name.to_owned(), Vec::new());
        Ok(())
    }

    /// Keeps a frame for the COMMIT; all frames may have `limit` bytes.
    pub(super) fn add(&mut self, name: &str, work: Work, limit: usize) -> Result<(), TransactionError> {
        let frames = self.open.get_mut(name).ok_or(TransactionError::Unknown)?;
        let bytes = self.bytes.saturating_add(work.size);
        if self.frames >= FRAME_LIMIT || bytes > limit {
            return Err(TransactionError::TooLarge);
        }
        self.frames += 1;
        self.bytes = bytes;
        frames.push(work);
        Ok(())
    }

    /// Hands all frames over to [`next_committed`](Self::next_committed), and
    /// `commit` after them.
    pub(super) fn commit(&mut self, name: &str, commit: Work) -> Result<(), TransactionError> {
        let frames = self.close(name)?;
        self.committed.extend(frames);
        self.committed.push_back(commit);
        Ok(())
    }

    /// Forgets a transaction and its frames.
    pub(super) fn abort(&mut self, name: &str) -> Result<(), TransactionError> {
        self.close(name).map(drop)
    }

    pub(super) fn next_committed(&mut self) -> Option<Work> {
        self.committed.pop_front()
    }

    /// Whether there is nothing to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.committed.is_empty()
    }

    fn close(&mut self, name: &str) -> Result<Vec<Work>, TransactionError> {
        let frames = self.open.remove(name).ok_or(TransactionError::Unknown)?;
        self.frames -= frames.len();
        self.bytes -= frames.iter().map(|work| work.size).sum::<usize>();
        Ok(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(size: usize) -> Work {
        Work { output: None, receipt: None, size }
    }

    #[test]
    fn transactions_are_bounded_in_number_frames_and_bytes() {
        let mut transactions = Transactions::default();
        for n in 0..OPEN_LIMIT {
            assert_eq!(transactions.begin(&n.to_string()), Ok(()));
        }
        assert_eq!(transactions.begin("0"), Err(TransactionError::InUse));
        assert_eq!(transactions.begin("x"), Err(TransactionError::TooMany));
        assert_eq!(transactions.add("0", work(60), 100), Ok(()));
        assert_eq!(transactions.add("1", work(41), 100), Err(TransactionError::TooLarge));
        assert_eq!(transactions.abort("0"), Ok(()));
        for _ in 0..FRAME_LIMIT {
            assert_eq!(transactions.add("1", work(0), 100), Ok(()));
        }
        assert_eq!(transactions.add("2", work(0), 100), Err(TransactionError::TooLarge));
        assert_eq!(transactions.commit("1", work(0)), Ok(()));
        assert_eq!(transactions.add("2", work(100), 100), Ok(()));
        assert_eq!(std::iter::from_fn(|| transactions.next_committed()).count(), FRAME_LIMIT + 1);
    }

    #[test]
    fn a_transaction_that_is_over_is_unknown() {
        let mut transactions = Transactions::default();
        for end in [Transactions::abort, |all: &mut Transactions, name: &str| all.commit(name, work(0))] {
            assert_eq!(transactions.begin("a"), Ok(()));
            assert_eq!(end(&mut transactions, "a"), Ok(()));
            assert_eq!(end(&mut transactions, "a"), Err(TransactionError::Unknown));
            assert_eq!(transactions.add("a", work(1), 9), Err(TransactionError::Unknown));
        }
        assert!(transactions.next_committed().is_some());
        assert!(transactions.is_empty());
    }
}
