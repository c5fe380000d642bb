//! Pure: text that PostgreSQL can store.

use std::borrow::Cow;

/// Replaces NUL, which PostgreSQL's `text` cannot hold, by U+FFFD.
pub(in crate::store) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}
