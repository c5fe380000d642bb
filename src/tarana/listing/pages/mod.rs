//! Reads one list page by page.

mod counted;
mod incomplete;
mod tracker;
mod uncounted;

pub(super) use self::counted::{CountedPages, read_counted, read_first_page};
pub(super) use self::incomplete::{MAX_REREADS, incomplete};
pub(super) use self::tracker::ListShape;
pub(super) use self::uncounted::{UncountedPages, read_first_rows, read_uncounted};
