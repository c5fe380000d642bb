//! Pure: pagination cursors, as opaque text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::Problem;

/// Position of a run in a list: creation time and id. The runs after it are older.
pub type Cursor = (Timestamp, Uuid);

/// The cursor as text.
pub fn encode((time, id): Cursor) -> String {
    let mut bytes = time.as_microsecond().to_be_bytes().to_vec();
    bytes.extend(id.as_bytes());
    bytes.extend(checksum(&bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Detects a damaged cursor. It is no protection: a forged cursor only selects another position in the list.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    Sha256::digest(bytes).first_chunk().copied().unwrap_or_default()
}

/// The cursor that a caller sent.
pub fn decode(text: &str) -> Result<Cursor, Problem> {
    let cursor = || {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (bytes, sent) = bytes.split_last_chunk::<8>()?;
        if *sent != checksum(bytes) {
            return None;
        }
        let (time, id) = bytes.split_first_chunk::<8>()?;
        let time = Timestamp::from_microsecond(i64::from_be_bytes(*time)).ok()?;
        Some((time, Uuid::from_slice(id).ok()?))
    };
    cursor().ok_or_else(|| {
        Problem::BadRequest(
            "cursor: not a value of nextCursor: leave it out to start at the first page".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encoded_cursors_decode() {
        let cursor = (
            Timestamp::from_microsecond(1_800_000_000_123_456).unwrap(),
            Uuid::from_u128(7),
        );
        let text = encode(cursor);
        assert_eq!(decode(&text), Ok(cursor));
        for wrong in [
            "",
            "x",
            &text[1..],
            &format!("{text}A"),
            "_".repeat(43).as_str(),
            "<script>",
        ] {
            assert!(matches!(decode(wrong), Err(Problem::BadRequest(_))), "{wrong}");
        }
    }
}
