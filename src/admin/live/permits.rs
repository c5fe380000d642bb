//! How many streams may be open: in all, and for each caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::admin::problem::Problem;

/// Maximum number of open streams of this process.
const MAX_STREAMS: usize = 10_000;
/// Maximum number of open streams of one caller, so that none can take all of them.
const MAX_STREAMS_PER_CALLER: usize = 1_000;
/// When a caller with too many streams may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The open streams.
#[derive(Debug, Default)]
pub(super) struct Permits {
    callers: Mutex<Callers>,
}

#[derive(Debug, Default)]
struct Callers {
    open: usize,
    /// Number of open streams of each caller that has some.
    of_caller: HashMap<String, usize>,
}

/// Permission for an open stream, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
    caller: String,
}

impl Permits {
    /// Permission to open one more stream.
    pub(super) fn permit(self: &Arc<Self>, caller: &str) -> Result<Permit, Problem> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.open >= MAX_STREAMS {
            let detail = "too many open streams: try again later".to_owned();
            return Err(Problem::Unavailable(detail));
        }
        let open = callers.of_caller.get(caller).copied().unwrap_or_default();
        if open >= MAX_STREAMS_PER_CALLER {
            return Err(Problem::TooManyRequests {
                detail: format!("you have {open} open streams: close some of them"),
                retry_after: RETRY_AFTER,
            });
        }
        callers.open += 1;
        callers.of_caller.insert(caller.to_owned(), open + 1);
        Ok(Permit {
            permits: Arc::clone(self),
            caller: caller.to_owned(),
        })
    }

    /// Number of open streams.
    pub(super) fn open(&self) -> usize {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).open
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut callers = self
            .permits
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        callers.open -= 1;
        if let Some(open) = callers.of_caller.get_mut(&self.caller) {
            *open -= 1;
            if *open == 0 {
                callers.of_caller.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_cannot_take_all_streams() {
        let permits = Arc::new(Permits::default());
        let mut ann: Vec<Permit> = (0..MAX_STREAMS_PER_CALLER)
            .map(|_| permits.permit("ann").unwrap())
            .collect();
        let refused = permits.permit("ann").unwrap_err();
        assert!(
            matches!(&refused, Problem::TooManyRequests { detail, .. } if detail.contains("1000 open streams")),
            "{refused:?}"
        );
        let bob = permits.permit("bob").unwrap();
        drop(ann.pop());
        ann.push(permits.permit("ann").unwrap());
        drop((ann, bob));
        assert_eq!(permits.open(), 0);
        assert!(permits.callers.lock().unwrap().of_caller.is_empty());
    }

    #[test]
    fn many_callers_cannot_open_more_than_the_process_allows() {
        let permits = Arc::new(Permits::default());
        let caller = |n: usize| format!("caller {}", n % 20);
        let open: Vec<Permit> = (0..MAX_STREAMS)
            .map(|n| permits.permit(&caller(n)).unwrap())
            .collect();
        let refused = permits.permit("another").unwrap_err();
        assert!(matches!(refused, Problem::Unavailable(_)), "{refused:?}");
        drop(open);
        permits.permit("another").unwrap();
    }
}
