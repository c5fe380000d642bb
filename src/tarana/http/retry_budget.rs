//! Pure: whether a request that a busy server rejected is sent again within the same attempt.

use std::time::Duration;

/// Most times that a request is sent. Each rejection also lowers the concurrency limit, so two suffice for most.
const MAX_SENDS: u32 = 5;
/// Longest total `Retry-After` that a request waits for. A longer one ends the attempt, and the run waits instead.
const MAX_TOTAL_WAIT: Duration = Duration::from_secs(5);

/// The rejections of one request.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    rejections: u32,
    total_wait: Duration,
}

impl RetryBudget {
    /// Records a rejection. Returns whether the request may be sent again: only if fewer requests in flight can help
    /// (`crowded`) or the server named a time.
    pub(super) fn record_rejection(&mut self, crowded: bool, retry_after: Option<Duration>) -> bool {
        self.rejections += 1;
        self.total_wait = self.total_wait.saturating_add(retry_after.unwrap_or_default());
        self.rejections < MAX_SENDS && self.total_wait <= MAX_TOTAL_WAIT && (crowded || retry_after.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RetryBudget;

    #[test]
    fn sends_and_total_wait_are_bounded() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (crowded, retry_after, sends) in [
            (true, None, 5),
            (false, None, 1),
            (true, seconds(1), 5),
            (false, seconds(1), 5),
            (false, seconds(2), 3),
            (true, seconds(5), 2),
            (true, seconds(6), 1),
            (false, Some(Duration::MAX), 1),
        ] {
            let mut budget = RetryBudget::default();
            let sent = (1..10).find(|_| !budget.record_rejection(crowded, retry_after));
            assert_eq!(sent, Some(sends), "{crowded} {retry_after:?}");
        }
    }
}
