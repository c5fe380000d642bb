//! Scripted faults: which calls they hit, and their effects.

mod examples;
mod page;
mod record;
mod response;
mod rules;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use page::{apply_page_faults, listing_override};
pub use record::RecordDefect;
pub(super) use response::{LOGIN_PAGE, override_response, reject_overload, rewrite_body};
pub(super) use rules::{Hit, RuleSet};
pub use rules::{Rule, RuleState};

/// The shape of an error under HTTP 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorShape {
    /// `{"data":null,"error":{"code":500,…}}`
    Nqs,
    /// `{"success":false,"error":{"code":"INTERNAL_ERROR",…}}`
    Tmq,
    /// The data and an error beside it.
    Both,
}

/// How the length of a truncated body is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CutLength {
    /// The `Content-Length` of the sent bytes: only the JSON is broken.
    Right,
    /// The `Content-Length` of the whole body; the connection closes early.
    Wrong,
    /// Chunked; the last chunk is missing.
    Chunked,
}

/// A fault of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Fault {
    /// The response is delayed. Several latencies add up.
    Latency {
        /// The delay.
        ms: u64,
    },
    /// Another status. Without a body, the endpoint's error envelope.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body: `application/json` if it begins with a brace, else `text/plain`.
        #[serde(default)]
        body: Option<String>,
    },
    /// 429 with `Retry-After`.
    Throttle {
        /// The time to wait.
        seconds: u64,
        /// Whether it is an HTTP date instead of a number.
        #[serde(default)]
        as_date: bool,
    },
    /// Rejects calls at once, without latency, while `limit` calls are in flight.
    Overload {
        /// The number of calls that are served concurrently.
        limit: usize,
        /// The status of rejected calls, such as 429 or 503.
        status: u16,
        /// Their `Retry-After`, if any.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The connection is reset (RST).
    Reset {
        /// After this many bytes of the body; `None`: before the headers.
        #[serde(default)]
        after_bytes: Option<usize>,
    },
    /// The body is sent in small chunks.
    SlowBody {
        /// Bytes per chunk.
        chunk: usize,
        /// The pause between two chunks.
        every_ms: u64,
    },
    /// The response hangs until [`release_hanging`](super::Simulator::release_hanging), or until the simulator stops.
    Hang {
        /// After the call took effect and this many bytes of the body were sent; `None`: before the call takes effect.
        #[serde(default)]
        after_bytes: Option<usize>,
    },
    /// The body is truncated and the connection closed.
    Cut {
        /// The number of bytes sent.
        bytes: usize,
        /// How the headers announce the length.
        length: CutLength,
    },
    /// The page has fewer rows than requested; the next page starts where it ends.
    ShortPage {
        /// The number of rows on the page.
        items: usize,
    },
    /// The page has no rows and is otherwise valid.
    EmptyPage,
    /// The list itself is missing.
    MissingItems,
    /// `totalCount` is missing.
    NoTotal,
    /// `totalCount` is wrong.
    WrongTotal {
        /// The error.
        by: i64,
        /// The growth of the error with each response.
        #[serde(default)]
        step: i64,
    },
    /// The first rows of the page replace its last ones; count and total stay valid.
    RepeatRows {
        /// The number of rows.
        rows: usize,
        /// Whether the copies differ in name, status and time of update.
        #[serde(default)]
        different: bool,
    },
    /// The first rows of the page are missing. A client that advances by the received rows gets the last ones twice.
    DropRows {
        /// The number of rows.
        rows: usize,
    },
    /// The rows of another offset, reported as the requested one.
    OtherPage {
        /// The real offset.
        offset: usize,
    },
    /// The listing of another region, as from a cache with a wrong key.
    OtherRegion {
        /// The other region.
        region: i64,
    },
    /// The page has at least this many rows, however few were requested.
    LongPage {
        /// The number of rows.
        items: usize,
    },
    /// Devices of all kinds, whatever was requested.
    AnyKind,
    /// The first rows of the list are missing, and total, offsets and pages are consistent with that.
    Hide {
        /// The number of rows.
        rows: usize,
    },
    /// `offset` is wrong.
    WrongOffset {
        /// The error.
        by: i64,
    },
    /// `count` is wrong.
    WrongCount {
        /// The error.
        by: i64,
    },
    /// `count`, `offset` and `totalCount` are strings.
    NumbersAsText,
    /// One record of the page is defective.
    Record {
        /// The defect.
        #[serde(rename = "blemish")]
        defect: RecordDefect,
        /// The index on the page.
        #[serde(default)]
        at: usize,
        /// The size, for defects that have one.
        #[serde(default)]
        size: Option<usize>,
    },
    /// HTTP 200 with an error in the body.
    ErrorUnder200 {
        /// The shape.
        shape: ErrorShape,
    },
    /// HTTP 200 with a login page.
    Html,
    /// 302 redirect.
    Redirect {
        /// The location; default `/login` of the simulator, a login page.
        #[serde(default)]
        to: Option<String>,
    },
    /// The session of this call expires: 401 until the next login or refresh.
    Expire,
    /// A login response with 200 and no tokens.
    Challenge {
        /// The demanded action; default `NEW_PASSWORD_REQUIRED`.
        #[serde(default)]
        result: Option<String>,
    },
    /// The body is padded, in valid JSON.
    HugeBody {
        /// The number of padding bytes.
        bytes: usize,
    },
    /// A list that never ends.
    EndlessBody,
    /// A compressed body, whether or not the client accepts it.
    Gzip,
    /// A byte-order mark before the JSON.
    ByteOrderMark,
    /// Non-ASCII letters in ISO 8859-1, which is invalid in JSON.
    Latin1,
    /// Another `Content-Type`.
    ContentType {
        /// The media type.
        name: String,
    },
}

/// The sum of a call's latencies.
pub(super) fn latency(hits: &[Hit]) -> Duration {
    let each = hits.iter().map(|hit| match hit.fault {
        Fault::Latency { ms } => Duration::from_millis(ms),
        _ => Duration::ZERO,
    });
    each.sum()
}
