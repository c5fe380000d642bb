//! Pure: how many of the requests under way only wait on the other side, told by how long answers take.

use std::collections::BTreeMap;
use std::time::Duration;

/// Kinds that are compared; any more are not.
const KINDS: usize = 8;
/// Weights of a new measurement.
const NEW_USUAL: f64 = 1.0 / 8.0;
const NEW_SLOWER: f64 = 1.0 / 16.0;

/// How much longer answers take when many are under way than when there are few.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// Seconds that a kind of request takes while few are under way; the shortest, which ages.
    usual: BTreeMap<Box<str>, f64>,
    /// How many times as long they take now.
    slower: Option<f64>,
}

impl Waiting {
    /// Takes one measurement, with few under way or with many.
    pub(super) fn note(&mut self, kind: &str, took: Duration, few: bool) {
        let took = took.as_secs_f64().max(1e-6);
        let room = self.usual.len() < KINDS;
        let ratio = match self.usual.get_mut(kind) {
            Some(usual) => {
                let ratio = took / *usual;
                if few {
                    *usual = if took < *usual {
                        took
                    } else {
                        *usual + (took - *usual) * NEW_USUAL
                    };
                }
                ratio
            }
            // Measured against nothing, a slow answer says nothing.
            None if few && room => {
                self.usual.insert(kind.into(), took);
                1.0
            }
            None => return,
        };
        // One answer that took for ever is one answer.
        let ratio = ratio.clamp(1.0, 10.0);
        let slower = self.slower.unwrap_or(1.0);
        self.slower = Some(slower + (ratio - slower) * NEW_SLOWER);
    }

    /// Of so many under way, how many wait.
    pub(super) fn requests(&self, under_way: u32) -> u32 {
        let slower = self.slower.unwrap_or(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a u32"
        )]
        let waiting = (f64::from(under_way) * (1.0 - 1.0 / slower)) as u32;
        waiting
    }
}
