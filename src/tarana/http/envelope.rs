//! Pure: unwraps an answer. One decoder for every envelope that the API has been seen to use.
//!
//! | variant | read as |
//! |---|---|
//! | `{"data":T,"error":null}`, `{"version":…,"data":T}` | the data |
//! | `{"data":null,"error":{…}}`, `{"success":false,"error":{…}}` | [`EnvelopeError::ApiError`] with its code, whatever the HTTP status |
//! | `{"data":{"items":[…],"count":n,"offset":n,"totalCount":n}}` | a [`Page`]; each item is decoded on its own |
//! | anything else | not an envelope |

use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::tarana::scalar;

/// Most rows on a page. A body of more tiny rows would take many times its size in memory.
const MAX_ITEMS: usize = 100_000;
/// Most invalid UTF-8 sequences in a body. Each replacement takes memory.
const MAX_INVALID_SEQUENCES: usize = 10_000;

/// Why an answer has no data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeError {
    /// It is not JSON.
    NotJson,
    /// It starts as JSON and ends early.
    Truncated,
    /// It is JSON of an unexpected shape, which the text describes.
    UnexpectedShape(String),
    /// The API reports an error, with its code if there is one.
    ApiError(Option<ErrorCode>),
}

/// The `code` of an error envelope: an HTTP status in some services, a name in others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// A number like an HTTP status.
    Status(u16),
    /// Like `INVALID_FILTER`: upper-case letters, digits and underscores.
    Name(String),
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page<R> {
    /// Every item in its order, including unusable ones.
    pub(crate) rows: Vec<R>,
    /// Rows in the whole list.
    pub(crate) total: u64,
    /// The row at which the page says it begins.
    pub(crate) offset: Option<u64>,
    /// How many rows the page says it has.
    pub(crate) count: Option<u64>,
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

/// The items of a list, up to [`MAX_ITEMS`].
struct Items<'a> {
    rows: Vec<&'a RawValue>,
    /// The list has more items.
    has_more: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut rows = Vec::new();
                while rows.len() < MAX_ITEMS {
                    match list.next_element()? {
                        Some(row) => rows.push(row),
                        None => {
                            return Ok(Items {
                                rows,
                                has_more: false,
                            });
                        }
                    }
                }
                let mut has_more = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    has_more = true;
                }
                Ok(Items { rows, has_more })
            }
        }
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

/// Decodes a body as UTF-8 without its byte-order mark. An invalid sequence becomes an escaped lone surrogate, so that only
/// the string around it fails to decode. With too many invalid sequences the text is empty.
pub(crate) fn decode_text(body: Vec<u8>) -> String {
    let mut text = String::from_utf8(body).unwrap_or_else(|error| replace_invalid(error.as_bytes()));
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text
}

fn replace_invalid(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    let mut invalid = 0;
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            invalid += 1;
            text.push_str("\\ud800");
        }
        if invalid > MAX_INVALID_SEQUENCES {
            return String::new();
        }
    }
    text
}

/// Takes the data out of its envelope.
pub(crate) fn extract_data(body: &str) -> Result<&RawValue, EnvelopeError> {
    let envelope: Envelope<'_> = parse_object(body).map_err(|e| parse_error(body, e.as_ref()))?;
    let failed = envelope.success.is_some_and(|s| s.get() == "false");
    match (envelope.error, envelope.data) {
        (Some(error), _) => Err(EnvelopeError::ApiError(error_code(error.get()))),
        (None, _) if failed => Err(EnvelopeError::ApiError(None)),
        (None, Some(data)) => Ok(data),
        (None, None) => Err(EnvelopeError::UnexpectedShape("`data` is missing".into())),
    }
}

/// Why a body is not an envelope.
fn parse_error(body: &str, error: Option<&serde_json::Error>) -> EnvelopeError {
    match error {
        Some(e) if e.is_eof() => EnvelopeError::Truncated,
        Some(e) if e.is_data() => EnvelopeError::UnexpectedShape("its envelope".into()),
        None if serde_json::from_str::<&RawValue>(body).is_ok() => {
            EnvelopeError::UnexpectedShape("it is not an object".into())
        }
        _ => EnvelopeError::NotJson,
    }
}

/// Parses a page of a list and decodes each item by `read`, which cannot fail: a bad item is a row too.
pub(crate) fn parse_page<R>(data: &RawValue, read: impl Fn(&str) -> R) -> Result<Page<R>, String> {
    let list: List<'_> = parse_object(data.get()).map_err(|_| "`data` is not a list with items")?;
    let items = list.items.ok_or("`data.items` is missing")?;
    if items.has_more {
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

/// Parses a JSON object. Serde also accepts an array for a struct, field by field; that is an error here.
pub(crate) fn parse_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Option<serde_json::Error>> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(Some)
    } else {
        Err(None)
    }
}

