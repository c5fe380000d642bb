//! Pure: tolerant reading of single values, strict about what they may become.
//!
//! Values arrive as raw JSON text that is known to be well-formed. Two ways to be bad are told apart: a value that is no
//! value at all (a lone surrogate, 1e400) makes its record undecodable, one of another type or range is only of no use.

use std::borrow::Cow;

/// Longest name that is taken: longer ones are mistakes, and a fleet of them would fill the memory.
const MAX_TEXT: usize = 4096;

/// Why a value was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It cannot be decoded.
    Undecodable,
    /// It can, and is of no use: says why, without the value.
    Useless(&'static str),
}

use Flaw::{Undecodable, Useless};

/// What a field held: nothing usable is `None`.
pub(super) type Read<T> = Result<Option<T>, Flaw>;

/// A JSON string, NUL-free and of bearable length.
pub(super) fn string(raw: &str) -> Read<Cow<'_, str>> {
    if raw == "null" {
        return Ok(None);
    }
    if !raw.starts_with('"') {
        return Err(Useless("is not a text"));
    }
    // Borrowed where nothing is escaped, which is nearly always.
    let text = match serde_json::from_str::<&str>(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(serde_json::from_str::<String>(raw).map_err(|_| Undecodable)?),
    };
    if text.contains('\0') {
        Err(Useless("contains a NUL character"))
    } else if text.len() > MAX_TEXT {
        Err(Useless("is longer than 4096 bytes"))
    } else {
        Ok(Some(text))
    }
}

/// A name: a text, or a whole number (cells and sectors have those). Blank says nothing.
pub(super) fn name(raw: &str) -> Read<Cow<'_, str>> {
    if is_number(raw) {
        return match integer(raw) {
            Some(n) => Ok(Some(n.to_string().into())),
            None => finite(raw).and(Err(Useless("is neither a text nor a whole number"))),
        };
    }
    Ok(string(raw)?.filter(|text| !text.trim().is_empty()))
}

/// A finite number.
pub(super) fn number(raw: &str) -> Read<f64> {
    match raw {
        "null" => Ok(None),
        _ if is_number(raw) => finite(raw).map(Some),
        _ => Err(Useless("is not a number")),
    }
}

/// An id: a whole number that an int4 column holds, perhaps written as a text.
pub(super) fn id(raw: &str) -> Read<i32> {
    if raw == "null" {
        return Ok(None);
    }
    if is_number(raw) {
        finite(raw)?;
    } else {
        string(raw)?;
    }
    let Some(id) = integer(raw) else {
        return Err(Useless("is not a whole number"));
    };
    i32::try_from(id)
        .map(Some)
        .map_err(|_| Useless("is out of range"))
}

/// `true` or `false`, and nothing that merely looks like it: whether an address may be sold hangs on it.
pub(super) fn boolean(raw: &str) -> Read<bool> {
    match raw {
        "null" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(Useless("is neither true nor false")),
    }
}

/// A whole number in any of its spellings: `7`, `7.0`, `"7"`.
pub(super) fn integer(raw: &str) -> Option<i64> {
    let digits = raw
        .strip_prefix('"')
        .and_then(|r| r.strip_suffix('"'))
        .map_or(raw, str::trim);
    if let Ok(n) = digits.parse() {
        return Some(n);
    }
    // Beyond 2^53 a float has no last digit, and so is no id.
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
    use super::Flaw::{Undecodable, Useless};
    use super::{boolean, fixed, id, name, number, string};

    #[test]
    fn texts() {
        let long = format!("\"{}\"", "x".repeat(5000));
        for (raw, want) in [
            (r#""a""#, Ok(Some("a"))),
            (r#""\u00e9\n""#, Ok(Some("é\n"))),
            ("null", Ok(None)),
            (r#""\ud800""#, Err(Undecodable)),
            (r#""a\u0000""#, Err(Useless("contains a NUL character"))),
            (&long, Err(Useless("is longer than 4096 bytes"))),
            ("7", Err(Useless("is not a text"))),
            ("{}", Err(Useless("is not a text"))),
        ] {
            assert_eq!(string(raw), want.map(|o| o.map(Into::into)), "{raw}");
        }
    }

    #[test]
    fn names() {
        for (raw, want) in [
            ("4", Ok(Some("4"))),
            ("4.0", Ok(Some("4"))),
            ("4.5", Err(Useless("is neither a text nor a whole number"))),
            ("1e400", Err(Undecodable)),
            (r#"" ""#, Ok(None)),
            (r#"" a ""#, Ok(Some(" a "))),
            ("true", Err(Useless("is not a text"))),
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
            ("2147483648", Err(Useless("is out of range"))),
            ("1e18", Err(Useless("is not a whole number"))),
            ("1.5", Err(Useless("is not a whole number"))),
            (r#""x""#, Err(Useless("is not a whole number"))),
            (r#""\ud800""#, Err(Undecodable)),
            ("1e400", Err(Undecodable)),
            ("[1]", Err(Useless("is not a text"))),
        ] {
            assert_eq!(id(raw), want, "{raw}");
        }
    }

    #[test]
    fn numbers_and_booleans() {
        assert_eq!(number("-26.5"), Ok(Some(-26.5)));
        assert_eq!(number(r#""1""#), Err(Useless("is not a number")));
        assert_eq!(number("1e400"), Err(Undecodable));
        assert_eq!(boolean("true"), Ok(Some(true)));
        assert_eq!(boolean(r#""true""#), Err(Useless("is neither true nor false")));
        assert_eq!(fixed(-0.005, 2, 9), Some(-1));
        assert_eq!(fixed(0.1, 2, 9), None);
    }
}
