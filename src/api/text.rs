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

/// `text` on one line, in at most `max_bytes` bytes: each sequence of spaces, line breaks and other control characters becomes one space.
pub fn one_line(text: &str, max_bytes: usize) -> Cow<'_, str> {
    let is_space = |c: char| c.is_whitespace() || c.is_control();
    if !text.contains(|c: char| c != ' ' && is_space(c)) {
        return truncate(text, max_bytes);
    }
    // Only as much of a long text as can be kept.
    let head = &text[..text.floor_char_boundary(max_bytes.saturating_mul(4))];
    let words: Vec<&str> = head.split(is_space).filter(|word| !word.is_empty()).collect();
    let mut line = words.join(" ");
    if head.len() < text.len() {
        line.push('…');
    }
    Cow::Owned(truncate(&line, max_bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{one_line, truncate};

    #[test]
    fn line_breaks_are_folded() {
        for (text, expected) in [
            ("a  b", "a  b"),
            ("a\r\n\tb\n", "a b"),
            ("\0a\u{2028}b", "a b"),
            ("abcd\nefgh", "abcd …"),
        ] {
            assert_eq!(one_line(text, 8), expected, "{text:?}");
        }
        let long = "line\n".repeat(10_000);
        assert!(one_line(&long, 100).len() <= 100);
    }

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
