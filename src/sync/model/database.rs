//! The database of the model: one function per statement of `crate::store`. Rules that exist only in SQL or in an index are
//! named in the comments.
//!
//! Each function is one atomic transaction, except Apply, which holds the locks on the table and on the row of its run from
//! [`begin`] to [`commit`]. A statement that needs that row gets [`Answer::Blocked`].

use super::definition::{Rule, Rules};
use super::values::{Closed, InternedTermination, Second};
use super::world::{RowState, World};

/// The answer to a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Done; with the new fence, if there is one.
    Done(i64),
    /// Another run of the connection is running.
    Busy,
    /// The run has ended.
    Closed(Closed),
    /// There is a newer fence, or the run has ended.
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
pub(super) fn open(world: &mut World, rules: Rules, run: usize, now: Second) -> Answer {
    let running = |w: &World, r: usize| w.rows[r].state == RowState::Running;
    if rules.is_enabled(Rule::OneRunning) && (0..world.rows.len()).any(|r| r != run && running(world, r)) {
        return Answer::Busy;
    }
    if world.applying() == Some(run) {
        return Answer::Blocked;
    }
    register(world, run);
    let row = &mut world.rows[run];
    if let RowState::Closed(closed) = row.state {
        return Answer::Closed(closed);
    }
    (row.state, row.fence, row.heartbeat) = (RowState::Running, row.fence + 1, now);
    Answer::Done(row.fence)
}

/// `Store::heartbeat` and `Store::record_failure`: `WHERE id = $1 AND fence = $2 AND status = 'running'`.
pub(super) fn alive(world: &mut World, rules: Rules, run: usize, fence: i64, now: Second) -> Answer {
    if world.applying() == Some(run) {
        return Answer::Blocked;
    }
    let row = &mut world.rows[run];
    if row.state != RowState::Running || (rules.is_enabled(Rule::Fence) && row.fence != fence) {
        return Answer::Superseded;
    }
    world.history.fenced_row |= row.fence != fence;
    row.heartbeat = now;
    Answer::Done(fence)
}

/// `Store::time_since_heartbeat`: takes no lock, so it never waits.
pub(super) fn heartbeat(world: &World, run: usize) -> Option<Second> {
    (world.rows[run].fence > 0).then_some(world.rows[run].heartbeat)
}

/// `Store::begin_apply`: `LOCK TABLE … IN SHARE ROW EXCLUSIVE MODE`, `SELECT fence IS NOT DISTINCT FROM $2 AND
/// status = 'running' … FOR UPDATE`.
pub(super) fn begin(world: &World, rules: Rules, run: usize, fence: i64) -> Answer {
    if world.applying().is_some() {
        return Answer::Blocked;
    }
    let row = &world.rows[run];
    match row.state {
        RowState::Running if row.fence == fence || !rules.is_enabled(Rule::Fence) => Answer::Done(fence),
        RowState::Closed(closed) => Answer::Closed(closed),
        _ => Answer::Superseded,
    }
}

/// `Apply::finish`: table, change rows, log row and event in one COMMIT. The locks guarantee that nothing has changed
/// since [`begin`].
pub(super) fn commit(world: &mut World, run: usize, fence: i64) -> Closed {
    world.history.fenced_row |= world.rows[run].fence != fence;
    world.history.applied[run] += 1;
    end(world, run, None);
    None
}

/// `Store::close`: `WHERE status IN ('pending', 'running') AND coalesce(fence = $6, $6 IS NULL)`; the fence increases.
/// Without a fence it registers first: a run that was never opened leaves a row as well.
pub(super) fn close(
    world: &mut World,
    rules: Rules,
    run: usize,
    how: InternedTermination,
    fence: Option<i64>,
) -> Answer {
    if world.applying() == Some(run) {
        return Answer::Blocked;
    }
    if fence.is_none() {
        register(world, run);
    }
    let row = world.rows[run];
    match row.state {
        RowState::Closed(closed) => return Answer::Closed(closed),
        RowState::Absent => return Answer::Superseded,
        RowState::Pending | RowState::Running => {}
    }
    let fenced = fence.is_some_and(|f| f != row.fence);
    if fenced && rules.is_enabled(Rule::Fence) {
        return Answer::Superseded;
    }
    world.history.fenced_row |= fenced;
    end(world, run, Some(how));
    Answer::Closed(Some(how))
}

/// `Store::sweep`: `FOR UPDATE SKIP LOCKED`.
pub(super) fn sweep(world: &mut World, run: usize, how: InternedTermination) {
    let open = matches!(world.rows[run].state, RowState::Pending | RowState::Running);
    if open && world.applying() != Some(run) {
        end(world, run, Some(how));
    }
}

fn end(world: &mut World, run: usize, how: Closed) {
    let row = &mut world.rows[run];
    world.history.closed_twice |= matches!(row.state, RowState::Closed(_));
    row.fence += i64::from(how.is_some());
    row.state = RowState::Closed(how);
}
