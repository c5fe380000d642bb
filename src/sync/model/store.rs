//! The database of the model: the rules that stand in SQL, one function for each statement of `crate::store` that a
//! run says. What is a rule of the text of a statement, or of an index, is named beside it: no Rust holds it.
//!
//! Each function is one transaction and happens at once, but Apply, which is open between [`begin`] and [`commit`] and
//! holds the lock on the table and on the row of its run. Who needs that row meanwhile is told [`Said::Blocked`].

use super::real::{Closed, Ending, Second};
use super::world::{RowState, World};
use super::{Rule, Rules};

/// What a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Done; the fence, where one was given out.
    Done(i64),
    /// Another run of the connection is running.
    Busy,
    /// The run had ended.
    Ended(Closed),
    /// Somebody has a newer number, or the run is over.
    Superseded,
    /// The row is locked.
    Blocked,
}

/// `Store::register`: `INSERT … ON CONFLICT (id) DO NOTHING`.
pub(super) fn register(world: &mut World, run: usize) {
    let row = &mut world.rows[run];
    if row.state == RowState::Absent {
        row.state = RowState::Pending;
    }
}

/// `Store::open`. The unique index `tarana_sync_logs_one_running`; `WHERE status IN ('pending', 'running')`;
/// `fence = coalesce(fence, 0) + 1`.
pub(super) fn open(world: &mut World, rules: Rules, run: usize, now: Second) -> Said {
    let running = |w: &World, r: usize| w.rows[r].state == RowState::Running;
    if rules.hold(Rule::OneRunning) && (0..world.rows.len()).any(|r| r != run && running(world, r)) {
        return Said::Busy;
    }
    if world.applying() == Some(run) {
        return Said::Blocked;
    }
    register(world, run);
    let row = &mut world.rows[run];
    if let RowState::Ended(closed) = row.state {
        return Said::Ended(closed);
    }
    (row.state, row.fence, row.heard) = (RowState::Running, row.fence + 1, now);
    Said::Done(row.fence)
}

/// `Store::heartbeat` and `Store::waiting`: `WHERE id = $1 AND fence = $2 AND status = 'running'`.
pub(super) fn alive(world: &mut World, rules: Rules, run: usize, fence: i64, now: Second) -> Said {
    if world.applying() == Some(run) {
        return Said::Blocked;
    }
    let row = &mut world.rows[run];
    if row.state != RowState::Running || (rules.hold(Rule::Fence) && row.fence != fence) {
        return Said::Superseded;
    }
    world.notes.fenced_row |= row.fence != fence;
    row.heard = now;
    Said::Done(fence)
}

/// `Store::heard`: no lock, so it never waits.
pub(super) fn heard(world: &World, run: usize) -> Option<Second> {
    (world.rows[run].fence > 0).then_some(world.rows[run].heard)
}

/// `Store::begin_apply`: `LOCK TABLE … IN SHARE ROW EXCLUSIVE MODE`, `SELECT fence IS NOT DISTINCT FROM $2 AND
/// status = 'running' … FOR UPDATE`.
pub(super) fn begin(world: &World, rules: Rules, run: usize, fence: i64) -> Said {
    if world.applying().is_some() {
        return Said::Blocked;
    }
    let row = &world.rows[run];
    match row.state {
        RowState::Running if row.fence == fence || !rules.hold(Rule::Fence) => Said::Done(fence),
        RowState::Ended(closed) => Said::Ended(closed),
        _ => Said::Superseded,
    }
}

/// `Apply::finish`: table, change rows, log row and event in one COMMIT. The locks see to it that nothing has changed
/// since [`begin`]; here nothing is asked again.
pub(super) fn commit(world: &mut World, run: usize, fence: i64) -> Closed {
    world.notes.fenced_row |= world.rows[run].fence != fence;
    world.notes.applied[run] += 1;
    end(world, run, None);
    None
}

/// `Store::close`: `WHERE status IN ('pending', 'running') AND coalesce(fence = $6, $6 IS NULL)`; the fence goes up.
/// Without a fence it registers first: a run that was never opened leaves a row all the same.
pub(super) fn close(world: &mut World, rules: Rules, run: usize, how: Ending, fence: Option<i64>) -> Said {
    if world.applying() == Some(run) {
        return Said::Blocked;
    }
    if fence.is_none() {
        register(world, run);
    }
    let row = world.rows[run];
    match row.state {
        RowState::Ended(closed) => return Said::Ended(closed),
        RowState::Absent => return Said::Superseded,
        RowState::Pending | RowState::Running => {}
    }
    let fenced = fence.is_some_and(|f| f != row.fence);
    if fenced && rules.hold(Rule::Fence) {
        return Said::Superseded;
    }
    world.notes.fenced_row |= fenced;
    end(world, run, Some(how));
    Said::Ended(Some(how))
}

/// `Store::sweep`: `FOR UPDATE SKIP LOCKED`.
pub(super) fn sweep(world: &mut World, run: usize, how: Ending) {
    let open = matches!(world.rows[run].state, RowState::Pending | RowState::Running);
    if open && world.applying() != Some(run) {
        end(world, run, Some(how));
    }
}

fn end(world: &mut World, run: usize, how: Closed) {
    let row = &mut world.rows[run];
    world.notes.ended_twice |= matches!(row.state, RowState::Ended(_));
    row.fence += i64::from(how.is_some());
    row.state = RowState::Ended(how);
}
