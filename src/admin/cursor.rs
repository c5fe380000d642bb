//! Pure: where a page ends and the next begins, as text that nobody need understand.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::Problem;

/// The place of a run: those after it are older.
pub type Place = (Timestamp, Uuid);

/// For the caller to give back.
pub fn write((time, id): Place) -> String {
    let mut bytes = time.as_microsecond().to_be_bytes().to_vec();
    bytes.extend(id.as_bytes());
    bytes.extend(check(&bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Tells a cursor that was mangled on its way from one that was given out. It guards nothing: a caller who makes one up sees what
/// any other place in the list would show.
fn check(bytes: &[u8]) -> [u8; 8] {
    Sha256::digest(bytes).first_chunk().copied().unwrap_or_default()
}

/// What was given back.
pub fn read(cursor: &str) -> Result<Place, Problem> {
    let place = || {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
        let (bytes, told) = bytes.split_last_chunk::<8>()?;
        if *told != check(bytes) {
            return None;
        }
        let (time, id) = bytes.split_first_chunk::<8>()?;
        let time = Timestamp::from_microsecond(i64::from_be_bytes(*time)).ok()?;
        Some((time, Uuid::from_slice(id).ok()?))
    };
    place()
        .ok_or_else(|| Problem::Malformed("cursor: not one that was given out: begin without it".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_out_is_understood_and_nothing_else() {
        let place = (
            Timestamp::from_microsecond(1_800_000_000_123_456).unwrap(),
            Uuid::from_u128(7),
        );
        let cursor = write(place);
        assert_eq!(read(&cursor), Ok(place));
        for wrong in [
            "",
            "x",
            &cursor[1..],
            &format!("{cursor}A"),
            "_".repeat(43).as_str(),
            "<script>",
        ] {
            assert!(matches!(read(wrong), Err(Problem::Malformed(_))), "{wrong}");
        }
    }
}
