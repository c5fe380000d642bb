//! Bounds the memory of the answers that this process receives at once, from whatever vendor.
//!
//! An answer takes memory as its bytes arrive: a server that sends nothing takes none. All answers together may fill the budget while none
//! is complete. Then one of them at a time may exceed it, so that it is completed and its memory becomes free. So the budget is
//! exceeded by one answer at most, and no answer waits for another one for ever.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Unit of a reservation, in bytes.
const CHUNK: usize = 256 * 1024;
/// Bytes of all answers. A page of 1000 base nodes takes 1 to 3 MB.
const BUDGET: usize = 128 * 1024 * 1024;

/// The answers of this process.
pub(super) static ANSWERS: MemoryBudget = MemoryBudget::new(BUDGET);

/// A number of bytes that readers share.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    /// Chunks that are free.
    free: Semaphore,
    /// Permission to exceed the budget.
    excess: Semaphore,
}

/// The memory of one answer, until it is dropped.
#[derive(Debug)]
pub(super) struct Reservation<'b> {
    budget: &'b MemoryBudget,
    chunks: Vec<SemaphorePermit<'b>>,
    excess: Option<SemaphorePermit<'b>>,
}

impl MemoryBudget {
    const fn new(bytes: usize) -> Self {
        Self {
            free: Semaphore::const_new(bytes / CHUNK),
            excess: Semaphore::const_new(1),
        }
    }

    /// No memory yet.
    pub(super) fn reserve(&self) -> Reservation<'_> {
        Reservation {
            budget: self,
            chunks: Vec::new(),
            excess: None,
        }
    }
}

impl Reservation<'_> {
    /// Waits until the answer may have this many bytes.
    pub(super) async fn grow_to(&mut self, bytes: usize) {
        while self.excess.is_none() && self.chunks.len() * CHUNK < bytes {
            // Both wait in the order of their requests, and are never closed.
            tokio::select! {
                biased;
                chunk = self.budget.free.acquire() => self.chunks.extend(chunk),
                excess = self.budget.excess.acquire() => self.excess = excess.ok(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use futures::FutureExt as _;
    use futures::future::join_all;
    use proptest::prelude::*;
    use tokio::runtime::Builder;
    use tokio::time::sleep;

    use super::{CHUNK, MemoryBudget};

    #[tokio::test]
    async fn one_answer_at_a_time_exceeds_the_budget() {
        let budget = MemoryBudget::new(4 * CHUNK);
        let [mut first, mut second, mut third] = [budget.reserve(), budget.reserve(), budget.reserve()];
        assert!(first.grow_to(2 * CHUNK).now_or_never().is_some());
        assert!(second.grow_to(2 * CHUNK).now_or_never().is_some());
        assert!(first.grow_to(9 * CHUNK).now_or_never().is_some(), "it may exceed");
        assert!(second.grow_to(2 * CHUNK + 1).now_or_never().is_none());
        assert!(third.grow_to(1).now_or_never().is_none());
        drop(first);
        assert!(third.grow_to(1).now_or_never().is_some());
        assert!(second.grow_to(3 * CHUNK).now_or_never().is_some());
        assert!(second.excess.is_none() && third.excess.is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn property_that_all_answers_are_read_within_the_budget(
            sizes in prop::collection::vec((0..20 * CHUNK, 1..5_u64), 1..40)
        ) {
            let budget = MemoryBudget::new(8 * CHUNK);
            let (used, most) = (Cell::new(0), Cell::new(0));
            let read = |(size, speed): (usize, u64)| {
                let (budget, used, most) = (&budget, &used, &most);
                async move {
                    let (mut memory, mut received) = (budget.reserve(), 0);
                    while received < size {
                        let chunk = (100 * 1024).min(size - received);
                        memory.grow_to(received + chunk).await;
                        received += chunk;
                        used.set(used.get() + chunk);
                        most.set(most.get().max(used.get()));
                        sleep(Duration::from_millis(speed)).await;
                    }
                    used.set(used.get() - size);
                }
            };
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let all = join_all(sizes.iter().copied().map(read));
            let done = runtime.block_on(async { tokio::time::timeout(Duration::from_mins(10), all).await });
            prop_assert!(done.is_ok(), "an answer waits for ever");
            let largest = sizes.iter().map(|(size, _)| *size).max().unwrap_or_default();
            prop_assert!(most.get() <= 8 * CHUNK + largest, "{} bytes", most.get());
            prop_assert_eq!(budget.free.available_permits(), 8);
        }
    }
}
