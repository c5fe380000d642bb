//! Pure: pagination cursors, as opaque text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::Problem;

/// Position in a list: the value that sorts the list, in descending order, and the id. What follows it has smaller ones.
pub type Cursor = (i64, Uuid);

/// The cursor as text. It is valid for lists of that name only.
pub fn encode(list: &str, (value, id): Cursor) -> String {
    let mut bytes = value.to_be_bytes().to_vec();
    bytes.extend(id.as_bytes());
    bytes.extend(checksum(list, &bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Detects a damaged cursor, or one of another list. It is no protection: a forged cursor only selects another position.
fn checksum(list: &str, bytes: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(bytes).chain_update(list).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// The cursor that a caller sent.
pub fn decode(list: &str, text: &str) -> Result<Cursor, Problem> {
    let cursor = || {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (bytes, sent) = bytes.split_last_chunk::<8>()?;
        if *sent != checksum(list, bytes) {
            return None;
        }
        let (value, id) = bytes.split_first_chunk::<8>()?;
        let value = i64::from_be_bytes(*value);
        // A time in microseconds. The database has no other ones.
        let is_in_range = (0..=Timestamp::MAX.as_microsecond()).contains(&value);
        Some((value, Uuid::from_slice(id).ok()?)).filter(|_| is_in_range)
    };
    cursor().ok_or_else(|| {
        Problem::BadRequest(
            "cursor: not a value of nextCursor of this list: leave it out to start at the first page"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encoded_cursors_decode() {
        let cursor = (1_800_000_000_123_456, Uuid::from_u128(7));
        let text = encode("syncs", cursor);
        assert_eq!(decode("syncs", &text), Ok(cursor));
        assert!(decode("others", &text).is_err());
        for impossible in [i64::MAX, i64::MIN, -1] {
            assert!(decode("syncs", &encode("syncs", (impossible, cursor.1))).is_err());
        }
        for wrong in [
            "",
            "x",
            &text[1..],
            &format!("{text}A"),
            "_".repeat(43).as_str(),
            "<script>",
        ] {
            assert!(
                matches!(decode("syncs", wrong), Err(Problem::BadRequest(_))),
                "{wrong}"
            );
        }
    }
}
