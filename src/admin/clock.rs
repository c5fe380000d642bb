//! The clock of the admin API.

use jiff::Timestamp;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this API that reads the clock: responses say how long ago something was, and sessions end"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