/// The code of an error. Other texts are dropped, because the code goes into messages.
fn error_code(error: &str) -> Option<ErrorCode> {
    let error: Error<'_> = parse_object(error).ok()?;
    let raw = error.code?.get();
    let text: String = match serde_json::from_str(raw) {
        Ok(text) => text,
        Err(_) => raw.to_owned(),
    };
    if let Ok(status) = text.parse() {
        return Some(ErrorCode::Status(status));
    }
    let is_name =
        !text.is_empty() && text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then(|| ErrorCode::Name(text.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::{
        EnvelopeError, ErrorCode, MAX_INVALID_SEQUENCES, MAX_ITEMS, decode_text, extract_data, parse_page,
    };

    #[test]
    fn every_envelope_variant() {
        let named = |name: &str| EnvelopeError::ApiError(Some(ErrorCode::Name(name.into())));
        for (body, want) in [
            (r#"{"data":[1],"error":null}"#, Ok("[1]")),
            (
                r#"{"version":"1.0","name":"x","data":{"devices":[]}}"#,
                Ok(r#"{"devices":[]}"#),
            ),
            (r#"{"data":{},"success":true}"#, Ok("{}")),
            (
                r#"{"data":null,"error":{"code":404,"message":"m"}}"#,
                Err(EnvelopeError::ApiError(Some(ErrorCode::Status(404)))),
            ),
            (
                r#"{"data":[1],"error":{"code":"500"}}"#,
                Err(EnvelopeError::ApiError(Some(ErrorCode::Status(500)))),
            ),
            (
                r#"{"success":false,"error":{"code":"INVALID_FILTER"}}"#,
                Err(named("INVALID_FILTER")),
            ),
            (
                r#"{"error":{"code":"a b <script>"}}"#,
                Err(EnvelopeError::ApiError(None)),
            ),
            (r#"{"error":"no"}"#, Err(EnvelopeError::ApiError(None))),
            (
                r#"{"success":false,"data":[]}"#,
                Err(EnvelopeError::ApiError(None)),
            ),
            (
                r#"{"data":null,"error":null}"#,
                Err(EnvelopeError::UnexpectedShape("`data` is missing".into())),
            ),
            (
                "[1,null,null]",
                Err(EnvelopeError::UnexpectedShape("it is not an object".into())),
            ),
            ("<html>", Err(EnvelopeError::NotJson)),
            ("", Err(EnvelopeError::NotJson)),
            (r#"{"data":[1,"#, Err(EnvelopeError::Truncated)),
            (r#"{"data":[1]} x"#, Err(EnvelopeError::NotJson)),
        ] {
            assert_eq!(
                extract_data(body).map(serde_json::value::RawValue::get),
                want,
                "{body}"
            );
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
        let body = decode_text(body);
        let page = parse_page(extract_data(&body).unwrap(), str::to_owned).unwrap();
        assert_eq!(page.rows, ["1e400", "null", r#""\ud800""#, r#"{"a":"\ud800"}"#]);
        assert_eq!((page.total, page.count, page.offset), (4, Some(4), Some(0)));
    }

    #[test]
    fn a_list_without_items_or_total_is_an_error() {
        for list in [
            r#"{"count":0,"totalCount":0}"#,
            r#"{"items":[]}"#,
            r#"{"items":{},"totalCount":0}"#,
            "[]",
            "7",
        ] {
            let body = format!(r#"{{"data":{list}}}"#);
            assert!(
                parse_page(extract_data(&body).unwrap(), |_| ()).is_err(),
                "{list}"
            );
        }
    }

    #[test]
    fn a_page_of_too_many_rows_is_an_error() {
        let list = |rows: usize| format!(r#"{{"items":[{}0],"totalCount":1}}"#, "0,".repeat(rows - 1));
        let read = |rows| {
            let body = format!(r#"{{"data":{}}}"#, list(rows));
            parse_page(extract_data(&body).unwrap(), |_| ()).map(|page| page.rows.len())
        };
        assert_eq!(read(MAX_ITEMS), Ok(MAX_ITEMS));
        assert_eq!(
            read(MAX_ITEMS + 1),
            Err("a page has more than 100000 rows".into())
        );
    }

    #[test]
    fn a_body_with_too_many_invalid_sequences_is_empty() {
        assert_eq!(
            decode_text(vec![0xff; MAX_INVALID_SEQUENCES]).len(),
            6 * MAX_INVALID_SEQUENCES
        );
        assert_eq!(decode_text(vec![0xff; MAX_INVALID_SEQUENCES + 1]), "");
    }

    #[test]
    fn a_byte_order_mark_is_dropped() {
        assert_eq!(decode_text(b"\xef\xbb\xbf{}".to_vec()), "{}");
    }
}
