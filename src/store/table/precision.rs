//! Pure: what columns of other types make of a number. Rounding is that of PostgreSQL's casts, so that equality after it is equality in
//! the table.

/// The type of a column, as far as it matters for numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ColumnType {
    /// Stores what it is sent, or rejects it.
    #[default]
    Exact,
    /// The same, and values of others that are out of range here.
    Wide,
    /// `numeric` with fewer decimals, or an integer (0 decimals). A negative number rounds before the point.
    Decimals {
        scale: i32,
        is_wide: bool,
    },
    /// `real`: read as six significant digits.
    Float4,
    Unknown,
}

impl ColumnType {
    /// `kind` is the type in [`crate::store::columns`]; `name` and `typmod` are those of the column.
    pub fn of(kind: &str, name: &str, typmod: i32) -> Self {
        if kind == "text" {
            return match name {
                "text" | "varchar" | "citext" => Self::Exact,
                _ => Self::Unknown,
            };
        }
        let (digits, scale) = size(kind);
        match name {
            "int2" | "int4" if scale == 0 => Self::Exact,
            "int8" if scale == 0 => Self::Wide,
            "int2" | "int4" | "int8" => Self::Decimals {
                scale: 0,
                is_wide: true,
            },
            "float8" => Self::Wide,
            "float4" => Self::Float4,
            "numeric" if typmod < 4 => Self::Wide,
            "numeric" => {
                let (precision, actual) = ((typmod - 4) >> 16 & 0xffff, sign_extended((typmod - 4) & 0x7ff));
                let is_wide = precision - actual > digits - scale || actual > scale || scale == 0;
                match (actual < scale, is_wide) {
                    (true, _) => Self::Decimals {
                        scale: actual,
                        is_wide,
                    },
                    (false, true) => Self::Wide,
                    (false, false) => Self::Exact,
                }
            }
            _ => Self::Unknown,
        }
    }

    pub fn rounds(self) -> bool {
        matches!(self, Self::Decimals { .. } | Self::Float4)
    }

    /// Whether the column may have numbers out of the range of `kind`.
    pub fn exceeds(self, kind: &str) -> bool {
        kind != "text"
            && matches!(
                self,
                Self::Wide | Self::Float4 | Self::Decimals { is_wide: true, .. }
            )
    }

    /// What is read after `units` / 10^`scale` was stored.
    pub fn round(self, units: i64, scale: u32) -> i64 {
        match self {
            Self::Exact | Self::Wide | Self::Unknown => units,
            Self::Decimals { scale: actual, .. } => round_to(units, i64::from(scale) - i64::from(actual)),
            Self::Float4 => through_float4(units, scale).unwrap_or(units),
        }
    }
}

/// Digits and decimals of `int` or `numeric(p,s)`.
fn size(kind: &str) -> (i32, i32) {
    let parts = kind
        .strip_prefix("numeric(")
        .and_then(|rest| rest.strip_suffix(')'));
    let numbers = parts.and_then(|parts| parts.split_once(','));
    let parsed = numbers.and_then(|(p, s)| Some((p.parse().ok()?, s.parse().ok()?)));
    parsed.unwrap_or((10, 0))
}

/// The scale of a `numeric` is 11 bits with a sign, from PostgreSQL 15 on.
fn sign_extended(scale: i32) -> i32 {
    (scale ^ 0x400) - 0x400
}

/// The condition that a number can be read as `kind`. NaN and infinity cannot.
pub(super) fn readable(name: &str, kind: &str) -> Option<String> {
    match kind {
        "text" => None,
        "int" => Some(format!("{name} BETWEEN -2147483648 AND 2147483647")),
        _ => {
            let (digits, scale) = size(kind);
            let nines = |n: i32| "9".repeat(usize::try_from(n).unwrap_or_default());
            let most = format!("{}.{}", nines(digits - scale), nines(scale));
            Some(format!("{name} BETWEEN -{most} AND {most}"))
        }
    }
}

