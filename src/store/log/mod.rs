//! The life cycle of a run's log row in `tarana_sync_logs`.
//!
//! ```text
//! register ─▶ pending ── open ─▶ running ─┬─ Apply::finish (complete) ─▶ completed
//!                          ▲              ├─ close ─▶ failed, cancelled
//!                          │   heartbeat, │
//!                     next attempt ◀──────┴─ record_failure          sweep ─▶ failed (Abandoned)
//! ```
//!
//! The row's id is the uid of the `TaranaSync`, so every write is idempotent. `open` admits one running row per
//! connection (a unique index) and returns the fence: a number that increases each time a process takes the run.
//! A process with an older fence is refused with `Superseded`.

mod attempts;
mod close;
mod closed_row;
mod complete;
mod counts;
mod errors;
mod history;
mod moments;
mod open;
mod progress;
mod reading;
mod run_info;
mod spans;
mod statements;
mod sweep;
mod text;

pub use attempts::{FailedAttempt, attempt_message};
pub use close::CloseRequest;
pub use closed_row::{ClosedRow, Outcome};
pub use history::{LoggedRun, RunOrder, RunQuery, TableSummary};
pub use moments::{MomentQuery, RunMoment};
pub use open::{OpenResult, OpenedRow};
pub use reading::LastReading;
pub use run_info::{RunInfo, Trigger};
pub use spans::{MAX_SPANS, Span, SpanKind, WaitCause, push_span};
pub use sweep::{AbandonedRow, SweepScope, Swept, SweptEnd};

pub(super) use closed_row::find as find_closed;
pub(super) use complete::complete;
pub(super) use open::superseded;
pub(super) use statements::statements;
pub(super) use text::without_nul;
