//! Pure: texts that fit into fields of limited length.

use std::borrow::Cow;

/// `text` in at most `max_bytes` bytes. A longer text is cut at a character boundary, and `…` marks the cut.
pub fn truncate(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub('…'.len_utf8()));
    Cow::Owned(format!("{}…", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::truncate;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        for (text, expected) in [
            ("", ""),
            ("abcdefgh", "abcdefgh"),
            ("abcdefghi", "abcde…"),
            ("éééé", "éééé"),
            ("ééééé", "éé…"),
        ] {
            assert_eq!(truncate(text, 8), expected);
        }
    }
}
