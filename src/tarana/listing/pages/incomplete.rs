//! The fault of a list that is not complete.

use crate::fault::{Fault, Reason};

/// How often a list that does not add up is read again before the attempt fails.
pub(crate) const MAX_REREADS: u32 = 2;

/// Why a list is not complete, for users.
pub(super) type Gap = String;

/// `list` is not complete. The next attempt may succeed.
pub(crate) fn incomplete(list: &str, gap: &str) -> Fault {
    Fault::new(
        Reason::FetchIncomplete,
        format!("{list} is incomplete: {gap}; nothing was written"),
    )
}

/// Adds the list to the fault of one of its pages.
pub(super) fn while_reading(mut fault: Fault, list: &str) -> Fault {
    fault.message = format!("{} (while reading {list})", fault.message);
    fault
}
