//! The clock of the controller.

use k8s_openapi::jiff::Timestamp;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this controller that reads the clock"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
