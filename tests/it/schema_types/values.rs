//! Values that may be accepted by the API server but not by our types or by CEL, as raw JSON.

use super::nodes::{Node, Step, sample};

/// Of any type.
const ANY: &[&str] = &[
    "null",
    "true",
    "\"true\"",
    "0",
    "1.5",
    "\"\"",
    "\"x\"",
    "[]",
    "[null]",
    "{}",
    "{\"x\":1}",
];

const INTEGERS: &[&str] = &[
    "-1",
    "-0",
    "-0.0",
    "1",
    "1.0",
    "1e0",
    "1e3",
    "10.00e1",
    "0.1e1",
    "1e-400",
    "2147483647",
    "2147483647.0",
    "2147483648",
    "2147483648.0",
    "-2147483648",
    "-2147483649",
    "3000000000",
    "4294967297",
    "9007199254740992.0",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775807.0",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e18",
    "1e19",
    "1e21",
    "1e300",
    "\"1\"",
];

const TIMES: &[&str] = &[
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.5Z",
    "2026-01-01T00:00:00.123456789Z",
    "2026-01-01T00:00:00.1234567890Z",
    "2026-01-01T00:00:00.Z",
    "2026-01-01T00:00:00,5Z",
    "2026-01-01T00:00:00x5Z",
    "2026-01-01t00:00:00z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00Z",
    "2026-01-01",
    "2026-02-29T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T23:59:60Z",
    "2026-01-01T00:00:00ZTZ",
    "2026-01-01T00:00:00Z ",
    "2026-01-01T00:00:00Z\\n",
    "2026-01-01T00:00:00Z[UTC]",
    "2026-01-01T00:00:00+00:00",
    "2026-01-01T00:00:00-00:00",
    "2026-01-01T00:00:00+02:00",
    "2026-01-01T00:00:00+0200",
    "2026-01-01T00:00:00+02",
    "2026-01-01T00:00:00+23:59",
    "2026-01-01T00:00:00-23:59",
    "2026-01-01T00:00:00+23:60",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00+25:59",
    "2026-01-01T00:00:00-25:59",
    "2026-01-01T00:00:00+26:00",
    "2026-01-01T00:00:00+99:00",
    "2026-01-01T00:00:00+02:99",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1000-01-01T00:00:00+23:59",
    "8999-12-31T23:59:59.999999999-23:59",
    "9999-12-30T22:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "10000-01-01T00:00:00Z",
    "+002026-01-01T00:00:00Z",
    "-2026-01-01T00:00:00Z",
];

const UUIDS: &[&str] = &[
    "6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3a",
    "6B1F2C1E-7D7E-4A55-9B9C-8F6F0D1C2B3A",
    "6b1f2c1e7d7e4a559b9c8f6f0d1c2b3a",
    "6b1f2c1e-7d7e4a559b9c8f6f0d1c2b3a",
    "6b1f2c1e7d7e-4a55-9b9c-8f6f0d1c2b3a",
    "6b1f2c1e-7d7e-4a55-9b9c8f6f0d1c2b3a",
    "{6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3a}",
    "urn:uuid:6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3a",
    "6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3a\\n",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3g",
];

const STRINGS: &[&str] = &[
    " ",
    "\\u0000",
    "\\ud800",
    "\\udfff\\ud800",
    "\\ud83d\\ude00",
    "\\u200b",
    "null",
    "1",
];

/// The values to try for a field.
pub fn values(node: &Node) -> Vec<String> {
    let schema = &node.schema;
    let mut values: Vec<String> = ANY.iter().copied().map(str::to_owned).collect();
    let quoted = |texts: &[&str]| texts.iter().map(|t| format!("\"{t}\"")).collect::<Vec<_>>();
    match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("integer", _) => values.extend(INTEGERS.iter().copied().map(str::to_owned)),
        ("string", Some("date-time")) => values.extend(quoted(TIMES)),
        ("string", Some("uuid")) => values.extend(quoted(UUIDS)),
        ("string", _) => values.extend(quoted(STRINGS)),
        ("object", _) => values.extend(["{\"x\":null}", "{\"\":\"\"}"].map(str::to_owned)),
        _ => {}
    }
    for choice in schema["enum"].as_array().into_iter().flatten() {
        let choice = choice.to_string();
        values.extend([choice.to_lowercase(), choice]);
    }
    values.push(format!("\"{}\"", "é".repeat(253)));
    values.push(format!("[{}0]", "0,".repeat(300)));
    let sample = sample(schema).to_string();
    if let Some(Step::Field(field)) = node.path.last() {
        // The same key twice.
        values.push(format!("{sample},\"{field}\":[{{}}]"));
        values.push(format!("[{{}}],\"{field}\":{sample}"));
    }
    values.push(sample);
    for bound in ["minimum", "maximum"] {
        if let Some(bound) = schema[bound].as_f64() {
            values.push(bound.to_string());
        }
    }
    values
}
