//! Threads that share the work of one scenario.

use anyhow::{Context, Result};
use tokio::task::JoinSet;

/// Runs `work` on so many threads, each with its number and a runtime of its own,
/// and waits for all. One thread is this one.
///
/// # Errors
/// Those of the work, and when a thread cannot be had.
pub(crate) async fn share<T, F, W>(threads: usize, work: F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Fn(usize) -> W + Clone + Send + 'static,
    W: Future<Output = Result<T>>,
{
    if threads <= 1 {
        return Ok(vec![work(0).await?]);
    }
    let mut running = JoinSet::new();
    for number in 0..threads {
        let work = work.clone();
        running.spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(work(number))
        });
    }
    let mut parts = Vec::with_capacity(threads);
    while let Some(part) = running.join_next().await {
        parts.push(part.context("a thread of the load")??);
    }
    Ok(parts)
}

/// How many of `all` the part with this number gets: together they are all.
pub(crate) fn part(all: usize, parts: usize, number: usize) -> usize {
    let parts = parts.max(1);
    all / parts + usize::from(number < all % parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all() {
        for (all, parts) in [(10, 3), (2, 4), (0, 2), (7, 1)] {
            assert_eq!((0..parts).map(|number| part(all, parts, number)).sum::<usize>(), all);
        }
    }

    #[tokio::test]
    async fn each_thread_works_once() {
        for threads in [1, 3] {
            let mut numbers = share(threads, |number| async move { Ok(number) }).await.unwrap();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..threads).collect::<Vec<_>>());
        }
    }
}
