//! Pure: the small chart of durations and changes. Oldest run on the left; both rows have their own scale.

use crate::admin::response::sync::SyncResponse;
use crate::admin::ui::current_run::state;

/// Height of a row in units of the drawing.
const ROW_HEIGHT: i64 = 40;
/// Width of a run.
pub const STEP: i64 = 10;
/// Height of a bar of something that is not zero.
const MIN_HEIGHT: i64 = 2;

/// The bars of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bars {
    /// Left edge.
    pub x: i64,
    /// State of the run.
    pub state: &'static str,
    /// Height of the duration.
    pub duration: i64,
    /// Height of the number of changes.
    pub changes: i64,
}

/// The bars of runs, which are given newest first. Runs without a duration have none.
pub fn bars(runs: &[SyncResponse]) -> Vec<Bars> {
    let duration = |run: &SyncResponse| run.duration_ms.unwrap_or_default().max(0);
    let longest = runs.iter().map(duration).max().unwrap_or_default();
    let most = runs.iter().map(changes).max().unwrap_or_default();
    let ended = runs.iter().rev().filter(|run| run.duration_ms.is_some());
    ended
        .zip(0..)
        .map(|(run, index)| Bars {
            x: index * STEP,
            state: state(run),
            duration: height(duration(run), longest),
            changes: height(changes(run), most),
        })
        .collect()
}

fn changes(run: &SyncResponse) -> i64 {
    let counts = run.counts.as_ref();
    counts.map_or(0, |counts| counts.inserted + counts.updated + counts.deleted)
}

fn height(value: i64, highest: i64) -> i64 {
    match value {
        0 => 0,
        _ => (value.saturating_mul(ROW_HEIGHT) / highest.max(1)).max(MIN_HEIGHT),
    }
}

#[cfg(test)]
mod tests {
    use super::height;

    #[test]
    fn what_is_not_zero_is_visible() {
        let cases = [
            (0, 0, 0),
            (0, 10, 0),
            (10, 10, 40),
            (1, 1_000_000, 2),
            (5, 10, 20),
        ];
        for (value, highest, expected) in cases {
            assert_eq!(height(value, highest), expected, "{value} of {highest}");
        }
    }
}
