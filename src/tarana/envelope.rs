//! Pure: what is around an answer. One decoder for every variant that the API has been seen to use.
//!
//! | variant | read as |
//! |---|---|
//! | `{"data":T,"error":null}`, `{"version":…,"data":T}` | the data |
//! | `{"data":null,"error":{…}}`, `{"success":false,"error":{…}}` | a refusal with its code, whatever the HTTP status said |
//! | `{"data":{"items":[…],"count":n,"offset":n,"totalCount":n}}` | a [`Page`], each item on its own |
//! | anything else | not an envelope |

use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::scalar;

/// More rows than any page has: a body of many tiny ones would take many times its own size.
const MAX_ITEMS: usize = 100_000;
/// A body with more bytes than this that are no UTF-8 is no text at all; each costs some memory.
const MAX_BROKEN: usize = 10_000;

/// Why an answer gave no data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is no JSON at all.
    NotJson,
    /// It begins as JSON and breaks off.
    CutOff,
    /// It is JSON of another shape; says which.
    Shape(String),
    /// The API says itself that it failed, with its code if it gave one.
    Refused(Option<Code>),
}

/// The `code` of an error envelope: a status in some services, a word in others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Like an HTTP status.
    Status(u16),
    /// Like `INVALID_FILTER`; upper case, and nothing but letters, digits and underscores.
    Word(String),
}

/// A part of a list.
#[derive(Debug)]
pub(super) struct Page<R> {
    /// Every item, in its order: also those that are of no use.
    pub(super) rows: Vec<R>,
    /// Rows in the whole list.
    pub(super) total: u64,
    /// Where this page says that it begins.
    pub(super) offset: Option<u64>,
    /// How many rows this page says that it has.
    pub(super) count: Option<u64>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    success: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Error<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Option<Items<'a>>,
    #[serde(borrow)]
    count: Option<&'a RawValue>,
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow, rename = "totalCount")]
    total: Option<&'a RawValue>,
}

/// The items of a list, as far as they are read.
struct Items<'a> {
    rows: Vec<&'a RawValue>,
    /// There were more.
    more: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut rows = Vec::new();
                while rows.len() < MAX_ITEMS {
                    match list.next_element()? {
                        Some(row) => rows.push(row),
                        None => return Ok(Items { rows, more: false }),
                    }
                }
                let mut more = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    more = true;
                }
                Ok(Items { rows, more })
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// A body as text. What is not UTF-8 becomes an escape that no text can hold (half a surrogate pair): only the very string
/// with the bad byte cannot be decoded then, and everything around it can. With too many of those it is no text, and an
/// empty one stands for it. A byte-order mark is dropped.
pub(super) fn text(body: Vec<u8>) -> String {
    let mut text = String::from_utf8(body).unwrap_or_else(|broken| repaired(broken.as_bytes()));
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text
}

fn repaired(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    let mut broken = 0;
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            broken += 1;
            text.push_str("\\ud800");
        }
        if broken > MAX_BROKEN {
            return String::new();
        }
    }
    text
}

/// Takes the data out of its envelope.
pub(super) fn data(body: &str) -> Result<&RawValue, Problem> {
    let envelope: Envelope<'_> = object(body).map_err(|e| unreadable(body, e.as_ref()))?;
    let failed = envelope.success.is_some_and(|s| s.get() == "false");
    match (envelope.error, envelope.data) {
        (Some(error), _) => Err(Problem::Refused(code(error.get()))),
        (None, _) if failed => Err(Problem::Refused(None)),
        (None, Some(data)) => Ok(data),
        (None, None) => Err(Problem::Shape("`data` is missing".into())),
    }
}

/// What is wrong with a body that is no envelope.
fn unreadable(body: &str, error: Option<&serde_json::Error>) -> Problem {
    match error {
        Some(e) if e.is_eof() => Problem::CutOff,
        Some(e) if e.is_data() => Problem::Shape("its envelope".into()),
        None if serde_json::from_str::<&RawValue>(body).is_ok() => {
            Problem::Shape("it is not an object".into())
        }
        _ => Problem::NotJson,
    }
}

/// Reads a list, each of its items by `read`, which cannot fail: a bad item is a row too.
pub(super) fn page<R>(data: &RawValue, read: impl Fn(&str) -> R) -> Result<Page<R>, String> {
    let list: List<'_> = object(data.get()).map_err(|_| "`data` is not a list with items")?;
    let items = list.items.ok_or("`data.items` is missing")?;
    if items.more {
        return Err(format!("a page has more than {MAX_ITEMS} rows"));
    }
    let number = |raw: Option<&RawValue>| {
        raw.and_then(|r| scalar::integer(r.get()))
            .and_then(|n| u64::try_from(n).ok())
    };
    Ok(Page {
        rows: items.rows.into_iter().map(|item| read(item.get())).collect(),
        total: number(list.total).ok_or("`data.totalCount` is missing or not a number")?,
        offset: number(list.offset),
        count: number(list.count),
    })
}

