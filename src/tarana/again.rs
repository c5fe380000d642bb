//! Pure: whether a request that a busy server refused is sent again within the same attempt.

use std::time::Duration;

/// So often a request goes out in all. Each refusal takes away places too, so that most need two.
const SENDS: u32 = 5;
/// So long a request waits in all because the server asks it to; longer ends the attempt, and the run waits instead.
const PATIENCE: Duration = Duration::from_secs(5);

/// The refusals of one request.
#[derive(Debug, Default)]
pub(super) struct Again {
    refusals: u32,
    waited: Duration,
}

impl Again {
    /// Notes a refusal: for the others under way or not, with a `Retry-After` or not.
    pub(super) fn allows(&mut self, crowded: bool, wish: Option<Duration>) -> bool {
        self.refusals += 1;
        self.waited = self.waited.saturating_add(wish.unwrap_or_default());
        self.refusals < SENDS && self.waited <= PATIENCE && (crowded || wish.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Again;

    #[test]
    fn bounded_by_number_and_patience() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (crowded, wish, sends) in [
            (true, None, 5),
            (false, None, 1),
            (true, seconds(1), 5),
            (false, seconds(1), 5),
            (false, seconds(2), 3),
            (true, seconds(5), 2),
            (true, seconds(6), 1),
            (false, Some(Duration::MAX), 1),
        ] {
            let mut again = Again::default();
            let refusals = (1..10).find(|_| !again.allows(crowded, wish));
            assert_eq!(refusals, Some(sends), "{crowded} {wish:?}");
        }
    }
}
