//! Pure: parses single JSON values tolerantly, with strict limits on the result.
//!
//! Values are raw JSON text that is known to be well-formed. A value that cannot be decoded (a lone surrogate, 1e400) makes
//! its record unusable; one of another type or range is only unusable itself.

use std::borrow::Cow;

/// Longest text. Longer ones are mistakes, and many of them would exhaust the memory.
const MAX_TEXT: usize = 4096;

/// Why a value has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It cannot be decoded.
    Undecodable,
    /// It has an unusable type or range; the text says why without quoting the value.
    Unusable(&'static str),
}

use Flaw::{Undecodable, Unusable};

/// The result of parsing a value; `None` for null.
pub(super) type Parsed<T> = Result<Option<T>, Flaw>;

/// A JSON string without NUL, of at most 4096 bytes.
pub(super) fn string(raw: &str) -> Parsed<Cow<'_, str>> {
    if raw == "null" {
        return Ok(None);
    }
    if !raw.starts_with('"') {
        return Err(Unusable("is not a text"));
    }
    // Borrowed if nothing is escaped, which is the usual case.
    let text = match serde_json::from_str::<&str>(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(serde_json::from_str::<String>(raw).map_err(|_| Undecodable)?),
    };
    if text.contains('\0') {
        Err(Unusable("contains a NUL character"))
    } else if text.len() > MAX_TEXT {
        Err(Unusable("is longer than 4096 bytes"))
    } else {
        Ok(Some(text))
    }
}

/// A name: a text, or a whole number (as cells and sectors have). A blank name is `None`.
pub(super) fn name(raw: &str) -> Parsed<Cow<'_, str>> {
    if is_number(raw) {
        return match integer(raw) {
            Some(n) => Ok(Some(n.to_string().into())),
            None => finite(raw).and(Err(Unusable("is neither a text nor a whole number"))),
        };
    }
    Ok(string(raw)?.filter(|text| !text.trim().is_empty()))
}

/// A finite number.
pub(super) fn number(raw: &str) -> Parsed<f64> {
    match raw {
        "null" => Ok(None),
        _ if is_number(raw) => finite(raw).map(Some),
        _ => Err(Unusable("is not a number")),
    }
}

/// An id: a whole number that fits an int4 column, as number or text.
pub(super) fn id(raw: &str) -> Parsed<i32> {
    if raw == "null" {
        return Ok(None);
    }
    if is_number(raw) {
        finite(raw)?;
    } else {
        string(raw)?;
    }
    let Some(id) = integer(raw) else {
        return Err(Unusable("is not a whole number"));
    };
    i32::try_from(id)
        .map(Some)
        .map_err(|_| Unusable("is out of range"))
}

/// `true` or `false`, not a text or number: whether service can be sold at an address depends on it.
pub(super) fn boolean(raw: &str) -> Parsed<bool> {
    match raw {
        "null" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(Unusable("is neither true nor false")),
    }
}

/// A whole number in any notation: `7`, `7.0`, `"7"`.
pub(super) fn integer(raw: &str) -> Option<i64> {
    let digits = raw
        .strip_prefix('"')
        .and_then(|r| r.strip_suffix('"'))
        .map_or(raw, str::trim);
    if let Ok(n) = digits.parse() {
        return Some(n);
    }
    // Beyond 2^53 a float is not exact.
    let n: f64 = digits.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number of less than 2^53 fits"
    )]
    (n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0).then_some(n as i64)
}

/// `value` × 10^`decimals` as a whole number, rounded half away from zero like PostgreSQL does; `None` beyond ± `max`.
pub(super) fn fixed(value: f64, decimals: i32, max: i64) -> Option<i64> {
    let scaled = (value * 10f64.powi(decimals)).round();
    #[expect(clippy::cast_precision_loss, reason = "limits have at most nine digits")]
    let within = scaled.abs() <= max as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole, and within the limit"
    )]
    within.then_some(scaled as i64)
}

fn is_number(raw: &str) -> bool {
    raw.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

fn finite(raw: &str) -> Result<f64, Flaw> {
    raw.parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
        .ok_or(Undecodable)
}

#[cfg(test)]
mod tests {
    use super::Flaw::{Undecodable, Unusable};
    use super::{boolean, fixed, id, name, number, string};

    #[test]
    fn texts() {
        let long = format!("\"{}\"", "x".repeat(5000));
        for (raw, want) in [
            (r#""a""#, Ok(Some("a"))),
            (r#""\u00e9\n""#, Ok(Some("é\n"))),
            ("null", Ok(None)),
            (r#""\ud800""#, Err(Undecodable)),
            (r#""a\u0000""#, Err(Unusable("contains a NUL character"))),
            (&long, Err(Unusable("is longer than 4096 bytes"))),
            ("7", Err(Unusable("is not a text"))),
            ("{}", Err(Unusable("is not a text"))),
        ] {
            assert_eq!(string(raw), want.map(|o| o.map(Into::into)), "{raw}");
        }
    }

    #[test]
    fn names() {
        for (raw, want) in [
            ("4", Ok(Some("4"))),
            ("4.0", Ok(Some("4"))),
            ("4.5", Err(Unusable("is neither a text nor a whole number"))),
            ("1e400", Err(Undecodable)),
            (r#"" ""#, Ok(None)),
            (r#"" a ""#, Ok(Some(" a "))),
            ("true", Err(Unusable("is not a text"))),
        ] {
            assert_eq!(name(raw), want.map(|o| o.map(Into::into)), "{raw}");
        }
    }

    #[test]
    fn ids() {
        for (raw, want) in [
            ("1073", Ok(Some(1073))),
            ("1073.0", Ok(Some(1073))),
            (r#""1073""#, Ok(Some(1073))),
            ("null", Ok(None)),
            ("2147483648", Err(Unusable("is out of range"))),
            ("1e18", Err(Unusable("is not a whole number"))),
            ("1.5", Err(Unusable("is not a whole number"))),
            (r#""x""#, Err(Unusable("is not a whole number"))),
            (r#""\ud800""#, Err(Undecodable)),
            ("1e400", Err(Undecodable)),
            ("[1]", Err(Unusable("is not a text"))),
        ] {
            assert_eq!(id(raw), want, "{raw}");
        }
    }

    #[test]
    fn numbers_and_booleans() {
        assert_eq!(number("-26.5"), Ok(Some(-26.5)));
        assert_eq!(number(r#""1""#), Err(Unusable("is not a number")));
        assert_eq!(number("1e400"), Err(Undecodable));
        assert_eq!(boolean("true"), Ok(Some(true)));
        assert_eq!(boolean(r#""true""#), Err(Unusable("is neither true nor false")));
        assert_eq!(fixed(-0.005, 2, 9), Some(-1));
        assert_eq!(fixed(0.1, 2, 9), None);
    }
}