/// Reads a JSON object. Serde would take an array for a struct as well, field by field; the vendor never means that.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Option<serde_json::Error>> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(Some)
    } else {
        Err(None)
    }
}

/// The code of an error, cleaned: it goes into messages.
fn code(error: &str) -> Option<Code> {
    let error: Error<'_> = object(error).ok()?;
    let raw = error.code?.get();
    let text: String = match serde_json::from_str(raw) {
        Ok(text) => text,
        Err(_) => raw.to_owned(),
    };
    if let Ok(status) = text.parse() {
        return Some(Code::Status(status));
    }
    let word =
        !text.is_empty() && text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    word.then(|| Code::Word(text.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::{Code, MAX_BROKEN, MAX_ITEMS, Problem, data, page, text};

    #[test]
    fn every_variant() {
        let word = |w: &str| Problem::Refused(Some(Code::Word(w.into())));
        for (body, want) in [
            (r#"{"data":[1],"error":null}"#, Ok("[1]")),
            (
                r#"{"version":"1.0","name":"x","data":{"devices":[]}}"#,
                Ok(r#"{"devices":[]}"#),
            ),
            (r#"{"data":{},"success":true}"#, Ok("{}")),
            (
                r#"{"data":null,"error":{"code":404,"message":"m"}}"#,
                Err(Problem::Refused(Some(Code::Status(404)))),
            ),
            (
                r#"{"data":[1],"error":{"code":"500"}}"#,
                Err(Problem::Refused(Some(Code::Status(500)))),
            ),
            (
                r#"{"success":false,"error":{"code":"INVALID_FILTER"}}"#,
                Err(word("INVALID_FILTER")),
            ),
            (
                r#"{"error":{"code":"a b <script>"}}"#,
                Err(Problem::Refused(None)),
            ),
            (r#"{"error":"no"}"#, Err(Problem::Refused(None))),
            (r#"{"success":false,"data":[]}"#, Err(Problem::Refused(None))),
            (
                r#"{"data":null,"error":null}"#,
                Err(Problem::Shape("`data` is missing".into())),
            ),
            ("[1,null,null]", Err(Problem::Shape("it is not an object".into()))),
            ("<html>", Err(Problem::NotJson)),
            ("", Err(Problem::NotJson)),
            (r#"{"data":[1,"#, Err(Problem::CutOff)),
            (r#"{"data":[1]} x"#, Err(Problem::NotJson)),
        ] {
            assert_eq!(data(body).map(serde_json::value::RawValue::get), want, "{body}");
        }
    }

    #[test]
    fn a_bad_item_is_one_row() {
        let body = br#"{"data":{"items":[1e400,null,"\ud800",{"a":"#.to_vec();
        let body = [
            body,
            b"\"\xff\"".to_vec(),
            br#"}],"count":4,"offset":0,"totalCount":"4"}}"#.to_vec(),
        ]
        .concat();
        let body = text(body);
        let page = page(data(&body).unwrap(), str::to_owned).unwrap();
        assert_eq!(page.rows, ["1e400", "null", r#""\ud800""#, r#"{"a":"\ud800"}"#]);
        assert_eq!((page.total, page.count, page.offset), (4, Some(4), Some(0)));
    }

    #[test]
    fn a_list_without_items_or_total_is_none() {
        for list in [
            r#"{"count":0,"totalCount":0}"#,
            r#"{"items":[]}"#,
            r#"{"items":{},"totalCount":0}"#,
            "[]",
            "7",
        ] {
            let body = format!(r#"{{"data":{list}}}"#);
            assert!(page(data(&body).unwrap(), |_| ()).is_err(), "{list}");
        }
    }

    #[test]
    fn a_page_of_too_many_rows_is_not_read() {
        let list = |rows: usize| format!(r#"{{"items":[{}0],"totalCount":1}}"#, "0,".repeat(rows - 1));
        let read = |rows| {
            let body = format!(r#"{{"data":{}}}"#, list(rows));
            page(data(&body).unwrap(), |_| ()).map(|page| page.rows.len())
        };
        assert_eq!(read(MAX_ITEMS), Ok(MAX_ITEMS));
        assert_eq!(
            read(MAX_ITEMS + 1),
            Err("a page has more than 100000 rows".into())
        );
    }

    #[test]
    fn what_is_mostly_broken_is_no_text() {
        assert_eq!(text(vec![0xff; MAX_BROKEN]).len(), 6 * MAX_BROKEN);
        assert_eq!(text(vec![0xff; MAX_BROKEN + 1]), "");
    }

    #[test]
    fn a_byte_order_mark_is_dropped() {
        assert_eq!(text(b"\xef\xbb\xbf{}".to_vec()), "{}");
    }
}
