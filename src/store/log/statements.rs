//! The statements that write a log row, for the probe, which plans them.

use super::{close, complete, open, progress};
use crate::store::statement::Planned;

/// In the order in which a run executes them.
pub(in crate::store) fn statements() -> Vec<Planned> {
    let run = "uuid text uuid text text text uuid text bool bool uuid";
    vec![
        Planned::new(open::INSERT, run),
        Planned::new(open::TAKE, "uuid int"),
        Planned::new(progress::HEARTBEAT, "uuid bigint bigint jsonb"),
        Planned::new(progress::RECORD_FAILURE, "uuid bigint text jsonb"),
        Planned::new(
            complete::update_sql(),
            "uuid text text int int int int int int int jsonb text text jsonb int",
        ),
        Planned::new(close::update_sql(), "text text text int uuid bigint bigint jsonb"),
    ]
}
