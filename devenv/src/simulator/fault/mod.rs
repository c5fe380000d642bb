//! Faults by script: which calls are hit, and by what.

mod examples;
mod page;
mod record;
mod script;
mod text;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use page::{instead, spoil};
pub use record::Blemish;
pub(super) use script::{Hit, Script};
pub use script::{Rule, RuleState};
pub(super) use text::{LOGIN_PAGE, early_answer, overload, rewrite};

/// Which variant an error under HTTP 200 takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorShape {
    /// `{"data":null,"error":{"code":500,…}}`
    Nqs,
    /// `{"success":false,"error":{"code":"INTERNAL_ERROR",…}}`
    Tmq,
    /// The true answer, with an error beside it.
    Both,
}

/// What a body that was cut says of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CutLength {
    /// `Content-Length` of what is really sent: only the JSON is broken.
    Right,
    /// `Content-Length` of the whole; the connection is closed before.
    Wrong,
    /// No length; the last chunk never comes.
    Chunked,
}

/// Something that goes wrong with one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Fault {
    /// The answer comes later. Several add up.
    Latency {
        /// How much later.
        ms: u64,
    },
    /// Another status. Without a body, the error envelope of the endpoint.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body: `application/json` if it begins with a brace, else `text/plain`.
        #[serde(default)]
        body: Option<String>,
    },
    /// 429 with `Retry-After`.
    Throttle {
        /// How long to wait.
        seconds: u64,
        /// As an HTTP date instead of a number.
        #[serde(default)]
        as_date: bool,
    },
    /// Refuses at once, without latency, who comes while `limit` calls are being served.
    Overload {
        /// How many are served at once.
        limit: usize,
        /// What the others get, such as 429 or 503.
        status: u16,
        /// Their `Retry-After`, if they get one.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The connection is reset (RST).
    Reset {
        /// After so many bytes of the body; none: before the headers.
        #[serde(default)]
        after_bytes: Option<usize>,
    },
    /// The body comes in small pieces.
    SlowBody {
        /// Bytes in a piece.
        chunk: usize,
        /// Pause between two pieces.
        every_ms: u64,
    },
    /// Nothing more comes until [`release`](super::Simulator::release), or until the simulator stops.
    Hang {
        /// After the call took effect and so many bytes of the body were sent; none: before it is even looked at.
        #[serde(default)]
        after_bytes: Option<usize>,
    },
    /// Only the first bytes of the body come, and the connection is closed politely.
    Cut {
        /// How many.
        bytes: usize,
        /// What the headers say of it.
        length: CutLength,
    },
    /// The page has fewer rows than asked; the next one begins where it ends.
    ShortPage {
        /// How many are left.
        items: usize,
    },
    /// No rows, with everything else in order.
    EmptyPage,
    /// The list itself is not there.
    MissingItems,
    /// `totalCount` is not there.
    NoTotal,
    /// `totalCount` is wrong.
    WrongTotal {
        /// By so many.
        by: i64,
        /// And by so many more each time.
        #[serde(default)]
        step: i64,
    },
    /// The first rows of the page come again in place of its last ones; number and total look right.
    RepeatRows {
        /// How many.
        rows: usize,
        /// With another name, status and time of update.
        #[serde(default)]
        different: bool,
    },
    /// The first rows of the page are left out; who goes by the rows received sees the last ones twice instead.
    DropRows {
        /// How many.
        rows: usize,
    },
    /// Rows from another place of the list, said to be from where it was asked.
    OtherPage {
        /// Where they really begin.
        offset: usize,
    },
    /// What another region's listing would say to the same question, as a cache gives that forgot the region.
    OtherRegion {
        /// Which one's.
        region: i64,
    },
    /// At least so many rows, however few were asked for.
    LongPage {
        /// How many.
        items: usize,
    },
    /// Devices of all kinds, whichever were asked for.
    AnyKind,
    /// The list lacks its first rows, and its total, offsets and pages agree on that.
    Hide {
        /// How many.
        rows: usize,
    },
    /// `offset` is not where the page begins.
    WrongOffset {
        /// By so many.
        by: i64,
    },
    /// `count` is not how many rows the page has.
    WrongCount {
        /// By so many.
        by: i64,
    },
    /// `count`, `offset` and `totalCount` are texts.
    NumbersAsText,
    /// One row of the page is not as it should be.
    Record {
        /// What is wrong with it.
        blemish: Blemish,
        /// Its place on the page.
        #[serde(default)]
        at: usize,
        /// Of the blemishes that have a size.
        #[serde(default)]
        size: Option<usize>,
    },
    /// HTTP 200 with an error in the body.
    ErrorUnder200 {
        /// In which shape.
        shape: ErrorShape,
    },
    /// HTTP 200 with a login page.
    Html,
    /// 302 to a login page.
    Redirect {
        /// Where to; else `/login` of the simulator, which answers with the page.
        #[serde(default)]
        to: Option<String>,
    },
    /// The session of this call is over: 401 until the next login or refresh.
    Expire,
    /// 200 without tokens.
    Challenge {
        /// What the vendor asks for; else `NEW_PASSWORD_REQUIRED`.
        #[serde(default)]
        result: Option<String>,
    },
    /// So many bytes more than there is to say, in valid JSON.
    HugeBody {
        /// How many.
        bytes: usize,
    },
    /// A list that begins and never ends.
    EndlessBody,
    /// Compressed, whether or not the client said that it takes that.
    Gzip,
    /// A byte-order mark before the JSON.
    ByteOrderMark,
    /// Letters beyond ASCII as one byte each (ISO 8859-1), which no JSON has.
    Latin1,
    /// Another `Content-Type` than that of JSON.
    ContentType {
        /// Which one.
        name: String,
    },
}

/// All latencies of a call together.
pub(super) fn latency(hits: &[Hit]) -> Duration {
    let each = hits.iter().map(|hit| match hit.fault {
        Fault::Latency { ms } => Duration::from_millis(ms),
        _ => Duration::ZERO,
    });
    each.sum()
}