/// Rounds the last `digits` decimal digits to zero, half away from zero, as `numeric` does.
fn round_to(units: i64, digits: i64) -> i64 {
    let Some(step) = u32::try_from(digits)
        .ok()
        .and_then(|digits| 10_i64.checked_pow(digits))
    else {
        return units;
    };
    let half = step / 2 * units.signum();
    units.checked_add(half).map_or(units, |sum| sum / step * step)
}

/// PostgreSQL casts `numeric` to `real` by its text, and `real` to `numeric` with six significant digits; to `int` exactly.
fn through_float4(units: i64, scale: u32) -> Option<i64> {
    let exponent = i64::from(scale);
    let stored: f32 = format!("{units}e-{exponent}").parse().ok()?;
    if scale == 0 {
        return format!("{stored:.0}").parse().ok();
    }
    let text = format!("{stored:.5e}");
    let (mantissa, power) = text.split_once('e')?;
    let digits: i64 = mantissa.replace('.', "").parse().ok()?;
    let shift = power.parse::<i64>().ok()? - 5 + exponent;
    if shift < 0 {
        return Some(round_to(digits, -shift) / 10_i64.checked_pow(u32::try_from(-shift).ok()?)?);
    }
    digits.checked_mul(10_i64.checked_pow(u32::try_from(shift).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::ColumnType;

    fn numeric(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn the_expected_types_are_exact() {
        for (kind, name, typmod) in [
            ("numeric(8,2)", "numeric", numeric(8, 2)),
            ("numeric(10,6)", "numeric", numeric(10, 6)),
            ("int", "int4", -1),
            ("text", "varchar", 16),
        ] {
            let of = ColumnType::of(kind, name, typmod);
            assert_eq!(of, ColumnType::Exact, "{kind} as {name}");
            assert!(!of.exceeds(kind) && !of.rounds());
        }
    }

    #[test]
    fn numbers_are_rounded_as_their_column_does() {
        for (kind, name, typmod, units, expected) in [
            ("numeric(8,2)", "numeric", numeric(6, 1), 159_865, 159_870),
            ("numeric(8,2)", "numeric", numeric(6, 1), -159_865, -159_870),
            ("numeric(8,2)", "numeric", numeric(6, 1), 159_864, 159_860),
            ("numeric(8,2)", "numeric", numeric(6, -1), 159_864, 160_000),
            ("numeric(8,2)", "int4", -1, 159_850, 159_900),
            ("numeric(8,2)", "int2", -1, -49, 0),
            ("numeric(8,2)", "float8", -1, 159_865, 159_865),
            ("numeric(8,2)", "numeric", -1, 159_865, 159_865),
            ("numeric(10,6)", "float4", -1, -26_107_912, -26_107_900),
            ("numeric(10,6)", "float4", -1, 28, 28),
            ("numeric(10,6)", "float4", -1, 0, 0),
            ("int", "float4", -1, 16_777_217, 16_777_216),
        ] {
            let scale = if kind == "int" {
                0
            } else if kind == "numeric(8,2)" {
                2
            } else {
                6
            };
            let of = ColumnType::of(kind, name, typmod);
            assert_eq!(
                of.round(units, scale),
                expected,
                "{units} of {kind} as {name} ({typmod})"
            );
        }
    }

    #[test]
    fn wider_types_have_numbers_out_of_range() {
        for (kind, name, typmod, expected) in [
            ("numeric(8,2)", "numeric", -1, true),
            ("numeric(8,2)", "numeric", numeric(12, 2), true),
            ("numeric(8,2)", "numeric", numeric(9, 3), true),
            ("numeric(8,2)", "numeric", numeric(6, 1), false),
            ("int", "int8", -1, true),
            ("int", "int2", -1, false),
            ("text", "bpchar", 5, false),
        ] {
            assert_eq!(
                ColumnType::of(kind, name, typmod).exceeds(kind),
                expected,
                "{kind} {name}"
            );
        }
    }
}
